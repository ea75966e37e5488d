#!/bin/sh
# The tests on other processors: the plain driver, static with musl, natively and under qemu-user.
# As many tests must pass there as natively. s390x has its bytes the other way round, i386 has small
# pointers and no 128-bit integers.
#
#     tests/qemu.sh [machine...]     from the repository's top; output is below build/qemu
#
# What runs: every tests/test_*.c that builds without Criterion, all backends, epoll and poll as
# qemu-user hands them to the host's kernel, kqueue on the emulation. What qemu-user cannot do is
# left out by name, natively too, so that the numbers are comparable:
#     test_kqueue_emulation.c   tests of the emulation itself, which look into the host's /proc and
#                               raise signals in places where qemu-user delivers them elsewhere
# What qemu-i386 alone cannot do is named below: a signal's handler has the thread pointer of
# another thread there, in a program of twenty lines, too, which is right without qemu.
# Natively musl counts, too: x86_64 is the yardstick, built by the same compiler.
set -u
. tests/report.sh
. tests/zig.sh

out=build/qemu
report_begin "$out"
# shellcheck disable=SC2034 # of report.sh
REPORT_LINES=30
machines=${*:-i386 aarch64 riscv64 s390x}
TEST_SLOW=1
export TEST_SLOW

beyond_i386='offload::leaves_signals_to_the_program
processes::belong_to_the_loop_of_their_thread
signals::may_come_while_loops_close
signals::reach_the_loops_of_all_threads'

sources() {
    for source in tests/test_*.c; do
        [ "$source" = tests/test_kqueue_emulation.c ] || echo "$source"
    done
}

# build machine. At -O2: at -O1 the compiler itself crashes for s390x.
build() {
    build_target=$1-linux-musl
    [ "$1" = i386 ] && build_target=x86-linux-musl
    # shellcheck disable=SC2046
    zig_cc "$build_target" -static -std=gnu11 -O2 -DTEST_PLAIN -DASYNC_DEBUG=1 \
        -DASYNC_HAS_KQUEUE=1 '-DTEST_BACKEND_LIST="poll epoll kqueue"' -I. -Itests -Itests/kqueue \
        $(sources) tests/test.c tests/plain.c tests/kqueue/kqueue.c -pthread -o "$out/$1" \
        > "$out/$1.build" 2>&1
}

# count machine: how many tests have passed, from the driver's last line
count() {
    sed -n '$s/^\([0-9]*\) passed, .*/\1/p' "$out/$1.txt"
}

# execute machine launcher...: run; every line of the driver is kept, and what failed here only
execute() {
    execute_machine=$1
    shift
    timeout 1200 "$@" "$out/$execute_machine" > "$out/$execute_machine.txt" 2>&1 < /dev/null
    execute_status=$?
    grep -a '^FAIL' "$out/$execute_machine.txt" | sed 's/: .*//' | sort > "$out/$execute_machine.bad"
    : >> "$out/x86_64.bad"
    comm -23 "$out/$execute_machine.bad" "$out/x86_64.bad" > "$out/$execute_machine.only"
}

natively() {
    execute x86_64 env
    native=$(count x86_64)
    if [ $execute_status -eq 0 ] && [ "${native:-0}" -gt 0 ]; then
        ok "x86_64 natively: $native tests"
    else
        fail "x86_64 natively: status $execute_status, ${native:-0} passed" "$out/x86_64.bad"
    fi
}

# As many passes as natively, and the same failures, of which there should be none.
emulated() {
    have "$1" "qemu-$1" || return
    execute "$1" "qemu-$1"
    emulated_count=$(count "$1")
    emulated_beyond=0
    if [ "$1" = i386 ]; then
        sed 's/^FAIL //' "$out/$1.only" | grep -vxF "$beyond_i386" > "$out/$1.here"
        emulated_beyond=$(($(wc -l < "$out/$1.only") - $(wc -l < "$out/$1.here")))
        mv "$out/$1.here" "$out/$1.only"
    fi
    if [ $((${emulated_count:-0} + emulated_beyond)) -eq "${native:-0}" ] &&
        [ ! -s "$out/$1.only" ] && [ "${native:-0}" -gt 0 ]; then
        ok "$1 under qemu: $emulated_count tests, as natively"
    else
        fail "$1 under qemu: ${emulated_count:-0} tests, natively ${native:-0}" "$out/$1.only"
    fi
}

if ! zig_install; then
    left_out 'all: zig cannot be installed here (npm, the network and Linux on x86_64 are needed)'
    exit 77
fi
# All are built before any is run: from the same sources, whatever happens to them meanwhile.
built=
for machine in x86_64 $machines; do
    if build "$machine"; then
        built="$built $machine"
    else
        fail "$machine builds" "$out/$machine.build"
    fi
done
native=0
for machine in $built; do
    case $machine in
    x86_64) natively ;;
    *) emulated "$machine" ;;
    esac
done
report_end
