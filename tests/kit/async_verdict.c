/*
 * async_verdict.c: the verdict on a test of what speaks only after it has ended. Link it with
 * Criterion; it needs nothing else of the kit.
 *
 * Valgrind and LeakSanitizer look at a process when it exits. By then Criterion has taken the test
 * for passed, and up to 2.4.2 it ignores the exit status that follows. The hook below runs before
 * the reports and the summary, and turns such a test into a failed one.
 */
#ifndef ASYNC_TEST_PLAIN
#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <criterion/options.h>
#include <criterion/stats.h>
#include <stdio.h>

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
#endif
