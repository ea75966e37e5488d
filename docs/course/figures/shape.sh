# Part of figures.sh: do new runs tell the same story as those in the lessons? Only the shape counts: what is near the
# sum of the delays and what near the longest, which waits overlap, what happens in which order.

passed=0
failed=0

# check WHAT COMMAND...
check()
{
    what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $what"
    fi
}

not() { if "$@"; then return 1; fi; }

# within COST NOMINAL_MS: at most 30 % from it
within() { awk -v ms="$2" '{ exit !($1 > 700 * ms && $1 < 1300 * ms) }' "$1"; }

# waits_that_overlap FILE: pairs of lanes (not of those that wait for others) whose longest waits overlap
waits_that_overlap()
{
    awk -F '\t' '
        $2 ~ /^wait/ && $1 ~ /^(client|process|thread|page)/ {
            if (!($1 in from)) lanes[++count] = $1
            if ($4 - $3 > until[$1] - from[$1]) { from[$1] = $3; until[$1] = $4 }
        }
        END {
            for (i = 1; i <= count; i++)
                for (j = i + 1; j <= count; j++)
                    pairs += from[lanes[i]] < until[lanes[j]] && from[lanes[j]] < until[lanes[i]]
            print pairs + 0
        }' "$1"
}

overlap() { [ "$(waits_that_overlap "$1")" -eq "$2" ]; }

# one_at_a_time FILE LANES: no slice of these lanes begins before the last one has ended; there are some
one_at_a_time()
{
    grep "^$2" "$1" | sort -t "$tab" -k3,3n | awk -F '\t' '$3 < end { bad = 1 } { end = $4 } END { exit bad || NR < 2 }'
}

both_threads_run() { [ "$(cut -f 1 "$1" | sort -u | wc -l)" -eq 2 ]; }

# story FILE: what happens in each lane, in the order in which it happens for the first time
story()
{
    awk -F '\t' '{ sub(/:.*/, "", $2) } !(($1, $2) in seen) { seen[$1, $2] = 1; print $1, $2 }' "$1"
}

# calls FILE: each connection's own, in order
calls() { awk -F '\t' '$1 ~ /^client/ && $2 != "wait" { print $1, $2 }' "$1"; }

same_story() { story "$1" > "$out/story.1"; story "$2" > "$out/story.2"; cmp "$out/story.1" "$out/story.2"; }
same_calls()
{
    calls "$1" > "$out/calls.1"
    calls "$2" > "$out/calls.2"
    [ -s "$out/calls.1" ] && cmp "$out/calls.1" "$out/calls.2"
}

check_run()
{
    export DELAYS_SLOWER=5
    for model in $models; do record "$model" "$model"; done
    record one-request sequence 1
    record two-in-sequence sequence 2
    record two-threads interleaved 400
    record_ping_pong pong_callback
    record_ping_pong pong_coroutine
    check "one after the other takes the sum" within "$out/sequence.cost" 800
    check "two in sequence take the sum of two" within "$out/two-in-sequence.cost" 375
    for model in processes threads callbacks coroutines; do
        check "$model take as long as the longest" within "$out/$model.cost" 225
        check "$model wait at the same time, all four" overlap "$out/$model.tsv" 6
    done
    check "one client, one wait after the other" one_at_a_time "$out/sequence.tsv" client
    check "callbacks run one at a time" one_at_a_time "$out/callbacks.tsv" loop
    check "coroutines run one at a time" one_at_a_time "$out/coroutines.tsv" loop
    [ "$(uname -s)" != Linux ] || check "threads on one core run one at a time" one_at_a_time "$out/two-threads.tsv" thread
    check "both threads run" both_threads_run "$out/two-threads.tsv"
    check "the two servers do the same" same_calls "$out/pong_callback.tsv" "$out/pong_coroutine.tsv"
    check "the trace for Perfetto has every event" trace_has_all threads
    check_stories
}

# trace_has_all TO: as many slices for Perfetto as events of the client; the server traces nothing
trace_has_all() { [ "$(grep -c '"ph":"X"' "$out/$1.json")" -eq "$(grep -cv "^server$tab" "$out/$1.raw")" ]; }

check_stories()
{
    for it in 01-waiting/one-request 02-one-after-the-other/two-in-sequence 03-processes/processes 04-threads/threads \
        06-callbacks/callbacks 07-coroutines/coroutines; do
        check "$it tells what the lesson shows" same_story "$out/${it#*/}.tsv" "$course/$it.tsv"
    done
    check "the server with callbacks does what the lesson shows" same_calls "$out/pong_callback.tsv" \
        $course/08-ping-pong-twice/callbacks.tsv
    check "the server with coroutines does what the lesson shows" same_calls "$out/pong_coroutine.tsv" \
        $course/08-ping-pong-twice/coroutines.tsv
}

# Each kind of check refuses what is wrong.
check_red()
{
    check "red: the sum is not the longest" not within "$out/sequence.cost" 225
    check "red: the longest is not the sum" not within "$out/threads.cost" 800
    check "red: one after the other does not overlap" not overlap "$out/sequence.tsv" 6
    check "red: what overlaps is not one at a time" not one_at_a_time "$out/threads.tsv" thread
    grep "^thread 1" "$out/two-threads.tsv" > "$out/less.tsv"
    check "red: one thread is not two" not both_threads_run "$out/less.tsv"
    cp "$out/threads.raw" "$out/less.raw"
    sed '$d' "$out/threads.json" > "$out/less.json"
    check "red: a trace without its last event" not trace_has_all less
    check "red: callbacks are not processes" not same_story "$out/callbacks.tsv" "$out/processes.tsv" > "$out/red.txt"
    sed '1,/send/{/send/d;}' "$out/pong_callback.tsv" > "$out/less.tsv"
    check "red: a send that is missing" not same_calls "$out/less.tsv" "$out/pong_coroutine.tsv" > "$out/red.txt"
}

# races FILE: with a lock, and with coroutines, nothing is lost; without, nothing is certain but the most
races_are_sound()
{
    awk -F '\t' '$1 != "threads" && $3 != 2000000 || $3 > 2000000 || $3 < 2 { bad = 1 } END { exit bad || NR != 36 }' "$1"
}

# Memory of one: a process more than a thread, a thread more than a coroutine.
costs_are_ordered()
{
    awk -F '\t' '$1 != "stop" { of[$1] = $3 } END { exit !(of["process"] > of["thread"] && of["thread"] > of["coroutine"]) }' "$1"
}

check_probes()
{
    timeout 60 "$out/race" > "$out/losses.tsv"
    timeout 60 "$out/scale" 640 > "$out/scale.tsv"
    check "nothing is lost under a lock, and between awaits" races_are_sound "$out/losses.tsv"
    check "a process costs more than a thread, a thread more than a coroutine" costs_are_ordered "$out/scale.tsv"
    sed '$s/2000000/1999999/' "$out/losses.tsv" > "$out/less.tsv"
    check "red: an addition that a coroutine lost" not races_are_sound "$out/less.tsv"
    sed 's/^process/x/; s/^coroutine/process/; s/^x/coroutine/' "$out/scale.tsv" > "$out/less.tsv"
    check "red: a coroutine that costs more than a process" not costs_are_ordered "$out/less.tsv"
}

compare() { check "$1 is up to date" cmp "$1" "$2"; }

# What is committed is what the committed runs make.
check_drawn()
{
    draw_all "$out/drawn"
    for file in "$out"/drawn/*/*.svg; do
        compare "$course/${file#"$out"/drawn/}" "$file"
    done
    fill_all compare
}
