#!/bin/sh
# Installs what is missing, saying so: tests/install.sh criterion valgrind ... The names are this project's; `thing` has
# those of the systems' packages.
set -eu

# Are these programs and headers there?
all()
{
    for it in "$@"; do
        command -v "$it" || [ -e "/usr/include/$it" ] || return 1
    done
}

m32()
{
    echo 'int main(void){return 0;}' | cc -m32 -x c - -o "${TMPDIR:-/tmp}/m32.$$" 2> /dev/null &&
        rm "${TMPDIR:-/tmp}/m32.$$" # not to /dev/null: root may lose it to a linker
}

# What both the peers of the benchmarks and the example programs need.
both='redis-server redis-tools nginx-light wrk libhiredis-dev uthash-dev libhttp-parser-dev'
has_both='all redis-server redis-benchmark nginx wrk hiredis/hiredis.h uthash.h http_parser.h'

# thing NAME: the packages of apt, those of brew and pkg, and what succeeds where it is there. Else all three are its name.
thing()
{
    apt=$1
    other=$1
    there="command -v $1"
    case $1 in
    pkg-config) apt=pkgconf ;;
    clang) apt='clang libclang-rt-dev' ;;
    criterion) apt=libcriterion-dev there='pkg-config --exists criterion' ;;
    qemu) apt=qemu-user there='command -v qemu-s390x' ;;
    musl) apt=musl-tools there='command -v musl-gcc' ;;
    m32) apt='gcc-multilib g++-multilib' there=m32 ;;
    peers)
        apt="libuv1-dev libev-dev libevent-dev haproxy golang-go $both"
        other='libuv libev libevent'
        there="pkg-config --exists libuv libevent && all ev.h haproxy go && $has_both"
        ;;
    programs)
        apt="pkgconf socat netcat-openbsd libglib2.0-dev curl python3 libssl-dev openssl libcurl4-openssl-dev libc-ares-dev
            dnsmasq-base gdb $both"
        other=
        there="all socat nc curl redis-cli python3 openssl dnsmasq gdb openssl/ssl.h ares.h &&
            pkg-config --exists glib-2.0 libcurl && $has_both"
        ;;
    esac
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

# shellcheck disable=SC2086 # several packages may serve one name
for name in "$@"; do
    thing "$name"
    eval "$there" > /dev/null 2>&1 && continue
    ! command -v apt-get > /dev/null || other=$apt
    [ -n "$other" ] || { echo "make $name knows Debian's packages only: please install by hand:" $apt >&2; exit 1; }
    install $other
done
