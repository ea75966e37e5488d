#!/bin/sh
# What must not compile does not, what must be warned of is, what must stop at run time stops: each
# with the words that were promised, and the same program put right passes in silence.
#
#     tests/compile/refuse.sh [name...]     from the repository's top; output is below build/refuse
#
# Each source in refuse/ begins with its demands, one per line:
#
#     /* compilers | flags: verb: words (an extended regular expression) */
#
#     refuse   does not compile, and says so with these words
#     warn     compiles, with these words as a warning under -Wall and no other flag than these
#     panic    compiles, and the program aborts with these words on stderr (in one line)
#
# INCLUDE is the folder of async.h, the repository's top by default.
#
# The control is the same file with -DCONTROL: under the same flags it must compile without a word
# (-Wall -Wextra besides) and, where the other panics, run and end with 0.
#
# The guide has a table of such words for gcc and for clang. Each row has a link to its source here,
# and each of the words in backquotes must have been said of it.
set -u
LC_ALL=C # the words of compilers depend on it
export LC_ALL
. tests/report.sh

out=build/refuse
INCLUDE=${INCLUDE:-.}
report_begin "$out"
REPORT_LINES=6

# demands file: its lines, as compilers, flags, verb and words with a tab between them
demands() {
    awk '/^\/\* .*: (refuse|warn|panic): .* \*\/$/ {
             sub(/^\/\* /, ""); sub(/ *\*\/$/, "")
             match($0, /: (refuse|warn|panic): /)
             who = substr($0, 1, RSTART - 1)
             verb = substr($0, RSTART + 2, RLENGTH - 4)
             words = substr($0, RSTART + RLENGTH)
             flags = who
             if (!sub(/^[^|]*\| */, "", flags)) flags = "-O0"
             sub(/ *\|.*/, "", who)
             print who "\t" flags "\t" verb "\t" words
         }' "$1"
}

# compile compiler flags file program more-flags
compile() {
    compile_language=
    case $1 in *++) compile_language='-x c++ -std=c++20 -Wno-missing-field-initializers' ;; esac
    # AddressSanitizer's leak check is no business of a program that aborts
    # shellcheck disable=SC2086
    "$1" -Wall $compile_language $5 $2 "-I$INCLUDE" "$3" -o "$4" > "$4.txt" 2>&1
}

# one source compiler flags verb words
one() {
    name="$(basename "$1" .c): $2 $3"
    program=$out/$(basename "$1" .c)-$2
    compile "$2" "$3" "$1" "$program" ''
    status=$?
    case $4 in
    refuse) refused "$5" ;;
    warn) warned "$5" ;;
    panic) panicked "$5" ;;
    esac
    cat "$program.txt" >> "$program.said"
    control "$@"
}

refused() {
    if [ $status -ne 0 ] && grep -Eq -e "$1" "$program.txt"; then
        ok "$name is refused"
    else
        fail "$name: status $status, must be refused with /$1/" "$program.txt"
    fi
}

warned() {
    if [ $status -eq 0 ] && grep -E 'warning:' "$program.txt" | grep -Eq -e "$1"; then
        ok "$name is warned of"
    else
        fail "$name: status $status, must be warned of with /$1/" "$program.txt"
    fi
}

# run program output: its status; 134 is SIGABRT
run() {
    (ASAN_OPTIONS=detect_stack_use_after_return=1:detect_leaks=0 timeout 60 "$1") > "$2" 2>&1
}

panicked() {
    if [ $status -ne 0 ]; then
        fail "$name: must compile" "$program.txt"
        return
    fi
    run "$program" "$program.txt" 2> "$out/shell.txt"
    status=$?
    if [ $status -eq 134 ] && tr '\n' ' ' < "$program.txt" | grep -Eq -e "$1"; then
        ok "$name panics"
    else
        fail "$name: status $status, must panic with /$1/" "$program.txt"
    fi
}

control() {
    control_flags='-DCONTROL -Wextra'
    [ "$2" = tcc ] && control_flags=-DCONTROL
    compile "$2" "$3" "$1" "$program" "$control_flags"
    status=$?
    if [ $status -ne 0 ] || [ -s "$program.txt" ]; then
        fail "$name: its control must compile without a word" "$program.txt"
    elif [ "$4" = panic ] && ! run "$program" "$program.txt"; then
        fail "$name: its control must end with 0" "$program.txt"
    else
        ok "$name, control"
    fi
}

# guide_rows: of each row of the guide's table its source, and what gcc and clang say, with a tab
# between them
guide_rows() {
    awk -F ' *[|] *' '/^## / { on = /^## What the compiler says/ }
         on && /^\| .*`/ {
             source = $0
             if (!sub(/^.*compile\/refuse\//, "", source)) source = "?"
             sub(/\.c\).*/, "", source)
             print source "\t" $2 "\t" ($3 == "the same" ? $2 : $3)
         }' docs/guide.md
}

# guide_words name column: the words between backquotes
guide_words() {
    guide_rows | awk -F '\t' -v name="$1" -v column="$2" '$1 == name {
        while (match($column, /`[^`]+`/)) {
            print substr($column, RSTART + 1, RLENGTH - 2)
            $column = substr($column, RSTART + RLENGTH)
        }
    }'
}

# guide_said name compiler column: what the guide has the compiler say, it has said
guide_said() {
    [ -f "$out/$1-$2.said" ] || return
    guide_words "$1" "$3" > "$out/$1-$2.words"
    while IFS= read -r words; do
        if grep -Fq -e "$words" "$out/$1-$2.said"; then
            ok "$1: $2 says \"$words\", as in the guide"
        else
            fail "$1: $2 does not say \"$words\", which the guide has" "$out/$1-$2.said"
        fi
    done < "$out/$1-$2.words"
}

# Every row has its source, and words for both compilers.
guide_is_whole() {
    report_part guide
    guide_rows > "$out/guide.rows"
    [ -s "$out/guide.rows" ] || fail "the guide's table has no rows"
    while IFS='	' read -r name gcc clang; do
        case "$gcc	$clang" in
        *\`*'	'*\`*) ;;
        *) fail "$name: words of a compiler are missing in the guide: $gcc, $clang" ;;
        esac
        [ -f "tests/compile/refuse/$name.c" ] || fail "the guide's row has no source here: $gcc"
    done < "$out/guide.rows"
}

# usable compiler flags: are compiler and libraries there? What is not is said once.
usable() {
    have "$1" "$1" || return
    case $2 in
    *-fsanitize* | *-m32* | *-flto*)
        echo 'int main(void) { return 0; }' > "$out/empty.c"
        # shellcheck disable=SC2086
        "$1" $2 "$out/empty.c" -o "$out/empty" > /dev/null 2>&1 && "$out/empty" && return
        left_out "$1 $2: no such library"
        return 1 ;;
    esac
}

source_file() {
    report_part "$(basename "$1" .c)"
    rm -f "$out/$(basename "$1" .c)"-*.said
    demands "$1" > "$out/$(basename "$1" .c).demands"
    [ -s "$out/$(basename "$1" .c).demands" ] || fail "$1 demands nothing"
    while IFS='	' read -r compilers flags verb words; do
        for compiler in $compilers; do
            usable "$compiler" "$flags" && one "$1" "$compiler" "$flags" "$verb" "$words"
        done
    done < "$out/$(basename "$1" .c).demands"
    guide_said "$(basename "$1" .c)" gcc 2
    guide_said "$(basename "$1" .c)" clang 3
}

# Two halves side by side.
half() {
    half_turn=0
    for source in tests/compile/refuse/*.c; do
        half_turn=$((1 - half_turn))
        [ $half_turn -eq "$1" ] && (source_file "$source")
    done
}

(guide_is_whole)
if [ $# -gt 0 ]; then
    for name in "$@"; do
        source_file "tests/compile/refuse/$name.c"
    done
else
    half 0 &
    half 1 &
    wait
fi
report_end
