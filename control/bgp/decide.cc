// The decision, one line a step.
#include "control/bgp/decide.h"

#include <algorithm>
#include <limits>

namespace sluice::bgp {
namespace {

constexpr std::uint32_t kDefaultLocalPref = 100;  // what an external path counts as

std::uint32_t local_pref(const Candidate& c) { return c.attributes->local_pref.value_or(kDefaultLocalPref); }
std::uint32_t med(const Candidate& c) { return c.attributes->med.value_or(0); }  // 9.1.2.2 c: absent is the best
// 9.1.2.2 c: the AS that the path came from; our own for paths that begin within our AS.
std::uint32_t neighbor_as(const Candidate& c) { return c.attributes->as_path.first().value_or(0); }

using Alive = std::vector<Candidate*>;

// Keeps those with the least key.
template <typename Key>
void keep_least(Alive& alive, Step step, Key key) {
  if (alive.size() < 2) return;
  auto least = key(*alive[0]);
  for (const auto* c : alive) least = std::min(least, key(*c));
  std::erase_if(alive, [&](Candidate* c) {
    if (key(*c) == least) return false;
    c->lost_at = step;
    return true;
  });
}

// 9.1.2.2 c: MED is compared only among paths from the same neighbouring AS.
void keep_least_med(Alive& alive, bool compare_all) {
  if (alive.size() < 2) return;
  if (compare_all) return keep_least(alive, Step::med, med);
  auto by_as = alive;
  std::sort(by_as.begin(), by_as.end(), [](const Candidate* a, const Candidate* b) {
    return std::pair(neighbor_as(*a), med(*a)) < std::pair(neighbor_as(*b), med(*b));
  });
  const Candidate* least = nullptr;
  for (auto* c : by_as) {
    if (least == nullptr || neighbor_as(*least) != neighbor_as(*c)) least = c;
    if (med(*c) > med(*least)) c->lost_at = Step::med;
  }
  std::erase_if(alive, [](const Candidate* c) { return c->lost_at == Step::med; });
}

// Those as good as the best up to the tie-breakers, one a next hop.
void mark_multipath(const Alive& equal, const Candidate& best, const DecisionSettings& settings) {
  std::vector<const Candidate*> used{&best};
  for (auto* c : equal) {
    if (used.size() >= settings.multipath_max) return;
    if (c == &best || (!settings.multipath_relax && c->attributes->as_path != best.attributes->as_path)) continue;
    const bool same_hop = std::any_of(used.begin(), used.end(), [c](const Candidate* u) {
      return u->attributes->next_hop == c->attributes->next_hop;
    });
    if (same_hop) continue;
    c->multipath = true;
    used.push_back(c);
  }
}

}  // namespace

int decide(std::vector<Candidate>& candidates, const DecisionSettings& settings) {
  Alive alive;
  alive.reserve(candidates.size());
  for (auto& c : candidates) {
    c.lost_at = c.next_hop.reachable ? Step::best : Step::next_hop_unreachable;
    c.multipath = false;
    if (c.next_hop.reachable) alive.push_back(&c);
  }
  if (alive.empty()) return -1;
  keep_least(alive, Step::long_lived_stale, [](const Candidate& c) { return c.long_lived_stale; });
  keep_least(alive, Step::local_pref, [](const Candidate& c) { return ~local_pref(c); });
  keep_least(alive, Step::as_path_length, [](const Candidate& c) { return c.as_path_length; });
  keep_least(alive, Step::origin, [](const Candidate& c) { return c.attributes->origin; });
  keep_least_med(alive, settings.always_compare_med);
  keep_least(alive, Step::external, [](const Candidate& c) { return c.internal; });
  keep_least(alive, Step::interior_cost, [](const Candidate& c) { return c.next_hop.metric; });
  keep_least(alive, Step::owner, [](const Candidate& c) { return !c.owner; });
  // In a fixed order, so that the multipath set is the same whatever came first.
  std::sort(alive.begin(), alive.end(), [](const Candidate* a, const Candidate* b) {
    return std::pair(a->peer, a->path_id) < std::pair(b->peer, b->path_id);
  });
  const Alive equal = alive;
  keep_least(alive, Step::router_id,
             [](const Candidate& c) { return c.attributes->originator_id.value_or(c.router_id); });
  keep_least(alive, Step::cluster_list, [](const Candidate& c) { return c.attributes->cluster_list.size(); });
  keep_least(alive, Step::peer_address, [](const Candidate& c) { return c.peer; });
  keep_least(alive, Step::path_id, [](const Candidate& c) { return c.path_id; });
  Candidate* best = alive.front();
  if (settings.multipath_max > 1) mark_multipath(equal, *best, settings);
  return static_cast<int>(best - candidates.data());
}

std::string_view text_of(Step step) {
  switch (step) {
    case Step::best:
      return "best";
    case Step::next_hop_unreachable:
      return "next hop unreachable (9.1.2)";
    case Step::long_lived_stale:
      return "long-lived stale (RFC 9494 4.3)";
    case Step::local_pref:
      return "lower LOCAL_PREF (9.1.1)";
    case Step::as_path_length:
      return "longer AS_PATH (9.1.2.2 a)";
    case Step::origin:
      return "higher ORIGIN (9.1.2.2 b)";
    case Step::med:
      return "higher MULTI_EXIT_DISC (9.1.2.2 c)";
    case Step::external:
      return "internal (9.1.2.2 d)";
    case Step::interior_cost:
      return "next hop is farther (9.1.2.2 e)";
    case Step::owner:
      return "another node owns the block";
    case Step::router_id:
      return "higher BGP Identifier (9.1.2.2 f)";
    case Step::cluster_list:
      return "longer CLUSTER_LIST (RFC 4456 9)";
    case Step::peer_address:
      return "higher peer address (9.1.2.2 g)";
    case Step::path_id:
      return "higher path identifier";
  }
  return "";
}

}  // namespace sluice::bgp
