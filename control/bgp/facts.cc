// Facts: what the speaker knows, gathered for show.
#include "control/bgp/facts.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/bgp/speaker_impl.h"

namespace sluice::bgp {
namespace {

std::optional<Duration> since(Instant now, const std::optional<Instant>& then) {
  return then ? std::optional<Duration>(now - *then) : std::nullopt;
}

std::string reason_of_state(Instant now, const Peer& peer) {
  if (!peer.enabled) return "administratively shut down";
  if (peer.hold == Hold::max_prefixes) return "held down: " + peer.last_reset;
  if (peer.established()) return {};
  std::string out = peer.last_error;
  const auto next = std::min(peer.connect_retry_deadline, peer.idle_hold_deadline);
  if (next != kInstantMax && next > now) {
    if (!out.empty()) out += ", ";
    out +=
        fmt::format("next attempt in {} s", std::chrono::duration_cast<std::chrono::seconds>(next - now).count() + 1);
  }
  return out;
}

}  // namespace

std::vector<CapabilityFact> Speaker::Impl::capability_facts(const Peer& peer) const {
  const auto& conn = peer.main();
  const auto& ours = conn.local_open.capabilities;
  const auto theirs = conn.remote_open ? conn.remote_open->capabilities : Capabilities{};
  std::vector<CapabilityFact> facts;
  const auto add = [&facts](std::string name, bool a, bool r) {
    if (a || r) facts.push_back({std::move(name), a, r});
  };
  if (!conn.open()) return facts;
  add("Route refresh (old)", ours.route_refresh_old, theirs.route_refresh_old);
  add("Route refresh (new)", ours.route_refresh, theirs.route_refresh);
  add("Enhanced route refresh", ours.enhanced_refresh, theirs.enhanced_refresh);
  add("4-octet AS", ours.four_octet_as.has_value(), theirs.four_octet_as.has_value());
  add("Address family IPv4 Unicast", ours.multiprotocol[0], theirs.multiprotocol[0]);
  add("Address family IPv6 Unicast", ours.multiprotocol[1], theirs.multiprotocol[1]);
  add("Graceful restart", ours.graceful_restart.has_value(), theirs.graceful_restart.has_value());
  add("Long-lived graceful restart", ours.long_lived_restart.has_value(), theirs.long_lived_restart.has_value());
  const auto any = [](const Capabilities& c, bool AddPath::*way) {
    return std::any_of(c.add_path.begin(), c.add_path.end(), [way](const AddPath& a) { return a.*way; });
  };
  add("ADD-PATH receive", any(ours, &AddPath::receive), any(theirs, &AddPath::receive));
  add("ADD-PATH send", any(ours, &AddPath::send), any(theirs, &AddPath::send));
  add("Extended message", ours.extended_message, theirs.extended_message);
  add("Extended next hop", ours.extended_next_hop, theirs.extended_next_hop);
  add("Role", ours.role.has_value(), theirs.role.has_value());
  return facts;
}

PeerFacts Speaker::Impl::facts(Instant now, const Peer& peer) const {
  const auto& conn = peer.main();
  PeerFacts f;
  f.address = peer.address;
  f.description = peer.settings.description;
  f.remote_as = peer.settings.remote_as;
  f.local_as = local_as(peer);
  f.internal = internal(peer);
  f.dynamic = peer.dynamic;
  f.enabled = peer.enabled;
  f.passive = peer.settings.passive;
  f.password_set = !peer.settings.password.empty();
  f.state = peer.state();
  f.state_reason = reason_of_state(now, peer);
  f.in_state = now - peer.state_since;
  if (conn.remote_open) f.remote_router_id = conn.remote_open->identifier;
  f.local_router_id = settings.router_id;
  f.configured_hold_time = peer.settings.hold_time;
  f.configured_keepalive = peer.settings.keepalive;
  f.connect_retry = peer.settings.connect_retry;
  f.hold_time =
      conn.remote_open ? Duration(std::chrono::seconds(conn.negotiated.hold_time_s)) : peer.settings.hold_time;
  f.keepalive = f.hold_time == 0s ? 0s : std::min<Duration>(f.hold_time / 3, peer.settings.keepalive);
  f.since_read = since(now, peer.last_read);
  f.since_write = since(now, peer.last_write);
  f.capabilities = capability_facts(peer);
  f.in = peer.in;
  f.out = peer.out;
  f.bytes_in = peer.bytes_in;
  f.bytes_out = peer.bytes_out;
  f.output_queue_bytes = conn.pending;
  f.table_version = version;
  f.neighbor_version = peer.established() ? peer.sent_version : 0;
  f.restart_advertised = conn.open() && conn.local_open.capabilities.graceful_restart.has_value();
  f.restart_received = peer.remote_restart.has_value();
  f.restarting = peer.restarting;
  if (peer.remote_restart) {
    f.remote_restart_time = std::chrono::seconds(peer.remote_restart->time_s);
    f.forwarding_preserved = peer.remote_restart->families[0].forwarding_preserved;
  }
  if (peer.restarting && peer.stale_deadline != kInstantMax) f.restart_remaining = peer.stale_deadline - now;
  f.end_of_rib_sent = peer.established() && peer.end_of_rib_sent;
  f.end_of_rib_received = peer.established() && peer.end_of_rib_received[0];
  f.accepted_prefixes = rib.path_count(peer.index);
  f.stale_prefixes = rib.stale_count(peer.index);
  f.announced_prefixes = peer.announced;
  f.rejected_prefixes = peer.rejected;
  f.treated_as_withdraw = peer.treated_as_withdraw;
  f.discarded_attributes = peer.discarded_attributes;
  f.last_update_error = peer.last_update_error;
  f.connections_established = peer.established_count;
  f.connections_dropped = peer.dropped_count;
  f.last_reset = peer.last_reset;
  f.since_last_reset = since(now, peer.last_reset_at);
  if (conn.open()) {
    f.local_address = conn.local.address;
    f.local_port = conn.local.port;
    f.remote_port = conn.remote.port;
  }
  f.next_hop = next_hop_for(peer, Family::ipv4);
  if (peer.dynamic) {
    const auto* range = range_of(peer.address);
    if (range != nullptr) f.listen_range = range->prefix;
  }
  f.import_rules = peer.settings.import_policy.rules.size();
  f.export_rules = peer.settings.export_policy.rules.size();
  f.import_lacking = lacks_policy(peer, peer.settings.import_policy);
  f.export_lacking = lacks_policy(peer, peer.settings.export_policy);
  return f;
}

PathFacts Speaker::Impl::attribute_facts(const PathAttributes& a) {
  PathFacts f;
  f.next_hop = a.next_hop;
  f.med = a.med;
  f.local_pref = a.local_pref;
  f.as_path = a.as_path.text();
  f.origin = "ie?"[static_cast<std::size_t>(a.origin)];
  f.communities = communities_text(a);
  f.originator_id = a.originator_id;
  f.cluster_list = a.cluster_list;
  return f;
}

PathFacts Speaker::Impl::path_facts(Instant now, const Rib::PathView& view) const {
  const auto& peer = rib.peer_info(view.peer);
  PathFacts f = attribute_facts(rib.attributes()[view.attributes]);
  f.prefix = view.prefix;
  f.valid = view.valid;
  f.best = view.best;
  f.multipath = view.multipath;
  f.stale = view.stale;
  f.internal = peer.internal;
  f.path_id = view.path_id;
  f.peer = peer.address;
  f.peer_router_id = peer.router_id;
  f.age = std::chrono::seconds(seconds(now) - view.since_s);
  f.why = view.best
              ? "best"
              : fmt::format("{}: {}", view.multipath ? "used too (multipath)" : "not used", text_of(view.lost_at));
  return f;
}

namespace {

PathFacts own_facts(const routing::IpPrefix& prefix, const AnnounceAttributes& attributes) {
  PathFacts f;
  f.prefix = prefix;
  f.valid = f.best = f.local = true;
  f.next_hop = prefix.is_v4() ? IpAddress(Ipv4Address{}) : IpAddress(Ipv6Address{});
  f.local_pref = attributes.local_pref;
  f.med = attributes.med;
  PathAttributes a;
  a.communities = attributes.communities;
  a.large_communities = attributes.large_communities;
  f.communities = communities_text(a);
  f.why = "our own";
  return f;
}

}  // namespace

std::vector<PeerFacts> Speaker::peers(Instant now) const {
  std::vector<PeerFacts> all;
  for (const auto& [address, peer] : impl_->by_address) all.push_back(impl_->facts(now, *peer));
  return all;
}

std::optional<PeerFacts> Speaker::peer(Instant now, const IpAddress& address) const {
  const auto* peer = impl_->find(address);
  return peer == nullptr ? std::nullopt : std::optional(impl_->facts(now, *peer));
}

SummaryFacts Speaker::summary(Instant now) const {
  SummaryFacts s;
  s.router_id = impl_->settings.router_id;
  s.local_as = impl_->settings.local_as;
  s.table_version = impl_->version;
  s.prefixes = impl_->rib.prefix_count();
  s.paths = impl_->rib.path_count();
  s.attribute_sets = impl_->rib.attributes().size();
  for (const auto& [address, peer] : impl_->by_address) {
    s.peers.push_back({address, peer->settings.remote_as, peer->in.total(), peer->out.total(),
                       peer->established() ? peer->sent_version : 0, peer->main().pending, now - peer->state_since,
                       peer->state(), peer->enabled, impl_->rib.path_count(peer->index), peer->dynamic});
  }
  return s;
}

std::vector<PathFacts> Speaker::paths(Instant now, const routing::IpPrefix& only) const {
  std::vector<PathFacts> all;
  const auto own = impl_->originated.find(only);
  if (own != impl_->originated.end() && !own->second.withdrawn) all.push_back(own_facts(only, own->second.attributes));
  for (const auto& view : impl_->rib.paths(only)) all.push_back(impl_->path_facts(now, view));
  if (all.size() == 1) all[0].why = all[0].local ? "our own" : all[0].valid ? "best: the only path" : all[0].why;
  return all;
}

std::vector<PathFacts> Speaker::paths(Instant now, std::size_t max) const {
  auto prefixes = impl_->rib.prefixes(max);
  for (const auto& [prefix, origination] : impl_->originated) {
    if (!origination.withdrawn) prefixes.push_back(prefix);
  }
  std::sort(prefixes.begin(), prefixes.end());
  prefixes.erase(std::unique(prefixes.begin(), prefixes.end()), prefixes.end());
  std::vector<PathFacts> all;
  for (const auto& prefix : prefixes) {
    for (auto& path : paths(now, prefix)) all.push_back(std::move(path));
    if (all.size() >= max) break;
  }
  if (all.size() > max) all.resize(max);
  return all;
}

std::vector<PathFacts> Speaker::routes_from(Instant now, const IpAddress& address, std::size_t max) const {
  std::vector<PathFacts> all;
  const auto* peer = impl_->find(address);
  if (peer == nullptr) return all;
  for (auto& view : impl_->rib.paths_of(peer->index, max)) {
    // Whether it is used is decided per prefix.
    for (const auto& decided : impl_->rib.paths(view.prefix)) {
      if (decided.peer != view.peer || decided.path_id != view.path_id) continue;
      view.best = decided.best;
      view.multipath = decided.multipath;
      view.lost_at = decided.lost_at;
    }
    all.push_back(impl_->path_facts(now, view));
  }
  return all;
}

std::vector<PathFacts> Speaker::advertised_to(Instant, const IpAddress& address) const {
  std::vector<PathFacts> all;
  const auto* peer = impl_->find(address);
  if (peer == nullptr || !peer->established()) return all;
  const auto& key = impl_->groups[peer->group].key;
  for (const auto& [prefix, origination] : impl_->originated) {
    if (origination.withdrawn || origination.version > peer->sent_version) continue;
    const auto a = impl_->exported(key, prefix, origination.attributes);
    if (!a) continue;
    auto f = own_facts(prefix, origination.attributes);
    f.next_hop = a->next_hop;
    f.local_pref = a->local_pref;
    f.med = a->med;
    f.as_path = a->as_path.text();
    f.communities = communities_text(*a);
    all.push_back(std::move(f));
  }
  return all;
}

}  // namespace sluice::bgp
