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
FLAGS='-pthread -std=gnu11 -g -w -Itests'
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

# objects folder flags file...: compiles what is not there yet
objects() {
    folder=$1
    flags=$2
    shift 2
    for source; do
        object=$folder/$(basename "$source" .c).o
        # shellcheck disable=SC2086
        [ -f "$object" ] || $CC "-I$(dirname "$folder")" -I. $FLAGS $flags \
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

# simulated folder patch: file by file, up to the first test that fails. Its line is in killed.txt.
simulated() {
    mkdir -p "$1/sim"
    : > "$1/killed.txt"
    # shellcheck disable=SC2086
    objects "$1/sim" '-O1 -Itests/kit -DASYNC_TEST_PLAIN' tests/kit/async_sim.c \
        tests/kit/async_test.c $emulation || return 1
    kit=$(echo "$1"/sim/*.o)
    for source in $(order "$2"); do
        program=$1/$(basename "$source" .c)
        objects "$1/sim" '-O1 -Itests/kit -DASYNC_TEST_PLAIN' "$source" || return 1
        # shellcheck disable=SC2086
        $CC $kit "$1/sim/$(basename "$source" .c).o" -pthread -o "$program" || return 1
        $limit "$program" --stop > "$1/output.txt" 2>&1 < /dev/null && continue
        { sed -n 's/^\[FAIL\] //p' "$1/output.txt"; echo "$(basename "$source" .c)  ends badly"; } |
            sed -n '1s/  /: /p' > "$1/killed.txt"
        break
    done
}

# The tests of the core. "yes" in survives.txt: they have noticed nothing.
core() {
    mkdir -p "$1/core"
    # shellcheck disable=SC2086
    objects "$1/core" '-O0 -DTEST_PLAIN -DASYNC_HAS_KQUEUE=1' tests/test_*.c tests/test.c \
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
    rm -rf "$B/$name/sim" "$B/$name/core"
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
cp async.h "$B/control/async.h"
simulated "$B/control" /dev/null > "$B/control/build.txt" 2>&1 || echo 'does not compile' \
    >> "$B/control/killed.txt"
if [ -s "$B/control/killed.txt" ]; then
    echo "FAIL control: async.h without a fault: $(cat "$B/control/killed.txt")"
    exit 1
fi
rm -rf "$B/control"
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
