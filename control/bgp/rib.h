// Rib: Adj-RIB-In of all neighbours and Loc-RIB in one structure: prefix → its paths, each a 32-byte record.
//
// A path knows its prefix, its neighbour and its interned attributes; paths of one neighbour are linked, so that a
// session that ends costs its own routes only. When a session ends, its paths are *retired* as a list in constant time:
// swept away a slice at a time, or kept as stale until the neighbour is back (RFC 4724), without touching each.
// A path is in one of three lists of its neighbour: current, kept, sweeping. Its `generation`, a number of the
// neighbour's, says in which: so moving a list is joining two lists and giving a number another role.
//
// Called by: speaker. Runs on: control thread. Follows: RFC 4271 3.2 and 9.1, RFC 4724 4.2, RFC 7313, RFC 9494.
// Tested by: tests/control/bgp/rib_test.cc
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "control/bgp/attribute_table.h"
#include "control/bgp/decide.h"
#include "control/bgp/machine.h"
#include "control/routing/prefix_index.h"

namespace sluice::bgp {

using PeerIndex = std::uint16_t;

// Paths of one prefix from one neighbour (RFC 7911): a search walks them all, so without a limit a neighbour could make
// each of its announcements cost a millisecond.
inline constexpr unsigned kPathsPerPrefixMax = 64;

class Rib {
 public:
  explicit Rib(const routing::NextHopResolver& resolver) : next_hops_(resolver), attributes_(next_hops_) {}

  AttributeTable& attributes() { return attributes_; }
  const AttributeTable& attributes() const { return attributes_; }

  // ---- neighbours
  struct PeerInfo {
    bool internal = true;
    std::uint32_t router_id = 0;
    IpAddress address;
  };
  PeerIndex add_peer(const IpAddress& address);
  void set_peer(PeerIndex peer, const PeerInfo& info) { peers_[peer].info = info; }
  // All of its paths go, in slices; its number is free when they are gone.
  void remove_peer(PeerIndex peer);
  std::uint32_t path_count(PeerIndex peer) const;  // of this session
  std::uint32_t path_count(PeerIndex peer, Family family) const {
    return peers_[peer].families[index_of(family)].lists[kCurrent].count;
  }
  std::uint32_t stale_count(PeerIndex peer) const;  // kept of an earlier one
  std::uint32_t stale_count(PeerIndex peer, Family family) const;

  void configure(const DecisionSettings& settings);

  // ---- Adj-RIB-In
  // A path announced: replaces the one with the same neighbour, prefix and path identifier. False: refused, the
  // neighbour has kPathsPerPrefixMax paths of the prefix already.
  bool update(PeerIndex peer, const routing::IpPrefix& prefix, std::uint32_t path_id, AttributeId attributes,
              std::uint32_t now_s, RouteBatch& out);
  // Before update() or withdraw() of some prefixes in a row.
  void prefetch(const routing::IpPrefix& prefix) const { nets_.prefetch(prefix); }
  // True: it was there.
  bool withdraw(PeerIndex peer, const routing::IpPrefix& prefix, std::uint32_t path_id, RouteBatch& out);
  bool has_path(PeerIndex peer, const routing::IpPrefix& prefix, std::uint32_t path_id) const;

  // Retires the neighbour's present paths: those announced again later count anew.
  enum class Retire : std::uint8_t { sweep, keep };
  void retire(PeerIndex peer, Family family, Retire how);
  // What was kept is swept after all (End-of-RIB, restart timer).
  void sweep_kept(PeerIndex peer, Family family);
  // What was kept turns long-lived stale (RFC 9494): used only if there is nothing else; paths with no-llgr go.
  void make_long_lived(PeerIndex peer, Family family);

  // ---- bounded work
  bool has_work() const { return !sweeping_.empty() || (rescan_ && !held_); }
  // At most about `max` paths.
  void work(std::size_t max, RouteBatch& out);
  // Reachability of next hops may have changed: looks at every prefix again, in slices.
  void next_hops_changed();
  // Decisions must be made anew (settings, owners).
  void rescan();
  // While held, nothing is decided (restarting speaker, RFC 4724 4.1); release decides all.
  void hold_decisions(bool hold);

  // The node that owns a pod block: its path wins over equal ones (README.md, fact 8).
  void set_owner(const routing::IpPrefix& prefix, const IpAddress& next_hop);
  void clear_owners();

  // ---- for show
  std::size_t prefix_count() const { return nets_.size(); }
  std::size_t path_count() const { return paths_.size(); }
  struct PathView {
    routing::IpPrefix prefix;
    PeerIndex peer = 0;
    std::uint32_t path_id = 0;
    AttributeId attributes = 0;
    std::uint32_t since_s = 0;
    bool stale = false, best = false, multipath = false, valid = false;
    Step lost_at = Step::best;
  };
  // Up to `max` prefixes in order.
  std::vector<routing::IpPrefix> prefixes(std::size_t max) const;
  std::vector<PathView> paths(const routing::IpPrefix& prefix) const;     // best first
  std::vector<PathView> paths_of(PeerIndex peer, std::size_t max) const;  // the first in order of prefix
  // Walks in slices: the next prefix behind number `after` (0: the first); number 0: the end.
  std::pair<std::uint32_t, routing::IpPrefix> next_prefix(std::uint32_t after) const {
    const auto net = nets_.next(after);
    return {net, net == 0 ? routing::IpPrefix{} : nets_.prefix(net)};
  }
  const PeerInfo& peer_info(PeerIndex peer) const { return peers_[peer].info; }

 private:
  struct Net {
    std::uint32_t first = 0;     // of its paths
    std::uint32_t decision = 0;  // what was reported: 0 none; see decision_of()
  };
  struct Path {
    std::uint32_t net = 0;
    std::uint32_t attributes = 0;
    std::uint32_t next_in_net = 0;
    std::uint32_t previous = 0, next = 0;  // in its neighbour's list
    std::uint32_t path_id = 0;
    std::uint32_t since_s = 0;
    PeerIndex peer = 0;
    std::uint8_t generation = 0;
    std::uint8_t unused = 0;
  };
  static_assert(sizeof(Path) == 32);
  enum Role : std::uint8_t { kCurrent, kKept, kSweeping };
  struct List {
    std::uint32_t head = 0, tail = 0;
    std::uint32_t count = 0;
  };
  struct Generation {
    std::uint32_t count = 0;  // paths that carry the number; 0: free, unless it is the current one
    Role role = kCurrent;
  };
  struct Adjacency {
    std::array<List, 3> lists;                          // by Role
    std::vector<Generation> generations{Generation{}};  // at most 256
    std::uint8_t current = 0;
    bool long_lived = false;  // what is kept is long-lived stale (RFC 9494)

    bool empty() const { return lists[0].count + lists[1].count + lists[2].count == 0; }
  };
  struct Peer {
    PeerInfo info;
    bool leaving = false;
    std::array<Adjacency, kFamilyCount> families;
  };
  // Next hops of an ECMP decision, interned.
  struct HopSet {
    std::vector<NextHopId> hops;
    bool external = false;
    friend auto operator<=>(const HopSet&, const HopSet&) = default;
  };

  static Family family_of(std::uint32_t net) {
    return (net & routing::PrefixIndex<Net>::kV6) != 0 ? Family::ipv6 : Family::ipv4;
  }
  Adjacency& adjacency_of(const Path& path) { return peers_[path.peer].families[index_of(family_of(path.net))]; }
  const Adjacency& adjacency_of(const Path& path) const {
    return peers_[path.peer].families[index_of(family_of(path.net))];
  }
  Role role_of(const Path& path) const { return adjacency_of(path).generations[path.generation].role; }
  bool long_lived(const Path& path) const { return adjacency_of(path).long_lived && role_of(path) == kKept; }
  // `others`: how many paths of the peer the search has passed.
  std::uint32_t* link_to(std::uint32_t net, PeerIndex peer, std::uint32_t path_id, unsigned* others = nullptr);
  void join(std::uint32_t path, Adjacency& adjacency);
  void move_list(Adjacency& adjacency, Role from, Role to);
  std::uint8_t free_generation(Adjacency& adjacency);
  void drop_no_long_lived(std::uint32_t net);
  void leave(std::uint32_t path);
  void remove(std::uint32_t* link);  // the path that `link` points to
  void decide_net(std::uint32_t net, RouteBatch& out);
  void collect(std::uint32_t net, std::vector<Candidate>& candidates) const;
  Candidate candidate_of(std::uint32_t path) const;
  void report(std::uint32_t net, std::uint32_t decision, RouteBatch& out);
  std::uint32_t intern(HopSet set);
  void release(std::uint32_t decision);
  std::size_t sweep(std::size_t max, RouteBatch& out);
  void free_if_gone(PeerIndex index);
  bool valid(const Path& path) const { return next_hops_.state(attributes_.next_hop(path.attributes)).reachable; }

  NextHopTable next_hops_;
  AttributeTable attributes_;
  DecisionSettings settings_;
  routing::PrefixIndex<Net> nets_;
  routing::Slab<Path> paths_;
  std::vector<Peer> peers_;
  std::vector<PeerIndex> free_peers_;
  std::map<HopSet, std::uint32_t> set_ids_;
  struct SetEntry {
    const HopSet* set = nullptr;
    std::uint32_t users = 0;
  };
  std::vector<SetEntry> sets_{{}};
  std::vector<std::uint32_t> free_sets_;
  std::map<routing::IpPrefix, IpAddress> owners_;
  std::set<std::pair<PeerIndex, Family>> sweeping_;
  bool rescan_ = false, held_ = false;
  std::uint32_t rescan_at_ = 0;
  std::vector<Candidate> scratch_;
  std::vector<IpAddress> hop_scratch_;
};

}  // namespace sluice::bgp
