// What we announce: a log of changes, one encoding for all neighbours alike, and no queue that a slow reader could
// fill.
//
// Adj-RIB-Out is not stored per neighbour: a neighbour only knows up to which version of our announcements it has been
// told. What it lacks is computed when it can take more, so several changes of one address while it was slow are one.
#include <algorithm>

#include "control/bgp/speaker_impl.h"

namespace sluice::bgp {

bool Speaker::Impl::GroupKey::operator==(const GroupKey& o) const {
  return encode.internal == o.encode.internal && encode.four_octet_as == o.encode.four_octet_as &&
         local_as == o.local_as && hidden_as == o.hidden_as && next_hop_v4 == o.next_hop_v4 &&
         next_hop_v6 == o.next_hop_v6 && family == o.family && add_path == o.add_path && message_max == o.message_max &&
         export_policy == o.export_policy && role == o.role && withhold == o.withhold;
}

void Speaker::Impl::change(const routing::IpPrefix& prefix, const AnnounceAttributes& attributes, bool withdrawn) {
  const auto [at, fresh] = originated.try_emplace(prefix);
  auto& origination = at->second;
  if (fresh && withdrawn) {
    originated.erase(at);
    return;
  }
  if (!fresh) {
    if (origination.withdrawn == withdrawn && (withdrawn || origination.attributes == attributes)) return;
    changes.erase(origination.version);
  }
  origination = {attributes, withdrawn, ++version};
  changes.emplace(version, prefix);
  if (prefix.length == prefix.address.bits()) set_own(prefix.address, !withdrawn);
  behind.clear();
  for (const auto& [address, peer] : by_address) {
    peer->behind = peer->established();
    if (peer->behind) behind.push_back(address);
  }
}

// A virtual address stays ours while it is announced, a self IP always.
void Speaker::Impl::set_own(const IpAddress& address, bool ours) {
  const bool self = std::any_of(settings.self_ips.begin(), settings.self_ips.end(),
                                [&](const LocalAddress& l) { return l.address == address; });
  if (ours || self) {
    address.is_v4() ? void(own_v4.insert(address.v4().value)) : void(own_v6.insert(address));
  } else {
    address.is_v4() ? void(own_v4.erase(address.v4().value)) : void(own_v6.erase(address));
  }
}

std::optional<IpAddress> Speaker::Impl::next_hop_for(const Peer& peer, Family family) const {
  const auto same_family = [family](const IpAddress& a) { return a.is_v4() == (family == Family::ipv4); };
  for (const auto& self : settings.self_ips) {
    if (same_family(self.address) && routing::IpPrefix::of(self.address, self.length).contains(peer.address)) {
      return self.address;
    }
  }
  const auto& local = peer.conns[0].local.address;
  if (same_family(local) && !local.is_zero()) return local;
  for (const auto& self : settings.self_ips) {
    if (same_family(self.address)) return self.address;
  }
  return std::nullopt;
}

void Speaker::Impl::join_group(Peer& peer) {
  const auto& n = peer.conns[0].negotiated;
  GroupKey key;
  key.encode = {n.internal, n.four_octet_as};
  key.local_as = local_as(peer);
  key.next_hop_v4 = next_hop_for(peer, Family::ipv4);
  key.next_hop_v6 = next_hop_for(peer, Family::ipv6);
  key.family = n.family;
  key.add_path = n.add_path_send;
  key.message_max = n.send_max();
  key.export_policy = peer.settings.export_policy;
  key.role = peer.settings.role;
  key.withhold = lacks_policy(peer, peer.settings.export_policy);
  auto at =
      std::find_if(groups.begin(), groups.end(), [&key](const Group& g) { return g.members != 0 && g.key == key; });
  if (at == groups.end()) {
    at = std::find_if(groups.begin(), groups.end(), [](const Group& g) { return g.members == 0; });
    if (at == groups.end()) at = groups.insert(groups.end(), Group{});
    at->key = std::move(key);
  }
  ++at->members;
  peer.group = static_cast<std::size_t>(at - groups.begin());
}

void Speaker::Impl::leave_group(Peer& peer) {
  auto& group = groups[peer.group];
  if (group.members > 0) --group.members;
}

// The whole table from the start; changes that come meanwhile follow.
void Speaker::Impl::start_sync(Peer& peer) {
  // Only who has been told nothing in this session has nothing to forget.
  peer.sync_target = peer.sent_version == 0 && !peer.end_of_rib_sent ? version : 0;
  peer.sent_version = 0;
  peer.syncing = true;
  peer.refresh_begun = false;
  peer.announced = 0;
  if (!peer.behind) behind.push_back(peer.address);
  peer.behind = true;
}

std::optional<PathAttributes> Speaker::Impl::exported(const GroupKey& key, const routing::IpPrefix& prefix,
                                                      const AnnounceAttributes& attributes) const {
  const auto& next_hop = prefix.is_v4() ? key.next_hop_v4 : key.next_hop_v6;
  if (key.withhold) return std::nullopt;
  if (!key.family[index_of(prefix.is_v4() ? Family::ipv4 : Family::ipv6)] || !next_hop) return std::nullopt;
  PathAttributes a;
  a.origin = Origin::incomplete;
  a.next_hop = *next_hop;
  a.med = attributes.med;
  a.communities = attributes.communities;
  a.large_communities = attributes.large_communities;
  if (key.encode.internal) {
    a.local_pref = attributes.local_pref;
  } else {
    a.as_path.prepend(key.local_as, 1 + attributes.prepend);
    // RFC 9234 5: to a customer, peer or route server client our routes go marked.
    if (key.role == Role::provider || key.role == Role::peer || key.role == Role::route_server) {
      a.only_to_customer = key.local_as;
    }
  }
  if (!apply(key.export_policy, prefix, a, key.local_as)) return std::nullopt;
  return a;
}

// The messages that take every neighbour of the group from version `from` to Encoded::to. Made once a turn.
const Speaker::Impl::Encoded& Speaker::Impl::encode(std::size_t group, std::uint64_t from, bool syncing,
                                                    std::uint64_t target) {
  const auto [slot, fresh] = encodings.try_emplace({group, from, syncing, target});
  auto& encoded = slot->second;
  if (!fresh) return encoded;
  const auto& key = groups[group].key;
  std::vector<std::pair<PathAttributes, std::vector<Nlri>>> announced;
  std::vector<Nlri> withdrawn;
  encoded.to = version;
  std::size_t taken = 0;
  for (auto at = changes.upper_bound(from); at != changes.end(); ++at, ++taken) {
    if (taken == kChangesPerTurn) {
      encoded.to = std::prev(at)->first;
      break;
    }
    const auto& prefix = at->second;
    const auto& origination = originated.at(prefix);
    auto attributes = origination.withdrawn ? std::nullopt : exported(key, prefix, origination.attributes);
    if (!attributes) {
      // Whoever is only being told of the table has nothing to forget.
      const bool never_told = syncing && at->first <= target;
      if (!never_told && key.family[index_of(prefix.is_v4() ? Family::ipv4 : Family::ipv6)])
        withdrawn.push_back({prefix, 0});
      continue;
    }
    auto same = std::find_if(announced.begin(), announced.end(), [&](const auto& a) {
      return a.first == *attributes && a.second.front().prefix.is_v4() == prefix.is_v4();
    });
    if (same == announced.end()) same = announced.insert(announced.end(), {std::move(*attributes), {}});
    same->second.push_back({prefix, key.add_path[index_of(prefix.is_v4() ? Family::ipv4 : Family::ipv6)] ? 1u : 0u});
    ++encoded.announced;
  }
  Bytes bytes;
  const auto by_family = [](const Nlri& a, const Nlri& b) { return a.prefix < b.prefix; };
  std::sort(withdrawn.begin(), withdrawn.end(), by_family);
  for (auto& route : withdrawn)
    route.path_id = key.add_path[index_of(route.prefix.is_v4() ? Family::ipv4 : Family::ipv6)] ? 1 : 0;
  const auto first_v6 =
      std::find_if(withdrawn.begin(), withdrawn.end(), [](const Nlri& n) { return !n.prefix.is_v4(); });
  const auto v4_count = static_cast<std::size_t>(first_v6 - withdrawn.begin());
  const std::span all(withdrawn);
  encode_withdrawals(bytes, all.first(v4_count), key.add_path[0], key.message_max);
  encode_withdrawals(bytes, all.subspan(v4_count), key.add_path[1], key.message_max);
  for (const auto& [attributes, routes] : announced) {
    const auto family = routes.front().prefix.is_v4() ? Family::ipv4 : Family::ipv6;
    encode_announcements(bytes, attributes, key.encode, routes, key.add_path[index_of(family)], key.message_max);
  }
  encoded.withdrawn = syncing ? 0 : withdrawn.size();  // a table sent anew is counted anew
  if (!bytes.empty()) encoded.bytes = std::make_shared<const Bytes>(std::move(bytes));
  return encoded;
}

// True: it has all.
bool Speaker::Impl::flush_peer(Instant now, Peer& peer, Outputs& out) {
  auto& conn = peer.conns[0];
  if (peer.syncing && !peer.refresh_begun && peer.refresh_answer != decltype(peer.refresh_answer){}) {
    if (conn.pending > kOutputHigh) return false;
    peer.refresh_begun = true;
    for (const auto family : {Family::ipv4, Family::ipv6}) {
      if (!peer.refresh_answer[index_of(family)]) continue;  // only what was asked for
      send(now, peer, conn, std::make_shared<const Bytes>(encode_route_refresh(family, RefreshKind::begin)), out);
    }
  }
  while (peer.sent_version < version) {
    if (conn.pending > kOutputHigh) return false;
    const auto& encoded = encode(peer.group, peer.sent_version, peer.syncing, peer.sync_target);
    if (encoded.bytes) send(now, peer, conn, encoded.bytes, out);
    peer.sent_version = encoded.to;
    peer.announced += static_cast<std::uint32_t>(encoded.announced);
    peer.announced -= std::min(peer.announced, static_cast<std::uint32_t>(encoded.withdrawn));
  }
  if (!peer.syncing) return true;
  peer.syncing = false;
  for (const auto family : {Family::ipv4, Family::ipv6}) {
    if (!conn.negotiated.family[index_of(family)]) continue;
    Bytes bytes;
    if (peer.refresh_answer[index_of(family)]) bytes = encode_route_refresh(family, RefreshKind::end);
    // RFC 4724 2: always, also with nothing to announce: Calico's nodes wait for it (README.md, fact 3).
    if (!peer.end_of_rib_sent) encode_end_of_rib(bytes, family);
    if (!bytes.empty()) send(now, peer, conn, std::make_shared<const Bytes>(std::move(bytes)), out);
  }
  peer.end_of_rib_sent = true;
  peer.refresh_answer = std::exchange(peer.refresh_again, {});
  if (peer.refresh_answer == decltype(peer.refresh_answer){}) return true;
  start_sync(peer);
  return false;
}

void Speaker::Impl::flush(Instant now, Outputs& out) {
  if (behind.empty() || deferring) return;  // RFC 4724 4.1: announcements and End-of-RIB wait, see update_deferral
  std::erase_if(behind, [&](const IpAddress& address) {
    auto* peer = find(address);
    if (peer == nullptr || !peer->established()) return true;
    const bool done = flush_peer(now, *peer, out);
    peer->behind = !done;
    schedule(*peer);
    return done;
  });
  encodings.clear();
  if (behind.empty()) forget_old_withdrawals();
}

// Once all have been told, a withdrawn prefix need not be remembered.
void Speaker::Impl::forget_old_withdrawals() {
  for (auto at = changes.begin(); at != changes.end();) {
    const auto origination = originated.find(at->second);
    if (!origination->second.withdrawn) {
      ++at;
      continue;
    }
    originated.erase(origination);
    at = changes.erase(at);
  }
}

}  // namespace sluice::bgp
