/* Two coroutines made by hand, without any library: they take turns.
 *
 *     cc -g docs/course/07-coroutines/expanded.c -o expanded && ./expanded
 */
#include <stdio.h>

struct count { /* the frame: what must survive */
    const char *name;
    int i;
    int place; /* where to go on */
};

/* Returns 1 if it has stopped in the middle, 0 if it has come to its end. */
static int count(struct count *self)
{
    switch (self->place) {
    case 0: /* the beginning */
        for (self->i = 1; self->i <= 3; self->i++) {
            printf("%s %d\n", self->name, self->i);
            self->place = 1;
            return 1;
    case 1:; /* here it goes on, in the middle of the loop */
        }
    }
    return 0;
}

int main(void)
{
    struct count one = { "one", 0, 0 }, two = { "two", 0, 0 };
    while (count(&one) && count(&two))
        ;
    return 0;
}
