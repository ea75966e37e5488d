#!/bin/sh
# Checks one exercise:
#     docs/course/check.sh 06.2 [FILE]      FILE instead of the lesson's own ex2.c
# Prints nothing but a line if it is right; else the sentence of the first check that fails, and what was expected beside
# what was got. Status: 0 right, 1 wrong, 2 it does not compile. All that it printed is in build/learn/06.2.txt.
#
# In the check's first lines a comment may say "tsan:" (ThreadSanitizer, instead of Address- and UBSan) or
# "refuse: WORDS" (the exercise must not compile, and the compiler must say that alone). With that, "on 2 lines with: WORD"
# may say which lines of the exercise must be meant: so many that have WORD in them, once.
# FACE=criterion: with Criterion, without sanitizers. CC; LEARN_DEADLINE=10, seconds for each check.
set -u
here=$(pwd -P)
cd "$(dirname "$0")/../.." || exit 2
cc=${CC:-cc}
face=${FACE:-plain}
[ $# -gt 0 ] || { sed -n '3s/^# *//p' "$0"; exit 2; }
lesson=$(printf '%02d' "$(echo "${1%%.*}" | sed 's/^0*\(.\)/\1/')") || exit 2
number=${1##*.}
set -- "$lesson.$number" "${2:-}"
folder=$(echo docs/course/"$lesson"-*)
name=ex$number
check=$folder/${name}_check.c
[ -f "$check" ] || { echo "there is no exercise $1"; exit 2; }
output=build/learn/$1.txt
mkdir -p build/learn
export LEARN_DEADLINE="${LEARN_DEADLINE:-10}"
export ASYNC_WATCHDOG="$LEARN_DEADLINE"

# Another file in the exercise's place: beside a copy of the check.
if [ -n "$2" ]; then
    case $2 in /*) file=$2 ;; *) file=$here/$2 ;; esac
    at=$(mktemp -d build/learn/other.XXXXXX) || exit 2
    trap 'rm -rf "$at"' EXIT
    trap 'exit 130' INT TERM HUP
    cp "$check" "$at/" && cp "$file" "$at/$name.c" || exit 2
    check=$at/${name}_check.c
    output=$at/output
else
    at=build/learn
fi
program=$at/$name.$lesson.$face

mode=$(sed -n 's/.*\(tsan\):.*/\1/p' "$check" | head -n 1)
refuse=$(sed -n 's/.*refuse: *\(.*[^ ]\) *\*\/.*/\1/p' "$check" | head -n 1)
least=$(sed -n 's/^\/\* on \([0-9]*\) lines* with: .*/\1/p' "$check" | head -n 1)
culprit=$(sed -n 's/^\/\* on [0-9]* lines* with: *\(.*[^ ]\) *\*\/.*/\1/p' "$check" | head -n 1)
case $face${mode:-asan} in
plainasan) tools='-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer' ;;
plaintsan) tools=-fsanitize=thread ;;
*) tools= ;;
esac

# The sanitizers, where the compiler has them and the system runs them: asked once.
asked=build/learn/$(echo "has-$cc-$face-${mode:-asan}" | tr / _)
if [ ! -f "$asked" ]; then
    echo 'int main(void) { return 0; }' > "$asked.$$.c"
    # shellcheck disable=SC2086
    if $cc $tools "$asked.$$.c" -o "$asked.$$" > "$asked.log" 2>&1 && "$asked.$$" >> "$asked.log" 2>&1; then
        echo "$tools" > "$asked.$$.c"
    else
        echo > "$asked.$$.c"
    fi
    mv "$asked.$$.c" "$asked"
    rm -f "$asked.$$"
fi
[ "$tools" = "$(cat "$asked")" ] || echo "  ($cc has not $tools: less is noticed; see $asked.log)"
tools=$(cat "$asked")
flags="-O0 -g -I. -Itests/kit -Itests/kqueue -Idocs/course -I$folder -DLEARN -Wall -Wextra -pthread"
libraries=
if [ "$face" = plain ]; then
    flags="$flags -DASYNC_TEST_PLAIN"
else
    libraries=$(pkg-config --cflags --libs criterion) || exit 2
fi

# The kit's objects, compiled once for each kind.
kit()
{
    objects=build/learn/$(echo "kit-$cc-$face-${mode:-asan}" | tr / _)
    mkdir -p "$objects"
    set -- tests/kit/async_sim.c tests/kit/async_test.c
    [ "$face" = plain ] || set -- "$@" tests/kit/async_verdict.c
    [ "$(uname -s)" != Linux ] || set -- "$@" tests/kqueue/kqueue.c
    for source in "$@"; do
        object=$objects/$(basename "$source" .c).o
        [ ! -f "$object" ] || [ -n "$(find async.h tests/kit tests/kqueue -newer "$object" -name '*.[ch]')" ] || continue
        # shellcheck disable=SC2086
        $cc $flags $tools -c "$source" -o "$object.$$" && mv "$object.$$" "$object" || exit 2
    done
}

# The compiler's first words about the exercise, without the way to them; where a macro is to blame, its line first.
shorten()
{
    awk -v name="$name.c" '
        /^In file included|^ +from |^cc1|compilation terminated|errors? generated/ { next }
        { at = index($0, name ":"); if (at && match($0, /^[^ ]*:/)) $0 = substr($0, at) }
        / error: | fatal error: / { if (++errors > 2) exit }
        errors && ++lines <= 12 { text[lines] = $0 }
        errors && index($0, name ":") == 1 && !place { place = $0; sub(/: .*/, "", place) }
        END {
            if (place && index(text[1], name) != 1) print "      " place ":"
            for (i = 1; i <= lines && i <= 12; i++) print "      " substr(text[i], 1, 110)
        }' "$output"
}

compile()
{
    # shellcheck disable=SC2086
    LC_ALL=C $cc $flags $tools -fmax-errors=3 -fdiagnostics-color=never "$check" \
        $objects -o "$program" $libraries > "$output" 2>&1
}

# With those words, of how many lines of the exercise does the compiler speak that have this in them, once?
blamed()
{
    lines=$(LC_ALL=C awk -v words="$refuse" -v name="$name.c" '
        / error: / { inside = index($0, words) }
        inside && match($0, name ":[0-9]+:") {
            print substr($0, RSTART + length(name) + 1, RLENGTH - length(name) - 2) }' "$output")
    for line in $(echo "$lines" | sort -u); do
        [ "$(sed -n "${line}p" "${check%_check.c}.c" | grep -oF -- "$1" | grep -c .)" != 1 ] || echo "$line"
    done | grep -c .
}

refused()
{
    if compile; then
        echo "  x This must not compile, and it does. The compiler is to say: $refuse"
        exit 1
    fi
    if ! grep -q -- "$refuse" "$output"; then
        echo "  x It does not compile, but not for the reason that was asked for: $refuse"
    elif [ -n "$culprit" ] && [ "$(blamed "$culprit")" -lt "$least" ]; then
        echo "  x The compiler says \"$refuse\", but about $(blamed "$culprit") of $least lines that it should:" \
            "each has a single \"$culprit\" on it."
    elif grep ' error: ' "$output" | grep -v -e "$refuse" -e 'too many errors' > "$output.others"; then
        echo "  x The compiler says \"$refuse\", but finds something else wrong, too:"
        mv "$output.others" "$output"
    else
        rm "$output.others"
        echo "  ok: the compiler says \"$refuse\""
        exit 0
    fi
    shorten
    exit 1
}

# What went wrong first: a sentence, then why; the compiler's warnings; what the program itself has printed.
explain()
{
    LC_ALL=C awk -v name="$name.c" '
        function place(text) { return match(text, name ":[0-9]+") ? ", at " substr(text, RSTART, RLENGTH) : "" }
        function show(text) { if (lines++ < 24) print "      " substr(text, 1, 110) }
        /^  x / && !said { said = 1; print; next }
        /^      expected  / && !table { table = 1; inside = 1 }
        inside && / \| / { rows[++row] = substr($0, 1, 118); next }
        /^\[FAIL\]/ && !why { inside = 0; why = $0; sub(/^\[FAIL\] /, "", why); sub(/^[a-z0-9_]*::[a-z0-9_]*:?  /, "", why); next }
        /ERROR: [A-Z][a-zA-Z]*Sanitizer|WARNING: ThreadSanitizer/ && !fault { fault = $0; sub(/^.*(ERROR|WARNING): /, "", fault)
            sub(/ (on|of size|in) .*0x.*| \(pid=.*/, "", fault); next }
        /runtime error: / && !fault { fault = $0; sub(/^.*runtime error: /, "", fault); at = place($0) }
        fault && !at { at = place($0) }
        END {
            sub(/^stuck$/, "It did not end within " seconds " seconds. (On a busy machine: LEARN_DEADLINE=60)", why)
            sub(/^livelock: /, "It goes round in circles and never waits: ", why)
            if (!said) print "  x " (size >= 65536 ? "It prints without an end: see " output : fault ~ /^LeakSanitizer/ ? "It leaves memory behind." : fault ? "It crashes." : \
                why ? why : "Its process has ended before the check.")
            for (i = 1; i <= row; i++) print rows[i]
            if (fault) show(fault at)
            else if (why && !row && said) show(why)
        }' seconds="$LEARN_DEADLINE" size="$(wc -c < "$output")" output="$output" "$output"
}

objects=
if grep -q async_test.h "$check"; then
    kit
    objects="$objects/*.o"
elif [ "$face" != plain ]; then
    kit
    objects=$objects/async_verdict.o
fi
[ -z "$refuse" ] || refused
if ! compile; then
    echo "  x It does not compile."
    shorten
    exit 2
fi
sed -n "s/^.*\($name.c:.*warning: .*\)/      \1/p" "$output" | head -n 3 > "$output.warnings"

stop=--stop
[ "$face" = plain ] || stop='-j1 --fail-fast'
export ASAN_OPTIONS="detect_stack_use_after_return=1:${ASAN_OPTIONS:-}" TSAN_OPTIONS="halt_on_error=1:${TSAN_OPTIONS:-}"
# shellcheck disable=SC2086
status=$({ { "$program" $stop 2>&1 < /dev/null 3>&-; echo $? >&3; } | head -c 65536 > "$output"; } 3>&1)
if [ "$status" = 0 ]; then
    passed=$(sed -n 's/^\([0-9]*\) passed.*/\1/p; s/.*Passing: [^0-9]*\([0-9]*\).*/\1/p' "$output" | tail -n 1)
    [ "$passed" = 1 ] && echo "  ok: its check passed" || echo "  ok: its $passed checks passed"
else
    explain
fi
cat "$output.warnings"
rm -f "$output.warnings"
[ "$status" = 0 ]
