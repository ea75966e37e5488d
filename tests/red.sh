#!/bin/sh
# Red tests of the test layer: each program in red/ has one fault, and its run must fail and say so.
# The program "green" is the control, and must pass in every mode.
#
#     CC=cc tests/red.sh
#
# Modes: criterion and plain, each natively, under Valgrind, and with AddressSanitizer and
# LeakSanitizer. A mode whose tool is not there is left out with a line that says so.
set -u
cd "$(dirname "$0")" || exit 2

CC=${CC:-cc}
SAN='-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'
GRIND='valgrind -q --leak-check=full --show-leak-kinds=definite
       --errors-for-leak-kinds=definite --trace-children=yes --error-exitcode=99'
TEST_BACKENDS='poll epoll'
export TEST_BACKENDS
unset TEST_SLOW TEST_VERBOSE

work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM
passed=0
failed=0
if command -v timeout > /dev/null; then limit='timeout 120'; else limit=; fi

# build folder flags libraries drivers: DWARF 4, as Valgrind 3.19 gives up on clang's DWARF 5
build() {
    mkdir -p "$work/$1/kit" || exit 2
    objects=
    for part in test $4; do
        objects="$objects $work/$1/$part.o"
        # shellcheck disable=SC2086
        $CC -gdwarf-4 -O0 $2 -c "$part.c" -o "$work/$1/$part.o" || return 1
    done
    for source in red/*.c; do
        program=$(basename "$source" .c)
        # shellcheck disable=SC2086
        $CC -gdwarf-4 -O0 -pthread $2 "$source" $objects $3 \
            -o "$work/$1/$program" || return 1
    done
}

# right program status: a status of 124 comes from timeout, and means that the runner hung
right() {
    case $1 in
    green) [ "$2" -eq 0 ] ;;
    *) [ "$2" -ne 0 ] && [ "$2" -ne 124 ] ;;
    esac
}

# run folder program launcher words [more words]: one line, and the output if it was not right
run() {
    # shellcheck disable=SC2086
    $limit $3 "$work/$1/$2" > "$work/output" 2>&1 < /dev/null
    status=$?
    if right "$2" $status && grep -q -e "$4" "$work/output" &&
        grep -q -e "${5:-$4}" "$work/output"; then
        passed=$((passed + 1))
        echo "ok $2 ($mode)"
    else
        failed=$((failed + 1))
        echo "FAIL $2 ($mode): status $status, expected the words \"$4\" ${5:+and \"$5\"}"
        sed 's/^/    /' "$work/output"
    fi
}

# faults folder control-words: what needs no tool to be seen
faults() {
    run "$1" green '' "$2"
    run "$1" check '' "check(test_backend\[0\] == 'p') is false \[epoll\]"
    run "$1" equal '' 'is -1 (-EPERM), expected SIZE_MAX, which is [0-9]* \[poll\]'
    run "$1" text '' '"one\\n" is "one\\n", expected "two" \[poll\]'
    run "$1" error '' '\-EPIPE is -[0-9]* (-EPIPE), expected -EAGAIN of read \[poll\]'
    run "$1" descriptor '' 'descriptor [0-9]* is left open /dev/null \[poll\]'
    run "$1" closed '' "descriptor 0 was closed, it is not the test's \[poll\]"
    run "$1" zombie '' 'a child process is left'
    run "$1" leave '' 'red::leave (poll) ended its process by exit()'
    run "$1" vanish '' 'ended its process before the end of its body'
    run "$1" thread '' 'check(data != NULL) is false \[poll\]'
    run "$1" loop '' 'red::loop (poll) is stuck: not done after 1 s'
    run "$1" wait '' 'red::wait (poll) is stuck: not done after 1 s'
    run "$1" no_panic '' 'did not panic; it said "all is well" \[poll\]'
    run "$1" other_panic '' 'without the words "no await"; it said "no memory" \[poll\]'
    run "$1" other_end '' 'ended with signal 9 instead of SIGABRT'
    run "$1" child_check '' 'check(0 > 1) is false, in a child process of red::child_check'
    run "$1" child_returns '' 'a child process came back out of the body of red::child_returns'
    run "$1" crash '' "$3"
}

# grind folder control-words failure-words
grind() {
    run "$1" green "$GRIND" "$2"
    run "$1" leak "$GRIND" 'definitely lost' "$3"
    run "$1" invalid_read "$GRIND" 'Invalid read' "$3"
    run "$1" uninitialised "$GRIND" 'depends on uninitialised' "$3"
}

# sanitized folder control-words
sanitized() {
    run "$1" green '' "$2"
    run "$1" leak '' 'LeakSanitizer: detected memory leaks'
    run "$1" invalid_read '' 'heap-buffer-overflow'
    run "$1" no_panic '' 'did not panic'
}

# face name flags libraries driver control-words crash-words verdict-words
face() {
    mode=$1
    build "$1" "$2" "$3" "$4" || { echo "FAIL build ($1)"; failed=$((failed + 1)); return; }
    faults "$1" "$5" "$6"
    mode="$1, valgrind"
    if command -v valgrind > /dev/null; then
        grind "$1" "$5" "$7"
    else
        echo "left out ($mode): no valgrind"
    fi
    mode="$1, sanitizers"
    echo 'int main(void) { return 0; }' > "$work/empty.c"
    # shellcheck disable=SC2086
    if $CC $SAN "$work/empty.c" -o "$work/empty" 2> /dev/null && "$work/empty"; then
        build "$1-san" "$2 $SAN" "$3" "$4" || failed=$((failed + 1))
        sanitized "$1-san" "$5"
    else
        echo "left out ($mode): no run-time library"
    fi
}

if pkg-config --exists criterion; then
    face criterion "$(pkg-config --cflags criterion)" "$(pkg-config --libs criterion)" \
        'criterion_main kit/async_verdict' 'Tested: 1 | Passing: 1 | Failing: 0 | Crashing: 0' \
        'Crashing: 1' 'Passing: 0 | Failing: 1'
else
    echo 'left out (criterion): not installed'
fi
face plain -DTEST_PLAIN '' plain '1 passed, 0 failed' 'ended by signal 11' \
    'FAIL red::.*ended with status 99'
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
