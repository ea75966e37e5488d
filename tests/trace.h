/*
 * trace.h: what happened, in order, as one line of text: coroutines and callbacks note() a letter
 * each, and the test compares the trace.
 */
#ifndef TEST_TRACE_H
#define TEST_TRACE_H

static char trace[512];
static size_t traced;

static void note(const char *text)
{
    for (; *text && traced + 1 < sizeof trace; text++)
        trace[traced++] = *text;
    trace[traced] = '\0';
}

static void trace_reset(void)
{
    trace[traced = 0] = '\0';
}

#endif
