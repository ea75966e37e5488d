#!/bin/sh
# The tests under ThreadSanitizer: the plain driver, for it cannot run beneath Criterion. As many
# must pass as without it, and not one report.
#
#     CC=clang tests/tsan.sh     from the repository's top; output is below build/tsan
#
# Without it: build/tests-plain where that is up to date and nothing is in SKIP, which leaves out what
# raises signals in the middle of the emulation's locks.
set -u
. tests/report.sh

out=build/tsan
report_begin "$out"
# shellcheck disable=SC2034 # of report.sh
REPORT_LINES=30
CC=${CC:-gcc}
TEST_SLOW=1
TSAN_OPTIONS='halt_on_error=1 exitcode=66 die_after_fork=0'
export TEST_SLOW TSAN_OPTIONS

sources() {
    for source in tests/test_*.c; do
        case " ${SKIP:-} " in *" $source "*) continue ;; esac
        echo "$source"
    done
}

# build name flags
build() {
    # shellcheck disable=SC2046,SC2086
    "$CC" -std=gnu11 -O0 -g $2 -DTEST_PLAIN -DASYNC_DEBUG=1 -DASYNC_HAS_KQUEUE=1 \
        '-DTEST_BACKEND_LIST="poll epoll kqueue"' -I. -Itests -Itests/kqueue $(sources) \
        tests/test.c tests/plain.c tests/kqueue/kqueue.c -pthread -o "$out/$1" > "$out/$1.build" 2>&1
}

# execute name flags: build, run, and leave the number of passes in $passes
execute() {
    passes=0
    if [ "$1" = native ] && [ -z "${SKIP:-}" ] && make -q build/tests-plain > "$out/native.fresh" 2>&1; then
        cp build/tests-plain "$out/native"
    else
        build "$1" "$2" || { fail "$1 builds" "$out/$1.build"; return 1; }
    fi
    timeout 1200 "$out/$1" > "$out/$1.txt" 2>&1 < /dev/null
    execute_status=$?
    passes=$(sed -n '$s/^\([0-9]*\) passed, .*/\1/p' "$out/$1.txt")
    grep -a -E '^FAIL|WARNING: ThreadSanitizer|SUMMARY:' "$out/$1.txt" > "$out/$1.bad"
    [ $execute_status -eq 0 ] && [ ! -s "$out/$1.bad" ] && [ "${passes:-0}" -gt 0 ] && return
    fail "$1: status $execute_status, ${passes:-0} passed" "$out/$1.bad"
    return 1
}

# A race on purpose: this must be reported, or the tool is not at work.
control() {
    cat > "$out/race.c" << 'END'
#include <pthread.h>
static int shared;
static void *add(void *data) { shared++; return data; }
int main(void)
{
    pthread_t thread;
    pthread_create(&thread, 0, add, 0);
    shared++;
    return pthread_join(thread, 0);
}
END
    if ! "$CC" -g -fsanitize=thread -pthread "$out/race.c" -o "$out/race" > "$out/race.txt" 2>&1
    then
        left_out "all: $CC has no ThreadSanitizer"
        exit 77
    fi
    "$out/race" > "$out/race.txt" 2>&1
    if [ $? -eq 66 ] && grep -q 'data race' "$out/race.txt"; then
        ok 'a race is reported'
    else
        fail 'a race must be reported' "$out/race.txt"
    fi
}

control
execute native '' && ok "natively: $passes tests"
native=$passes
if execute tsan -fsanitize=thread; then
    if [ "$passes" -eq "${native:-0}" ]; then
        ok "under ThreadSanitizer: $passes tests, as natively, and no report"
    else
        fail "under ThreadSanitizer: $passes tests, natively ${native:-0}"
    fi
fi
report_end
