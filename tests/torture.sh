#!/bin/sh
# The table of (call site of async.h x errno of its manual page): how often each was injected, by the tests with .torture.
# A blank fails. Built twice: as the system has it, and without accept4 and pipe2, whose fallbacks are call sites too.
#
#     tests/torture.sh PROGRAM...     the plain drivers
set -eu
out=build/torture
rm -rf "$out"
mkdir -p "$out"
for program in "$@"; do
    ASYNC_SEEDS=1 ASYNC_TORTURE=1 ASYNC_STATS=$out/stats "$program" --jobs 1 > "$out/$(basename "$program").log" 2>&1 ||
        { cat "$out/$(basename "$program").log"; exit 1; }
    tail -n 1 "$out/$(basename "$program").log"
done
"$1" --errnos > "$out/errnos"
# Where the header calls: line, function, call.
awk '/^[A-Za-z].*\(/ && !/;$/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
     !/^#/ { line = $0
         while (match(line, /ASYNC_SYS\([a-z_0-9]+\)/)) {
             call = substr(line, RSTART + 10, RLENGTH - 11)
             print FNR "\t" name "\t" call
             line = substr(line, RSTART + RLENGTH) } }' async.h | uniq > "$out/sites"
# Where no simulated world comes, and why. What happens there is the subject of tests on the real kernel.
cat > "$out/outside" << 'END'
async__trace_open	open	test_trace.c	the trace is a file of the real system
async__trace_flush	write	test_trace.c	likewise
async__trace_close	close	test_trace.c	likewise
async__lock_process	poll	test_threads.c	two threads in one moment: in a simulation they take turns
async__close_signals	poll	test_signals.c	likewise, a handler that still runs
async__prepare	fcntl	test_fallbacks.c	descriptors 0 to 2, which a simulated kernel has not
async__default_signals	sigaction	test_processes.c	in a child, and a simulated kernel has no fork
async__place_stdio	open	test_processes.c	likewise
async__place_stdio	fcntl	test_processes.c	likewise
async__carry_out	fcntl	test_processes.c	likewise
async__become	fcntl	test_processes.c	likewise
async__become	write	test_processes.c	likewise
async__execute	read	test_processes.c	reads what only a child can say
END
awk -F '\t' -v OFS='\t' '
    FILENAME ~ /errnos$/ && $1 == "call" { page[$2] = $3 }
    FILENAME ~ /errnos$/ && $1 == "inject" { n[$2]++; number[$2, n[$2]] = $3; word[$2, n[$2]] = $4; from[$2, n[$2]] = $5 }
    FILENAME ~ /errnos$/ && $1 == "never" { never[$2] = never[$2] "\n    not " $4 " (" $5 ")" }
    FILENAME ~ /stats$/ && $1 == "site" { count[$3, $4, $5] += $6; visits[$3, $4] += $6 }
    FILENAME ~ /outside$/ { outside[$1, $2] = $4 " (tests/" $3 ")" }
    FILENAME ~ /sites$/ && ($2, $3) in outside {
        printf "%s, line %d: %s: %s\n", $2, $1, $3, outside[$2, $3]
        left_out++
        next
    }
    FILENAME ~ /sites$/ {
        line = $1; call = $3; sites++
        printf "%s, line %d: %s\n   ", $2, line, page[call]
        if (!n[call]) printf " cannot fail"
        for (i = 1; i <= n[call]; i++) {
            cells++
            c = count[line, call, number[call, i]]
            printf " %s %s", word[call, i], c ? c : "BLANK"
            if (!c) blanks++
        }
        print ""
    }
    END {
        print "\nWhat the manual pages list and no call of async.h can get:"
        for (call in never) print "  " page[call] ":" never[call]
        printf "\n%d call sites, %d errnos of them, %d blank; %d sites outside\n", sites, cells, blanks, left_out
        exit blanks > 0
    }' "$out/errnos" "$out/outside" "$out/stats" "$out/sites" > "$out/table" || status=1
cat "$out/table"
exit "${status:-0}"
