#!/bin/sh
# What the header costs before anything runs:
#
#     size.sh text                bytes of code in the ping-pong, optimised and stripped
#     size.sh files DIRECTORY     writes with.c, which only includes it, and without.c, which only
#                                 includes the same system headers, for bench to compile
#
# The compiler is $CC; BENCH_ROOT is the folder of the header.
set -e
CC=${CC:-cc}
root=${BENCH_ROOT:-.}

text() {
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    (cd "$root" && $CC -O2 -I. -o "$work/pong" tests/compile/ping_pong.c) # __FILE__ is part of it
    strip "$work/pong"
    size "$work/pong" | awk 'NR == 2 { print "text_bytes", $1 }'
}

# -H names each header with one dot for every level: two are those that async.h includes itself.
files() {
    header=$(cd "$root" && pwd)/async.h
    printf '#include "%s"\n' "$header" >"$1/with.c"
    echo '#define _GNU_SOURCE' >"$1/without.c"
    $CC -H -fsyntax-only "$1/with.c" 2>&1 |
        awk '$1 == ".." { printf "#include \"%s\"\n", $2 }' >>"$1/without.c"
}

"$@"
