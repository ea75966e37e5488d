#!/bin/sh
# The programs of examples/ against real clients and peers: one script each in tests/programs, in turn, with a limit.
#     tests/programs.sh [NAME...]
set -u
cd "$(dirname "$0")/.."
passed=0
failed=
[ $# -gt 0 ] || set -- $(cd tests/programs && ls *.sh | grep -v '^lib.sh$' | sed 's/\.sh$//')
for name in "$@"; do
    if timeout -k 5 "${LIMIT:-240}" bash "tests/programs/$name.sh" > "build/program-$name.txt" 2>&1; then
        passed=$((passed + 1))
        echo "ok   $name: $(tail -n 1 "build/program-$name.txt")"
    else
        failed="$failed $name"
        echo "FAIL $name"
        tail -n 30 "build/program-$name.txt"
    fi
done
set -- $failed
echo "programs: $passed passed, $# failed"
[ $# = 0 ]
