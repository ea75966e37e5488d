# libcurl on the loop: fetch against nginx, openssl's web server, and servers that are none.
. tests/programs/lib.sh
run=${RUN:-}
B=$PWD/$B
cd "$scratch"
scratch=$PWD
mkdir www
head -c 20000000 /dev/urandom > www/large
head -c 5000 /dev/urandom > www/small
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout key.pem \
    -out cert.pem 2> /dev/null

# nginx does not say which port it was given: the first that is free is looked for.
http()
{
    for port in $(seq $((20000 + $$ % 20000)) 41000); do
        cat > nginx.conf <<END
daemon off; master_process off; pid $scratch/nginx.pid; error_log $scratch/nginx.log;
events { worker_connections 500; }
http { access_log off; client_body_temp_path $scratch/t; proxy_temp_path $scratch/t; fastcgi_temp_path $scratch/t;
    uwsgi_temp_path $scratch/t; scgi_temp_path $scratch/t;
    server { listen 127.0.0.1:$port; root $scratch/www;
        location = /moved { return 302 http://127.0.0.1:$port/small; } } }
END
        nginx -p "$scratch" -c "$scratch/nginx.conf" -t 2> nginx.test && break
    done
    nginx -p "$scratch" -c "$scratch/nginx.conf" 2> nginx.err &
    started="$started $!"
    seen nginx.pid . # it listens
}

# lines PATTERN: how many of them fetch printed
lines()
{
    grep -c -e "$1" fetch.err || :
}

http
url=http://127.0.0.1:$port

# 50 at once, over connections that are used again; all bodies are whole.
urls=$(yes "$url/small" 2> /dev/null | head -n 50) || :
$run "$B/fetch" -b 20000 $urls > bodies 2> fetch.err || fail "50 at once: $(cat fetch.err)"
equal '50 at once' 50 "$(lines '^ 200      5000 bytes')"
equal 'their bytes' 250000 "$(wc -c < bodies)"
$run "$B/fetch" -b 20000 "$url/large" > bodies 2> fetch.err
cmp bodies www/large || fail "the large one"
$run "$B/fetch" 20000 "$url/none" "$url/moved" 2> fetch.err
equal 'no such page, another place' '1 1' "$(lines '^ 404') $(lines '^ 302')"

# HTTPS, trusted or not
start https bash -c 'cd www && exec openssl s_server -accept 127.0.0.1:0 -key ../key.pem -cert ../cert.pem -WWW'
CURL_CA_BUNDLE=cert.pem $run "$B/fetch" -b 20000 "https://127.0.0.1:$port/large" > bodies 2> fetch.err ||
    fail "HTTPS: $(cat fetch.err)"
cmp bodies www/large || fail "the large one over HTTPS"
! $run "$B/fetch" 20000 "https://127.0.0.1:$port/large" 2> fetch.err || fail "not to be trusted, but taken"
equal 'not to be trusted' 1 "$(lines '^ -13 .*certificate')"

# Nobody there; somebody who says nothing; the first of three, and the others are dropped in the middle.
start silent bash -c 'exec socat -d -d -u TCP-LISTEN:0,bind=127.0.0.1,fork STDOUT 2>&1'
silent=http://127.0.0.1:$port
! $run "$B/fetch" 300 "$silent" "$url/small" http://127.0.0.1:1/ not://a.url 2> fetch.err || fail "all came"
equal 'a time limit' 1 "$(lines '^-110 ')"
equal 'beside it' 1 "$(lines '^ 200 ')"
equal 'a refused port' 1 "$(lines '^-111 ')"
equal 'not a URL' 1 "$(lines '^ -22 ')"
$run "$B/fetch" -1 20000 "$silent" "$url/small" "$silent/2" 2> fetch.err || fail "the first of three"
equal 'the first, the others cancelled' '1 2' "$(lines '^ 200 ') $(lines '^-125 ')"

# The first of some that all fail
status=0
timeout 30 $run "$B/fetch" -1 20000 http://127.0.0.1:1/ not://a.url 2> fetch.err || status=$?
equal 'all failed' '1 1 1 1' "$status $(lines '^-111 ') $(lines '^ -22 ') $(lines '^fetch: all have failed$')"
misused "$B/fetch" -x 1000 "$url/small"
misused "$B/fetch" 1000x "$url/small"
misused "$B/fetch" 1000

# A server that dies in the middle of a page
printf 'HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nabc' > cut.http
start cut bash -c 'exec socat -d -d TCP-LISTEN:0,bind=127.0.0.1 SYSTEM:"sed /^.$/q >&2; cat cut.http" 2>&1'
! $run "$B/fetch" 20000 "http://127.0.0.1:$port" 2> fetch.err || fail "cut short, but whole"
equal 'cut short' 1 "$(lines '^-104 .* 3 bytes')"
! $run "$B/fetch" 20000 http://nothing.invalid/ 2> fetch.err || fail "a name that does not exist"
equal 'no such name' 1 "$(lines '^-113 ')"
echo "50 at once, 20 MB byte for byte, HTTPS, refused, silent, cancelled, cut short"
