# Connecting to names through the system's own resolver and a name server of ours. Both are in a network and a mount
# namespace of their own, where /etc/resolv.conf leads to it; as root, or as anybody where the system allows that.
# (Wrappers that are preloaded do not get between getaddrinfo and the network: inside the C library nothing is replaced.)
set -eu
B=${B:-build}
if [ "${1:-}" != inside ]; then
    mkdir -p "$B"
    for program in dns names; do
        ${CC:-cc} -D_GNU_SOURCE ${CFLAGS:--O2 -g} -Wall -Wextra -I. "tests/programs/$program.c" -pthread -o "$B/$program"
    done
    for way in 'unshare -mn' 'unshare -rmn' 'sudo -n unshare -mn'; do
        if $way true 2> /dev/null; then
            exec $way bash "$0" inside
        fi
    done
    echo "LEFT OUT: this system lets nobody have a network of their own (unshare)"
    exit 0
fi

. tests/programs/lib.sh
printf 'nameserver 127.0.0.1\noptions timeout:30 attempts:1\n' > "$scratch/resolv.conf"
mount --bind "$scratch/resolv.conf" /etc/resolv.conf
if [ -e /etc/nsswitch.conf ]; then
    echo 'hosts: files dns' > "$scratch/nsswitch.conf"
    mount --bind "$scratch/nsswitch.conf" /etc/nsswitch.conf
fi
start dns "$B/dns"

# names EXPECTED HOST [LIMIT_MS]: the resolver itself would wait for 30 s
names()
{
    expected=$1
    shift
    equal "$1" "$expected" "$(timeout 20 "$B/names" "$@" || :)"
}
names '[::1]' both.test
names 127.0.0.1 four.test
names 127.0.0.1 far.test                       # no way to its IPv6 address: at once IPv4's
names 127.0.0.1 slow.test                      # its IPv6 address never comes
names 'Connection timed out' dead.test 300
names 'No such file or directory' unknown.test
names 'Resource temporarily unavailable' broken.test
names '[::1]' ::1
names 127.0.0.1 127.0.0.1
# A proxy says that there is no such name, and of which target.
start proxy "$B/proxy" 0 unknown.test 7
exec {fd}<> "/dev/tcp/127.0.0.1/$port"
ends "$fd"
equal "unknown" "proxy: unknown.test port 7: no such name" "$(cat "$scratch/proxy.err")"
echo "9 names through the system's resolver"
