#!/bin/sh
# Compile and link for the systems that are not at hand: their own headers say whether the header
# asks for what they do not have. Nothing is run here but what qemu.sh runs later.
#
#     tests/cross.sh [target...]     from the repository's top; output is below build/cross
set -u
. tests/report.sh
. tests/zig.sh

out=build/cross
report_begin "$out"
REPORT_LINES=8
here=tests/compile

# Compiled only: no kernel of theirs is here to run a program on.
foreign='x86_64-macos aarch64-macos x86_64-freebsd aarch64-freebsd x86_64-netbsd aarch64-netbsd
         x86_64-openbsd aarch64-openbsd'
# Static programs; qemu.sh runs such, and the matrix those of x86.
musl='aarch64-linux-musl riscv64-linux-musl s390x-linux-musl'

# link target source: must link without a word
link() {
    link_static=
    case $1 in *-musl) link_static=-static ;; esac
    # shellcheck disable=SC2086
    report_silent "$1 $2" zig_cc "$1" -Wall -Wextra -O1 $link_static -I. "$here/$2.c" \
        -o "$out/$1-$2"
}

# backend target: the backend that the system is here for must be in the program. From the macro:
# a program that has poll only would link as well.
backend() {
    case $1 in
    *-musl) wanted='ASYNC_HAS_EPOLL 1' ;;
    *) wanted='ASYNC_HAS_KQUEUE 1' ;;
    esac
    zig_cc "$1" -O1 -E -dM -I. "$here/only.c" > "$out/$1.macros" 2> "$out/$1.txt"
    if grep -q "define $wanted\$" "$out/$1.macros"; then
        ok "$1 $wanted"
    else
        fail "$1: $wanted is expected" "$out/$1.txt"
    fi
}

# A strict dialect shows what the system hides when the header comes first.
strict() {
    report_silent "$1 -std=c99 -Wpedantic use_all" zig_cc "$1" -Wall -Wextra -Wpedantic -std=c99 \
        -O0 -I. -c "$here/use_all.c" -o "$out/$1-strict.o"
}

target() {
    report_part "$1"
    for source in ping_pong use_all callbacks; do
        link "$1" $source
    done
    strict "$1"
    backend "$1"
    case $1 in
    *-musl) ;;
    *) left_out "$1: compiled and linked, not run" ;;
    esac
}

# C++ on the systems whose headers differ most from those at hand.
cplusplus() {
    report_part cplusplus
    for target in aarch64-macos x86_64-freebsd; do
        report_silent "$target -std=c++11 callbacks" zig_cc "$target" -x c++ -std=c++11 -Wall \
            -Wextra -O1 -I. -c "$here/callbacks.c" -o "$out/$target-cplusplus.o"
    done
}

if ! zig_install; then
    left_out 'all: zig cannot be installed here (npm, the network and Linux on x86_64 are needed)'
    exit 77
fi
if [ $# -gt 0 ]; then
    for name in "$@"; do
        target "$name"
    done
else
    for name in $foreign $musl; do
        target "$name"
    done
    cplusplus
fi
report_end
