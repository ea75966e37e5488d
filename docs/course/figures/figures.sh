#!/bin/sh
# The course's measurements: builds the programs of this folder, runs them, writes a TSV and an SVG into each lesson,
# and the tables and sentences between <!-- NAME --> and <!-- end --> in the lessons' pages, in both languages.
#
#     figures.sh            all of it, from new runs; takes some minutes and wants a machine that does nothing else
#     figures.sh --draw     the pictures and the pages again, from the runs that are committed
#     figures.sh --check    are they what --draw makes? And do new runs have the same shape? A time is compared only with the
#                           site's own latencies, five times as long here: near their sum, or near the longest.
#     figures.sh --crawl    only the crawl, with 1, 8 and 64 pages at a time
#
# The Chrome-trace JSON of the recorded runs is left below build/figures, for ui.perfetto.dev.
set -eu
cd "$(dirname "$0")/../../.."
LC_ALL=C
export LC_ALL
course=docs/course
source=$course/figures
out=build/figures
flags=-O2
models="sequence processes threads callbacks coroutines"
crawlers="sequential processes threads callbacks coroutines"
tab=$(printf '\t')
mkdir -p "$out"

say() { echo "figures: $*" >&2; }
die() { say "$@"; exit 1; }

# ---- building ----

build()
{
    for name in delays sequence processes threads callbacks coroutines interleaved race scale; do
        ${CC:-cc} $flags -Wall -Wextra -I. "$source/$name.c" -pthread -o "$out/$name"
    done
    build_drawing
    ${CC:-cc} $flags -Wall -Wextra "$source/peak.c" -o "$out/peak"
    build_ping_pong
}

build_drawing()
{
    for name in timeline chart; do
        ${CC:-cc} $flags -Wall -Wextra "$source/$name.c" -lm -o "$out/$name"
    done
}

# The servers as they are, on system calls that record themselves.
build_ping_pong()
{
    grep -o 'ASYNC_SYS([a-z_0-9]*)' async.h | sed 's/ASYNC_SYS(\(.*\))/\1/' | sort -u | while read -r call; do
        grep -q "seen_$call(" "$source/seen.h" || echo "#define seen_$call $call"
    done > "$out/seen_names.h"
    for name in pong_callback pong_coroutine; do
        ${CC:-cc} $flags -Wall -Wextra -I. "-I$out" -include "$source/seen.h" "examples/$name.c" -pthread \
            -o "$out/$name"
    done
    ${CC:-cc} $flags -Wall -Wextra -I. examples/ping.c -pthread -o "$out/ping"
}

# ---- recording ----

# From the first event on, a lane after the other.
tidy()
{
    awk -F "$tab" '
        { line[NR] = $0 }
        NR == 1 || $3 < zero { zero = $3 }
        END {
            for (i = 1; i <= NR; i++) {
                split(line[i], f, "\t")
                printf "%s\t%s\t%.0f\t%.0f\n", f[1], f[2], f[3] - zero, f[4] - zero
            }
        }' |
        sort -t "$tab" -k1,1 -k3,3n
}

# record TO PROGRAM ARGUMENT...: a recorded run; of coroutines the trace is the record.
record()
{
    to=$1
    shift
    rm -f "$out/$to.raw" "$out/$to.json"
    RECORD_FILE=$out/$to.raw ASYNC_TRACE_FILE=$out/$to.json timeout 60 "$out/$@" > "$out/$to.cost"
    case $1 in
    coroutines) awk -f "$source/trace.awk" "$out/$to.json" | tidy ;;
    sequence) tidy < "$out/$to.raw" ;;
    *) grep -v "^server$tab" "$out/$to.raw" | tidy ;;
    esac > "$out/$to.tsv"
}

# keep_round NAME ROUND: of several runs that one stays.
keep_round()
{
    for kind in tsv json; do
        [ ! -f "$out/$1.$2.$kind" ] || mv "$out/$1.$2.$kind" "$out/$1.$kind"
    done
    rm -f "$out/$1".[1-9].*
}

# record_median TO PROGRAM ARGUMENT...: five runs; the one with the median time stays.
record_median()
{
    name=$1
    shift
    : > "$out/$name.costs"
    for round in 1 2 3 4 5; do
        record "$name.$round" "$@"
        echo "$(cut -f 1 "$out/$name.$round.cost") $round" >> "$out/$name.costs"
    done
    keep_round "$name" "$(sort -n "$out/$name.costs" | sed -n '3s/.* //p')"
}

# keep LESSON NAME FILE: the run that a lesson shows
keep()
{
    mkdir -p "$course/$1"
    cp "$out/$3.tsv" "$course/$1/$2.tsv"
}

# Nine runs on one core; the one in which others had it least stays.
record_two_threads()
{
    for round in 1 2 3 4 5 6 7 8 9; do
        record "two-threads.$round" interleaved
        echo "$(awk -F "$tab" '{ sum += $4 - $3 } END { printf "%.0f", sum }' "$out/two-threads.$round.tsv") $round"
    done > "$out/two-threads.costs"
    keep_round two-threads "$(sort -n "$out/two-threads.costs" | sed -n '9s/.* //p')"
}

# Three clients at once, of a server that does not end by itself.
record_ping_pong()
{
    rm -f "$out/$1.raw"
    : > "$out/$1.log"
    RECORD_FILE=$out/$1.raw timeout 30 "$out/$1" 0 > "$out/$1.log" &
    server=$!
    port=
    while [ -z "$port" ]; do
        kill -0 "$server"
        port=$(sed -n 's/^listening on port //p' "$out/$1.log")
    done
    "$out/ping" 127.0.0.1 "$port" hello 1 3 > "$out/$1.ping"
    while ! grep -q '^idle' "$out/$1.log"; do
        kill -0 "$server"
    done
    kill "$server"
    wait "$server" 2> "$out/wait.log" || true
    tidy < "$out/$1.raw" > "$out/$1.tsv"
}

# Five runs; the one with the median time stays.
record_ping_pong_median()
{
    for round in 1 2 3 4 5; do
        record_ping_pong "$1"
        mv "$out/$1.tsv" "$out/$1.$round.tsv"
        echo "$(awk -F "$tab" '$4 > end { end = $4 } END { printf "%.0f", end }' "$out/$1.$round.tsv") $round"
    done > "$out/$1.costs"
    mv "$out/$1.$(sort -n "$out/$1.costs" | sed -n '3s/.* //p').tsv" "$out/$1.tsv"
    rm -f "$out/$1".[1-5].tsv
}

record_all()
{
    say "recorded runs"
    record_median one-request sequence 1
    record_median two-in-sequence sequence 2
    for model in processes threads callbacks coroutines; do
        record_median "$model" "$model"
    done
    record_two_threads
    record_ping_pong_median pong_callback
    record_ping_pong_median pong_coroutine
    keep 01-waiting one-request one-request
    keep 02-one-after-the-other two-in-sequence two-in-sequence
    keep 03-processes processes processes
    keep 04-threads threads threads
    keep 05-races two-threads two-threads
    keep 06-callbacks callbacks callbacks
    keep 07-coroutines coroutines coroutines
    keep 08-ping-pong-twice callbacks pong_callback
    keep 08-ping-pong-twice coroutines pong_coroutine
}

# ---- measuring ----

machine()
{
    ${CC:-cc} --version > "$out/compiler"
    compiler=$(sed -n '1s/.* \([0-9][0-9.]*\)[^0-9]*$/\1/p' "$out/compiler")
    case $(cat "$out/compiler") in
    *clang*) compiler="clang $compiler" ;;
    *'Free Software Foundation'*) compiler="gcc $compiler" ;;
    esac
    printf 'machine\t%s %s\t%s\t%s\t%s\t%s\n' "$(uname -s)" "$(uname -r | sed 's/^\([0-9]*\.[0-9]*\).*/\1/')" "$(uname -m)" \
        "$(getconf _NPROCESSORS_ONLN)" "${compiler:-cc}" "$flags"
    printf 'delays\t40, 35, 45, 40\t160\t45\n'
}

# Eleven rounds, so that a busy moment hits all alike; the row of the median time.
measure_models()
{
    say "four pages, eleven times"
    for model in $models; do : > "$out/$model.rounds"; done
    for round in 1 2 3 4 5 6 7 8 9 10 11; do
        for model in $models; do timeout 30 "$out/$model" >> "$out/$model.rounds"; done
    done
    for model in $models; do
        peaks=$(for round in 1 2 3 4 5; do timeout 30 "$out/peak" 1 "$out/$model" | cut -f 1; done | sort -n | sed -n 3p)
        printf 'model\t%s\t%s\t%s\n' "$model" "$(sort -n "$out/$model.rounds" | sed -n 6p)" "$peaks"
    done
}

measure()
{
    { machine; measure_models; } > "$out/numbers.tsv"
    cp "$out/numbers.tsv" "$source/numbers.tsv"
    say "races"
    timeout 60 "$out/race" > "$out/losses.tsv"
    keep 05-races losses losses
    say "scale"
    timeout 180 "$out/scale" > "$out/scale.tsv"
    keep 09-scale scale scale
}

# The five crawlers, where they are. Each crawl has the site for itself.
crawl()
{
    [ -f examples/site.c ] || return 0
    say "crawls"
    for name in site $(for model in $crawlers; do echo "crawl_$model"; done); do
        ${CC:-cc} $flags -I. "examples/$name.c" -pthread -o "$out/$name"
    done
    printf 'site\t200\t50\t1000\n' > "$out/crawl.tsv"
    for jobs in 1 8 64; do
        for model in $crawlers; do
            [ "$model" != sequential ] || [ "$jobs" = 1 ] || continue
            crawl_once "$model" "$jobs"
        done
    done >> "$out/crawl.tsv"
    keep 10-crawler crawl crawl
}

crawl_once()
{
    timeout 150 "$out/site" -n 200 -l 50 -d -p 0 > "$out/site.log" &
    site=$!
    trap 'kill "$site"' EXIT
    port=
    while [ -z "$port" ]; do
        kill -0 "$site"
        port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$out/site.log")
    done
    cost=$(timeout 120 "$out/peak" 25 "$out/crawl_$1" "http://127.0.0.1:$port/" --timeout 1000 --jobs "$2" 2> "$out/crawl.log")
    trap - EXIT
    kill "$site"
    wait "$site" 2> "$out/wait.log" || true
    echo "$cost" | awk -v model="$1" -v jobs="$2" '{ print "crawl\t" model "\t" jobs "\t" $2 "\t" $3 "\t" $1 }'
}

# ---- drawing ----

# draw WHERE LESSON NAME TITLE OPTION...: name.svg below WHERE, from the lesson's name.tsv
draw()
{
    where=$1 lesson=$2 name=$3 title=$4
    shift 4
    [ -f "$course/$lesson/$name.tsv" ] || return 0
    mkdir -p "$where/$lesson"
    "$out/timeline" --title "$title" --about "$about" "$@" < "$course/$lesson/$name.tsv" > "$where/$lesson/${as:-$name}.svg"
}

# A window around the shortest time between the slices of two threads.
around_a_switch()
{
    sort -t "$tab" -k3,3n "$1" | awk -F "$tab" '
        NR > 1 && $1 != lane && (!gap || $3 - end < gap) { gap = $3 - end; at = end }
        { lane = $1; end = $4 }
        END { wide = gap > 20000 ? 2.5 * gap : 50000
              printf "--from %.3f --until %.3f", (at - 0.4 * wide) / 1e6, (at + 0.6 * wide) / 1e6 }'
}

# Where figures are compared they have the same axis: 90 ms, 1 ms.
draw_all()
{
    about=$(awk -F "$tab" '$1 == "machine" { print $2 ", " $3 ", " $4 " cores, " $5 " " $6 "." }' "$source/numbers.tsv")
    as=
    draw "$1" 01-waiting one-request "One request" --until 90 --zoom 0:1
    draw "$1" 02-one-after-the-other two-in-sequence "Two requests, one after the other" --until 90
    draw "$1" 03-processes processes "Four pages, a process for each" --until 90
    draw "$1" 04-threads threads "Four pages, a thread for each" --until 90
    draw "$1" 05-races two-threads "Two threads that compute, on one core"
    [ ! -f $course/05-races/two-threads.tsv ] || as=two-threads-zoom draw "$1" 05-races two-threads \
        "A switch from one thread to the other" $(around_a_switch $course/05-races/two-threads.tsv)
    as=
    draw "$1" 06-callbacks callbacks "Four pages, one thread, callbacks" --until 90 --zoom 0:1
    draw "$1" 07-coroutines coroutines "Four pages, one thread, coroutines" --until 90 --zoom 0:1
    draw "$1" 08-ping-pong-twice callbacks "The server with callbacks: three clients" --until "$(ping_pong_until)"
    draw "$1" 08-ping-pong-twice coroutines "The server with coroutines: three clients" --until "$(ping_pong_until)"
    draw_charts "$1"
}

ping_pong_until()
{
    cat $course/08-ping-pong-twice/*.tsv | awk -F "$tab" '$4 > end { end = $4 } END { printf "%.1f", end / 1e6 + 0.05 }'
}

draw_charts()
{
    for chart in 05-races/losses 09-scale/scale 10-crawler/crawl; do
        [ ! -f "$course/$chart.tsv" ] || {
            mkdir -p "$1/${chart%/*}"
            "$out/chart" "${chart#*/}" < "$course/$chart.tsv" > "$1/$chart.svg"
        }
    done
}

# ---- the pages ----

# What stands between the marks of examples/pong_*.c: lines with something on them, functions, places with two ways on.
lines()
{
    for name in pong_callback pong_coroutine; do
        awk -v name="$name" '
            /\/\* \[\/pong\] \*\// { on = 0 }
            on && NF { lines++ }
            on && (/^static .*[(]/ || /^async\(/) { functions++ }
            on { gsub(/for \(;;\)/, ""); branches += gsub(/(^|[^a-z_])(if|for|while|case) *\(|&&|\|\||\?/, "&") }
            /\/\* \[pong\] \*\// { on = 1 }
            END { print "lines\t" name "\t" lines "\t" functions "\t" branches }' "examples/$name.c"
    done
}

blocks="machine waiting sequence models races scale lines crawl"

# fill PAGE LANGUAGE: the page with its blocks, on stdout. A block of which nothing is known stays as it is.
fill()
{
    cp "$1" "$out/page"
    for block in $blocks; do
        [ -s "$out/$block.$2.md" ] || continue
        awk -v name="$block" -v file="$out/$block.$2.md" '
            $0 == "<!-- " name " -->" { print; while ((getline line < file) > 0) print line; close(file); skip = 1; next }
            /^<!-- end -->/ { skip = 0 }
            !skip { print }' "$out/page" > "$out/page.new"
        mv "$out/page.new" "$out/page"
    done
    cat "$out/page"
}

write_blocks()
{
    lines > "$out/lines.tsv"
    for lang in en fr; do
        for block in $blocks; do
            awk -v block="$block" -v lang="$lang" -f "$source/blocks.awk" "$source/numbers.tsv" "$out/lines.tsv" \
                $(ls $course/05-races/losses.tsv $course/09-scale/scale.tsv $course/10-crawler/crawl.tsv 2> /dev/null) \
                > "$out/$block.$lang.md"
        done
    done
}

# fill_all DO: for each page `DO page filled`
fill_all()
{
    write_blocks
    for page in $course/*/README.md $course/*/README.fr.md; do
        [ -f "$page" ] || continue
        case $page in *.fr.md) lang=fr ;; *) lang=en ;; esac
        fill "$page" "$lang" > "$out/filled"
        "$1" "$page" "$out/filled"
    done
}

replace() { cmp -s "$1" "$2" || cp "$2" "$1"; }

draw_and_fill()
{
    draw_all $course
    fill_all replace
}

case ${1:-} in
'')
    build
    record_all
    measure
    crawl
    draw_and_fill
    say "the traces for ui.perfetto.dev are $out/*.json"
    ;;
--draw)
    build_drawing
    draw_and_fill
    ;;
--crawl)
    build
    crawl
    draw_and_fill
    ;;
--check)
    build
    . "$source/shape.sh"
    rm -rf "$out/drawn"
    check_drawn
    check_run
    check_run
    check_red
    check_probes
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ] && [ "$passed" != 0 ]
    ;;
*)
    die "see the head of $0 for what it does"
    ;;
esac
