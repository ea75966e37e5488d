/*
 * The Criterion face of the test layer: how a failure is reported, and the verdict of what speaks
 * only after a test has ended.
 *
 * Valgrind and LeakSanitizer look at a process when it exits. By then Criterion has taken the test
 * for passed, and up to 2.4.2 it ignores the exit status that follows. The hook below runs before
 * the reports and the summary, and turns such a test into a failed one.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test.h"

#include <criterion/criterion.h>
#include <criterion/event.h>
#include <criterion/hooks.h>
#include <criterion/options.h>
#include <criterion/stats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What cr_assert_fail does, for a place that is not this one. Leaves by longjmp. */
void test_driver_fail(const char *file, int line, const char *message)
{
    struct criterion_assert_stats failure;

    memset(&failure, 0, sizeof failure);
    failure.passed = false;
    failure.file = file;
    failure.line = (unsigned)line;
    failure.message = message;
    criterion_send_assert(&failure);
    criterion_abort_test();
}

void test_driver_skip(const char *reason)
{
    criterion_skip_test("%s", reason);
}

void test_driver_limit(int seconds)
{
    (void)seconds; /* Criterion gets no limit of its own: 2.4.1 can hang when one has passed */
}

/* What is wrong with a test that Criterion takes for passed, or NULL. Only a body that comes to its
 * end is given a time, so that one which leaves by _exit(0) is found out too. */
static const char *fault(const struct criterion_test_stats *test)
{
    if (test->test_status != CR_STATUS_PASSED)
        return NULL;
    if (test->exit_code == 99)
        return "Valgrind's verdict";
    if (test->exit_code == 23)
        return "LeakSanitizer's verdict";
    if (test->exit_code != 0 || test->signal != 0)
        return "after the test had ended";
    if (criterion_options.measure_time && !(test->elapsed_time > 0))
        return "it ended its process before the end of its body";
    return NULL;
}

static int judge(struct criterion_test_stats *test)
{
    const char *reason = fault(test);

    if (!reason)
        return 0;
    fprintf(stderr, "[FAIL] %s::%s: exit status %d, signal %d: %s\n", test->test->category,
            test->test->name, test->exit_code, test->signal, reason);
    test->test_status = CR_STATUS_FAILED;
    return 1;
}

static void verdict(void *data)
{
    struct criterion_global_stats *all = data;

    for (struct criterion_suite_stats *suite = all->suites; suite; suite = suite->next) {
        for (struct criterion_test_stats *test = suite->tests; test; test = test->next) {
            if (!judge(test))
                continue;
            suite->tests_passed--;
            suite->tests_failed++;
            all->tests_passed--;
            all->tests_failed++;
        }
    }
}

/* ReportHook() would make a global name of the line number, which two files can share. */
CR_SECTION_("cr_poa") CR_ATTRIBUTE(used)
static f_report_hook verdict_hook = verdict CR_SECTION_SUFFIX_;
