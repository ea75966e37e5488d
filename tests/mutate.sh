#!/bin/sh
# Mutants of one token each: how many do the tests in the simulated world find?
#
#     tests/mutate.sh [count [seed]]      300 mutants, drawn with seed 1; FULL=1: with all worlds
#
# Each is compiled into one object, which is linked with the tests, compiled once (but for those that
# set the header up for themselves, which are left out). The tests run up
# to the first that fails: with few seeds, then with torture, then with more seeds. A mutant that
# does not compile, or compiles to the same code, does not count, and another is drawn. Results go
# to build/mutate/results0.txt, where a run that was cut short goes on. What survives is listed, and
# must be explained in tests/mutants/survivors.md: what it does not know is a failure. Several may
# run at once, once the first is past its control: PARTS=2 PART=1 tests/mutate.sh.
set -u
cd "$(dirname "$0")/.." || exit 2
count=${1:-300}
seed=${2:-1}
B=build/mutate
CC=${CC:-cc}
FLAGS='-pthread -std=gnu11 -w -Itests/kit -Itests -Itests/kqueue -DASYNC_TEST_PLAIN'
emulation=$([ "$(uname -s)" = Linux ] && echo tests/kqueue/kqueue.c)
if command -v timeout > /dev/null; then limit='timeout 300'; else limit=; fi
part=${PART:-0}
mutant=$B/mutant$part
mkdir -p "$B/externs" "$mutant"

# implementation folder: its header's functions, no more inline, in one object
implementation() {
    printf '#include "async_test.h"\n' > "$1/implementation.c"
    sed -i '/^[^ #]/s/static inline //; s/^ASYNC__ONCE //' "$1/async.h"
    # shellcheck disable=SC2086
    $CC "-I$1" $FLAGS -O0 -c "$1/implementation.c" -o "$1/implementation.o" 2> /dev/null &&
        $CC "$1/implementation.o" $objects -pthread -o "$1/worlds" 2> /dev/null
}

# killer filter settings...: the first test that fails, and why; nothing if all pass
killer() {
    filter=$1
    shift
    # shellcheck disable=SC2086
    env "$@" $limit "$mutant/worlds" --stop --filter "$filter" > "$mutant/output.txt" 2>&1 \
        < /dev/null && return 1
    sed -n 's/^\[FAIL\] //p; s/^FAIL //p' "$mutant/output.txt" | head -n 1
}

judge() {
    killer / ASYNC_TORTURE=0 ASYNC_SEEDS=3 ASYNC_WATCHDOG=8 ||
        killer torture/ ASYNC_SEEDS=2 ASYNC_WATCHDOG=60 ||
        killer rules/ ASYNC_SEEDS=2 ASYNC_WATCHDOG=60 ||
        killer / ASYNC_TORTURE=0 ASYNC_SEEDS=15 ASYNC_WATCHDOG=60 ||
        { [ -n "${FULL:-}" ] && killer / ASYNC_WATCHDOG=120; }
}

[ "$B/mutate" -nt tests/mutate.c ] || $CC -std=c99 -O1 tests/mutate.c -o "$B/mutate" || exit 2
"$B/mutate" externs async.h > "$B/externs/async.h"
objects=
for source in tests/kit/async_sim.c tests/kit/async_test.c \
    $(grep -L '^#define ASYNC_' tests/sim_*.c) $emulation; do
    object=$B/externs/$(basename "$source" .c).o
    objects="$objects $object"
    if [ ! "$object" -nt "$source" ] || [ ! "$object" -nt async.h ]; then
        # shellcheck disable=SC2086
        $CC "-I$B/externs" $FLAGS -O0 -c "$source" -o "$object" || exit 2
    fi
done
mkdir -p "$B/original"
cp async.h "$B/original/async.h"
implementation "$B/original" || { echo 'FAIL async.h itself does not compile'; exit 1; }
cp "$B/original/worlds" "$mutant/worlds"
if [ "$part" = 0 ] && judge > "$B/control.txt"; then
    echo "FAIL control: $(cat "$B/control.txt")"
    exit 1
fi
results=$B/results$part.txt
touch "$results"
"$B/mutate" list async.h "$seed" $((count * 4)) |
    awk -v parts="${PARTS:-1}" -v part="$part" 'NR % parts == part' > "$B/list$part.txt"
tab=$(printf '\t')
while IFS="$tab" read -r place function line change whole; do
    [ "$(cat "$B"/results*.txt | grep -c -e '^killed' -e '^survived')" -lt "$count" ] || break
    key="$function${tab}$change${tab}$whole"
    grep -qF "${tab}$key" "$B"/results*.txt && continue
    "$B/mutate" apply async.h "$place" > "$mutant/async.h"
    if ! implementation "$mutant"; then
        verdict="uncompiled$tab"
    elif cmp -s "$mutant/implementation.o" "$B/original/implementation.o"; then
        verdict="same$tab"
    elif judge > "$mutant/killer.txt"; then
        verdict="killed$tab$(cat "$mutant/killer.txt")"
    else
        verdict="survived$tab"
    fi
    printf '%s\t%s\t%s\n' "${verdict%%"$tab"*}" "$key" "$line: ${verdict#*"$tab"}" >> "$results"
done < "$B/list$part.txt"
unknown=0
cat "$B"/results*.txt > "$B/results"
while IFS="$tab" read -r verdict function change whole rest; do
    [ "$verdict" = survived ] || continue
    if grep -qF "$function\`: \`$whole\`: $change" tests/mutants/survivors.md; then
        echo "known: $function: $change: $whole"
    else
        echo "SURVIVED $function, line ${rest%%:*}: $change: $whole"
        unknown=$((unknown + 1))
    fi
done < "$B/results"
killed=$(grep -c '^killed' "$B/results")
survived=$(grep -c '^survived' "$B/results")
echo "$killed killed, $survived survived, of them $unknown without an explanation"
[ "$unknown" -eq 0 ]
