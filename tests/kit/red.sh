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
SAN='-O0 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'
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

# says name: is a test's own sentence the first that is printed?
says() {
    red "$1" '^  x The sentence comes first' once
    [ "$(head -n 1 "$work/output")" = '  x The sentence comes first.' ]
    verdict $? "$1, first of all" "$(head -n 1 "$work/output")"
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
    red closed_twice 'descriptor 1234 is closed, and is not open: for the second time?'
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
    says says_what
    red says_before_criterion "^  x The sentence comes first" once
    says says_before_a_crash
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
    green faults red/green_with_a_rare_mark
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
    green faults red/green_with_a_rare_mark
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
    green faults red/green_with_a_rare_mark
    time_and_kernel
    body
    remains
    memory
    ways_out
    grind "$1" "$5"
    sanitized "$1" "$2" "$3" "$4" "$6"
}

# ---- a broken async.h ---------------------------------------------------------

# broken name body words edit...: a copy of async.h, changed by sed, under the plain face, which has
# no need of debug information; each of the edits must change something.
broken() {
    name=$1 body=$2 words=$3 copy=$work/broken.h
    shift 3
    cp async.h "$copy"
    for edit in "$@"; do
        sed "$edit" "$copy" > "$copy.new" || exit 2
        cmp -s "$copy" "$copy.new" && { failed=$((failed + 1)); echo "FAIL $name: no edit: $edit"; }
        mv "$copy.new" "$copy"
    done
    for source in tests/kit/async_test.c tests/kit/red/broken.c; do
        # shellcheck disable=SC2086
        $CC $FLAGS -g0 -w -DASYNC_TEST_PLAIN "-DASYNC_TEST_HEADER=\"$copy\"" -c "$source" \
            -o "$work/$(basename "$source" .c).o" || exit 2
    done
    # shellcheck disable=SC2086
    $CC -pthread "$work/async_test.o" "$work/broken.o" "$work/plain/async_sim.o" \
        ${emulation:+"$work/plain/kqueue.o"} -o "$work/broken" || exit 2
    $limit "$work/broken" --filter "broken/$body" > "$work/output" 2>&1 < /dev/null
    status=$?
    fails "$name" "$words"
    verdict $? "$name" "status $status, expected the words \"$words\" from broken/$body"
}

# within function edit: the edit in that function only
within() {
    printf '/^[a-zA-Z_].*[ *]%s(/,/^}/{\n%s\n}' "$1" "$2"
}

broken_time() {
    broken early_sleep two_sleeps 'a sleep ends 0.3[0-9]* ms early: sleeper, line' \
        "$(within async__expire_due 's/<= loop->now_ns) {/<= loop->now_ns + 500000) {/')"
    broken early_limit two_limits 'a limit is over 2.0[0-9]* ms early: broken_two_limits, line' \
        "$(within async__expire_due 's/<= loop->now_ns) {/<= loop->now_ns + 5000000) {/')"
    broken no_timer two_sleeps 'a sleep without a timer: broken_two_sleeps, line' \
        "$(within async_sleep_until '/async__timer_start/d')"
    broken heap many_sleeps 'timer [0-9]* is due before the one above it in the heap' \
        "$(within async__timer_up 's/place > 1 &&/place > 2 \&\&/')"
    broken dead_timers late_write '0 timers are dead, and the loop thinks 4294967295' \
        "$(within async__timer_stop '/heap_dead/d')"
    broken lost_timer cancelled_sleeps 'lost wake-up: a task waits although its sleep has no timer: sleeper, line [0-9]*, sleep' \
        "$(within async__timers_sort 's/loop->heap_count = count;/loop->heap_count = count -= count > 0;/')"
    broken late two_sleeps 'the loop waits for [0-9.]* ms although a timer is due in [0-9.]* ms' \
        "$(within async__next_ns 's/next - now : 0/next - now + 5000000 : 0/')"
    broken never two_sleeps 'the loop waits for ever although a timer is due in [0-9.]* ms' \
        "$(within async__next_ns 's/return next > now.*/return -1;/')"
    broken long long_sleep 'a wait of more than a day' \
        "$(within async__milliseconds 's/timeout_ns < ASYNC__DAY_NS/timeout_ns < 9 * ASYNC__DAY_NS/')"
    broken busy two_sleeps 'livelock: 100000 calls and steps while virtual time stands still' \
        "$(within async__milliseconds 's/ + 999999//')"
}

broken_turns() {
    broken double_wake two_sleeps 'a task is woken that does not wait (twice, or it has ended): broken_two_sleeps, line' \
        "$(within async__wake 's/ASYNC_TRACE(wake, task);/&&/')"
    broken double_resume two_sleeps 'a task is resumed that is not ready: broken_two_sleeps, line' \
        "$(within async__run_ready 's/async__run_task(.*);/&&/')"
    broken invented_cancel two_sleeps '-ECANCELED for a task that nobody has cancelled: sleeper, line' \
        "$(within async__expire_due 's/has_slept ? 0/has_slept ? -ECANCELED/')"
    broken unfair yielders 'unfair: [0-9]* turns of others while a task was ready, with [0-9] tasks in all: yields, line' \
        "$(within async__next_batch 's/    \*loop->last = NULL;/    async__item *item, **place = \&loop->first; if (loop->last == place) return NULL; &/')" \
        "$(within async__next_batch 's/    loop->last = &loop->first;/    while ((*place)->at.next) place = \&(*place)->at.next; item = *place; loop->last = place;/')" \
        "$(within async__next_batch 's/return loop->first;/return item;/')"
    broken ready_but_waits yielders 'the loop waits although something can run' \
        "$(within async__ask 's/async__is_ready(loop) ? 0 : //')"
}

broken_wakes() {
    broken no_queue cancelled_sleep 'lost wake-up: a task waits although it is ready, and in no queue: sleeper, line [0-9]*, ready' \
        "$(within async__wake 's/async__push(/if (result != -ECANCELED) &/')"
    broken lost_turn caller 'lost wake-up: a task waits although it has lost its turn: calls, line [0-9]*, [a-z]*' \
        "$(within async__leaf_returned 's/return 1;/return 0;/')"
    broken last_child family 'lost wake-up: a task waits although its last child has ended: task [0-9]*, its children' \
        "$(within async__complete 's/task = async__was_the_last.*/task = NULL;/')"
    broken not_kept two_sleeps 'lost wake-up: a task waits although it has ended, and its result is not kept: task [0-9]*, ended' \
        "$(within async__complete 's/(task->item.flags & ASYNC__KEPT) && parent/parent/')"
    broken no_cancel cancelled_sleep 'lost wake-up: a task waits although it was cancelled: sleeper, line [0-9]*, sleep' \
        "$(within async__cancel_task 's/async__interrupt(loop, task, -ECANCELED);/return;/')"
    broken no_limit limit_of_a_read 'lost wake-up: a task waits although its limit has passed: limited, line [0-9]*, read on descriptor [0-9]*' \
        "$(within async__expire_due 's/async__interrupt(loop, task, has_slept/if (has_slept) &/')"
    broken limit_without_timer limit_of_a_read 'lost wake-up: a task waits although its limit has no timer: limited, line [0-9]*, read on descriptor [0-9]*' \
        "$(within async__park 's/async__timer_start(.*);/;/')"
    broken no_join joiner 'lost wake-up: a task waits although the task it joins has ended: joins, line [0-9]*, join' \
        "$(within async__complete 's/async__tell_joiners(loop, task);/;/')"
    broken no_child parent 'lost wake-up: a task waits although the children it joins are not so many: broken_parent, line [0-9]*, join_children' \
        "$(within async__complete 's/async__child_leaves(loop, parent);/;/')"
    broken no_flusher flusher 'lost wake-up: a task waits although its stream has forgotten it: flushes, line [0-9]*, flush' \
        "$(within async__stream_wait 's/async__line_up(.*);/&async__leave_queue(\&stream->flusher, \&task->on.waiter);/')"
}

broken_queues() {
    broken no_place queues 'lost wake-up: a task waits although it stands in no queue: lines_up, line [0-9]*, event' \
        "$(within async__wait_for 's/async__line_up(.*);/&async__leave_queue(it.queue, \&task->on.waiter);/')"
    broken deaf_event queues 'lost wake-up: a task waits although its event is set: lines_up, line [0-9]*, event' \
        "$(within async_event_set 's/async__serve_all(.*);/;/')"
    broken kept_permit queues 'lost wake-up: a task waits although there is a permit: lines_up, line [0-9]*, semaphore' \
        "$(within async_semaphore_release 's/if (waiter)/if (0)/')"
    broken free_mutex queues 'lost wake-up: a task waits although its mutex is free: lines_up, line [0-9]*, mutex' \
        "$(within async_mutex_unlock 's/= async__first_waiter(.*);/= NULL;/')"
    broken full_channel queues 'lost wake-up: a task waits although its channel has room: lines_up, line [0-9]*, send' \
        "$(within async__attempt_receive 's/= async__first_waiter(.*);/= NULL;/')"
    broken empty_channel queues 'lost wake-up: a task waits although its channel has an item: lines_up, line [0-9]*, receive' \
        "$(within async__attempt_send 's/= async__first_waiter(.*);/= NULL;/')"
}

broken_descriptors() {
    broken bit_of_reading half_read 'descriptor [0-9]* (connection) can be read, is believed not to be, and no event will say so' \
        "$(within async__tried 's/if (n > 0 && (size_t)n < size.*/if (n > 0)/')"
    broken bit_of_writing full_pipe 'descriptor [0-9]* (pipe) can be written, is believed not to be, and no event will say so' \
        "$(within async__tried 's/if (n > 0 && (size_t)n < size.*/if (n > 0)/')"
    broken waiters late_write '0 waiters on descriptors, and the loop thinks 1' \
        "$(within async__desert '/loop->waiting--/d')"
    broken not_removed late_write 'descriptor [0-9]* is closed while the poller still watches it' \
        "$(within async__release 's/loop->backend->remove(loop, fd);/;/')"
    broken forgotten limit_of_a_read 'lost wake-up: a task waits although its descriptor has forgotten it: limited, line [0-9]*, read on descriptor [0-9]*' \
        "$(within async__attend 's/\*waiter = slot;/(void)waiter, (void)slot, (void)loop;/')" \
        "$(within async__attend '/loop->waiting++/d')"
    broken not_roused_to_read late_write 'lost wake-up: somebody waits although descriptor [0-9]* (pipe) can be read: limited, line [0-9]*, read on descriptor [0-9]*' \
        "$(within async__event 's/    async__rouse_both(loop, fd, bits);/    ;/')"
    broken callback_not_roused late_write_for_a_callback 'lost wake-up: somebody waits although descriptor [0-9]* (pipe) can be read: a callback' \
        "$(within async__event 's/    async__rouse_both(loop, fd, bits);/    ;/')"
    broken not_roused_to_write pipe_that_drains 'lost wake-up: somebody waits although descriptor [0-9]* (pipe) can be written: broken_pipe_that_drains, line [0-9]*, write on descriptor [0-9]*' \
        "$(within async__event 's/    async__rouse_both(loop, fd, bits);/    ;/')"
}

broken_header() {
    mode=broken
    green broken broken/
    broken_time
    broken_turns
    broken_wakes
    broken_queues
    broken_descriptors
}

# ---- the two headers ------------------------------------------------------------

# A file that is simulated and one that is not are no program. (The kit comes last, as lld needs it.)
mixed() {
    mode='mixed build'
    printf '#include "async.h"\nint opens_it(void) { return async_open(NULL); }\n' > "$work/real.c"
    printf '#include "async_test.h"\nint opens(void) { return async_open(NULL); }\n' > "$work/sim.c"
    for file in real sim; do
        # shellcheck disable=SC2086
        $CC $FLAGS -DASYNC_TEST_PLAIN -c "$work/$file.c" -o "$work/$file.o" || exit 2
    done
    for linker in bfd gold lld; do
        printf 'int main(void) { return 0; }\n' > "$work/empty.c"
        if ! $CC "-fuse-ld=$linker" "$work/empty.c" -o "$work/empty" 2> /dev/null; then
            echo "left out (mixed build, $linker): not installed"
            continue
        fi
        for files in sim real,sim sim,real; do
            objects=$(echo "$files" | tr , '\n' | sed "s|.*|$work/&.o|")
            # shellcheck disable=SC2086
            $CC "-fuse-ld=$linker" $objects "$work/plain/async_sim.o" "$work/plain/async_test.o" \
                ${emulation:+"$work/plain/kqueue.o"} -pthread -o "$work/program" \
                > "$work/output" 2>&1
            status=$?
            case $files in
            *,*) [ "$status" -ne 0 ] && grep -q 'async__current' "$work/output" ;;
            *) [ "$status" -eq 0 ] ;;
            esac
            verdict $? "$files, with $linker" "status $status"
        done
    done
    printf '#include "async.h"\n#include "async_test.h"\n' > "$work/both.c"
    # shellcheck disable=SC2086
    ! $CC $FLAGS -DASYNC_TEST_PLAIN -c "$work/both.c" -o "$work/both.o" > "$work/output" 2>&1 &&
        grep -q 'async_test.h: include it instead of async.h, or before it' "$work/output"
    verdict $? 'one file, async.h first' 'no such error'
}

# What users compile has nothing of the kit in it.
production() {
    mode=production
    printf '#include "async.h"\n' > "$work/real.c"
    $CC -I. -E -P "$work/real.c" > "$work/output" || exit 2
    grep -q 'async_loop_run_once' "$work/output"
    verdict $? 'the preprocessor has written the header'
    grep -n -i -e 'sim_' -e 'async_test' -e 'ASYNC_\(SYS\|MEM\|PICK\|TRACE\|RESUME\)\>' \
        "$work/output" > "$work/found"
    status=$?
    mv "$work/found" "$work/output"
    [ "$status" -eq 1 ]
    verdict $? 'no token of the kit' 'there are some'
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
face=plain
good=', 0 failed'
broken_header
mixed
production

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
