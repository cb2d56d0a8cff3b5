# What the commands of this folder share. Sourced by them, never run.
# shellcheck shell=bash
#
# A node is one server process: kafka-1…3, redis (or redis-1…3), sentinel-1…3.
# $dir holds everything about the set of servers that is up:
#   shape      the settings it was brought up with
#   nodes      a line a node: NAME PORT
#   NAME.pid   a node's process: PID START-TIME
#   etc/ log/ data/   a node's configuration, log and data

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/test/servers
dir=${SERVERS_DIR:-$root/.servers}
lib=$root/.servers/lib # one for all sets

say() { printf '%s\n' "$*"; }

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# die_with FILE MESSAGE: dies showing the last lines of a log.
die_with() {
    local file=$1
    shift
    {
        printf -- '---- the last lines of %s\n' "$file"
        tail -n 25 "$file" || true
        printf -- '----\n'
    } >&2
    die "$@"
}

# step WHAT COMMAND…: runs the command, then says what it was and how long it took.
step() {
    local what=$1 from=${EPOCHREALTIME/[.,]/} took
    shift
    "$@"
    took=$(((${EPOCHREALTIME/[.,]/} - from) / 100000))
    printf '%-48s %3d.%d s\n' "$what" $((took / 10)) $((took % 10))
}

# one_at_a_time: two commands that start and stop servers must not interleave.
# Servers are launched without descriptor 9, or they would keep the lock.
one_at_a_time() {
    mkdir -p "$dir"
    exec 9>"$dir/lock"
    flock -w 180 9 || die "another command of this folder has been at work for 3 minutes"
}

# ---- nodes

nodes() { if [[ -f $dir/nodes ]]; then cut -d' ' -f1 "$dir/nodes"; fi; }
kafka_nodes() { nodes | grep '^kafka-' || true; }
port_of() { awk -v name="$1" '$1 == name { print $2 }' "$dir/nodes"; }

known_node() {
    nodes | grep -qxF -- "$1" || die "no server '$1'; there are: $(nodes | paste -sd' ')"
}

config_of() {
    case $1 in
    kafka-*) echo "$dir/etc/$1.properties" ;;
    *) echo "$dir/etc/$1.conf" ;;
    esac
}

# start_time PID: in clock ticks since boot. A process whose name holds spaces
# or brackets does not shift the fields.
start_time() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    read -ra stat <<<"${stat##*) }"
    echo "${stat[19]}"
}

# pid_of NAME: the pid, if that process still is the one that was launched: pids
# are reused. A zombie has no command line and counts as gone.
pid_of() {
    local pid started
    read -r pid started 2>/dev/null <"$dir/$1.pid" || return 1
    [[ $(start_time "$pid") == "$started" ]] || return 1
    tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "$(config_of "$1")" || return 1
    echo "$pid"
}

alive() { pid_of "$1" >/dev/null; }

launch() {
    local name=$1 config run
    config=$(config_of "$name")
    case $name in
    kafka-*) run=(java "${broker_jvm[@]}" -Dservers.level=INFO kafka.Kafka "$config") ;;
    sentinel-*) run=(redis-server "$config" --sentinel) ;;
    *) run=(redis-server "$config") ;;
    esac
    setsid "${run[@]}" </dev/null >>"$dir/log/$name.log" 2>&1 9>&- &
    echo "$! $(start_time $!)" >"$dir/$name.pid"
}

# stop NAME…: asks all of them to end, and ends those that have not in time.
stop() {
    local name pid deadline
    for name; do
        if pid=$(pid_of "$name"); then kill -TERM "$pid" || true; fi
    done
    deadline=$((SECONDS + ${STOP_TIMEOUT:-20}))
    for name; do
        while alive "$name" && ((SECONDS < deadline)); do sleep 0.05; done
        if alive "$name"; then
            say "$name did not end on SIGTERM; killing it"
            end "$name"
        fi
        rm -f "$dir/$name.pid"
    done
}

# end NAME: kill -9, and until it is gone.
end() {
    local pid
    pid=$(pid_of "$1") || return 0
    kill -KILL "$pid" || true
    while alive "$1"; do sleep 0.02; done
    rm -f "$dir/$1.pid"
}

# authority: one that is trusted beside those that were before.
authority() {
    mkdir -p "$dir/certs"
    openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=authority-$RANDOM" \
        -keyout "$dir/certs/ca.key" -out "$dir/certs/authority.crt"
    cat "$dir/certs/authority.crt" "$dir/certs/ca.crt" >"$dir/certs/trusted" || true
    mv "$dir/certs/trusted" "$dir/certs/ca.crt"
} >>"$dir/log/openssl.log" 2>&1

# certificates: the servers' and our own, of the last authority.
certificates() {
    local name
    for name in server client; do
        openssl req -newkey rsa:2048 -nodes -subj "/CN=$name" \
            -keyout "$dir/certs/$name.key" -out "$dir/certs/$name.csr"
        openssl x509 -req -days 30 -in "$dir/certs/$name.csr" -out "$dir/certs/$name.crt" \
            -CA "$dir/certs/authority.crt" -CAkey "$dir/certs/ca.key" -CAcreateserial \
            -extfile <(echo subjectAltName=IP:127.0.0.1)
    done
    cat "$dir/certs/server.key" "$dir/certs/server.crt" >"$dir/certs/server.pem"
} >>"$dir/log/openssl.log" 2>&1

# token_key: what tests sign tokens with (OAUTHBEARER), and how brokers know them (a set of JSON Web Keys).
token_key() {
    local modulus
    openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$dir/certs/tokens.key"
    modulus=$(openssl rsa -in "$dir/certs/tokens.key" -noout -modulus | sed 's/^Modulus=//; s/../\\x&/g')
    modulus=$(printf '%b' "$modulus" | openssl base64 -A | tr +/ -_ | tr -d =)
    printf '{"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":"tokens","e":"AQAB","n":"%s"}]}\n' "$modulus" >"$dir/certs/tokens.json"
}

# ---- whether they answer

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

metadata() { kcat -L -m 2 -b "127.0.0.1:$(port_of "$1")" 2>/dev/null; }

redis() {
    local name=$1
    shift
    redis-cli -h 127.0.0.1 -p "$(port_of "$name")" "$@" 2>/dev/null
}

# answers NAME: the port is open and a request succeeds. A broker must know of
# every broker that runs, or a client would start with half a cluster.
answers() {
    local name=$1 other seen
    port_open "$(port_of "$name")" || return 1
    case $name in
    kafka-*)
        seen=$(metadata "$name") || return 1
        for other in $(kafka_nodes); do
            if alive "$other"; then grep -q "broker ${other#kafka-} at" <<<"$seen" || return 1; fi
        done
        ;;
    *) [[ $(redis "$name" PING) == PONG ]] ;;
    esac
}

# wait_for NAME WHAT COMMAND…: until the command succeeds, or dies with NAME's log
# and says WHAT is amiss.
wait_for() {
    local name=$1 what=$2 limit=${START_TIMEOUT:-60} deadline
    shift 2
    deadline=$((SECONDS + limit))
    until "$@"; do
        alive "$name" || die_with "$dir/log/$name.log" "$name ended by itself"
        ((SECONDS < deadline)) || die_with "$dir/log/$name.log" "$name $what after $limit s"
        sleep 0.1
    done
}

await() { wait_for "$1" 'does not answer' answers "$1"; }

# in_sync NAME: the broker is in the ISR of each partition that it has a replica of.
in_sync() {
    metadata "$1" | awk -v id="${1#kafka-}" -F'replicas: |, isrs: ' '
        function has(list) { sub(/,? .*/, "", list); return ("," list ",") ~ ("," id ",") }
        /^ *partition / && has($2) && !has($3) { behind = 1 }
        END { exit behind }'
}

# ---- Java

# Heaps are small, so that three brokers, the tests and the program itself fit on
# one developer's machine. No JMX: nobody reads it here.
broker_jvm=(-cp "$lib/*" "-Dlog4j2.configurationFile=$here/log4j2.properties"
    -Xms256m "-Xmx${KAFKA_HEAP:-768m}" -XX:+UseG1GC -XX:MaxGCPauseMillis=20
    -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true
    "-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=file://$dir/certs/tokens.json")

# A tool lives for a second: the quick compiler is all it ever needs.
# shellcheck disable=SC2034 # used by up and tool
tool_jvm=(-cp "$lib/*" "-Dlog4j2.configurationFile=$here/log4j2.properties"
    -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData)
