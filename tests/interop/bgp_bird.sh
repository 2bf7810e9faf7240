#!/bin/bash
# Our speaker against Debian's BIRD 1.6 under Calico's three configurations: both directions, loss, return, collisions.
# What is no matter of Calico's configuration is in bgp_matrix.py.
#
#   tests/interop/bgp_bird.sh PATH_OF_bgp_speaker [case...]      needs root
BGP_SPEAKER=$(realpath "$1")
shift
cd "$(dirname "$0")" || exit 1
# shellcheck source=tests/interop/netns.sh
. ./netns.sh
command -v bird >/dev/null || { echo "skip: bird is not installed"; exit 77; }
ns_begin "sbgp$$"
ns_add lb 172.16.40.202/24
ns_add m 172.16.40.199/24
ns_add n 172.16.40.198/24

declare -A BIRD_PID
# bird_start NS CONF [-R]
bird_start() {
  ip netns exec "$NS_PREFIX-$1" bird -f -c "$2" -s "$NS_TMP/$1.ctl" -P "$NS_TMP/$1.pid" ${3:+"$3"} >>"$NS_TMP/$1.log" 2>&1 &
  BIRD_PID[$1]=$!
  NS_PIDS+=($!)
  for _ in $(seq 50); do [ -S "$NS_TMP/$1.ctl" ] && birdc_ "$1" show status >/dev/null 2>&1 && return; sleep 0.1; done
  fail "bird does not start: $(tail -3 "$NS_TMP/$1.log")"
}
birdc_() { local ns=$1; shift; birdc -s "$NS_TMP/$ns.ctl" "$@"; }
bird_stop() { kill "${BIRD_PID[$1]}" 2>/dev/null; wait "${BIRD_PID[$1]}" 2>/dev/null; rm -f "$NS_TMP/$1.ctl"; }
bird_says() { local pattern=$1; shift; birdc_ "$@" | grep -qE -- "$pattern"; }
bird_says_not() { local pattern=$1; shift; ! birdc_ "$@" | grep -qE -- "$pattern"; }
kernel_says() { local pattern=$1 ns=$2; in_ns "$ns" ip route | grep -qE -- "$pattern"; }
kernel_says_not() { ! kernel_says "$@"; }
speaker_stop() {
  local start=$SECONDS
  echo "shutdown ${1:-bye}" >&"$SPEAKER_IN"
  wait "$SPEAKER_PID" 2>/dev/null
  [ $((SECONDS - start)) -le 4 ] || fail "our speaker takes $((SECONDS - start)) s to stop"
  exec {SPEAKER_IN}>&-
}
both() { speaker_start lb --as 64512 --id 172.16.40.202 --self 172.16.40.202/24 --neighbor 172.16.40.199 --neighbor 172.16.40.198 "$@"; }
G='Global_172_16_40_202'

established() {  # both ends, both nodes
  eventually 20 "$1: BIRD on the master says Established" bird_says Established m show protocols $G
  eventually 20 "$1: BIRD on node1 says Established" bird_says Established n show protocols $G
  # After -R BIRD announces when it has End-of-RIB of all its neighbours, the other node too.
  eventually 60 "$1: we say Established with the master" says "^172.16.40.199 .* 1$" summary
  eventually 60 "$1: we say Established with node1" says "^172.16.40.198 .* 1$" summary
}

case_calico() {
  local version=$1
  bird_start m "$PWD/calico/$version/k8s-master.conf" -R
  bird_start n "$PWD/calico/$version/k8s-node1.conf" -R
  both
  established "$version"
  says '^B 10.244.0.0/24 \[200/0\] via 172.16.40.199, eth0' routes || fail "route to the master's block: $(ask routes)"
  says '^B 10.244.1.0/24 \[200/0\] via 172.16.40.198, eth0' routes || fail "route to node1's block: $(ask routes)"
  pass "$version: blocks of both nodes are in our table"
  ask announce 172.16.40.81/32 >/dev/null
  ask announce 172.16.99.99/32 >/dev/null
  for ns in m n; do
    eventually 5 "$version: $ns has 172.16.40.81" kernel_says '^172.16.40.81 via 172.16.40.202 .*proto bird' $ns
    eventually 5 "$version: $ns has 172.16.99.99" kernel_says '^172.16.99.99 via 172.16.40.202 .*proto bird' $ns
  done
  says 'accepted prefixes, 2 announced prefixes' neighbors || fail "announced prefixes: $(ask neighbors)"
  says 'Hold time is 90 s, keepalive interval is 30 s' neighbors || fail "hold time: $(ask neighbors)"
  says 'Route refresh \(new\): advertised and received' neighbors || fail "capabilities: $(ask neighbors)"
  says 'Remote restart time 120 s' neighbors || fail "graceful restart: $(ask neighbors)"
  says 'End-of-RIB sent, received' neighbors || fail "End-of-RIB: $(ask neighbors)"
  if says 'Foreign port: 179' neighbors; then
    says 'Local port: (6[1-5][0-9]{3}).*' neighbors || fail "local port of our connection: $(ask neighbors)"
  fi
  pass "$version: show ip bgp neighbors has the facts of the scenario"
  # Fact 6: a refresh brings withdrawals of routes that were never announced.
  [ "$(ask refresh 172.16.40.199)" = sent ] || fail "route refresh"
  birdc_ m reload out $G >/dev/null
  birdc_ m reload in $G >/dev/null
  sleep 0.5
  says_not 'UPDATEs treated' neighbors || fail "$version: an UPDATE of BIRD's is wrong for us: $(ask neighbors)"
  says '^172.16.40.199 .* 1$' summary || fail "$version: the session did not survive a refresh: $(ask summary)"
  kernel_says '^172.16.40.81 via 172.16.40.202' m || fail "$version: 172.16.40.81 is gone after a refresh"
  pass "$version: refresh in both directions"
  ask withdraw 172.16.40.81/32 >/dev/null
  eventually 5 "$version: withdrawn on the master" kernel_says_not '^172.16.40.81' m
  ask announce 172.16.40.81/32 >/dev/null
  # Five changes at once leave one state behind.
  for _ in 1 2; do ask withdraw 172.16.99.99/32 >/dev/null; ask announce 172.16.99.99/32 >/dev/null; done
  eventually 5 "$version: flips end well" kernel_says '^172.16.99.99 via 172.16.40.202' m
  speaker_stop maintenance
  eventually 5 "$version: our shutdown withdraws all" kernel_says_not '^172.16.(40.81|99.99)' m
  bird_stop m
  bird_stop n
}

case_loss() {
  bird_start m "$PWD/calico/2019/k8s-master.conf" -R
  bird_start n "$PWD/calico/2019/k8s-node1.conf" -R
  both
  ask announce 172.16.40.81/32 >/dev/null
  established loss
  # Fact 4: kill -9 is a bare FIN: routes stay as stale.
  kill -9 "${BIRD_PID[m]}"
  wait "${BIRD_PID[m]}" 2>/dev/null
  rm -f "$NS_TMP/m.ctl"
  eventually 5 "kill -9: the session is gone" event_seen '^event down 172.16.40.199: connection'
  says '^B 10.244.0.0/24' routes || fail "kill -9: the route is gone: $(ask routes)"
  says 'stale prefixes' neighbors || fail "kill -9: no stale prefixes: $(ask neighbors)"
  pass "kill -9: its route stays, stale"
  bird_start m "$PWD/calico/2019/k8s-master.conf" -R
  # BIRD after -R waits for all its neighbours, the other node too, before it announces.
  eventually 60 "kill -9: it is back" says '^172.16.40.199 .* 1$' summary
  eventually 10 "kill -9: nothing is stale any more" says_not 'stale prefixes' neighbors
  says '^B 10.244.0.0/24' routes || fail "kill -9: the route is gone after the return"
  # birdc down: NOTIFICATION 6/2: routes go at once.
  birdc_ m disable $G >/dev/null
  eventually 3 "disable: Cease/Administrative Shutdown is told" says 'due to received Cease/Administrative Shutdown' neighbors
  eventually 3 "disable: the route goes" says_not '^B 10.244.0.0/24' routes
  birdc_ m enable $G >/dev/null
  eventually 40 "enable: the route is back" says '^B 10.244.0.0/24' routes
  birdc_ m restart $G >/dev/null
  eventually 40 "restart: established again" bird_says Established m show protocols $G
  eventually 5 "restart: the route is back" says '^B 10.244.0.0/24' routes
  # A node that leaves without a word: hold timer, here shortened by us.
  speaker_stop
  both --hold 6
  established "hold 6 s"
  ip -n "$NS_PREFIX-sw" link set p-n down
  eventually 12 "silence: hold timer" event_seen '^event down 172.16.40.198: .*Hold Timer Expired'
  ip -n "$NS_PREFIX-sw" link set p-n up
  eventually 60 "silence: it is back" says '^172.16.40.198 .* 1$' summary
  speaker_stop
  bird_stop m
  bird_stop n
}

# From here on the other node is missing: after -R BIRD would wait for it before it announces.
case_collision() {  # both sides connect at once, again and again
  bird_start m "$PWD/calico/2019/k8s-master.conf"
  speaker_start lb --as 64512 --id 172.16.40.202 --self 172.16.40.202/24 --neighbor 172.16.40.199
  for i in 1 2 3; do
    eventually 30 "collision $i: established" says '^172.16.40.199 .* 1$' summary
    birdc_ m restart $G >/dev/null
    ask clear 172.16.40.199 >/dev/null
  done
  eventually 30 "collision: established at last" says '^172.16.40.199 .* 1$' summary
  speaker_stop
  # we with the lower identifier
  speaker_start lb --as 64512 --id 1.1.1.1 --self 172.16.40.202/24 --neighbor 172.16.40.199
  eventually 30 "lower identifier: established" says '^172.16.40.199 .* 1$' summary
  speaker_stop
  speaker_start lb --as 64512 --id 172.16.40.202 --self 172.16.40.202/24 --listen-range 172.16.40.0/24
  eventually 30 "listen range: established" says '^\*172.16.40.199 .* 1$' summary
  says 'by listen range' neighbors || fail "listen range: $(ask neighbors)"
  speaker_stop
  bird_stop m
}

[ $# -gt 0 ] || set -- 2019 v3.31.7 v3.33 loss collision
for c in "$@"; do
  case $c in 2019 | v3*) case_calico "$c" ;; *) "case_$c" ;; esac
done
echo "all passed"
