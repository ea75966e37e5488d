#!/bin/sh
# Installs what is missing, saying so: tests/install.sh criterion valgrind ... The names are this project's; the table below
# has those of the systems' packages.
set -eu

# What the example programs and their tests need, a line for each subject.
programs='
pkgconf
libssl-dev openssl socat
libcurl4-openssl-dev nginx-light
libhiredis-dev redis-server redis-tools
libc-ares-dev dnsmasq-base
'

# package NAME -> what apt, brew and pkg call it
package()
{
    case $1:$2 in
    apt:criterion) echo libcriterion-dev ;;
    apt:peers) echo libuv1-dev libev-dev libevent-dev ;;
    apt:qemu) echo qemu-user ;;
    apt:musl) echo musl-tools ;;
    apt:m32) echo gcc-multilib g++-multilib ;;
    apt:clang) echo clang libclang-rt-dev ;;
    apt:s390x) echo gcc-s390x-linux-gnu libc6-dev-s390x-cross ;;
    apt:pkg-config) echo pkgconf ;;
    apt:programs) echo $programs ;;
    brew:peers) echo libuv libev libevent ;;
    pkg:peers) echo libuv libev libevent ;;
    *) echo "$2" ;;
    esac
}

# Is it there?
have()
{
    case $1 in
    criterion) pkg-config --exists criterion 2> /dev/null ;;
    peers) pkg-config --exists libuv libevent 2> /dev/null && [ -e /usr/include/ev.h ] ;;
    programs) { dpkg -s $programs 2>&1; } ;;
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
