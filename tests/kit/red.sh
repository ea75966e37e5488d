#!/bin/sh
# Red tests of the test kit: each body in red/faults.c has one fault, each copy of async.h that is
# made here has another; the run must fail, say so, and fail with the same words when the line that
# it prints for a replay is run. The body "green", and each body that meets a broken header, must
# pass as they are.
#
#     CC=cc tests/kit/red.sh
#
# Faces: criterion and plain; then under Valgrind, and with sanitizers. What is not there is left
# out with a line that says so.
set -u
cd "$(dirname "$0")/../.." || exit 2

CC=${CC:-cc}
SAN='-O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'
GRIND='valgrind -q --leak-check=full --show-leak-kinds=definite
       --errors-for-leak-kinds=definite --trace-children=yes --error-exitcode=99'
FLAGS="-std=gnu11 -gdwarf-4 -pthread -I. -Itests/kit -Itests/kqueue -Wall -Wextra"
unset ASYNC_SEED ASYNC_SEEDS ASYNC_SEED_FROM ASYNC_BACKEND ASYNC_BACKENDS ASYNC_FAIL_CALL
unset ASYNC_FAIL_ALLOC ASYNC_STATS ASYNC_WATCHDOG

work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM
passed=0
failed=0
if command -v timeout > /dev/null; then limit='timeout 120'; else limit=; fi
if [ "$(uname -s)" = Linux ]; then emulation=tests/kqueue/kqueue.c; else emulation=; fi

# verdict status name [why]: a line, and the output if it is not right
verdict() {
    if [ "$1" -eq 0 ]; then
        passed=$((passed + 1))
        echo "ok $2 ($mode)"
    else
        failed=$((failed + 1))
        echo "FAIL $2 ($mode): ${3:-}"
        head -c 3000 "$work/output" | sed 's/^/    /'
    fi
}

# build folder flags libraries more-sources: a program of each of red/*.c
build() {
    mkdir -p "$work/$1" || exit 2
    objects=
    for source in tests/kit/async_sim.c tests/kit/async_test.c $emulation $4; do
        object="$work/$1/$(basename "$source" .c).o"
        objects="$objects $object"
        # shellcheck disable=SC2086
        $CC $FLAGS $2 -c "$source" -o "$object" || return 1
    done
    for source in tests/kit/red/*.c; do
        # shellcheck disable=SC2086
        $CC $FLAGS $2 "$source" $objects $3 -o "$work/$1/$(basename "$source" .c)" || return 1
    done
}

# fails name words: has the run that is in $work/output failed, and with these words? A status of
# 124 comes from timeout too, and then means that the runner hung.
fails() {
    [ "$status" -ne 0 ] && { [ "$status" -ne 124 ] || [ -z "$limit" ]; } &&
        grep -q -e "$2" "$work/output"
}

# replays name words: does the line that was printed lead to the same words?
replays() {
    line=$(sed -n 's/^\[async\] replay[^:]*: //p' "$work/output" | head -n 1)
    case $line in
    *"--filter red/$1") ;;
    *) return 1 ;;
    esac
    $limit sh -c "$line" > "$work/again" 2>&1 < /dev/null
    status=$?
    cat "$work/again" >> "$work/output"
    [ "$status" -ne 0 ] && grep -q -e "$2" "$work/again"
}

# red name words [once]: "once" is for a process that ends before it can say how to replay it
red() {
    # shellcheck disable=SC2086
    $limit $launcher "$work/$face/faults" --filter "red/$1" > "$work/output" 2>&1 < /dev/null
    status=$?
    fails "$1" "$2"
    verdict $? "$1" "status $status, expected the words \"$2\""
    [ -n "${3:-}" ] && return
    replays "$1" "$2"
    verdict $? "$1, replayed" "status $status, expected the words \"$2\" from \"$line\""
}

# green program filter
green() {
    # shellcheck disable=SC2086
    $limit $launcher "$work/$face/$1" --filter "$2" > "$work/output" 2>&1 < /dev/null
    status=$?
    [ "$status" -eq 0 ] && grep -q -e "$good" "$work/output"
    verdict $? "$2 of $1 passes" "status $status, expected the words \"$good\""
}

# ---- faults that need no tool to be seen -----------------------------------
time_and_kernel() {
    red livelock 'livelock: 100000 calls and steps while virtual time stands still'
    red livelock_of_calls 'livelock: 100000 calls and steps while virtual time stands still'
    red hog 'a task held the loop for 300[0-9] system calls in one turn: red_hog, line'
    red deadlock 'deadlock: 1 task waits for something that can never happen (first: red_deadlock, line [0-9]*, read on descriptor 1[0-9]*)'
    red joins_in_a_circle 'the body ended with -35 (Resource deadlock avoided)'
    red deadlock_of_a_call 'deadlock: a blocking call waits for something that can never happen'
    red no_reset 'sim_reset: descriptor 7 is no connection'
    red no_latency 'descriptor 7 is no end of a connection'
    red no_clog 'sim_clog: descriptor 7 receives nothing'
    red no_peer 'sim_peer: descriptor 7 is no connection'
    red sigpipe 'SIGPIPE ends the program: a write to descriptor 1[0-9]*, whose reader is gone'
    red peer_gets_another_byte "the peer expected \"GET\"; byte 1 is 'O' (79)"
    red peer_gets_less 'the peer expected "GET", and after 2 bytes the connection ended'
    red peer_gets_a_reset 'the peer expected "GET", and after 0 bytes the connection Connection reset by peer'
}

body() {
    red panics 'async: panic: an operation was begun outside a coroutine'
    red unexpected_error 'async_pipe(self->ends) is -24 (Too many open files), and nothing was done to deserve it'
    red failed_body 'the body ended with -5 (Input/output error)'
    red failed_assertion "$assertion"
    red not_blocked 'a task should be blocked: sleeper, line [0-9]*, ready'
    red blocked_and_gone 'the task that should be blocked is gone'
    red step_twice 'step 0 for the second time'
    red step_that_never_comes 'step 1 never comes, for step 0 is not over'
    red other_line 'line 2 of the log is "2", expected "two"'
    red line_missing 'line 2 of the log is "-", expected "two"'
    red line_too_many 'line 2 of the log is "two", expected "-"'
    red logs_differ 'with seed 0x0, epoll gives another log than the backend before'
    red not_the_same_twice 'seed 0x0 does not give the same world twice'
    red too_many_marks 'more than 64 marks'
    red mark_never_reached '"not reached" never came true, in [0-9]* worlds'
    red never_true '"async_now() < 0" never came true, in [0-9]* worlds'
    red only_in_one_world "$bug"
}

remains() {
    red block_left 'a block of 10 bytes is left, allocated by red_block_left_body, line'
    red loop_left 'the loop is left open'
    red descriptor_left 'descriptor 1000 (pipe) is left open'
    red real_descriptor_left 'real descriptor [0-9]* is left open'
    red real_descriptor_closed "real descriptor 0 is closed, it is not the test's"
    red no_tcp_pair 'no TCP pair: '
}

# Memory is checked by the kit itself where no sanitizer does.
memory() {
    red overrun 'the memory behind the end of a block of [0-9]* bytes, allocated by async__spawn, line [0-9]*, was written to'
    red underrun 'the memory in front of a block of [0-9]* bytes, allocated by async__call, line [0-9]*, was written to'
    red write_after_free 'byte 20 of a freed block of [0-9]* bytes, allocated by async__call, line [0-9]*, was written to'
}

ways_out() {
    red exits 'red::exits  exit() before the end of the body'
    red vanishes 'ended.* before.*body' once
    red crashes 'red::crashes  crashes'
    red aborts 'red::aborts  aborts'
    red is_killed "$killed" once
    red is_terminated "$killed" once
    red stuck_step 'red::stuck_step  stuck: a step of red_stuck_step never comes to an await'
    red stuck_call 'red::stuck_call  stuck'
    red jumps_out 'the loop is left open'
}

# ---- what only a tool sees ---------------------------------------------------
grind() {
    mode="$1, valgrind"
    command -v valgrind > /dev/null || { echo "left out ($mode): no valgrind"; return; }
    launcher=$GRIND
    green faults red/green
    red uninitialised 'Valgrind found an error in this world'
    red read_after_free 'Valgrind found an error in this world'
    red leak "${2:-definitely lost}" once
    launcher=
}

sanitized() {
    mode="$1, sanitizers"
    echo 'int main(void) { return 0; }' > "$work/empty.c"
    # shellcheck disable=SC2086
    if ! $CC $SAN "$work/empty.c" -o "$work/empty" 2> /dev/null || ! "$work/empty"; then
        echo "left out ($mode): no run-time library"
        return
    fi
    face=$1-san
    build "$face" "$2 $SAN" "$3" "$4" || { failed=$((failed + 1)); echo "FAIL build ($mode)"; }
    green faults red/green
    red read_after_free 'heap-use-after-free' once
    red leak "${5:-LeakSanitizer: detected memory leaks}" once
    red overrun 'the memory behind the end of a block'
    face=$1
}

# face name flags libraries more-sources
whole_face() {
    face=$1
    mode=$1
    launcher=
    build "$1" "$2" "$3" "$4" || { echo "FAIL build ($1)"; failed=$((failed + 1)); return; }
    green faults red/green
    time_and_kernel
    body
    remains
    memory
    ways_out
    grind "$1" "$5"
    sanitized "$1" "$2" "$3" "$4" "$6"
}

if pkg-config --exists criterion; then
    good='Tested: 1 | Passing: 1 | Failing: 0 | Crashing: 0'
    assertion='async_now() < 0'
    bug='!.*sim_bug("red")'
    killed='Crashing: 1'
    whole_face criterion "$(pkg-config --cflags criterion)" "$(pkg-config --libs criterion)" \
        tests/kit/async_verdict.c "Valgrind's verdict" 'after the test had ended'
else
    echo 'left out (criterion): not installed'
fi
good='^1 passed, 0 failed'
assertion='cr_assert(async_now() < 0) is false'
bug='cr_assert(!.*) is false'
killed='FAIL red::is_'
whole_face plain -DASYNC_TEST_PLAIN '' '' '' ''

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
