#!/bin/sh
# Line and branch coverage of async.h by the plain driver on every backend, at -O0 with ASYNC_DEBUG as shipped. Prints
# the two figures and the lines and branches that were not reached; build/coverage/async.h.info has it all.
set -eu
out=build/coverage
rm -rf "$out"
mkdir -p "$out"
flags="-std=gnu11 -g -O0 --coverage -DTEST_PLAIN -I. -Itests -pthread"
for source in tests/test.c tests/plain.c tests/test_*.c tests/kqueue/kqueue.c; do
    # shellcheck disable=SC2086 # the flags are words
    ${CC:-cc} $flags -DASYNC_HAS_KQUEUE=1 -Itests/kqueue -DTEST_SAVE_COVERAGE=__gcov_dump \
        '-DTEST_BACKEND_LIST="poll epoll kqueue"' -c "$source" -o "$out/$(basename "$source" .c).o"
done
${CC:-cc} --coverage "$out"/*.o -pthread -o "$out/tests"
"$out/tests" > "$out/run.log" 2>&1 || { grep -v '^ok' "$out/run.log"; exit 1; }
tail -n 1 "$out/run.log"
lcov -q --capture --directory "$out" --rc lcov_branch_coverage=1 --include "*/async.h" --output-file "$out/async.h.info"
# A line that no test reaches needs its reason here: function | reason. One without fails.
reasons='
async__kqueue_event | kevent(2) gives EV_ERROR for changes; a wait makes none, so that this is caution
async__connect_outcome | an event for reading alone while connecting: no system is known to send one
'
# Each file that includes the header has its own copy of a function: a line counts if any copy reached it.
echo "$reasons" > "$out/reasons"
awk -F'[:,]' '
    FILENAME ~ /reasons$/ { if (split($0, part, " [|] ") == 2) reason[part[1]] = part[2]; next }
    FILENAME ~ /async.h$/ {
        text[FNR] = $0
        if (match($0, /^[A-Za-z].*\(/) && $0 !~ /;$/) { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
        inside[FNR] = name
        next
    }
    /^DA:/ { line[$2] = line[$2] || $3 > 0 }
    /^BRDA:/ { branch[$2 " " $3 " " $4] = branch[$2 " " $3 " " $4] || ($5 != "-" && $5 > 0) }
    END {
        for (l in line) { lines++; hit += line[l] }
        for (b in branch) {
            branches++
            taken += branch[b]
            split(b, where, " ")
            if (!branch[b] && line[where[1]]) partly[where[1]]++
        }
        printf "0 async.h: %d of %d lines (%.1f %%), %d of %d branches (%.1f %%)\n", hit, lines, 100 * hit / lines,
               taken, branches, 100 * taken / branches
        for (l in line) if (!line[l])
            printf "%d line %d, %s: %s\n", l, l, inside[l], inside[l] in reason ? reason[inside[l]] : "NO REASON"
        for (l in partly) printf "%d line %d, %d branches not taken: %s\n", l, l, partly[l], text[l]
    }' "$out/reasons" async.h "$out/async.h.info" | sort -n | sed 's/^[0-9]* //' > "$out/report"
cat "$out/report"
! grep -q 'NO REASON' "$out/report"
