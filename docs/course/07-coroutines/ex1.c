/* 7.1  A generator by hand. Each call of next() gives one letter and leaves;
 * the next call must go on there, in the middle of both loops. "a3b2" gives
 * a a a b b, then 0, also when it is called once more. No macros: switch and
 * case are enough. */

struct letters {
    const char *code; /* what is still to be expanded */
    int left;         /* how often *code still comes  */
    int line;         /* where to go on; 0 at first   */
};

static int next(struct letters *self)
{
    /* TODO: this starts again from the top each time. Remember in self->line
     * where you left, and begin with a switch that goes there. */
    for (; *self->code; self->code += 2)
        for (self->left = self->code[1] - '0'; self->left > 0; self->left--)
            return *self->code;
    /* END */
    return 0;
}
