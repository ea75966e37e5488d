#!/bin/sh
# Checks the exercises themselves, and the pages they stand in:
#     docs/course/check_all.sh [06.2 | 06-callbacks]...      all, or some exercises and lessons
# An exercise: its stub fails with a sentence of its check, without a crash or a warning; its solution passes, with the
# sanitizers, on every backend, with gcc, and with Criterion; its wrong solutions (ex1_wrong*.patch) are refused, in the
# words that the patch begins with, if it does ("Says: ..."); all of them change the TODO region only; there are three
# hints, and all of it in French. A page says the same in both languages; a folder has no file that nothing names.
# Prints a line for each and, last, "N passed, M failed".
set -u
cd "$(dirname "$0")/../.." || exit 2
self=docs/course/check_all.sh
export LEARN_DEADLINE="${LEARN_DEADLINE:-120}"
B=build/learn/all
mkdir -p $B

# verdict WHAT WHY: the status before it is the verdict; $work/why is shown, too.
verdict()
{
    if [ $? = 0 ]; then
        echo "ok $1"
    else
        echo "FAIL $1: $2"
        [ ! -s "$work/why" ] || head -n 20 "$work/why" | sed 's/^/    /'
    fi
    : > "$work/why"
}

# What a check says instead of its own sentence, or about a crash.
GENERIC='^  x It |^  x Its process|Sanitizer|runtime error|It crashed|did not end|ended too early|After its end'

# checked STATUS FILE [NAME=VALUE...]: does docs/course/check.sh have this status for that file, and tell of no warning?
checked()
{
    wanted=$1
    file=$2
    shift 2
    env "$@" docs/course/check.sh "$id" "$file" > "$work/why" 2>&1
    status=$?
    [ $status = "$wanted" ] && ! grep -q ' warning: ' "$work/why"
}

fails_well()
{
    checked 1 "$stem.c" || return 1
    grep -q '^  x ' "$work/why" || return 1
    if grep -q 'tsan:' "$stem"_check.c; then sed -i.bak '/ThreadSanitizer/d' "$work/why"; fi
    ! grep -Eq "$GENERIC" "$work/why"
}

# One TODO region, and it is closed.
has_region()
{
    awk '/\/\* TODO:/ { todo++; at = NR } /^ *\/\* END \*\/$/ { end++; closes = NR }
         END { exit !(todo == 1 && end == 1 && at < closes) }' "$1"
}

# patched PATCH: the stub with it, in $work/exK.c; clean, without fuzz, and nothing else has changed than the region.
patched()
{
    cp "$stem.c" "$work/$name.c" && cp "$stem.c" "$work/stub.c"
    patch -s -F 0 "$work/$name.c" < "$1" > "$work/why" 2>&1 && [ ! -s "$work/why" ] && [ ! -e "$work/$name.c.orig" ] &&
        ! cmp -s "$stem.c" "$work/$name.c" || return 1
    before=$(awk '/\/\* TODO:/ { print NR - 1 }' "$stem.c")
    for file in stub "$name"; do
        { head -n "$before" "$work/$file.c"; sed -n '/^ *\/\* END \*\/$/,$p' "$work/$file.c"; } > "$work/$file.outside"
    done
    diff "$work/stub.outside" "$work/$name.outside" > "$work/why"
}

three_hints()
{
    awk '/^--$/ { hints += !!size; size = 0; next } { size += length($0) } END { exit !(hints + !!size == 3) }' "$stem.hint" &&
        [ "$(grep -c '^--$' "$stem.hint")" = 2 ]
}

# The task and the three hints.
in_french()
{
    head -n 1 "$stem.fr" | grep -q "^$(echo "$id" | sed 's/^0//')  " && [ "$(grep -c '^--$' "$stem.fr")" = 3 ] &&
        awk '/^--$/ { parts += !!size; size = 0; next } { size += length($0) } END { exit !(parts + !!size == 4) }' "$stem.fr"
}

# Which compiler a name stands for.
version_of()
{
    "$1" --version 2>&1 | sed '1s/^[^ ]* //'
}

# solution FILE: right in every way it can be run. With gcc, too, where cc is another.
solution()
{
    checked 0 "$1"
    verdict "$id is solved${2:-}" "the check refuses the solution"
    gcc=CC=gcc
    [ "$(version_of "${CC:-cc}")" != "$(version_of gcc)" ] || gcc=
    for way in $gcc FACE=criterion; do
        checked 0 "$1" "$way"
        verdict "$id is solved, $way" "the check refuses the solution"
    done
    grep -q async_test.h "$stem"_check.c || ! grep -q 'async\.h' "$stem.c" "$stem"_check.c && return
    for backend in poll epoll kqueue; do
        case $(uname -s)$backend in Linuxkqueue | Darwinepoll | *BSDepoll) continue ;; esac
        checked 0 "$1" ASYNC_BACKEND=$backend
        verdict "$id is solved, $backend" "the check refuses the solution"
    done
}

# An exercise, with all its files.
one()
{
    id=$1
    name=ex${id#*.}
    stem=$(echo docs/course/"${id%.*}"-*)/$name
    work=$(mktemp -d $B/XXXXXX)
    trap 'rm -rf "$work"' EXIT
    : > "$work/why"
    has_region "$stem.c"
    verdict "$id has one TODO region" "it must begin with /* TODO: and end with a line /* END */"
    head -n 1 "$stem.c" | grep -q "^/\* $(echo "$id" | sed 's/^0//')  "
    verdict "$id says what it is" "the first line must begin with its number and two blanks"
    three_hints
    verdict "$id has three hints" "$stem.hint"
    in_french 2> "$work/why"
    verdict "$id is there in French" "$stem.fr: the task, which begins with the number, and three hints"
    if grep -q 'solved:' "$stem"_check.c; then
        solution "$stem.c" ' as it is'
        return
    fi
    fails_well
    verdict "$id as it is fails with its sentence" "status $status, or other words"
    patched "$stem.patch"
    verdict "$id.patch changes the region only" "it does not apply as it is, or changes something else"
    solution "$work/$name.c"
    for wrong in "$stem"_wrong*.patch; do
        which=$(basename "$wrong" .patch | sed "s/^${name}_//; s/_/ /g; s/\*//") # the star, where there is none
        patched "$wrong"
        verdict "$id's $which patch changes the region only" "it does not apply as it is, or changes something else"
        checked 1 "$work/$name.c" && grep -qF -- "$(sed -n 's/^Says: //p' "$wrong")" "$work/why"
        verdict "$id $which is refused" "status $status, or other words"
    done
}

# What both pages must have in common, in order.
common()
{
    awk '
        /^```/ { if (fence) { fence = 0; next } fence = 1; kind = $0; print; next }
        fence && kind ~ /^```console/ { sub(/  +# .*/, "") } # a comment is in the language of its page
        fence && kind ~ /^```c/ { print; next }
        fence { next }
        match($0, /^#+ /) { print "heading " RLENGTH - 1 }
        /^<!-- / { print }
        { line = $0
          while (match(line, /\]\([^)]*\.svg\)|ex[0-9]\.c|EX=[0-9.]*|\.\/[a-z_]*\.c/)) {
              print substr(line, RSTART, RLENGTH)
              line = substr(line, RSTART + RLENGTH) } }' "$1" | sed 's/README\.fr\.md/README.md/g'
}

# Files that neither the list of an exercise, nor a page, nor another file there names.
unknown()
{
    for file in "$folder"/*; do
        base=${file##*/}
        case $base in
        README.md | README.fr.md | *.svg | *.tsv) continue ;;
        ex[0-9].c | ex[0-9]_check.c | ex[0-9].hint | ex[0-9].fr | ex[0-9].patch | ex[0-9]_wrong*.patch)
            [ -f "$folder/${base%%[._]*}_check.c" ] && continue ;;
        esac
        grep -qF -- "$base" "$folder"/README.md "$folder"/ex*.c 2>&1 || echo "$file"
    done
}

lesson()
{
    folder=$1
    id=${folder##*/}
    work=$(mktemp -d $B/XXXXXX)
    trap 'rm -rf "$work"' EXIT
    unknown > "$work/why"
    [ ! -s "$work/why" ]
    verdict "$id has no other files" "nothing names them"
    [ -s "$folder/README.md" ] && [ -s "$folder/README.fr.md" ]
    verdict "$id has both pages" "README.md and README.fr.md"
    [ -s "$folder/README.md" ] && [ -s "$folder/README.fr.md" ] || return
    common "$folder/README.md" > "$work/en"
    common "$folder/README.fr.md" > "$work/fr"
    diff "$work/en" "$work/fr" > "$work/why"
    verdict "$id says the same in both" "headings, figures, exercises, code"
    grep -o 'EX=[0-9]*\.[0-9]*' "$folder/README.md" | sort -u > "$work/en"
    ls "$folder" | sed -n "s/^ex\([0-9]\)_check.c/EX=${id%%-*}.\1/p" > "$work/fr"
    diff "$work/en" "$work/fr" > "$work/why"
    verdict "$id names its exercises" "make learn EX=..., for each"
}

case ${1:-} in
--one)
    case $2 in *-*) lesson "docs/course/$2" ;; *) one "$2" ;; esac
    exit ;;
esac
if [ $# = 0 ]; then
    # shellcheck disable=SC2046
    set -- $(ls -d docs/course/[0-9][0-9]-*/ | xargs -n 1 basename) \
        $(ls docs/course/[0-9][0-9]-*/ex[0-9]_check.c | sed 's|.*/\([0-9][0-9]\)-[^/]*/ex\([0-9]\)_check.c|\1.\2|')
fi
rm -rf $B && mkdir -p $B
printf '%s\n' "$@" | xargs -I @ -P "$(getconf _NPROCESSORS_ONLN)" sh -c "$self --one @ > $B/@.txt 2>&1"
for one in "$@"; do cat "$B/$one.txt"; done | tee $B/verdicts
passed=$(grep -c '^ok ' $B/verdicts)
failed=$(grep -c '^FAIL ' $B/verdicts)
grep -v '^ok \|^FAIL \|^    ' $B/verdicts && failed=$((failed + 1)) # something went wrong with the checks themselves
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
