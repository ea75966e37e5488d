#!/bin/sh
# Mutants: copies of async.h with one fault each, kept as patches in tests/mutants. The tests in the
# simulated world must kill every one of them; at least half must be such that the tests of the core
# alone, on the real kernel, let them live: or the simulation would find nothing of its own.
#
#     tests/mutants.sh [--core] [name...]
#
#     --core    run the tests of the core, too, and write tests/mutants/README.md
#     name      only this mutant: a patch's name without its ending
#
# A patch begins with a sentence that says what is broken; a line "Killer: file" below it names the
# file of tests/ that is tried first, to save time. JOBS=n runs so many at once (2), ASYNC_SEEDS=n
# in so many worlds (50).
set -u
cd "$(dirname "$0")/.." || exit 2
B=build/mutants
JOBS=${JOBS:-2}
CC=${CC:-cc}
FLAGS='-pthread -std=gnu11 -w -Itests'
if [ "$(uname -s)" = Linux ]; then
    emulation=tests/kqueue/kqueue.c
    BACKENDS='poll epoll kqueue'
    FLAGS="$FLAGS -Itests/kqueue"
else
    emulation=
    BACKENDS='poll kqueue'
fi
if command -v timeout > /dev/null; then limit='timeout 280'; else limit=; fi
ASYNC_WATCHDOG=${ASYNC_WATCHDOG:-100}
ASYNC_SEEDS=${ASYNC_SEEDS:-50}
export ASYNC_WATCHDOG ASYNC_SEEDS JOBS CC
kit='-O0 -Itests/kit -DASYNC_TEST_PLAIN'
own=$(grep -l '^#define ASYNC_' tests/sim_*.c) # what sets the header up for itself

# objects include folder flags file...: compiles what is not there yet
objects() {
    include=$1
    folder=$2
    flags=$3
    shift 3
    mkdir -p "$folder"
    for source; do
        object=$folder/$(basename "$source" .c).o
        # shellcheck disable=SC2086
        [ -f "$object" ] || $CC "-I$include" -I. $FLAGS $flags \
            "-DTEST_BACKEND_LIST=\"$BACKENDS\"" -c "$source" -o "$object" || return 1
    done
}

# The order of the files: the patch's killer first.
order() {
    killer=$(sed -n 's/^Killer: *//p' "$1")
    for source in ${killer:+"tests/$killer"} tests/sim_*.c; do
        [ -f "$source" ] && echo "$source"
    done | awk '!seen[$0]++'
}

# tests folder: the objects of the tests, which see functions that are declared only; into $tests.
# Most mutants change nothing else than the functions, and share those of the control.
tests() {
    mkdir -p "$1/declared"
    "$B/mutate" externs "$1/async.h" > "$1/declared/async.h"
    tests=$1/declared
    cmp -s "$tests/async.h" "$B/control/declared/async.h" && tests=$B/control/declared
    # shellcheck disable=SC2046
    objects "$tests" "$tests" "$kit" tests/kit/async_sim.c tests/kit/async_test.c $emulation \
        $(ls tests/sim_*.c | grep -vxF "$own")
}

# functions folder: the header's functions, no more inline, in one object
functions() {
    mkdir -p "$1/defined"
    sed '/^[^ #]/s/static inline //; s/^ASYNC__ONCE //' "$1/async.h" > "$1/defined/async.h"
    printf '#include "async_test.h"\n' > "$1/defined/functions.c"
    objects "$1/defined" "$1/defined" "$kit -O0" "$1/defined/functions.c"
}

# worlds folder object...: the tests in these objects up to the first that fails. Its line is in
# killed.txt.
worlds() {
    folder=$1
    shift
    $CC "$folder/defined/functions.o" "$tests/async_sim.o" "$tests/async_test.o" \
        ${emulation:+"$tests/kqueue.o"} "$@" -pthread -o "$folder/worlds" || return 1
    $limit "$folder/worlds" --stop > "$folder/output.txt" 2>&1 < /dev/null && return
    { sed -n 's/^\[FAIL\] //p' "$folder/output.txt"; echo 'the tests  end badly'; } |
        sed -n '1s/  /: /p' > "$folder/killed.txt"
}

# simulated folder patch: file by file; those that need the functions inline come last.
simulated() {
    : > "$1/killed.txt"
    tests "$1" && functions "$1" || return 1
    # shellcheck disable=SC2046
    worlds "$1" $(order "$2" | grep -vxF "$own" | sed "s|.*/\(.*\)\.c|$tests/\1.o|") || return 1
    [ ! -s "$1/killed.txt" ] && [ -n "$own" ] || return 0
    # shellcheck disable=SC2086
    objects "$1" "$1/own" "$kit" $own && worlds "$1" "$1"/own/*.o
}

# The tests of the core. "yes" in survives.txt: they have noticed nothing.
core() {
    # shellcheck disable=SC2086
    objects "$1" "$1/core" '-O0 -DTEST_PLAIN -DASYNC_HAS_KQUEUE=1' tests/test_*.c tests/test.c \
        tests/plain.c $emulation || return 1
    $CC "$1"/core/*.o -pthread -o "$1/tests" || return 1
    echo yes > "$1/survives.txt"
    $limit "$1/tests" 2> /dev/null < /dev/null | grep -m 1 '^FAIL' > "$1/core.txt" || return 0
    noticed=$(sed 's/^FAIL \([^ ]*\):.*/\1/; s/^FAIL \([^ ]*\) .*/\1/' "$1/core.txt")
    $limit "$1/tests" --filter "$noticed" > /dev/null 2>&1 < /dev/null && return 0 # too slow, once
    echo "no: $noticed" > "$1/survives.txt"
}

# one patch: a line that begins with ok or FAIL
one() {
    name=$(basename "$1" .patch)
    mkdir -p "$B/$name"
    cp async.h "$B/$name/async.h"
    if ! patch -s -p1 --no-backup-if-mismatch -d "$B/$name" < "$1" > "$B/$name/patch.txt" 2>&1; then
        echo "FAIL $name: the patch does not apply"
    elif ! simulated "$B/$name" "$1" > "$B/$name/build.txt" 2>&1; then
        echo "FAIL $name: does not compile"
    elif [ ! -s "$B/$name/killed.txt" ]; then
        echo "FAIL $name survived"
    else
        echo "ok $name (killed by $(cat "$B/$name/killed.txt"))"
    fi
    if [ -n "${CORE:-}" ]; then
        core "$B/$name" > "$B/$name/core-build.txt" 2>&1 || echo "FAIL $name: the core's tests"
    fi
    rm -rf "$B/$name/declared" "$B/$name/defined" "$B/$name/own" "$B/$name/worlds" "$B/$name/core"
}

# table patch...
table() {
    echo '# Mutants of async.h'
    echo
    echo 'Written by `tests/mutants.sh --core`. Each patch puts one fault into async.h. The tests'
    echo 'in the simulated world kill all of them; the last column says which of them live through the'
    echo 'tests of the core on the real kernel.'
    echo
    echo '| mutant | what is broken | killed by | survives the core'"'"'s tests |'
    echo '| --- | --- | --- | --- |'
    for patch; do
        name=$(basename "$patch" .patch)
        killer=$(sed 's/: .*//' "$B/$name/killed.txt")
        lives=$(sed 's/:.*//' "$B/$name/survives.txt")
        echo "| $name | $(sed -n 1p "$patch") | $killer | $lives |"
    done
    echo
    echo "$survivors of $# survive the tests of the core."
}

if [ "${1:-}" = --one ]; then
    one "$2"
    exit
fi
CORE=
[ "${1:-}" = --core ] && CORE=1 && shift
export CORE
if [ $# -gt 0 ]; then
    patches=$(printf 'tests/mutants/%s.patch\n' "$@")
else
    patches=$(ls tests/mutants/*.patch)
fi
rm -rf "$B"
mkdir -p "$B/control"
$CC -std=c99 -O1 tests/mutate.c -o "$B/mutate" || exit 2
cp async.h "$B/control/async.h"
simulated "$B/control" /dev/null > "$B/control/build.txt" 2>&1 || echo 'does not compile' \
    >> "$B/control/killed.txt"
if [ -s "$B/control/killed.txt" ]; then
    echo "FAIL control: async.h without a fault: $(cat "$B/control/killed.txt")"
    exit 1
fi
echo 'ok control'
echo "$patches" | xargs -P "$JOBS" -n 1 "tests/$(basename "$0")" --one | tee "$B/lines.txt"
failed=$(grep -c '^FAIL' "$B/lines.txt")
if [ -n "$CORE" ]; then
    survivors=$(cat "$B"/*/survives.txt | grep -c yes)
    total=$(echo "$patches" | wc -l)
    for each in $patches; do
        name=$(basename "$each" .patch)
        grep -q yes "$B/$name/survives.txt" && echo "survives the core: $name"
    done
    echo "$survivors of $total survive the core's tests"
    if [ $((survivors * 2)) -lt "$total" ]; then
        echo 'FAIL fewer than half'
        failed=$((failed + 1))
    fi
    # shellcheck disable=SC2086
    [ $# -gt 0 ] || table $patches > tests/mutants/README.md
fi
echo "$(grep -c '^ok' "$B/lines.txt") passed, $failed failed"
[ "$failed" -eq 0 ]
