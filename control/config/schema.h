// The schema of sluice.yaml: for each object its keys, types and limits, said once and walked by both ways.
//
// describe(visitor, object) tells the visitor every key: Reader (reader.h) fills the object from a tree, Writer
// (writer.h) makes the tree from the object. So what is printed can be read, and a key exists in both or in neither.
// The visitor has: kReads; has(key); refuse(key, message); field(key, value [, range]); required(...) likewise;
// switched(key, optional object): true, false or a map;
// dependent(...): as field, always printed because its default depends on others; scalars(key, list [, range], max);
// object(key, value); objects(key, list, max); named(key, list, max): a map from names to objects.
//
// Called by: parse, print, diff. Runs on: control thread. Tested by: tests/control/config/{parse,print}_test.cc
#pragma once

#include "control/config/bgp_schema.h"
#include "control/config/http_schema.h"
#include "control/config/model.h"
#include "control/config/text.h"

namespace sluice::config {

inline constexpr std::size_t kWorkersMax = 64;
inline constexpr std::size_t kPortsMax = 32;
inline constexpr std::size_t kSelfIpsMax = 256;
inline constexpr std::size_t kRoutesMax = 16384;
inline constexpr std::size_t kGatewaysMax = 32;
inline constexpr std::size_t kSnatPoolsMax = 1024;
inline constexpr std::size_t kSnatAddressesMax = 256;
inline constexpr std::size_t kMonitorsMax = 16384;
inline constexpr std::size_t kPoolsMax = 16384;
inline constexpr std::size_t kMembersMax = 16384;        // of one pool
inline constexpr std::size_t kMembersTotalMax = 131072;  // of all pools
inline constexpr std::size_t kVirtualServersMax = 16384;

inline constexpr Range<Duration> kSecondsRange{1s, 86400s};
inline constexpr Range<Duration> kIdleRange{100ms, 86400s};
inline constexpr Range<std::uint32_t> kLimitRange{0, 4294967295};

template <typename V>
void describe(V& v, Engine& e) {
  v.field("workers", e.workers, Range<unsigned>{1, kWorkersMax});
  v.scalars("cores", e.cores, Range<unsigned>{0, 1023}, kWorkersMax);
  v.field("hugepages", e.hugepages);
  v.field("memory", Megabytes{e.memory_mb});
  v.field("packet-buffers", e.packet_buffers, Range<unsigned>{1024, 1 << 24});
  v.field("flows-max", e.flows_max, Range<unsigned>{64, 1 << 27});
  v.field("routes-max", e.routes_max, Range<unsigned>{1024, 4 << 20});
  v.field("conns-max", e.conns_max, Range<unsigned>{64, 1 << 24});
  v.field("busy-poll", e.busy_poll);
  v.scalars("eal-args", e.eal_args, 64);
}

template <typename V>
void describe(V& v, Port& p) {
  v.required("device", p.device);
  v.field("mtu", p.mtu, Range<std::uint16_t>{576, 9216});
}

template <typename V>
void describe(V& v, SelfIp& s) {
  if (V::kReads || s.name != s.address.address.text()) v.field("name", s.name);
  v.required("address", s.address);
  v.required("port", s.port);
}

template <typename V>
void describe(V& v, StaticRoute& r) {
  v.required("prefix", r.prefix);
  v.scalars("gateway", r.gateways, kGatewaysMax);
  v.field("blackhole", r.blackhole);
}

template <typename V>
void describe(V& v, SnatPool& p) {
  v.scalars("members", p.addresses, kSnatAddressesMax);
}

template <typename V>
void describe(V& v, Monitor& m) {
  v.field("type", m.type);
  v.field("interval", m.interval, kSecondsRange);
  v.field("timeout", m.timeout, kSecondsRange);
  v.field("up-interval", m.up_interval, kSecondsRange);
  v.field("time-until-up", m.time_until_up, Range<Duration>{0s, 86400s});
  if (V::kReads || !(m.type == MonitorType::http && m.send_written == "GET /\\r\\n")) v.field("send", m.send_written);
  v.field("recv", m.recv);
  v.field("recv-disable", m.recv_disable);
  v.field("reverse", m.reverse);
  v.field("manual-resume", m.manual_resume);
  v.field("destination", MonitorDestination{m.destination_address, m.destination_port});
}

// A member with nothing but its address is written as just that.
inline Ipv4Endpoint* short_form(Member& m) { return &m.endpoint; }

template <typename V>
void describe(V& v, Member& m) {
  v.required("address", m.endpoint);
  v.field("ratio", m.ratio, Range<std::uint32_t>{1, 65535});
  v.field("connection-limit", m.connection_limit, kLimitRange);
  v.field("priority-group", m.priority_group, Range<std::uint32_t>{0, 65535});
  v.field("state", m.state);
}

template <typename V>
void describe(V& v, Pool& p) {
  v.field("partition", p.partition);
  v.field("balance", p.balance);
  v.objects("members", p.members, kMembersMax);
  v.scalars("monitors", p.monitors, 16);
  v.field("monitors-min", p.monitors_min, Range<std::uint32_t>{0, 16});
  v.field("min-active-members", p.min_active_members, Range<std::uint32_t>{0, kMembersMax});
  v.field("slow-ramp-time", p.slow_ramp, Range<Duration>{0s, 900s});
  v.field("service-down-action", p.service_down);
}

template <typename V>
void describe(V& v, IdleTimeouts& t) {
  v.field("established", t.established, kIdleRange);
  v.field("half-open", t.half_open, kIdleRange);
  v.field("closing", t.closing, kIdleRange);
  v.field("time-wait", t.time_wait, kIdleRange);
  v.field("udp", t.udp, kIdleRange);
}

template <typename V>
void describe(V& v, VirtualServer& s) {
  v.field("partition", s.partition);
  v.required("destination", s.destination);
  v.field("mode", s.mode);
  v.field("pool", s.pool);
  v.field("enabled", s.enabled);
  v.field("snat", s.snat);
  v.field("snat-pool", s.snat_pool);
  v.field("persistence", s.persist);
  v.field("persistence-timeout", s.persist_timeout, kSecondsRange);
  v.field("connection-limit", s.connection_limit, kLimitRange);
  v.object("idle-timeouts", s.idle);
  v.field("oneconnect", s.oneconnect);
  v.object("http", s.http);
  if (V::kReads && !s.snat_pool.empty() && !v.has("snat")) s.snat = SnatKind::pool;
}

template <typename V>
void describe(V& v, VirtualAddress& a) {
  v.field("route-advertisement", a.route_advertisement);
  v.field("icmp-echo", a.icmp_echo);
  v.field("arp", a.arp);
  describe(v, a.announcement);
  v.field("hold-up", a.hold_up, Range<Duration>{0s, 86400s});
  v.field("hold-down", a.hold_down, Range<Duration>{0s, 86400s});
}

template <typename V>
void describe(V& v, Admin& a) {
  v.field("socket", a.socket);
  v.field("prometheus", a.prometheus);
}

template <typename V>
void describe(V& v, Kubernetes& k) {
  v.scalars("namespaces", k.namespaces, kListMax);
  v.field("partition", k.partition);
  v.field("pool-member-type", k.pool_member_type);
  v.field("oneconnect", k.oneconnect);
  v.object("http", k.http);
}

template <typename V>
void describe(V& v, Config& c) {
  v.object("engine", c.engine);
  v.named("ports", c.ports, kPortsMax);
  v.objects("self-ips", c.self_ips, kSelfIpsMax);
  v.objects("routes", c.routes, kRoutesMax);
  v.named("snat-pools", c.snat_pools, kSnatPoolsMax);
  if (V::kReads || c.bgp.local_as != 0) v.object("bgp", c.bgp);
  v.named("monitors", c.monitors, kMonitorsMax);
  v.named("pools", c.pools, kPoolsMax);
  v.named("virtual-servers", c.virtual_servers, kVirtualServersMax);
  v.named("virtual-addresses", c.virtual_addresses, kVirtualServersMax);
  v.field("access-log", c.access_log);
  v.field("manifests", c.manifests);
  v.object("kubernetes", c.kubernetes);
  v.object("admin", c.admin);
}

}  // namespace sluice::config
