#!/bin/sh
# Rewrites what stands between the markers of README.md from its source: programs from examples/, numbers from the last
# `make bench`, the dump from a run. With --check it changes nothing and fails if something is out of date.
set -eu
page=README.md
made=build/README.md
mkdir -p build

# The file named by <!-- embed FILE -->, as a fence.
embed()
{
    awk '
        /^<!-- embed / { print; print "```c"; while ((getline line < $3) > 0) print line; close($3); print "```"; skip = 1; next }
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

embed "$page" | block numbers build/numbers.md | block dump build/dump.md > "$made"
if [ "${1:-}" = --check ]; then
    cmp "$page" "$made"
else
    cp "$made" "$page"
fi
