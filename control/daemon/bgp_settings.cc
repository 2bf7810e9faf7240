// The configuration's BGP as the speaker's settings; see bgp_settings.h.
#include "control/daemon/bgp_settings.h"

#include <algorithm>

#include "control/bgp/wire.h"
#include "control/config/bgp.h"

namespace sluice::daemon {
namespace {

Ipv4Address local_for(const config::Config& config, Ipv4Address neighbor) {
  for (const config::SelfIp& self : config.self_ips) {
    if (self.address.subnet().contains(neighbor)) return self.address.address;
  }
  return config.self_ips.empty() ? Ipv4Address{} : config.self_ips.front().address.address;
}

bgp::Role role_of(config::BgpRole role) {
  switch (role) {
    case config::BgpRole::none:
      return bgp::Role::none;
    case config::BgpRole::provider:
      return bgp::Role::provider;
    case config::BgpRole::route_server:
      return bgp::Role::route_server;
    case config::BgpRole::route_server_client:
      return bgp::Role::route_server_client;
    case config::BgpRole::customer:
      return bgp::Role::customer;
    case config::BgpRole::peer:
      return bgp::Role::peer;
  }
  return bgp::Role::none;
}

template <typename T, typename U>
void set(T& out, const std::optional<U>& from) {
  if (from) out = static_cast<T>(*from);
}

bgp::Policy policy_of(const std::vector<std::string>& rules, const config::PrefixLists& lists) {
  auto policy = bgp::parse_policy(rules, lists);
  // Precondition: they are valid. If not, nothing is let through.
  return policy ? std::move(*policy) : bgp::Policy{{}, bgp::Verdict::reject};
}

bgp::SessionSettings make_session(const config::BgpSession& from, const config::PrefixLists& lists) {
  bgp::SessionSettings out;
  set(out.remote_as, from.remote_as);
  set(out.local_as, from.local_as);
  set(out.port, from.port);
  if (from.local_address) out.local_address = IpAddress(*from.local_address);
  set(out.hold_time, from.hold_time);
  out.keepalive = config::keepalive_of(from, out.hold_time);
  set(out.connect_retry, from.connect_retry);
  set(out.idle_hold, from.idle_hold);
  set(out.idle_hold_max, from.idle_hold_max);
  out.idle_hold_max = std::max(out.idle_hold, out.idle_hold_max);
  set(out.passive, from.passive);
  out.password = from.password;
  if (from.bfd) {
    out.bfd = bgp::BfdSettings{{from.bfd->min_tx, from.bfd->min_rx, from.bfd->multiplier},
                               from.bfd->multihop,
                               from.bfd->abort_graceful_restart};
  }
  set(out.ttl_security, from.ttl_security);
  set(out.multihop, from.multihop);
  set(out.graceful_restart, from.graceful_restart);
  set(out.long_lived_graceful_restart, from.long_lived_graceful_restart);
  const auto add_path = from.add_path.value_or(config::AddPath::none);
  out.add_path_receive = add_path == config::AddPath::receive || add_path == config::AddPath::both;
  out.add_path_send = add_path == config::AddPath::send || add_path == config::AddPath::both;
  set(out.ipv6_unicast, from.ipv6_unicast);
  set(out.extended_next_hop, from.extended_next_hop);
  set(out.extended_messages, from.extended_messages);
  set(out.allow_as_in, from.allow_as_in);
  set(out.prefixes_max, from.prefixes_max);
  set(out.prefixes_warn_percent, from.prefixes_warn_percent);
  set(out.prefixes_restart, from.prefixes_restart);
  if (from.role) out.role = role_of(*from.role);
  set(out.role_strict, from.role_strict);
  set(out.require_policy, from.require_policy);
  out.import_policy = policy_of(from.import_rules, lists);
  out.export_policy = policy_of(from.export_rules, lists);
  return out;
}

}  // namespace

bgp::SpeakerSettings make_settings(const config::Config& config) {
  const config::Bgp& from = config.bgp;
  const config::PrefixLists lists = config::prefix_lists_of(from);
  bgp::SpeakerSettings out;
  out.local_as = from.local_as;
  out.router_id = from.router_id.value;
  out.listen_port = from.listen_port;
  out.graceful_restart_time = from.graceful_restart_time;
  out.stale_time_max = from.stale_time_max;
  out.multipath_max = from.multipath_max;
  out.multipath_relax = from.multipath_relax;
  out.always_compare_med = from.always_compare_med;
  for (const Ipv4Prefix& prefix : from.accept) out.accept.emplace_back(prefix);
  for (const config::SelfIp& self : config.self_ips)
    out.self_ips.push_back({self.address.address, self.address.length});
  for (const config::BgpBlockOwner& owner : from.block_owners) out.owners.push_back({owner.prefix, owner.node});
  // What our own subnets hold is reached there. Who wants it otherwise says so in `accept`.
  if (from.accept.empty()) {
    for (const config::SelfIp& self : config.self_ips) out.refuse.emplace_back(self.address.subnet());
  }
  for (const config::BgpNeighbor& neighbor : from.neighbors) {
    bgp::NeighborSettings& made = out.neighbors.emplace_back();
    made.address = neighbor.address;
    made.enabled = neighbor.enabled;
    made.session = make_session(config::effective(from, neighbor.peer_group, neighbor.session), lists);
    made.session.description = neighbor.description;
    if (!made.session.local_address) made.session.local_address = local_for(config, neighbor.address);
  }
  for (const config::BgpListenRange& range : from.listen_ranges) {
    bgp::ListenRange& made = out.listen_ranges.emplace_back();
    made.prefix = range.prefix;
    made.neighbors_max = range.neighbors_max;
    made.expiry = range.expiry;
    made.session = make_session(config::effective(from, range.peer_group, range.session), lists);
    made.session.description = range.description;
    made.session.passive = true;
  }
  return out;
}

bgp::AnnounceAttributes make_attributes(const config::Announcement& from) {
  bgp::AnnounceAttributes out;
  out.local_pref = from.local_preference;
  out.med = from.med;
  out.prepend = from.prepend;
  for (const std::string& text : from.communities) {
    if (const auto community = config::parse_community(text)) out.communities.push_back(*community);
    if (const auto large = config::parse_large_community(text)) out.large_communities.push_back(*large);
  }
  if (from.graceful_shutdown) {
    // RFC 8326 4.2: external neighbours lower it at the sight of the community, internal ones believe LOCAL_PREF.
    out.communities.push_back(bgp::community::kGracefulShutdown);
    out.local_pref = 0;
  }
  return out;
}

}  // namespace sluice::daemon
