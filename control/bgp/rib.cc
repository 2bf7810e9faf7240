// Rib: paths in and out, retiring, the decision of a prefix and its report.
#include "control/bgp/rib.h"

#include <algorithm>
#include <tuple>

namespace sluice::bgp {
namespace {

// What was reported for a prefix: nothing, one next hop (the usual case, no interning), or an interned set.
constexpr std::uint32_t kSingle = 0x80000000;
constexpr std::uint32_t kExternal = 0x40000000;
constexpr std::uint32_t kHopMask = kExternal - 1;
constexpr std::size_t kGenerationMax = 255;  // Path::generation is one byte

// The `max` least of many in one pass, in order: what show asks of a table of millions may not hold up the thread.
template <typename T>
class Least {
 public:
  explicit Least(std::size_t max) : max_(std::max<std::size_t>(max, 1)) {}
  void add(const T& item) {
    if (cut_ && !(item < all_[max_ - 1])) return;
    all_.push_back(item);
    if (all_.size() == 2 * max_) cut();
  }
  std::vector<T> take() {
    if (all_.size() > max_) cut();
    std::sort(all_.begin(), all_.end());
    return std::move(all_);
  }

 private:
  void cut() {  // afterwards the greatest that stays is the last
    std::nth_element(all_.begin(), all_.begin() + static_cast<std::ptrdiff_t>(max_ - 1), all_.end());
    all_.resize(max_);
    cut_ = true;
  }
  std::size_t max_;
  bool cut_ = false;
  std::vector<T> all_;
};

}  // namespace

// ---- neighbours

PeerIndex Rib::add_peer(const IpAddress& address) {
  std::size_t i = peers_.size();
  if (free_peers_.empty()) {
    peers_.emplace_back();
  } else {
    i = free_peers_.back();
    free_peers_.pop_back();
  }
  peers_[i] = {};
  peers_[i].info.address = address;
  return static_cast<PeerIndex>(i);
}

void Rib::remove_peer(PeerIndex peer) {
  peers_[peer].leaving = true;
  for (const auto family : {Family::ipv4, Family::ipv6}) {
    sweep_kept(peer, family);
    retire(peer, family, Retire::sweep);
  }
  free_if_gone(peer);
}

void Rib::free_if_gone(PeerIndex index) {
  auto& peer = peers_[index];
  if (!peer.leaving || !peer.families[0].empty() || !peer.families[1].empty()) return;
  peer.leaving = false;
  free_peers_.push_back(index);
}

std::uint32_t Rib::path_count(PeerIndex peer) const {
  std::uint32_t n = 0;
  for (const auto& a : peers_[peer].families) n += a.lists[kCurrent].count;
  return n;
}

std::uint32_t Rib::stale_count(PeerIndex peer) const {
  std::uint32_t n = 0;
  for (const auto& a : peers_[peer].families) n += a.lists[kKept].count;
  return n;
}

std::uint32_t Rib::stale_count(PeerIndex peer, Family family) const {
  return peers_[peer].families[index_of(family)].lists[kKept].count;
}

void Rib::configure(const DecisionSettings& settings) {
  settings_ = settings;
  rescan();
}

// ---- lists of a neighbour's paths

void Rib::join(std::uint32_t id, Adjacency& adjacency) {
  auto& path = paths_[id];
  auto& list = adjacency.lists[kCurrent];
  path.generation = adjacency.current;
  path.previous = 0;
  path.next = list.head;
  (list.head != 0 ? paths_[list.head].previous : list.tail) = id;
  list.head = id;
  ++list.count;
  ++adjacency.generations[path.generation].count;
}

void Rib::leave(std::uint32_t id) {
  auto& path = paths_[id];
  auto& adjacency = adjacency_of(path);
  auto& generation = adjacency.generations[path.generation];
  auto& list = adjacency.lists[generation.role];
  (path.previous != 0 ? paths_[path.previous].next : list.head) = path.next;
  (path.next != 0 ? paths_[path.next].previous : list.tail) = path.previous;
  --list.count;
  --generation.count;
}

// Joins the list `from` to the list `to`, and gives its generations the other role.
void Rib::move_list(Adjacency& adjacency, Role from, Role to) {
  auto& source = adjacency.lists[from];
  auto& target = adjacency.lists[to];
  if (source.count == 0) return;
  auto& generations = adjacency.generations;
  if (from == kCurrent) {
    const auto fresh = free_generation(adjacency);
    generations[adjacency.current].role = to;
    generations[fresh] = {0, kCurrent};
    adjacency.current = fresh;
  } else {
    for (auto& g : generations) {
      if (g.role == from) g.role = to;
    }
  }
  if (target.count == 0) {
    target = std::exchange(source, {});
    return;
  }
  paths_[target.tail].next = source.head;
  paths_[source.head].previous = target.tail;
  target.tail = source.tail;
  target.count += source.count;
  source = {};
}

// A number that no path carries. When all 256 are in use (as many retirements before the sweep of the first has ended)
// the paths that are not current are renumbered, once for 254 retirements.
std::uint8_t Rib::free_generation(Adjacency& adjacency) {
  auto& generations = adjacency.generations;
  const auto unused = [&]() -> std::size_t {
    std::size_t i = 0;
    while (i < generations.size() && (generations[i].count != 0 || i == adjacency.current)) ++i;
    if (i == generations.size() && i <= kGenerationMax) generations.emplace_back();
    return i;
  };
  auto i = unused();
  if (i > kGenerationMax) {
    for (const auto role : {kKept, kSweeping}) {
      const auto one = std::find_if(generations.begin(), generations.end(),
                                    [role](const Generation& g) { return g.role == role && g.count != 0; });
      if (one == generations.end()) continue;
      for (auto& g : generations) {
        if (g.role == role) g.count = 0;
      }
      const auto& list = adjacency.lists[role];
      for (auto id = list.head; id != 0; id = paths_[id].next) {
        paths_[id].generation = static_cast<std::uint8_t>(one - generations.begin());
      }
      one->count = list.count;
    }
    i = unused();
  }
  return static_cast<std::uint8_t>(i);
}

// ---- Adj-RIB-In

std::uint32_t* Rib::link_to(std::uint32_t net, PeerIndex peer, std::uint32_t path_id, unsigned* others) {
  std::uint32_t* link = &nets_[net].first;
  while (*link != 0) {
    auto& path = paths_[*link];
    if (path.peer == peer) {
      if (path.path_id == path_id) break;
      if (others != nullptr) ++*others;
    }
    link = &path.next_in_net;
  }
  return link;
}

bool Rib::update(PeerIndex peer, const routing::IpPrefix& prefix, std::uint32_t path_id, AttributeId attributes,
                 std::uint32_t now_s, RouteBatch& out) {
  const auto net = nets_.find_or_insert(prefix);
  unsigned others = 0;
  auto* link = link_to(net, peer, path_id, &others);
  auto& adjacency = peers_[peer].families[index_of(family_of(net))];
  if (const auto id = *link; id != 0) {
    auto& path = paths_[id];
    const bool was_long_lived = long_lived(path);
    const bool same = path.attributes == attributes;
    if (path.generation != adjacency.current) {  // stale no more
      leave(id);
      join(id, adjacency);
    }
    if (same && !was_long_lived) return true;
    attributes_.add_user(attributes);
    const auto old = std::exchange(path.attributes, attributes);
    path.since_s = now_s;
    decide_net(net, out);
    attributes_.release(old);
    return true;
  }
  if (others >= kPathsPerPrefixMax) return false;
  attributes_.add_user(attributes);
  const auto id = paths_.create();
  auto& path = paths_[id];
  path.net = net;
  path.attributes = attributes;
  path.path_id = path_id;
  path.since_s = now_s;
  path.peer = peer;
  path.next_in_net = nets_[net].first;
  nets_[net].first = id;
  join(id, adjacency);
  decide_net(net, out);
  return true;
}

bool Rib::withdraw(PeerIndex peer, const routing::IpPrefix& prefix, std::uint32_t path_id, RouteBatch& out) {
  const auto net = nets_.find(prefix);
  if (net == 0) return false;
  auto* link = link_to(net, peer, path_id);
  if (*link == 0) return false;
  remove(link);
  decide_net(net, out);
  return true;
}

bool Rib::has_path(PeerIndex peer, const routing::IpPrefix& prefix, std::uint32_t path_id) const {
  const auto net = nets_.find(prefix);
  if (net == 0) return false;
  for (auto id = nets_[net].first; id != 0; id = paths_[id].next_in_net) {
    if (paths_[id].peer == peer && paths_[id].path_id == path_id) return true;
  }
  return false;
}

void Rib::remove(std::uint32_t* link) {
  const auto id = *link;
  *link = paths_[id].next_in_net;
  leave(id);
  attributes_.release(paths_[id].attributes);
  paths_.destroy(id);
}

// ---- retiring

void Rib::retire(PeerIndex peer, Family family, Retire how) {
  auto& adjacency = peers_[peer].families[index_of(family)];
  if (adjacency.lists[kKept].count == 0) adjacency.long_lived = false;
  // What joins long-lived stale paths is as little preferred as they are from now on.
  if (how == Retire::keep && adjacency.long_lived && adjacency.lists[kCurrent].count != 0) rescan();
  move_list(adjacency, kCurrent, how == Retire::sweep ? kSweeping : kKept);
  if (adjacency.lists[kSweeping].count != 0) sweeping_.insert({peer, family});
}

void Rib::sweep_kept(PeerIndex peer, Family family) {
  auto& adjacency = peers_[peer].families[index_of(family)];
  move_list(adjacency, kKept, kSweeping);
  adjacency.long_lived = false;
  if (adjacency.lists[kSweeping].count != 0) sweeping_.insert({peer, family});
}

void Rib::make_long_lived(PeerIndex peer, Family family) {
  auto& adjacency = peers_[peer].families[index_of(family)];
  if (adjacency.lists[kKept].count == 0) return;
  adjacency.long_lived = true;
  rescan();
}

// RFC 9494 4.2: what says NO_LLGR is not kept that long.
void Rib::drop_no_long_lived(std::uint32_t net) {
  std::uint32_t* link = &nets_[net].first;
  while (*link != 0) {
    const auto& path = paths_[*link];
    if (long_lived(path) && attributes_[path.attributes].has_community(community::kNoLongLived)) {
      remove(link);
    } else {
      link = &paths_[*link].next_in_net;
    }
  }
}

std::size_t Rib::sweep(std::size_t max, RouteBatch& out) {
  std::size_t done = 0;
  while (done < max && !sweeping_.empty()) {
    const auto [peer, family] = *sweeping_.begin();
    auto& list = peers_[peer].families[index_of(family)].lists[kSweeping];
    for (; done < max && list.head != 0; ++done) {
      const auto& path = paths_[list.head];
      const auto net = path.net;
      remove(link_to(net, path.peer, path.path_id));
      decide_net(net, out);
    }
    if (list.head != 0) break;
    sweeping_.erase(sweeping_.begin());
    free_if_gone(peer);
  }
  return done;
}

void Rib::work(std::size_t max, RouteBatch& out) {
  auto done = sweep(max, out);
  for (; rescan_ && !held_ && done < max; ++done) {
    rescan_at_ = nets_.next(rescan_at_);
    if (rescan_at_ == 0) {
      rescan_ = false;
      break;
    }
    drop_no_long_lived(rescan_at_);
    decide_net(rescan_at_, out);
  }
}

void Rib::next_hops_changed() {
  if (next_hops_.refresh()) rescan();
}

void Rib::rescan() {
  rescan_ = nets_.size() != 0;
  rescan_at_ = 0;
}

void Rib::hold_decisions(bool hold) {
  if (held_ && !hold) rescan();
  held_ = hold;
}

void Rib::set_owner(const routing::IpPrefix& prefix, const IpAddress& next_hop) {
  owners_[prefix] = next_hop;
  rescan();
}

void Rib::clear_owners() {
  if (owners_.empty()) return;
  owners_.clear();
  rescan();
}

// ---- decision

Candidate Rib::candidate_of(std::uint32_t id) const {
  const auto& path = paths_[id];
  const auto& info = peers_[path.peer].info;
  Candidate c;
  c.attributes = &attributes_[path.attributes];
  c.as_path_length = attributes_.as_path_length(path.attributes);
  c.next_hop = next_hops_.state(attributes_.next_hop(path.attributes));
  c.internal = info.internal;
  c.long_lived_stale = long_lived(path) || c.attributes->has_community(community::kLongLivedStale);
  c.router_id = info.router_id;
  c.peer = info.address;
  c.path_id = path.path_id;
  c.handle = id;
  return c;
}

void Rib::collect(std::uint32_t net, std::vector<Candidate>& candidates) const {
  candidates.clear();
  for (auto id = nets_[net].first; id != 0; id = paths_[id].next_in_net) candidates.push_back(candidate_of(id));
  if (owners_.empty()) return;
  const auto owner = owners_.find(nets_.prefix(net));
  if (owner == owners_.end()) return;
  for (auto& c : candidates) c.owner = c.attributes->next_hop == owner->second;
}

void Rib::decide_net(std::uint32_t net, RouteBatch& out) {
  const auto first = nets_[net].first;
  if (held_ && first != 0) return;
  std::uint32_t decision = 0;
  if (first != 0 && paths_[first].next_in_net == 0) {  // the usual case: one path
    const auto& path = paths_[first];
    const auto hop = attributes_.next_hop(path.attributes);
    const bool internal = peers_[path.peer].info.internal;
    if (next_hops_.state(hop).reachable) decision = kSingle | (internal ? 0 : kExternal) | hop;
  } else if (first != 0) {
    collect(net, scratch_);
    if (const int best = decide(scratch_, settings_); best >= 0) {
      const auto hop_of = [this](const Candidate& c) { return attributes_.next_hop(paths_[c.handle].attributes); };
      const auto& winner = scratch_[static_cast<std::size_t>(best)];
      HopSet set{{hop_of(winner)}, !winner.internal};
      for (const auto& c : scratch_) {
        if (c.multipath) set.hops.push_back(hop_of(c));
      }
      if (set.hops.size() == 1) {
        decision = kSingle | (set.external ? kExternal : 0) | set.hops[0];
      } else {
        std::sort(set.hops.begin(), set.hops.end());
        decision = intern(std::move(set));
      }
    }
  }
  report(net, decision, out);
  if (first == 0) nets_.erase(net);
}

// Takes over the use of an interned set that `decision` stands for.
void Rib::report(std::uint32_t net, std::uint32_t decision, RouteBatch& out) {
  const auto before = nets_[net].decision;
  if (before == decision) {
    if ((decision & kSingle) == 0) release(decision);
    return;
  }
  hop_scratch_.clear();
  bool external = false;
  if ((decision & kSingle) != 0) {
    next_hops_.add_user(decision & kHopMask);
    external = (decision & kExternal) != 0;
    hop_scratch_.push_back(next_hops_.address(decision & kHopMask));
  } else if (decision != 0) {
    external = sets_[decision].set->external;
    for (const auto hop : sets_[decision].set->hops) hop_scratch_.push_back(next_hops_.address(hop));
  }
  out.add(nets_.prefix(net), external, hop_scratch_);
  nets_[net].decision = decision;
  release(before);
}

std::uint32_t Rib::intern(HopSet set) {
  const auto [at, fresh] = set_ids_.try_emplace(std::move(set), 0);
  if (fresh) {
    if (free_sets_.empty()) {
      at->second = static_cast<std::uint32_t>(sets_.size());
      sets_.emplace_back();
    } else {
      at->second = free_sets_.back();
      free_sets_.pop_back();
    }
    sets_[at->second] = {&at->first, 0};
    for (const auto hop : at->first.hops) next_hops_.add_user(hop);
  }
  ++sets_[at->second].users;
  return at->second;
}

void Rib::release(std::uint32_t decision) {
  if (decision == 0) return;
  if ((decision & kSingle) != 0) return next_hops_.release(decision & kHopMask);
  auto& entry = sets_[decision];
  if (--entry.users != 0) return;
  for (const auto hop : entry.set->hops) next_hops_.release(hop);
  const auto at = set_ids_.find(*entry.set);
  entry = {};
  set_ids_.erase(at);
  free_sets_.push_back(decision);
}

// ---- for show

std::vector<routing::IpPrefix> Rib::prefixes(std::size_t max) const {
  Least<routing::IpPrefix> least(max);
  for (auto net = nets_.next(0); net != 0; net = nets_.next(net)) least.add(nets_.prefix(net));
  return least.take();
}

std::vector<Rib::PathView> Rib::paths(const routing::IpPrefix& prefix) const {
  std::vector<PathView> views;
  const auto net = nets_.find(prefix);
  if (net == 0) return views;
  std::vector<Candidate> candidates;
  collect(net, candidates);
  const int best = decide(candidates, settings_);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const auto& c = candidates[i];
    const auto& path = paths_[c.handle];
    PathView view{prefix, path.peer, path.path_id, path.attributes, path.since_s};
    view.stale = role_of(path) != kCurrent;
    view.best = static_cast<int>(i) == best;
    view.multipath = c.multipath;
    view.valid = c.next_hop.reachable;
    view.lost_at = c.lost_at;
    views.push_back(view);
  }
  std::sort(views.begin(), views.end(), [this](const PathView& a, const PathView& b) {
    const auto rank = [this](const PathView& v) {
      return std::tuple(!v.best, !v.multipath, 255 - static_cast<int>(v.lost_at), peers_[v.peer].info.address,
                        v.path_id);
    };
    return rank(a) < rank(b);
  });
  return views;
}

std::vector<Rib::PathView> Rib::paths_of(PeerIndex peer, std::size_t max) const {
  struct ByPrefix : PathView {
    bool operator<(const ByPrefix& o) const { return std::tie(prefix, path_id) < std::tie(o.prefix, o.path_id); }
  };
  Least<ByPrefix> least(max);
  for (const auto& adjacency : peers_[peer].families) {
    for (const auto role : {kCurrent, kKept, kSweeping}) {
      for (auto id = adjacency.lists[role].head; id != 0; id = paths_[id].next) {
        const auto& path = paths_[id];
        ByPrefix view;
        view.prefix = nets_.prefix(path.net);
        view.peer = peer;
        view.path_id = path.path_id;
        view.attributes = path.attributes;
        view.since_s = path.since_s;
        view.stale = role != kCurrent;
        view.valid = valid(path);
        least.add(view);
      }
    }
  }
  const auto views = least.take();
  return {views.begin(), views.end()};
}

}  // namespace sluice::bgp
