// A sluice.yaml with every key in it, and the reference deployment's: what several tests start from.
#pragma once

#include <string_view>

namespace sluice::config::testing {

inline constexpr std::string_view kReference = R"(
# The reference deployment (scenario.md).
engine: {workers: 1, hugepages: false, memory: 512MB}
ports:
  int_vlan: {device: "net_af_packet0,iface=int0"}
self-ips: [{address: 172.16.40.202/24, port: int_vlan}]
routes: [{prefix: default, gateway: 172.16.40.254}]
bgp:
  local-as: 64512
  router-id: 172.16.40.202
  neighbors:
    - {address: 172.16.40.199, remote-as: 64512, description: k8s-master}
    - {address: 172.16.40.198, remote-as: 64512, description: k8s-node1}
monitors:
  cka: {type: http, interval: 15, timeout: 30, send: "GET / HTTP/1.1\r\nConnection: close\r\nHost: 1.1.1.1\r\n\r\n", recv: cka}
pools:
  nginx:
    balance: least-connections-member
    monitors: cka
    members: ["10.244.0.76:80", "10.244.0.77:80", "10.244.1.37:80"]
virtual-servers:
  web: {destination: "172.16.40.81:80", mode: http, pool: nginx}
  far: {destination: "172.16.99.99:80", pool: nginx}
manifests: manifests/
kubernetes: {namespaces: [default], partition: k8s, pool-member-type: cluster}
)";

inline constexpr std::string_view kEveryKey = R"(
engine:
  workers: 2
  cores: [2, 3]
  hugepages: true
  memory: 2GB
  packet-buffers: 65536
  flows-max: 500000
  routes-max: 100000
  conns-max: 1000
  busy-poll: yes
  eal-args: ["--log-level=8", "--no-telemetry"]
ports:
  int_vlan: {device: "0000:03:00.0", mtu: 9000}
  ext_vlan: {device: "net_tap0"}
self-ips:
  - {name: inside, address: 172.16.40.202/24, port: int_vlan}
  - {address: 10.1.0.2/16, port: ext_vlan}
routes:
  - {prefix: default, gateway: [172.16.40.254, 172.16.40.253]}
  - {prefix: 10.99.0.0/16, blackhole: true}
snat-pools:
  outside: {members: [10.1.0.10, 10.1.0.11]}
bgp:
  local-as: 4200000000
  router-id: 1.2.3.4
  listen-port: 1179
  graceful-restart-time: 90s
  stale-time-max: 5m
  multipath-max: 4
  multipath-relax: false
  always-compare-med: true
  accept: 10.244.0.0/16
  graceful-shutdown: true
  drain-time: 3s
  prefix-lists:
    pods: {prefixes: [10.244.0.0/16 ge 24 le 32, 10.245.0.0/16]}
  peer-groups:
    nodes:
      remote-as: 64513
      local-as: 64514
      port: 1179
      local-address: 172.16.40.202
      hold-time: 12s
      keepalive: 3s
      connect-retry: 2s
      idle-hold: 500ms
      idle-hold-max: 10s
      passive: true
      password: gr0up
      bfd: {min-tx: 50ms, min-rx: 60ms, multiplier: 5, multihop: true, abort-graceful-restart: true}
      ttl-security: 1
      multihop: 3
      graceful-restart: false
      long-lived-graceful-restart: true
      add-path: both
      ipv6-unicast: true
      extended-next-hop: true
      extended-messages: false
      allow-as-in: 1
      maximum-prefixes: 1000
      maximum-prefixes-warning: 90
      maximum-prefixes-restart: 60s
      role: customer
      role-strict: true
      require-policy: true
      import: [prefix-list pods set local-pref 200 accept, any reject]
      export: any set community add 64512:1 accept
  neighbors:
    - address: 172.16.40.199
      remote-as: 64512
      description: "the master: k8s"
      port: 1790
      local-address: 172.16.40.202
      hold-time: 9s
      keepalive: 2s
      connect-retry: 1s
      passive: true
      password: s3cret
      enabled: false
      peer-group: nodes
      multihop: 2
      ttl-security: 0
      role: none
      role-strict: false
  listen-ranges:
    - prefix: 172.16.41.0/24
      peer-group: nodes
      description: more nodes
      neighbors-max: 100
      expiry: 60s
      remote-as: 64512
      ttl-security: 0
  aggregates:
    - {prefix: 172.16.99.0/24, summary-only: true, communities: no-export, med: 1, prepend: 1, local-preference: 90, graceful-shutdown: true}
  block-owners: [{prefix: 10.244.1.0/26, node: 172.16.40.198}]
monitors:
  web:
    type: http
    interval: 5s
    timeout: 16s
    up-interval: 10
    time-until-up: 1m
    send: 'HEAD /x\r\n\r\n'
    recv: "200|204"
    recv-disable: maintenance
    manual-resume: true
    destination: 10.0.0.1:8080
  alive: {type: tcp, reverse: true, recv: "no \"way\"", destination: "*:81"}
  ping: {type: gateway-icmp}
pools:
  web:
    partition: tenants
    balance: weighted-least-connections-member
    members:
      - {address: 10.244.0.76:80, ratio: 3, connection-limit: 100, priority-group: 2, state: disabled}
      - {address: 10.244.0.77:80, connection-limit: 7, state: offline}
    monitors: [web, alive]
    monitors-min: 1
    min-active-members: 1
    slow-ramp-time: 30s
    service-down-action: reselect
virtual-servers:
  web:
    partition: tenants
    destination: 172.16.40.80:80
    mode: tcp
    pool: web
    enabled: false
    snat: pool
    snat-pool: outside
    persistence: source-address
    persistence-timeout: 5m
    connection-limit: 1000
    idle-timeouts: {established: 10m, half-open: 3s, closing: 500ms, time-wait: 1s, udp: 30}
virtual-addresses:
  172.16.40.80:
    route-advertisement: always
    icmp-echo: selective
    arp: false
    communities: [64512:100, 64512:1:2]
    med: 50
    prepend: 2
    local-preference: 80
    graceful-shutdown: true
    hold-up: 10s
    hold-down: 1s
access-log: /tmp/access.log
manifests: /etc/sluice/manifests
kubernetes: {namespaces: [default, shop], partition: k8s, pool-member-type: nodeport, oneconnect: true, http: {upgrade: true}}
admin: {socket: /tmp/s.sock, prometheus: "127.0.0.1:9100"}
)";

}  // namespace sluice::config::testing
