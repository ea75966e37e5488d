/*
 * test.h: what every test of the core is written with. Include it after async.h.
 *
 *     TEST(stream, echoes)                once per backend, in one process; see test_backend
 *     {
 *         check(condition);
 *         check_equal(actual, expected);  integers up to 64 bits, both values are printed
 *         check_text(actual, expected);   strings
 *         check_error(async_read, EBADF, expression);     expression == -EBADF
 *         provokes(async_read, EINTR);    a check nearby shows this error in another way
 *         test_panics(statement, "words that stderr must contain");
 *     }
 *
 * The same sources are built twice: for the real kernel, and with -DTEST_SIMULATED for the kit's
 * simulated one (tests/kit), where each body runs in a calm world on a virtual clock. A test whose
 * point is the real kernel, or which needs what the simulation has not, says so; one whose point is
 * that time passes is not run on the real clock:
 *
 *     REAL_TEST(suite, name, "why")
 *     SIMULATED_TEST(suite, name)
 *
 * A test fails when a check fails, when it leaves a descriptor or a child process behind, when it
 * is stuck, and when it ends its process. With `#define TEST_ONCE` before the include, the tests of
 * that file run once and no backend is chosen.
 *
 * Two faces: link test.c and criterion_main.c with Criterion, or compile everything with
 * -DTEST_PLAIN and link test.c and plain.c, which need nothing but a C library.
 *
 * Environment: TEST_BACKENDS="poll epoll" replaces the backends of the build; TEST_SLOW=1 makes
 * the watchdog five times as patient (qemu); TEST_VERBOSE=1 prints each error that was provoked.
 */
#ifndef TEST_H
#define TEST_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#ifndef TEST_PLAIN
#include <criterion/criterion.h>
#endif

/* The C library hides __attribute__ from tcc, which knows it by this name too. */
#define TEST_ATTRIBUTE(list) __attribute(list)

#ifdef TEST_ONCE
#define TEST_EACH_BACKEND 0
#else
#define TEST_EACH_BACKEND 1
#endif

struct test_case {
    const char *suite;
    const char *name;
    void (*body)(void);
    int each_backend;
    struct test_case *next; /* in the plain driver's list */
};

/* The backend of this run of the body, also in ASYNC_BACKEND; "" in a file with TEST_ONCE. */
extern const char *test_backend;

/* Give the current run of the body so many seconds from now, to be multiplied under Valgrind and
 * for TEST_SLOW; 0 for ever. Each run begins with 20. On Linux the watchdog uses SIGVTALRM and
 * leaves SIGALRM to the tests; elsewhere it is SIGALRM. */
void test_watchdog(int seconds);

/* End the test here: neither passed nor failed. To leave out one backend, return from the body. */
TEST_ATTRIBUTE((noreturn)) void test_skip(const char *reason);

/* Whether Valgrind stands between the test and a real kernel; whether counts and repetitions should
 * be smaller, since it does, or since all is judged in the simulation. */
int test_on_valgrind(void);
#ifdef TEST_SIMULATED
#define test_on_valgrind() 0
#define test_is_costly() 1
#else
#define test_is_costly() test_on_valgrind()
#endif

/* In a child that a body forks, before its _exit: such an end loses the coverage counters. Does
 * nothing unless test.c is compiled with -DTEST_SAVE_COVERAGE=__gcov_dump (gcc --coverage) or
 * =__llvm_profile_write_file (clang). The children of test_panics do it themselves. */
void test_save_coverage(void);

/* What the macros below call. */
TEST_ATTRIBUTE((noreturn, format(printf, 3, 4)))
void test_fail(const char *file, int line, const char *format, ...);
void test_equal(const char *file, int line, const char *left, uint64_t actual, int actual_signed,
                const char *right, uint64_t expected, int expected_signed);
void test_text(const char *file, int line, const char *left, const char *actual,
               const char *expected);
void test_error(const char *file, int line, const char *function, const char *name, int error,
                const char *expression, uint64_t actual, int actual_signed);
void test_provoked(const char *function, const char *name, int error);
int test_forked(const char *file, int line);
TEST_ATTRIBUTE((noreturn)) void test_not_panicked(void);
void test_panicked(const char *file, int line, const char *statement, const char *words);
void test_run(const struct test_case *test);
void test_in_world(const struct test_case *test);
void test_end(void);

/* What a driver has for test.c: report and end the test; the watchdog's limit has changed. */
TEST_ATTRIBUTE((noreturn)) void test_driver_fail(const char *file, int line, const char *message);
TEST_ATTRIBUTE((noreturn)) void test_driver_skip(const char *reason);
void test_driver_limit(int seconds);

/* An integer of any type as two arguments: its bits, and whether they are signed. The | refuses
 * pointers and floating point at compile time and lets bit-fields in. */
#define TEST_INTEGER(x) \
    (uint64_t)(x), ((__typeof__((x) | 0))-1 < (__typeof__((x) | 0))1)

#define check(condition) \
    do { \
        if (condition) { \
        } else { \
            test_fail(__FILE__, __LINE__, "%s", "check(" #condition ") is false"); \
        } \
    } while (0)

#define check_equal(actual, expected) \
    test_equal(__FILE__, __LINE__, #actual, TEST_INTEGER(actual), #expected, TEST_INTEGER(expected))

#define check_text(actual, expected) test_text(__FILE__, __LINE__, #actual, actual, expected)

#define check_error(function, error, expression) \
    test_error(__FILE__, __LINE__, #function, #error, error, #expression, TEST_INTEGER(expression))

#define provokes(function, error) test_provoked(#function, #error, error)

/* The statement runs in a child, which never comes back: a `return` in it is noticed too. */
#define test_panics(statement, words) \
    do { \
        if (test_forked(__FILE__, __LINE__)) { \
            statement; \
            test_not_panicked(); \
        } \
        test_panicked(__FILE__, __LINE__, #statement, words); \
    } while (0)

#define TEST_CASE(suite, name) \
    static void test_body_##suite##_##name(void); \
    static struct test_case test_case_##suite##_##name = { \
        #suite, #name, test_body_##suite##_##name, TEST_EACH_BACKEND, NULL \
    };

/* A test that another build runs is compiled all the same. */
#define TEST_ELSEWHERE(suite, name) \
    TEST_ATTRIBUTE((unused)) static void test_body_##suite##_##name(void)

#if defined TEST_SIMULATED
#define TEST(suite, name) \
    TEST_CASE(suite, name) \
    AsyncTestBare(suite, name, (.faults = SIM_CALM)) \
    { \
        sim_patience(3000000); /* much is computed while no time passes */ \
        test_in_world(&test_case_##suite##_##name); \
    } \
    static void test_body_##suite##_##name(void)
#elif defined TEST_PLAIN
void test_register(struct test_case *test);

#define TEST(suite, name) \
    TEST_CASE(suite, name) \
    TEST_ATTRIBUTE((constructor)) static void test_register_##suite##_##name(void) \
    { \
        test_register(&test_case_##suite##_##name); \
    } \
    static void test_body_##suite##_##name(void)
#else
/* Criterion makes global names of suite and name, so the pair must be unique in the program. */
#define TEST(suite, name) \
    TEST_CASE(suite, name) \
    Test(suite, name, .fini = test_end) \
    { \
        test_run(&test_case_##suite##_##name); \
    } \
    static void test_body_##suite##_##name(void)
#endif

#ifdef TEST_SIMULATED
#define REAL_TEST(suite, name, why) TEST_ELSEWHERE(suite, name)
#define SIMULATED_TEST(suite, name) TEST(suite, name)
#else
#define REAL_TEST(suite, name, why) TEST(suite, name)
#define SIMULATED_TEST(suite, name) TEST_ELSEWHERE(suite, name)
#endif

#endif
