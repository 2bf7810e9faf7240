// What a neighbour has sent and was not taken as it came: refused routes with their reason, and the originals of those
// that policy has changed. Kept within bounds, for `show ip bgp neighbors A received-routes`.
#include <algorithm>

#include "control/bgp/speaker_impl.h"

namespace sluice::bgp {

void Speaker::Impl::set_aside(Peer& peer, const Nlri& route, const PathAttributes& attributes,
                              std::string_view refused) {
  const std::pair key(route.prefix, route.path_id);
  auto at = peer.aside.find(key);
  if (at == peer.aside.end()) {
    if (peer.aside.size() >= kAsideMax || aside_count >= kAsideTotalMax) return;
    at = peer.aside.try_emplace(key).first;
    ++aside_count;
  } else {
    rib.attributes().release(at->second.attributes);
  }
  at->second = {rib.attributes().intern(attributes), refused};
}

void Speaker::Impl::forget_aside(Peer& peer, const Nlri& route) {
  if (peer.aside.empty()) return;
  const auto at = peer.aside.find({route.prefix, route.path_id});
  if (at == peer.aside.end()) return;
  rib.attributes().release(at->second.attributes);
  peer.aside.erase(at);
  --aside_count;
}

void Speaker::Impl::forget_aside(Peer& peer) {
  for (const auto& [route, aside] : peer.aside) rib.attributes().release(aside.attributes);
  aside_count -= peer.aside.size();
  peer.aside.clear();
}

std::vector<PathFacts> Speaker::received_from(Instant now, const IpAddress& address) const {
  auto all = routes_from(now, address);
  const auto* peer = impl_->find(address);
  if (peer == nullptr) return all;
  const auto as_received = [&](PathFacts facts, const Peer::Aside& aside) {
    const auto own = impl_->attribute_facts(impl_->rib.attributes()[aside.attributes]);
    facts.next_hop = own.next_hop;
    facts.med = own.med;
    facts.local_pref = own.local_pref;
    facts.as_path = own.as_path;
    facts.origin = own.origin;
    facts.communities = own.communities;
    return facts;
  };
  for (auto& facts : all) {
    const auto at = peer->aside.find({facts.prefix, facts.path_id});
    if (at != peer->aside.end() && at->second.refused.empty()) facts = as_received(std::move(facts), at->second);
  }
  for (const auto& [route, aside] : peer->aside) {
    if (aside.refused.empty()) continue;
    PathFacts facts;
    facts.prefix = route.first;
    facts.path_id = route.second;
    facts.peer = address;
    facts.internal = impl_->internal(*peer);
    facts.rejected = true;
    facts.why = "rejected: " + std::string(aside.refused);
    all.push_back(as_received(std::move(facts), aside));
  }
  std::sort(all.begin(), all.end(), [](const PathFacts& a, const PathFacts& b) {
    return std::tie(a.prefix, a.path_id) < std::tie(b.prefix, b.path_id);
  });
  return all;
}

}  // namespace sluice::bgp
