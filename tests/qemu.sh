#!/bin/sh
# The tests on other processors: the plain driver with musl here, in 32 bits (small pointers, no
# 128-bit integers), and under qemu-user, where s390x has its bytes the other way round. As many
# tests must pass there as here.
#
#     tests/qemu.sh [machine...]     from the repository's top; output is below build/qemu
#
# What runs: every tests/test_*.c that builds without Criterion, all backends, epoll and poll as
# qemu-user hands them to the host's kernel, kqueue on the emulation. What qemu-user cannot do is
# left out by name, natively too, so that the numbers are comparable:
#     test_kqueue_emulation.c   tests of the emulation itself, which look into the host's /proc and
#                               raise signals in places where qemu-user delivers them elsewhere
set -u
. tests/report.sh
. tests/zig.sh

out=build/qemu
report_begin "$out"
# shellcheck disable=SC2034 # of report.sh
REPORT_LINES=30
machines="here ${*:-i386 aarch64 riscv64 s390x}"
TEST_SLOW=1
export TEST_SLOW

sources() {
    for source in tests/test_*.c; do
        [ "$source" = tests/test_kqueue_emulation.c ] || echo "$source"
    done
}

# compiled_by compiler... : all of it, for the machine of $machine
compiled_by() {
    # shellcheck disable=SC2046
    "$@" -std=gnu11 -DTEST_PLAIN -DASYNC_DEBUG=1 -DASYNC_HAS_KQUEUE=1 \
        '-DTEST_BACKEND_LIST="poll epoll kqueue"' -I. -Itests -Itests/kqueue \
        $(sources) tests/test.c tests/plain.c tests/kqueue/kqueue.c -pthread -o "$out/$machine" \
        > "$out/$machine.build" 2>&1
}

# With zig at -O2: at -O1 the compiler itself crashes for s390x.
build() {
    case $machine in
    here) compiled_by musl-gcc -static ;;
    i386) compiled_by "${CC:-cc}" -m32 ;;
    *) compiled_by zig_cc "$machine-linux-musl" -static -O2 ;;
    esac
}

# How many tests have passed, from the driver's last line.
count() {
    sed -n '$s/^\([0-9]*\) passed, .*/\1/p' "$out/$machine.txt"
}

# execute launcher...: as many passes as with musl natively, and no failure
execute() {
    timeout 1200 "$@" "$out/$machine" > "$out/$machine.txt" 2>&1 < /dev/null
    status=$?
    passes=$(count)
    [ "$machine" != here ] || native=${passes:-0}
    if [ $status -eq 0 ] && [ "${passes:-0}" -eq "$native" ] && [ "$native" -gt 0 ]; then
        ok "$machine: $passes tests"
    else
        grep -a '^FAIL' "$out/$machine.txt" > "$out/$machine.bad"
        fail "$machine: status $status, ${passes:-0} tests, here $native" "$out/$machine.bad"
    fi
}

# can: is there what $machine needs? Says what is left out if not.
can() {
    case $machine in
    here) have 'all of them' musl-gcc || exit 77 ;;
    i386)
        echo 'int main(void) { return 0; }' > "$out/empty.c"
        "${CC:-cc}" -m32 "$out/empty.c" -o "$out/empty" 2> "$out/empty.txt" && return
        left_out 'i386: no 32-bit libraries'
        return 1
        ;;
    *)
        have "$machine" "qemu-$machine" || return
        zig_install && return
        left_out "$machine: no zig (npm, the network and Linux on x86_64 are needed)"
        return 1
        ;;
    esac
}

# All are built before any is run: from the same sources, whatever happens to them meanwhile.
built=
for machine in $machines; do
    can || continue
    if build; then
        built="$built $machine"
    else
        fail "$machine builds" "$out/$machine.build"
    fi
done
native=0
for machine in $built; do
    case $machine in
    here | i386) execute env ;;
    *) execute "qemu-$machine" ;;
    esac
done
report_end
