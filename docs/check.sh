#!/bin/sh
# Compiles every C fence of the pages given, and runs those that say so. The word after ```c says what a fence is:
#
#     ```c            a whole program: must compile without a warning
#     ```c run        the same, and what it prints is the ```output fence after it
#     ```c fragment   statements: must compile inside a function
#     ```c test       a test in the simulated world: must pass
#     ```c part       a part of a program that is compiled elsewhere
#     ```python run   likewise run and compared, where there is a python3 of 3.11 or later
#
# An output fence is that of all the fences since the last one.
# Prints a line a fence and, last, "N passed, N failed".
set -u
out=build/docs
cc=${CC:-cc}
kit_flags='-O1 -Wall -Wextra -Werror -I. -Itests/kit -Itests/kqueue -DASYNC_TEST_PLAIN'
rm -rf "$out"
mkdir -p "$out"

# Cut a page into files NUMBER.KIND.c and NUMBER.output (that of the fence before it).
cut_page()
{
    awk -v out="$out/$2" '
        /^```/ && inside { inside = 0; close(file); next }
        /^```c( |$)/ { kind = $2 == "" ? "program" : $2; file = out "." ++n "." kind ".c"; inside = 1; next }
        /^```python run$/ { file = out "." ++n ".run.py"; inside = 1; next }
        /^```output$/ { first = last + 1; last = n; inside = 2; next }
        /^```/ { file = "/dev/null"; inside = 1; next }
        inside == 2 { for (i = first; i <= n; i++) print > (out "." i ".output") }
        inside == 1 { print > file }' "$1"
}

compile()
{
    "$cc" -O1 -Wall -Wextra -Werror -I. "$1" -o "$2" > "$2.log" 2>&1
}

# kit SOURCE ARGUMENT...: with the kit, whose objects are compiled once.
kit()
{
    for part in tests/kit/async_sim.c tests/kit/async_test.c tests/kqueue/kqueue.c; do
        object=$out/$(basename "$part" .c).o
        [ -f "$object" ] || "$cc" $kit_flags -c "$part" -o "$object" || return 1
    done
    "$cc" $kit_flags "$@" "$out/async_sim.o" "$out/async_test.o" "$out/kqueue.o" -pthread
}

check()
{
    source=$1
    program=${source%.*}
    case $source in
    *.fragment.c)
        { echo '#include "async.h"'; echo 'static void fragment(void) {'; cat "$source"; echo '}'
          echo 'int main(void) { fragment(); return 0; }'; } > "$program.whole.c"
        compile "$program.whole.c" "$program" ;;
    *.run.py)
        timeout 20 python3 "$source" > "$program.got" 2>&1
        cmp -s "$program.got" "${program%.run}.output" ;;
    *.run.c)
        compile "$source" "$program" &&
            timeout 20 "$program" > "$program.got" 2>&1
        cmp -s "$program.got" "${program%.run}.output" ;;
    *.test.c)
        kit "$source" -o "$program" > "$program.log" 2>&1 && timeout 60 "$program" > "$program.got" 2>&1 ;;
    *.part.c)
        true ;;
    *.program.c)
        compile "$source" "$program" ;;
    *)
        echo "unknown kind of fence" > "$program.log"; false ;;
    esac
}

passed=0
failed=0
for page in "$@"; do
    name=$(echo "$page" | tr / _)
    cut_page "$page" "$name"
done
python=yes
python3 -c 'import asyncio; asyncio.TaskGroup' 2> "$out/python.log" || python=
for source in "$out"/*.c "$out"/*.py; do
    case $source in
    *.whole.c | "$out/*.py") continue ;;
    *.py) [ "$python" ] || { echo "not run, no python3 of 3.11 or later: $source"; continue; } ;;
    esac
    if check "$source"; then
        passed=$((passed + 1)); echo "ok $source"
    else
        failed=$((failed + 1)); echo "FAIL $source"; cat "${source%.*}.log" "${source%.*}.got" 2> /dev/null
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
