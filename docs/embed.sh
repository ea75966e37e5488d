#!/bin/sh
# Rewrites what stands between the markers of README.md, docs/testing.md and the course's pages from its source: programs
# from examples/ and the lessons, numbers from the last `make bench`, dumps, outputs and the figure from a run. With
# --check it changes nothing and fails if something is out of date. The course's numbers: docs/course/figures/figures.sh.
set -eu
mkdir -p build

# The file named by <!-- embed FILE -->, as a fence; <!-- embed FILE part --> says that it is no whole program.
embed()
{
    awk '
        /^<!-- embed / { print; print "```c" ($4 == "part" ? " part" : ""); while ((getline line < $3) > 0) print line; close($3); print "```"; skip = 1; next }
        /^<!-- end -->/ { skip = 0 }
        !skip { print }' "$1"
}

# A block: <!-- NAME --> ... <!-- end --> is replaced by the file, if there is one.
block()
{
    [ -s "$2" ] || { cat; return; }
    awk -v name="$1" -v file="$2" '
        $0 == "<!-- " name " -->" { print; while ((getline line < file) > 0) print line; close(file); skip = 1; next }
        /^<!-- end -->/ { skip = 0 }
        !skip { print }'
}

# From the last `make bench`, if there was one.
numbers()
{
    [ -s build/bench.tsv ] || return 0
    awk -F '\t' '
        $2 ~ /^1,000,000 parked/ { bytes = $3 }
        $2 ~ /^yield and resume/ { yield = $8 }
        $2 ~ /^code of the ping-pong/ { code = $3 }
        END { printf "A parked task takes **%.0f bytes**, a switch from one task to the next **%.1f ns**, and what the ping-pong uses\n" \
                     "of async.h\47s %d lines is **%.0f KiB** of code. `make bench` measures these and more on your machine.\n",
                     bytes, yield, lines, code }' lines="$(wc -l < async.h)" build/bench.tsv > build/numbers.md
}

# The dump of docs/dump.c, as it runs now.
dump()
{
    ${CC:-cc} -I. docs/dump.c -o build/dump
    { echo '```text'; build/dump; echo '```'; } > build/dump.md
}

# The figure: a run of docs/figure.c, in which nothing but the times may differ.
figure()
{
    ${CC:-cc} -I. docs/figure.c -o build/figure
    build/figure > build/four-pages.svg
    [ "$(grep -c '<rect.*rx="3"' build/four-pages.svg)" -eq 8 ]
}

# What the tests of docs/testing say: the plain one passes, the other one fails.
planted()
{
    make -s build/planted build/planted-plain
    { echo '```console'; echo '$ build/planted-plain'; build/planted-plain; echo '```'; } > build/plain.md
    { echo '```console'; echo '$ build/planted'; ! build/planted 2>&1; echo '```'; } |
        sed 's/ ([0-9.]*s)$//; s/ *$//' > build/planted.md
    # The header's lines move: a page says the same if the sentence and the world are the same, and the world fails again.
    grep '^\[FAIL\] .*  \|^\[async\]' build/planted.md > build/planted.said
    replay=$(sed -n 's/^\[async\] replay: //p' build/planted.md)
    sh -c "$replay" 2>&1 | grep -qF "$(head -n 1 build/planted.said)"
}

# What the course's tool says of an exercise that is not solved yet.
failing()
{
    { echo '```console'; echo '$ docs/course/check.sh 00.2'; ! docs/course/check.sh 00.2; echo '```'; } | sed 's/ *$//' > build/failing.md
    grep -q expected build/failing.md
}

figure
planted
failing
if [ "${1:-}" != --check ]; then
    cp build/four-pages.svg docs/four-pages.svg
    numbers
    dump
else
    while read -r line; do grep -qF "$line" docs/testing.md; done < build/planted.said
    rm -f build/planted.md build/numbers.md build/dump.md # what differs from run to run
fi
for page in README.md docs/testing.md docs/course/*.md docs/course/*/README*.md; do
    made=build/$(echo "$page" | tr / _)
    embed "$page" | block numbers build/numbers.md | block dump build/dump.md | block plain build/plain.md |
        block planted build/planted.md | block failing build/failing.md > "$made"
    if [ "${1:-}" = --check ]; then
        cmp "$page" "$made"
    else
        cp "$made" "$page"
    fi
done
