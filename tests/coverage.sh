#!/bin/sh
# Line and branch coverage of async.h, as shipped, on each backend: by the tests in the simulated world and by those on the
# real kernel. Prints the figures and what was not reached, and fails if anything was not that has no reason here.
# build/coverage/BACKEND.gcov has it all.
set -eu
out=build/coverage
rm -rf "$out"
mkdir -p "$out/core" "$out/kit" "$out/older" "$out/simulated"
common="-std=gnu11 -O0 --coverage -I. -Itests -pthread -DASYNC_HAS_KQUEUE=1 -Itests/kqueue -w"
BACKENDS=${BACKENDS:-poll epoll kqueue}

# compile folder flags sources...
compile()
{
    folder=$1 flags=$2
    shift 2
    for source in "$@"; do
        # shellcheck disable=SC2086 # the flags are words
        ${CC:-cc} $common $flags -c "$source" -o "$out/$folder/$(basename "$source" .c).o"
    done
    # shellcheck disable=SC2046
    ${CC:-cc} --coverage "$out/$folder"/*.o -pthread -o "$out/$folder/tests"
}

compile core '-DTEST_PLAIN -DTEST_SAVE_COVERAGE=__gcov_dump' tests/test.c tests/plain.c tests/test_*.c tests/kqueue/kqueue.c
compile kit '-DASYNC_TEST_PLAIN -Itests/kit' tests/kit/*.c tests/sim_*.c tests/kqueue/kqueue.c
compile simulated '-DTEST_SIMULATED -DTEST_PLAIN -DASYNC_TEST_PLAIN -DTEST_SAVE_COVERAGE=__gcov_dump -iquote tests/simulated
    -Itests/kit' tests/test.c tests/simulated/driver.c tests/kit/*.c tests/kqueue/kqueue.c \
    $(ls tests/test_*.c | grep -v -e emulation -e layer -e processes -e threads)

# What cannot be reached on a backend needs its reason here: function | a part of the line | backends | reason. What has
# none fails, on whichever backend.
cat > "$out/reasons" <<'END'
async__event | error | poll epoll | kqueue alone gives an errno with an event
async__try_failed | reported | poll epoll | likewise
async__attempt_connect | descriptor->error | poll epoll | likewise
async__milliseconds |  | kqueue | kevent(2) counts in nanoseconds
async__release | remove | poll | the kernel remembers nothing for poll(2)
async__free_loop | loop->poller | poll epoll | kqueue alone asks in which process it is
async_loop_descriptor | loop->poller | epoll kqueue | poll(2) alone has no descriptor
async__event | generation | poll kqueue | nothing reported is stale, but where one event closes what a later one of the same batch is about
async__event | return 1; | poll | likewise
async__register | EPERM | poll | poll(2) refuses nothing
async__register |  descriptor->kind = ASYNC__FILE | poll | likewise
async__register |  error = 0 | poll | likewise
async__watch_writes | ASYNC__FILE | poll | likewise
async__lock_process | poll | poll epoll kqueue | it takes a moment only, and another thread
async__lock_process |  ASYNC_SYS(poll) | poll epoll kqueue | likewise
async__close_signals | poll | poll epoll kqueue | likewise: a handler that runs in another thread
async__caught | write | poll epoll kqueue | no signal comes in a handler
async__become | error | poll epoll kqueue | what a child did that could not exec is lost with it
async__become | report | poll epoll kqueue | likewise
async__become | _exit | poll epoll kqueue | likewise
async__become | setpgid | poll epoll kqueue | likewise
async__execute | report[0] | poll epoll kqueue | interrupted only by a handler of somebody else's, without SA_RESTART
async__caught | catches | poll epoll kqueue | which loop catches what in the moment of a signal is other threads' matter
async__lock_process | async__swap | poll epoll kqueue | two threads in one moment
async__become | chdir | poll epoll kqueue | likewise
async__place_stdio |  | poll epoll kqueue | likewise
async__execute | EINTR | poll epoll kqueue | a signal in the moment of an exec
async__resolve_name | async_begin | poll epoll kqueue | a line that no await has is a panic of misuse
async__listen_run | async_begin | poll epoll kqueue | likewise
async__race_ask | async_begin | poll epoll kqueue | likewise
async__race_attempt | async_begin | poll epoll kqueue | likewise
async__race_run | async_begin | poll epoll kqueue | likewise
async__connect_later | async_begin | poll epoll kqueue | likewise
async__connect_later | async_sleep | poll epoll kqueue | a sleep always waits
async__connect_later | async__connect( | poll epoll kqueue | a Unix socket is connected at once, or its backlog is full
async__close_signals | handlers | poll epoll kqueue | a handler that runs in another thread
async__stream_hush | usable | poll epoll kqueue | a stream whose number was closed behind the loop's back
async__resolve_name | async_await | poll epoll kqueue | no answer is there before the thread has run
async__race_run | async_await | poll epoll kqueue | the event was cleared just before
END

run()
{
    "$@" > "$out/run.log" 2>&1 || { grep -v '^ok' "$out/run.log"; exit 1; }
    tail -n 1 "$out/run.log"
}

# report BACKEND: each file that includes the header has its own copy of a function; any copy counts.
report()
{
    awk -F: -v backend="$1" '
    FILENAME ~ /reasons$/ { if (split($0, part, " [|] ") == 4) { n++; where[n] = part[1]; words[n] = part[2]; on[n] = part[3] }; next }
    FILENAME ~ /async.h$/ {
        text[FNR] = $0
        if (/MARK: - Backend: /) { section = $0; sub(/.*Backend: /, "", section) }
        else if (/MARK: - /) section = ""
        if (/^\/\* Watch for writes as well/) section = ""
        other[FNR] = section != "" && section != backend
        if (/^ASYNC__COROUTINE/ || (/^[A-Za-z].*\(/ && !/;$/)) {
            name = $0
            sub(/^ASYNC__COROUTINE\(/, "", name)
            sub(/[(,].*/, "", name)
            sub(/.*[ *]/, "", name)
        }
        inside[FNR] = name
        next
    }
    /^branch/ { nth++; branch[reached " " nth] = branch[reached " " nth] || !/never executed|taken (0|-)/; next }
    !/^ *[-#=0-9]+[*]?:/ { next }
    $2 == 0 && $3 == "Source" { counts = $4 == "async.h" }
    { reached = counts ? $2 + 0 : 0; nth = 0 }
    reached && $1 !~ /-/ { line[reached] = line[reached] || $1 + 0 > 0 }
    function excused(l, i) {
        for (i = 1; i <= n; i++) if (where[i] == inside[l] && (words[i] == "" || index(text[l], words[i])) && index(on[i], backend)) return 1
        return 0
    }
    END {
        for (l in line) if (!other[l]) { lines++; hit += line[l] }
        for (b in branch) {
            split(b, at, " ")
            if (!at[1] || other[at[1]]) continue
            branches++
            taken += branch[b]
            if (!branch[b] && line[at[1]]) partly[at[1]]++
        }
        printf "0 %s: %d of %d lines (%.1f %%), %d of %d branches (%.1f %%)\n", backend, hit, lines, 100 * hit / lines,
               taken, branches, 100 * taken / branches
        for (l in line) if (!other[l] && !line[l])
            printf "%d   line %d, %s: %s%s\n", l, l, inside[l], text[l], excused(l) ? " [has a reason]" : " NO REASON"
        for (l in partly)
            printf "%d   line %d, %d branches: %s%s\n", l, l, partly[l], text[l], excused(l) ? " [has a reason]" : " NO REASON"
    }' "$out/reasons" async.h "$out/$1.gcov" | sort -n | sed 's/^[0-9]* //'
}

# Without what not every system has; and without one of the backends.
older()
{
    rm -rf "$out/older"
    mkdir "$out/older"
    compile older "-DASYNC_TEST_PLAIN -Itests/kit -DASYNC_HAS_ACCEPT4=0 -DASYNC_HAS_PIPE2=0 $1" tests/kit/*.c tests/sim_*.c \
        tests/kqueue/kqueue.c
}

# Whose calls are made to fail, each of them: that takes long, and `make torture` has all.
tortured='torture names offload posts datagrams sockets'

was=
for backend in $BACKENDS; do
    lacks='-UASYNC_HAS_KQUEUE -DASYNC_HAS_KQUEUE=0'
    [ "$backend" != kqueue ] || lacks=-DASYNC_HAS_EPOLL=0
    [ "$lacks" = "$was" ] || older "$lacks"
    was=$lacks
    find "$out" -name '*.gcda' -delete
    TEST_SLOW=1 TEST_BACKENDS=$backend run "$out/core/tests"
    ASYNC_BACKENDS=$backend ASYNC_SEEDS=${SEEDS:-10} ASYNC_TORTURE=0 run "$out/kit/tests"
    for suite in $tortured; do
        ASYNC_BACKENDS=$backend ASYNC_SEEDS=1 run "$out/kit/tests" --filter "$suite/"
    done
    ASYNC_BACKENDS=$backend ASYNC_SEEDS=2 ASYNC_TORTURE=0 run "$out/older/tests"
    ASYNC_BACKENDS=$backend run "$out/older/tests" --filter torture/
    ASYNC_BACKENDS=$backend run "$out/simulated/tests"
    find "$out" -name '*.gcda' -exec gcov -r -b -c -t {} ';' > "$out/$backend.gcov"
    report "$backend" | tee -a "$out/report"
done
! grep -q 'NO REASON' "$out/report"
