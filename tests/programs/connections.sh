# Very many connections: 19,000 held by one process of echo, then 76,000 by four that share a port, from four client
# processes with an address of 127.0.0.0/8 each. Each connection gets its own number back while all of them are open.
. tests/programs/lib.sh

each=19000
limit=$(ulimit -Hn)
[ "$limit" = unlimited ] || [ "$limit" -ge 20000 ] || {
    each=$((limit * 19 / 20))
    echo "SCALED DOWN: a process may have $limit descriptors here, so $each connections each, not 19000"
}
[ "$limit" = unlimited ] || ulimit -n "$limit"
${CC:-cc} -O2 -Wall -Wextra -o "$B/clients" tests/programs/clients.c

# hold SERVERS: that many processes of echo and as many of clients.
hold()
{
    servers=
    clients=
    port=0
    for i in $(seq "$1"); do
        start "echo$1-$i" "$B/echo" "$port" 1
        servers="$servers $pid"
    done
    before=$(memory "$pid")
    for i in $(seq "$1"); do
        mkfifo "$scratch/in$1-$i" "$scratch/out$1-$i"
        "$B/clients" "$port" "$each" "$((i * each))" "127.0.0.$i" < "$scratch/in$1-$i" > "$scratch/out$1-$i" &
        started="$started $!"
        clients="$clients $!"
        exec {in[i]}> "$scratch/in$1-$i" {out[i]}< "$scratch/out$1-$i"
    done
    for line in connected echoed; do
        for i in $(seq "$1"); do
            read -r got <&"${out[i]}" || fail "clients $i ended before they were $line"
            equal "clients $i" "$line" "$got"
        done
        [ "$line" = echoed ] || for i in $(seq "$1"); do echo go >&"${in[i]}"; done
    done
    total=0
    for server in $servers; do
        total=$((total + $(memory "$server")))
    done
    echo "$1 x $each connections: $((total / 1024)) MiB in $1 processes of echo," \
        "$(((total - before * $1) * 1024 / (each * $1))) bytes for each connection"
    for i in $(seq "$1"); do
        echo go >&"${in[i]}"
        exec {in[i]}>&- {out[i]}<&-
    done
    for client in $clients; do
        wait "$client" || fail "clients failed"
    done
    for server in $servers; do
        stop "$server" TERM
        equal "how echo ended" 0 "$status"
    done
}

hold 1
hold 4
