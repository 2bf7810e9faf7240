// The schema of `bgp:` in sluice.yaml, and of what virtual addresses say of their announcement; see schema.h.
//
// Called by: schema.h. Runs on: control thread. Tested by: tests/control/config/{bgp,parse,print}_test.cc
#pragma once

#include "control/config/model.h"
#include "control/config/text.h"

namespace sluice::config {

inline constexpr std::size_t kNeighborsMax = 8192;
inline constexpr std::size_t kPeerGroupsMax = 256;
inline constexpr std::size_t kListenRangesMax = 256;
inline constexpr std::size_t kRulesMax = 256;  // of one policy
inline constexpr std::size_t kBlockOwnersMax = 65536;
inline constexpr std::size_t kListMax = 1024;  // of anything else

inline constexpr Range<std::uint16_t> kPortRange{1, 65535};
inline constexpr Range<std::uint32_t> kAsRange{1, 4294967295};

template <typename V>
void describe(V& v, BgpBfd& b) {
  v.field("min-tx", b.min_tx, Range<Duration>{10ms, 60s});
  v.field("min-rx", b.min_rx, Range<Duration>{10ms, 60s});
  v.field("multiplier", b.multiplier, Range<unsigned>{1, 255});
  v.field("multihop", b.multihop);
  v.field("abort-graceful-restart", b.abort_graceful_restart);
}

// Its keys stand beside those of whoever has the session.
template <typename V>
void describe(V& v, BgpSession& s) {
  v.field("remote-as", s.remote_as, kAsRange);
  v.field("local-as", s.local_as, kAsRange);
  v.field("port", s.port, kPortRange);
  v.field("local-address", s.local_address);
  v.field("hold-time", s.hold_time, Range<Duration>{0s, 65535s});
  v.field("keepalive", s.keepalive, Range<Duration>{0s, 21845s});
  v.field("connect-retry", s.connect_retry, Range<Duration>{1s, 3600s});
  v.field("idle-hold", s.idle_hold, Range<Duration>{100ms, 3600s});
  v.field("idle-hold-max", s.idle_hold_max, Range<Duration>{100ms, 3600s});
  v.field("passive", s.passive);
  v.secret("password", s.password);
  v.switched("bfd", s.bfd);
  v.field("ttl-security", s.ttl_security, Range<unsigned>{0, 254});
  v.field("multihop", s.multihop, Range<unsigned>{1, 255});
  v.field("graceful-restart", s.graceful_restart);
  v.field("long-lived-graceful-restart", s.long_lived_graceful_restart);
  v.field("add-path", s.add_path);
  v.field("ipv6-unicast", s.ipv6_unicast);
  v.field("extended-next-hop", s.extended_next_hop);
  v.field("extended-messages", s.extended_messages);
  v.field("allow-as-in", s.allow_as_in, Range<unsigned>{0, 10});
  v.field("maximum-prefixes", s.prefixes_max, Range<std::uint32_t>{1, 1u << 24});
  v.field("maximum-prefixes-warning", s.prefixes_warn_percent, Range<unsigned>{1, 100});
  v.field("maximum-prefixes-restart", s.prefixes_restart, Range<Duration>{0s, 86400s});
  v.field("role", s.role);
  v.field("role-strict", s.role_strict);
  v.field("require-policy", s.require_policy);
  v.scalars("import", s.import_rules, kRulesMax);
  v.scalars("export", s.export_rules, kRulesMax);
}

template <typename V>
void describe(V& v, BgpPeerGroup& g) {
  describe(v, g.session);
}

template <typename V>
void describe(V& v, BgpNeighbor& n) {
  v.required("address", n.address);
  v.field("peer-group", n.peer_group);
  v.field("description", n.description);
  v.field("enabled", n.enabled);
  describe(v, n.session);
}

template <typename V>
void describe(V& v, BgpListenRange& r) {
  v.required("prefix", r.prefix);
  v.field("peer-group", r.peer_group);
  v.field("description", r.description);
  v.field("neighbors-max", r.neighbors_max, Range<unsigned>{1, 20000});
  v.field("expiry", r.expiry, Range<Duration>{1s, 86400s});
  describe(v, r.session);
}

template <typename V>
void describe(V& v, BgpPrefixList& l) {
  v.scalars("prefixes", l.prefixes, kListMax);
}

template <typename V>
void describe(V& v, Announcement& a) {
  v.scalars("communities", a.communities, 64);
  v.field("med", a.med, Range<std::uint32_t>{0, 4294967295});
  v.field("prepend", a.prepend, Range<unsigned>{0, 32});
  v.field("local-preference", a.local_preference, Range<std::uint32_t>{0, 4294967295});
  v.field("graceful-shutdown", a.graceful_shutdown);
}

template <typename V>
void describe(V& v, BgpMrt& m) {
  v.field("updates", m.updates);
  v.field("updates-interval", m.updates_interval, Range<Duration>{0s, 604800s});
  v.field("rib", m.rib);
  v.field("rib-interval", m.rib_interval, Range<Duration>{10s, 604800s});
}

template <typename V>
void describe(V& v, BgpBmp& b) {
  v.field("station", b.station);
  v.field("statistics-interval", b.statistics_interval, Range<Duration>{1s, 86400s});
}

template <typename V>
void describe(V& v, BgpAggregate& a) {
  v.required("prefix", a.prefix);
  v.field("summary-only", a.summary_only);
  describe(v, a.announcement);
}

template <typename V>
void describe(V& v, BgpBlockOwner& o) {
  v.required("prefix", o.prefix);
  v.required("node", o.node);
}

template <typename V>
void describe(V& v, Bgp& b) {
  v.required("local-as", b.local_as, kAsRange);
  v.field("router-id", b.router_id);
  v.field("listen-port", b.listen_port, kPortRange);
  v.field("graceful-restart-time", b.graceful_restart_time, Range<Duration>{0s, 4095s});
  v.field("stale-time-max", b.stale_time_max, Range<Duration>{0s, 86400s});
  v.field("multipath-max", b.multipath_max, Range<unsigned>{1, 64});
  v.field("multipath-relax", b.multipath_relax);
  v.field("always-compare-med", b.always_compare_med);
  v.scalars("accept", b.accept, kListMax);
  v.field("graceful-shutdown", b.graceful_shutdown);
  v.field("drain-time", b.drain_time, Range<Duration>{0s, 600s});
  v.named("prefix-lists", b.prefix_lists, kListMax);
  v.named("peer-groups", b.peer_groups, kPeerGroupsMax);
  v.objects("neighbors", b.neighbors, kNeighborsMax);
  v.object("mrt", b.mrt);
  v.object("bmp", b.bmp);
  v.objects("listen-ranges", b.listen_ranges, kListenRangesMax);
  v.objects("aggregates", b.aggregates, kListMax);
  v.objects("block-owners", b.block_owners, kBlockOwnersMax);
}

}  // namespace sluice::config
