#!/bin/sh
# Installs what is missing, saying so: tests/install.sh criterion valgrind ... The names are this project's; the table below
# has those of the systems' packages.
set -eu

# What the example programs and their tests are made with, a line for each subject; Debian's names.
programs='
pkgconf socat netcat-openbsd
libglib2.0-dev
libhttp-parser-dev curl wrk
libhiredis-dev uthash-dev redis-server redis-tools python3
libssl-dev openssl
libcurl4-openssl-dev nginx-light
libc-ares-dev dnsmasq-base
gdb
'

# package NAME -> what apt, brew and pkg call it
package()
{
    case $1:$2 in
    apt:criterion) echo libcriterion-dev ;;
    apt:peers)
        echo libuv1-dev libev-dev libevent-dev
        echo redis-server redis-tools nginx-light wrk haproxy golang-go libhiredis-dev uthash-dev libhttp-parser-dev
        ;;
    apt:programs) echo $programs ;;
    apt:qemu) echo qemu-user ;;
    apt:musl) echo musl-tools ;;
    apt:m32) echo gcc-multilib g++-multilib ;;
    apt:clang) echo clang libclang-rt-dev ;;
    apt:s390x) echo gcc-s390x-linux-gnu libc6-dev-s390x-cross ;;
    apt:pkg-config) echo pkgconf ;;
    *:programs) echo "make programs knows Debian's packages only: please install by hand:" $programs >&2 && exit 1 ;;
    brew:peers) echo libuv libev libevent ;;
    pkg:peers) echo libuv libev libevent ;;
    *) echo "$2" ;;
    esac
}

# Are these programs and headers there?
all()
{
    for it in "$@"; do
        command -v "$it" || [ -e "/usr/include/$it" ] || return 1
    done
}

# Is it there?
have()
{
    case $1 in
    criterion) pkg-config --exists criterion 2> /dev/null ;;
    peers)
        pkg-config --exists libuv libevent 2> /dev/null && all ev.h redis-server redis-benchmark nginx wrk haproxy go \
            uthash.h hiredis/hiredis.h http_parser.h
        ;;
    programs)
        all socat nc curl wrk redis-server redis-cli redis-benchmark python3 openssl nginx dnsmasq gdb uthash.h \
            hiredis/hiredis.h http_parser.h openssl/ssl.h ares.h && pkg-config --exists glib-2.0 libcurl
        ;;
    qemu) command -v qemu-s390x ;;
    musl) command -v musl-gcc ;;
    m32) echo 'int main(void){return 0;}' | cc -m32 -x c - -o "${TMPDIR:-/tmp}/m32.$$" 2> /dev/null &&
        rm "${TMPDIR:-/tmp}/m32.$$" ;; # not to /dev/null: root may lose it to a linker
    s390x) command -v s390x-linux-gnu-gcc ;;
    *) command -v "$1" ;;
    esac > /dev/null
}

install()
{
    echo "installing: $*"
    if command -v apt-get > /dev/null; then
        root=
        [ "$(id -u)" = 0 ] || root=sudo
        [ -n "${updated:-}" ] || $root apt-get update -qq
        updated=1
        DEBIAN_FRONTEND=noninteractive $root apt-get install -y -qq "$@" > /dev/null
    elif command -v brew > /dev/null; then
        brew install "$@"
    elif command -v pkg > /dev/null; then
        pkg install -y "$@"
    else
        echo "no apt-get, brew or pkg here: please install $* by hand" >&2
        exit 1
    fi
}

manager=apt
command -v apt-get > /dev/null || manager=pkg
command -v brew > /dev/null && manager=brew
for thing in "$@"; do
    # shellcheck disable=SC2046 # several packages may serve one name
    have "$thing" || install $(package "$manager" "$thing")
done
