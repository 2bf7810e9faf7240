// Rib: paths in and out, retiring, the decision of a prefix and its report.
#include "control/bgp/rib.h"

#include <algorithm>

namespace sluice::bgp {
namespace {

// What was reported for a prefix: nothing, one next hop (the usual case, no interning), or an interned set.
constexpr std::uint32_t kSingle = 0x80000000;
constexpr std::uint32_t kExternal = 0x40000000;
constexpr std::uint32_t kHopMask = kExternal - 1;

}  // namespace

// ---- neighbours

PeerIndex Rib::add_peer(const IpAddress& address) {
  std::size_t i = 0;
  while (i < peers_.size() && peers_[i].used) ++i;
  if (i == peers_.size()) peers_.emplace_back();
  peers_[i] = {};
  peers_[i].used = true;
  peers_[i].info.address = address;
  return static_cast<PeerIndex>(i);
}

void Rib::remove_peer(PeerIndex peer) {
  peers_[peer].leaving = true;
  for (const auto family : {Family::ipv4, Family::ipv6}) {
    sweep_kept(peer, family);
    retire(peer, family, Retire::sweep);
  }
  const auto& families = peers_[peer].families;
  if (families[0].retired.empty() && families[1].retired.empty()) peers_[peer].used = false;
}

std::uint32_t Rib::path_count(PeerIndex peer) const {
  std::uint32_t n = 0;
  for (const auto& a : peers_[peer].families) n += a.current.count;
  return n;
}

std::uint32_t Rib::stale_count(PeerIndex peer) const {
  std::uint32_t n = 0;
  for (const auto& a : peers_[peer].families) {
    for (const auto& list : a.retired) n += list.sweeping ? 0 : list.count;
  }
  return n;
}

void Rib::configure(const DecisionSettings& settings) {
  settings_ = settings;
  rescan();
}

// ---- lists of a neighbour's paths

const Rib::List& Rib::list_of(const Path& path) const {
  const auto& adjacency = peers_[path.peer].families[index_of(family_of(path.net))];
  if (path.generation == adjacency.current.generation) return adjacency.current;
  return *std::find_if(adjacency.retired.begin(), adjacency.retired.end(),
                       [&path](const List& list) { return list.generation == path.generation; });
}

Rib::List& Rib::list_of(const Path& path) { return const_cast<List&>(std::as_const(*this).list_of(path)); }

void Rib::join(std::uint32_t id, List& list) {
  auto& path = paths_[id];
  path.generation = list.generation;
  path.previous = 0;
  path.next = list.head;
  if (list.head != 0) paths_[list.head].previous = id;
  list.head = id;
  ++list.count;
}

void Rib::leave(std::uint32_t id) {
  auto& path = paths_[id];
  auto& list = list_of(path);
  if (path.previous != 0) {
    paths_[path.previous].next = path.next;
  } else {
    list.head = path.next;
  }
  if (path.next != 0) paths_[path.next].previous = path.previous;
  --list.count;
}

// ---- Adj-RIB-In

std::uint32_t* Rib::link_to(std::uint32_t net, PeerIndex peer, std::uint32_t path_id) {
  std::uint32_t* link = &nets_[net].first;
  while (*link != 0 && (paths_[*link].peer != peer || paths_[*link].path_id != path_id)) {
    link = &paths_[*link].next_in_net;
  }
  return link;
}

void Rib::update(PeerIndex peer, const routing::IpPrefix& prefix, std::uint32_t path_id, AttributeId attributes,
                 std::uint32_t now_s, RouteBatch& out) {
  const auto net = nets_.find_or_insert(prefix);
  auto* link = link_to(net, peer, path_id);
  auto& current = peers_[peer].families[index_of(family_of(net))].current;
  attributes_.add_user(attributes);
  if (const auto id = *link; id != 0) {
    auto& path = paths_[id];
    const bool was_long_lived = list_of(path).long_lived;
    const bool same = path.attributes == attributes;
    if (path.generation != current.generation) {  // stale no more
      leave(id);
      join(id, current);
    }
    if (same && !was_long_lived) return attributes_.release(attributes);
    const auto old = path.attributes;
    path.attributes = attributes;
    path.since_s = now_s;
    decide_net(net, out);
    return attributes_.release(old);
  }
  const auto id = paths_.create();
  auto& path = paths_[id];
  path.net = net;
  path.attributes = attributes;
  path.path_id = path_id;
  path.since_s = now_s;
  path.peer = peer;
  path.next_in_net = nets_[net].first;
  nets_[net].first = id;
  join(id, current);
  decide_net(net, out);
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
  auto& current = adjacency.current;
  if (current.count == 0) return;
  List old = current;
  old.sweeping = how == Retire::sweep;
  adjacency.retired.push_back(old);
  // The next number that no list has: at most one list waits and few are being swept.
  const auto taken = [&adjacency](std::uint8_t g) {
    return std::any_of(adjacency.retired.begin(), adjacency.retired.end(),
                       [g](const List& list) { return list.generation == g; });
  };
  current = {};
  current.generation = old.generation;
  while (taken(current.generation)) ++current.generation;
  if (old.sweeping) sweeping_.insert({peer, family});
}

void Rib::sweep_kept(PeerIndex peer, Family family) {
  for (auto& list : peers_[peer].families[index_of(family)].retired) {
    list.sweeping = true;
    sweeping_.insert({peer, family});
  }
}

void Rib::make_long_lived(PeerIndex peer, Family family) {
  for (auto& list : peers_[peer].families[index_of(family)].retired) {
    if (list.sweeping) continue;
    list.long_lived = true;
    rescan();
  }
}

std::size_t Rib::sweep(std::size_t max, RouteBatch& out) {
  std::size_t done = 0;
  while (done < max && !sweeping_.empty()) {
    const auto [peer, family] = *sweeping_.begin();
    auto& retired = peers_[peer].families[index_of(family)].retired;
    const auto list = std::find_if(retired.begin(), retired.end(), [](const List& l) { return l.sweeping; });
    if (list == retired.end()) {
      sweeping_.erase(sweeping_.begin());
      auto& p = peers_[peer];
      if (p.leaving && p.families[0].retired.empty() && p.families[1].retired.empty()) p.used = false;
      continue;
    }
    for (; done < max && list->head != 0; ++done) {
      const auto& path = paths_[list->head];
      const auto net = path.net;
      remove(link_to(net, path.peer, path.path_id));
      decide_net(net, out);
    }
    if (list->head == 0) retired.erase(list);
  }
  return done;
}

void Rib::work(std::size_t max, RouteBatch& out) {
  auto done = sweep(max, out);
  // What was kept but announced anew path by path leaves an empty list behind; it goes with the next sweep.
  for (; rescan_ && !held_ && done < max; ++done) {
    rescan_at_ = nets_.next(rescan_at_);
    if (rescan_at_ == 0) {
      rescan_ = false;
      break;
    }
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
  c.long_lived_stale = list_of(path).long_lived || c.attributes->has_community(community::kLongLivedStale);
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
  std::vector<routing::IpPrefix> all;
  all.reserve(nets_.size());
  for (auto net = nets_.next(0); net != 0; net = nets_.next(net)) all.push_back(nets_.prefix(net));
  if (all.size() > max) {
    std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(max), all.end());
    all.resize(max);
  }
  std::sort(all.begin(), all.end());
  return all;
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
    const auto& list = list_of(path);
    PathView view{prefix, path.peer, path.path_id, path.attributes, path.since_s};
    view.stale = &list != &peers_[path.peer].families[index_of(family_of(net))].current;
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

void Rib::each_path_of(PeerIndex peer, const std::function<void(const PathView&)>& f) const {
  for (const auto& adjacency : peers_[peer].families) {
    const auto walk = [&](const List& list, bool stale) {
      for (auto id = list.head; id != 0; id = paths_[id].next) {
        const auto& path = paths_[id];
        PathView view{nets_.prefix(path.net), peer, path.path_id, path.attributes, path.since_s};
        view.stale = stale;
        view.valid = valid(path);
        f(view);
      }
    };
    walk(adjacency.current, false);
    for (const auto& list : adjacency.retired) walk(list, true);
  }
}

}  // namespace sluice::bgp
