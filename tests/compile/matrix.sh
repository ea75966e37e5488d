#!/bin/sh
# The header compiles without a word in every dialect, wherever it stands in a file, and leaves
# nothing behind in files that do not use it.
#
#     tests/compile/matrix.sh        from the repository's top; all output is below build/matrix
#
# INCLUDE is the folder of async.h, the repository's top by default.
# Compilers that are not installed are left out, and a line says so.
set -u
LC_ALL=C # the words of compilers depend on it
export LC_ALL
. tests/report.sh

out=build/matrix
INCLUDE=${INCLUDE:-.}
report_begin "$out"
here=tests/compile
warnings='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror'
words='async.h: the C library hides what it needs: include async.h before any system header, '
words="${words}or compile with -D_GNU_SOURCE or -std=gnu11"

# What -Weverything says beyond reason, each with the reason:
#   declaration-after-statement, c++98-compat..., c++-compat: this is C99 and later
#   padded                 the order of fields is chosen by hand, and sizes are measured
#   disabled-macro-expansion  the C library's own macros, and the frame's name as function and tag
#   reserved-..., missing-... names in the C library's headers and the test's own functions
#   covered-switch-default a default in a switch over an enum is there for what is not in it
#   switch-enum            the same from the other side
#   unsafe-buffer-usage    every pointer arithmetic in C
#   cast-align             a stream of bytes, aligned by construction; x86 alone would warn
#   bad-function-cast      a macro that casts the result of a call to what the caller asked for
#   used-but-marked-unused a coroutine that nobody starts must not be warned of, one that is is marked too
#   unused-macros          a header's macros are the user's
everything='-Weverything -Wno-declaration-after-statement -Wno-padded
    -Wno-disabled-macro-expansion -Wno-reserved-id-macro -Wno-reserved-identifier
    -Wno-missing-prototypes -Wno-missing-variable-declarations -Wno-covered-switch-default
    -Wno-switch-enum -Wno-bad-function-cast -Wno-unused-macros -Wno-unknown-warning-option
    -Wno-unsafe-buffer-usage -Wno-c++98-compat -Wno-c++-compat -Wno-pre-c11-compat
    -Wno-switch-default -Wno-used-but-marked-unused'

# The program of the header's opening comment, as it stands there.
opening() {
    awk '/^ \*     #include "async.h"/ { on = 1 }
         on { print substr($0, 8) }
         on && /int main/ { exit }' async.h > "$out/opening.c"
    report_silent "ping_pong.c is the program of the header's opening comment" \
        diff "$out/opening.c" "$here/ping_pong.c"
}

# Every function that the API section declares, and the macros that are described there.
api_names() {
    awk '/>>api  / { on++ } />>coroutines  / && on > 1 { exit }
         on > 1 && /^(ASYNC__MUST_AWAIT )?static inline/ {
             sub(/\(.*/, ""); sub(/.*[ *]/, ""); print
         }
         on > 1 && /^ \* async_[a-z]* async_[a-z]*\(/ { sub(/\(.*/, ""); print $3 }' async.h
}

whole_api() {
    api_names > "$out/names"
    while read -r name; do
        grep -q "$name(" "$here/use_all.c" || echo "$name"
    done < "$out/names" > "$out/missing"
    if [ -s "$out/missing" ] || [ "$(wc -l < "$out/names")" -lt 40 ]; then
        fail "use_all.c uses all functions; not these:" "$out/missing"
    else
        ok "use_all.c uses all $(wc -l < "$out/names" | tr -d ' ') functions"
    fi
}

# ---- dialects ----

flags_of() {
    case $1 in
    tcc) echo '-Wall -Werror' ;; # it knows no others
    *) echo "$warnings" ;;
    esac
}

dialect() {
    for level in -O0 -O2; do
        for source in only twice ping_pong use_all callbacks two_a two_b no_short; do
            # shellcheck disable=SC2046
            report_silent "$1 -std=$2 $level $source.c" \
                "$1" "-std=$2" $level $(flags_of "$1") "-I$INCLUDE" -c "$here/$source.c" \
                -o "$out/$1-$2$level-$source.o"
        done
        case $1/$2 in
        tcc/*) break ;; # it does not optimise
        */c99 | */gnu2x) ;;
        *) break ;; # what optimises does not see the dialect: the oldest and the newest are enough
        esac
    done
    for source in use_all callbacks no_short; do
        run_one "$1 -std=$2" $source "$1" "$out/$1-$2-O0-$source.o"
    done
}

# run_all name command...: build and run the programs
run_all() {
    run_all_name=$1
    shift
    for source in use_all callbacks no_short; do
        run_one "$run_all_name" $source "$@" "$here/$source.c"
    done
}

# run_one name source command...
run_one() {
    run_name="$1 runs $2"
    run_program=$out/$(echo "$1" | tr ' /=' '---')-$2
    shift 2
    if "$@" -o "$run_program" 2> "$run_program.txt"; then
        report_silent "$run_name" limited "$run_program"
    else
        fail "$run_name: does not build" "$run_program.txt"
    fi
}

# In a folder of its own: use_all makes a socket in the current one.
limited() {
    limited_program=$PWD/$1
    mkdir -p "$1.d"
    (cd "$1.d" && timeout 10 "$limited_program")
}

dialects() {
    have 'dialects' "$1" || return
    for dialect in c99 c11 c17 c2x gnu99 gnu11 gnu17 gnu2x; do
        dialect "$1" "$dialect"
    done
}

all_warnings() {
    have '-Weverything' clang || return
    for dialect in c99 gnu2x; do
        for source in only ping_pong use_all callbacks; do
            # shellcheck disable=SC2086
            report_silent "clang -Weverything -std=$dialect $source.c" \
                clang -std=$dialect $everything -Werror "-I$INCLUDE" -c "$here/$source.c" -o "$out/w.o"
        done
    done
}

# ---- where it stands in a file ----

# order_file before macro when
order_file() {
    [ "$3" = early ] && echo "$2"
    [ "$1" != first ] && echo "#include <$1>"
    [ "$3" = late ] && echo "$2"
    echo '#include "async.h"'
    [ "$1" = first ] && echo '#include <stdio.h>'
    sed 1d "$here/ping_pong.c"
}

# Must it build? tcc's headers hide nothing; gnu dialects and _GNU_SOURCE show all.
order_builds() {
    case $1/$2/$3/$4 in
    tcc/* | */gnu*/* | */first/*) return 0 ;;
    *'/#define _GNU_SOURCE/early') return 0 ;;
    */_POSIX_C_SOURCE*) return 1 ;;
    esac
    return 1
}

# order compiler dialect before macro when: builds in silence, or stops with those words. What comes
# before the header decides what is declared: code is made of it where nothing does.
order() {
    order_only=-fsyntax-only
    case $1/$3 in */first | tcc/*) order_only= ;; esac
    order_name="$1 -std=$2 after $3, ${4:-no macro} ${5:-}"
    order_file "$3" "$4" "$5" > "$out/order-$1.c"
    # shellcheck disable=SC2046
    "$1" "-std=$2" $(flags_of "$1") "-I$INCLUDE" $order_only -c "$out/order-$1.c" -o "$out/order-$1.o" \
        > "$out/order-$1.txt" 2>&1
    order_status=$?
    if [ $order_status -eq 0 ] && [ ! -s "$out/order-$1.txt" ]; then
        order_result=builds
    elif [ $order_status -ne 0 ] && grep -qF "$words" "$out/order-$1.txt"; then
        order_result=words
    else
        order_result=broken
    fi
    order_judge "$@"
}

order_judge() {
    case $order_result in
    broken) fail "$order_name: neither builds nor says why" "$out/order-$1.txt" ;;
    builds) ok "$order_name: builds" ;;
    words)
        if order_builds "$1" "$2" "$3" "$4/$5"; then
            fail "$order_name: must build" "$out/order-$1.txt"
        else
            ok "$order_name: says why not"
        fi ;;
    esac
}

orders() {
    have 'order of includes' "$1" || return
    for dialect in c99 c11 c17 c2x gnu99 gnu11 gnu17 gnu2x; do
        for before in first stdio.h time.h signal.h fcntl.h sys/socket.h; do
            order "$1" $dialect $before '' ''
            for macro in '#define _GNU_SOURCE' '#define _POSIX_C_SOURCE 200809L'; do
                order "$1" $dialect $before "$macro" early
                order "$1" $dialect $before "$macro" late
            done
        done
    done
}

# A strict dialect with an earlier header must have been refused at least once, else the check
# of the words has never looked at any.
orders_refuse() {
    if grep -q 'says why not' "$out/log/$1" 2> /dev/null; then
        ok "$1: the words of the #error were seen"
    else
        fail "$1: the #error was never seen"
    fi
}

# ---- programs of several files, other languages, other machines ----

two_files() {
    have 'two files' "$1" || return
    report_silent "$1: two files link" \
        "$1" "-I$INCLUDE" "$here/two_a.c" "$here/two_b.c" -o "$out/two-$1" &&
        report_silent "$1: two files see one loop" limited "$out/two-$1"
}

two_compilers() {
    have 'two compilers' gcc && have 'two compilers' clang || return
    gcc "-I$INCLUDE" -c "$here/two_a.c" -o "$out/two-a.o"
    clang "-I$INCLUDE" -O2 -c "$here/two_b.c" -o "$out/two-b.o"
    report_silent 'gcc and clang: two files link' \
        gcc "$out/two-a.o" "$out/two-b.o" -o "$out/two-mixed" &&
        report_silent 'gcc and clang: two files see one loop' limited "$out/two-mixed"
}

# g++ takes a function that has the name of a struct for a shadowed constructor, and -Wextra wants
# every field initialised: a coroutine is called with the arguments it needs.
cplusplus() {
    have C++ "$1" || return
    for dialect in c++11 c++17 c++20 gnu++20; do
        report_silent "$1 -std=$dialect callbacks.c" "$1" -x c++ -std=$dialect -Wall -Wextra \
            -Wpedantic -Werror "-I$INCLUDE" "$here/callbacks.c" -o "$out/callbacks-$1" &&
            report_silent "$1 -std=$dialect callbacks runs" limited "$out/callbacks-$1"
    done
    for dialect in c++20 gnu++20; do
        report_silent "$1 -std=$dialect use_all.c" "$1" -x c++ -std=$dialect -Wall -Wextra \
            -Wno-missing-field-initializers -Wpedantic -Werror "-I$INCLUDE" "$here/use_all.c" \
            -o "$out/use_all-$1" &&
            report_silent "$1 -std=$dialect use_all runs" limited "$out/use_all-$1"
    done
    report_silent "$1 -std=c++20 two files link" "$1" -x c++ -std=c++20 -DASYNC_SHORT_NAMES "-I$INCLUDE" \
        "$here/two_a.c" "$here/two_b.c" -o "$out/two-$1" &&
        report_silent "$1 -std=c++20 two files see one loop" limited "$out/two-$1"
}

other_libraries() {
    have 'static with musl' musl-gcc &&
        run_all 'musl-gcc -static' musl-gcc -static -O2 -Wall -Wextra -Werror "-I$INCLUDE"
    echo 'int main(void) { return 0; }' > "$out/empty.c"
    if gcc -m32 "$out/empty.c" -o "$out/empty" 2> /dev/null; then
        run_all 'gcc -m32' gcc -m32 -O2 -Wall -Wextra -Werror "-I$INCLUDE"
        report_silent 'gcc -m32 with all warnings' \
            gcc -m32 -O2 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror "-I$INCLUDE" \
            -c "$here/use_all.c" -o "$out/m32.o"
    else
        left_out 'gcc -m32: no 32-bit libraries'
    fi
}

# ---- what is left behind ----

# symbols compiler: a file that only includes the header has async__current and async__this_process,
# both weak; no other data and no code
symbols() {
    have nm "$1" || return
    # shellcheck disable=SC2046
    "$1" -O0 $(flags_of "$1") "-I$INCLUDE" -c "$here/only.c" -o "$out/only-$1.o"
    # C: tcc makes it a common symbol, as weak as any; U: referred to, not there
    nm "$out/only-$1.o" | awk '{ print $(NF - 1), $NF }' > "$out/only-$1.txt"
    weak=$(grep -c '^[VWC] ' "$out/only-$1.txt")
    if grep -q '^[VWC] async__current$' "$out/only-$1.txt" && [ "$weak" -eq 2 ] &&
        ! grep -q -v '^[VWC] async__' "$out/only-$1.txt"; then
        ok "$1 -O0: a file that only includes the header has $weak weak symbol(s)"
    else
        fail "$1 -O0: a file that only includes the header has more in it" "$out/only-$1.txt"
    fi
    nothing_allocated "$1"
}

# Nor are there sections with bytes in them that no symbol names: the record for signals has 40.
nothing_allocated() {
    [ "$1" = tcc ] && return # it makes its sections in any case
    left=$(size -A "$out/only-$1.o" | awk '$1 ~ /^\.(text|data|rodata|bss)/ { n += $2 }
                                           END { print n + 0 }')
    if [ "$left" -le 40 ]; then
        ok "$1 -O0: and not a byte of other code or data"
    else
        fail "$1 -O0: $left bytes of code or data in a file that only includes the header"
    fi
}

# The ping-pong needs no library and nothing that comes with one.
small() {
    have 'size of the ping-pong' "$1" || return
    "$1" -O2 "-I$INCLUDE" "$here/ping_pong.c" -o "$out/pong-$1" 2> "$out/pong-$1.txt" ||
        { fail "$1: the ping-pong links without a library" "$out/pong-$1.txt"; return; }
    nm "$out/pong-$1" | grep -E 'pthread|getaddrinfo|dlopen|thrd_' > "$out/pong-$1.txt"
    if [ -s "$out/pong-$1.txt" ]; then
        fail "$1: the ping-pong uses what it must not" "$out/pong-$1.txt"
    else
        ok "$1: the ping-pong links without a library, threads and the resolver"
    fi
    strip "$out/pong-$1"
    # as size(1) counts by default: code, read-only data and the tables of the dynamic linker
    text=$(size "$out/pong-$1" | awk 'NR == 2 { print $1 }')
    code=$(size -A "$out/pong-$1" | awk '$1 == ".text" { print $2 }')
    if [ "$text" -le "$2" ]; then
        ok "$1 -O2: the text of the ping-pong is $text bytes, at most $2 ($code are code)"
    else
        fail "$1 -O2: the text of the ping-pong is $text bytes, more than $2 ($code are code)"
    fi
}

# A test of the kit compiles without a word wherever async.h does.
kit() {
    for dialect in c99 c11 c17 c2x gnu99 gnu11; do
        report_silent "$1 -std=$dialect: a test in the simulated world" "$1" -std=$dialect $warnings \
            "-I$INCLUDE" -Itests/kit -DASYNC_TEST_PLAIN -c docs/testing/worlds.c -o "$out/kit-$1.o"
    done
}

# ---- all of it, the slow parts side by side ----

part() {
    report_part "$1"
    shift
    "$@"
}

report_part head
opening
whole_api
(part dialects-gcc dialects gcc) &
(part dialects-clang dialects clang; part dialects-tcc dialects tcc) &
wait
(part orders-gcc orders gcc; part orders-tcc orders tcc) &
(part orders-clang orders clang) &
wait
report_part tail
orders_refuse orders-gcc
orders_refuse orders-clang
all_warnings
for compiler in gcc clang tcc; do
    two_files $compiler
    symbols $compiler
done
two_compilers
kit gcc
kit clang
small gcc 24576
small clang 28672
cplusplus g++
cplusplus clang++
other_libraries
report_end
