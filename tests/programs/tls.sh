# TLS over a stream: tls_client and tls_echo against openssl's own server and client, and against each other.
. tests/programs/lib.sh
run=${RUN:-} # RUN=valgrind ...
B=$PWD/$B
cd "$scratch"
scratch=$PWD

# certificate NAME OPTION...: signed by the authority, unless told otherwise
certificate()
{
    openssl req -x509 -newkey rsa:2048 -nodes -subj "/CN=$1" -keyout "$1.key" -out "$1.pem" "${@:2}" 2> /dev/null
}

certificate authority
certificate stranger
certificate localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -CA authority.pem -CAkey authority.key
openssl x509 -in localhost.pem -key localhost.key -x509toreq -copy_extensions copy 2> /dev/null |
    openssl x509 -req -CA authority.pem -CAkey authority.key -CAcreateserial -copy_extensions copy -days -1 \
        -out expired.pem 2> /dev/null
{ yes 'x up, a line of some length' || :; } | head -n 40000 > up
echo 'x up ends' >> up
{ yes 'x down, the other way' || :; } | head -n 50000 > down
mkfifo feed hold

# s_server NAME OPTION...: what it sends is what is written to descriptor 5, until that is closed
s_server()
{
    exec 5<> feed
    start "$1" bash -c 'exec openssl s_server -accept 127.0.0.1:0 "$@" < feed' - -key localhost.key \
        -cert localhost.pem "${@:2}" 5>&-
}

# refused WORDS CA_FILE NAME [LIMIT]: by the client, which says so
refused()
{
    if $run "$B/tls_client" 127.0.0.1 "$port" "${@:2}" < /dev/null > refused.out 2> refused.err; then
        fail "not refused: $1"
    fi
    grep -q "$1" refused.err || fail "refused, but without '$1': $(cat refused.err)"
}

for version in tls1_2 tls1_3; do
    # Both ways at once, with the keys changed in the middle (1.3). The server's output has words of its own.
    s_server $version -$version -naccept 1
    { head -n 1 up && read -r _ < hold; tail -n +2 up && read -r _ < hold; } 5>&- |
        $run "$B/tls_client" 127.0.0.1 "$port" authority.pem localhost > got.down 5>&- &
    client=$!
    seen $version.out '^x up'
    [ $version = tls1_2 ] || echo K >&5
    echo > hold
    seen $version.out '^x up' 2
    cat down >&5
    seen $version.out 'x up ends'
    sed -z 's/SSL_do_handshake -> 1\n//g; s/Read BLOCK\n//g' $version.out | grep '^x up' | cmp - up || fail "$version: what went up"
    seen got.down '^x' 50000
    cmp seen down || fail "$version: what came down"
    echo > hold # our end, and then the server's
    wait $client || fail "$version: the client failed at a proper end"
    cmp got.down down || fail "$version: more came down"
    exec 5>&-

    [ $version = tls1_2 ] || grep -q 'SSL_do_handshake -> 1' $version.out || fail "the keys did not change"

    # openssl's client, with our server
    start echo-$version $run "$B/tls_echo" 0 localhost.pem localhost.key
    { cat up && read -r _ < hold; } | openssl s_client -connect "127.0.0.1:$port" -$version -quiet -no_ign_eof \
        -CAfile authority.pem -verify_return_error -verify_hostname localhost 2> s_client.err |
        { head -n 40001 > got.up && echo > hold; }
    cmp got.up up || fail "$version: what was echoed"
    $run "$B/tls_client" 127.0.0.1 "$port" authority.pem localhost < up > got.up || fail "$version: ours with ours"
    cmp got.up up || fail "$version: what was echoed to ours"
done
echo_port=$port echo_err=echo-tls1_3.err
[ ! -s $echo_err ] || fail "the server complained: $(cat $echo_err)"

# Whom not to trust. The certificate has the address, too.
$run "$B/tls_client" 127.0.0.1 "$port" authority.pem < /dev/null || fail "the certificate's address"
refused 'hostname mismatch' authority.pem example.org
refused 'self.signed certificate in certificate chain\|unable to get local issuer' stranger.pem localhost
refused 'self.signed certificate in certificate chain\|unable to get local issuer' - localhost
start expired $run "$B/tls_echo" 0 expired.pem localhost.key
refused 'certificate has expired' authority.pem localhost
seen expired.err 'alert certificate expired'

# Limits and cancels lose nothing.
$run "$B/tls_limits" authority.pem localhost.pem localhost.key > limits || fail "limits: $(cat limits)"
equal 'operations were interrupted' 2 "$(grep -c often limits)"

# A client that asks for new keys and does not read the answers is hung up on: they would pile up.
start updated $run "$B/tls_echo" 0 localhost.pem localhost.key
"$B/tls_updates" "$port" 600000 > updates || fail "600,000 new keys for who does not read"

# A peer that is killed has not said that this was all.
s_server killed
$run "$B/tls_client" 127.0.0.1 "$port" authority.pem localhost < hold > killed.got 2> killed.client &
client=$!
exec 6> hold
echo 'x first' >&5
seen killed.got '^x first'
kill -9 $pid
exec 5>&-
! wait $client || fail "a killed server looked like an end"
grep -q 'Connection reset by peer' killed.client || fail "killed: $(cat killed.client)"
$run "$B/tls_client" 127.0.0.1 $echo_port authority.pem localhost < hold > killed.too &
client=$!
exec 6>&-
exec 6> hold
echo 'x first' >&6
seen killed.too '^x first'
kill -9 $client
seen $echo_err 'Connection reset by peer'

# What is not TLS, and who does not answer.
start garbage bash -c 'exec socat -d -d -u SYSTEM:"echo 220 hello" TCP-LISTEN:0,bind=127.0.0.1 2>&1'
refused 'wrong version number' authority.pem localhost
start silent bash -c 'exec socat -d -d -u TCP-LISTEN:0,bind=127.0.0.1 PIPE:hold 2>&1'
refused 'Connection timed out' authority.pem localhost 300
exec 7<> "/dev/tcp/127.0.0.1/$echo_port"
printf 'GET / HTTP/1.0\r\n\r\n' >&7
cat <&7 > garbage.alert
seen $echo_err 'http request'
start slow $run "$B/tls_echo" 0 localhost.pem localhost.key 300
exec 7<> "/dev/tcp/127.0.0.1/$port"
cat <&7 > slow.got # until the server has had enough
seen slow.err .
equal 'a handshake that takes too long' 'tls_echo: Connection timed out' "$(cat slow.err)"
stop $pid TERM
equal 'exit status after SIGTERM' 0 "$status"
equal 'and its words' 1 "$(wc -l < slow.err)"

misused "$B/tls_echo" foo localhost.pem localhost.key
misused "$B/tls_echo" 0 localhost.pem localhost.key 1s
misused "$B/tls_client" 127.0.0.1 0 -
misused "$B/tls_client" 127.0.0.1 "$port" - localhost 1s
echo "TLS 1.2 and 1.3 both ways, whom not to trust, and peers that die, talk nonsense or say nothing"
