#!/bin/sh
# Sums up what the tests in the simulated world did: tests/worlds.sh FILE, to which they have written (ASYNC_STATS). Fails
# if there were too few worlds, if one test gave too many of them, if the worlds were too small, or a kind of fault too rare.
set -eu
awk -F '\t' -v least="${2:-100000}" '
    $1 == "test" { tests++; worlds += $3; tortured += $4; real += $5; if ($3 > most) { most = $3; who = $2 } }
    $1 == "fault" { fired[$2] += $3 }
    $1 == "calls" { by[$2 + 0] += $3; all += $3 }
    END {
        for (c = 0; seen < all / 2; c++) { seen += by[c]; median = c }
        printf "%d worlds in %d tests: %d of them with one failure injected, %d on the real kernel\n", worlds, tests,
               tortured, real
        printf "most in one test: %s, %.1f %%; the median world makes %d calls through the seam\n", who,
               100 * most / worlds, median
        for (f in fired) { printf "%s%s %d", n++ ? ", " : "faults: ", f, fired[f]; if (fired[f] < 1000) rare = rare " " f }
        print ""
        if (worlds < least) { print "too few worlds"; bad = 1 }
        if (most > worlds * 0.05) { print "one test has more than 5 % of the worlds"; bad = 1 }
        if (median < 100) { print "the worlds are too small"; bad = 1 }
        if (rare != "") { print "too rare:" rare; bad = 1 }
        exit bad
    }' "$1"
