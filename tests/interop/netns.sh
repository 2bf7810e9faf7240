# Helpers of the interop scripts: network namespaces of our own on one bridge, removed at exit. Sourced, not run.
#
#   ns_begin sbgp; ns_add sbgp-a 172.16.40.202/24 …
# shellcheck shell=bash
set -u
NS_LIST=()
NS_TMP=$(mktemp -d /tmp/sluice-interop.XXXXXX)
NS_PIDS=()

ns_end() {
  local status=$?
  trap - EXIT INT TERM
  for pid in "${NS_PIDS[@]}"; do kill "$pid" 2>/dev/null; done
  for ns in "${NS_LIST[@]}"; do
    for pid in $(ip netns pids "$ns" 2>/dev/null); do kill -9 "$pid" 2>/dev/null; done
    ip netns del "$ns" 2>/dev/null
  done
  if [ $status -ne 0 ] && [ -n "${KEEP:-}" ]; then echo "files kept in $NS_TMP"; else rm -rf "$NS_TMP"; fi
  exit $status
}

# ns_begin PREFIX: the switch is a bridge in a namespace of its own.
ns_begin() {
  NS_PREFIX=$1
  trap ns_end EXIT INT TERM
  ip netns add "$1-sw" && NS_LIST+=("$1-sw")
  ip -n "$1-sw" link add br0 type bridge && ip -n "$1-sw" link set br0 up
}

# ns_add NAME ADDRESS...: namespace PREFIX-NAME with eth0 on the bridge.
ns_add() {
  local name=$1 ns=$NS_PREFIX-$1
  shift
  ip netns add "$ns" && NS_LIST+=("$ns")
  ip -n "$ns" link set lo up
  ip link add eth0 netns "$ns" type veth peer name "p-$name" netns "$NS_PREFIX-sw"
  ip -n "$NS_PREFIX-sw" link set "p-$name" master br0 up
  local address nodad
  for address in "$@"; do
    nodad=()
    case $address in *:*) nodad=(nodad) ;; esac
    ip -n "$ns" address add "$address" dev eth0 "${nodad[@]}"
  done
  ip -n "$ns" link set eth0 up
}

in_ns() { local ns=$NS_PREFIX-$1; shift; ip netns exec "$ns" "$@"; }

fail() {
  echo "FAIL: $*" >&2
  for file in "$NS_TMP"/*.out "$NS_TMP"/*.log; do
    [ -f "$file" ] && echo "--- the end of ${file##*/}" && tail -n "${TAIL:-12}" "$file"
  done >&2
  exit 1
}
pass() { echo "ok: $*"; }

# eventually SECONDS WHAT COMMAND...: until it succeeds.
eventually() {
  local limit=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $limit ] || { "$@" || true; fail "$what"; }
    sleep 0.1
  done
  pass "$what"
}

# speaker_start NAME ARGS...: our speaker in namespace NAME, commands through a FIFO.
speaker_start() {
  local name=$1
  shift
  mkfifo "$NS_TMP/$name.in" 2>/dev/null
  ip netns exec "$NS_PREFIX-$name" "$BGP_SPEAKER" "$@" < "$NS_TMP/$name.in" > "$NS_TMP/$name.out" 2>&1 &
  SPEAKER_PID=$!
  NS_PIDS+=("$SPEAKER_PID")
  exec {SPEAKER_IN}> "$NS_TMP/$name.in"
  SPEAKER_NAME=$name
  for _ in $(seq 50); do grep -q '^ready' "$NS_TMP/$name.out" && return; sleep 0.1; done
  cat "$NS_TMP/$name.out"
  fail "our speaker does not start"
}

# ask COMMAND: prints our speaker's answer.
ask() {
  local before
  before=$(wc -l < "$NS_TMP/$SPEAKER_NAME.out")
  echo "$*" >&"$SPEAKER_IN"
  for _ in $(seq 100); do
    if tail -n +$((before + 1)) "$NS_TMP/$SPEAKER_NAME.out" | grep -qx '\.'; then break; fi
    sleep 0.02
  done
  tail -n +$((before + 1)) "$NS_TMP/$SPEAKER_NAME.out" | sed '/^\.$/,$d'
}
says() { local pattern=$1; shift; ask "$@" | grep -qE -- "$pattern"; }
says_not() { local pattern=$1; shift; ! ask "$@" | grep -qE -- "$pattern"; }
event_seen() { grep -qE -- "$1" "$NS_TMP/$SPEAKER_NAME.out"; }
