// AttributeTable and NextHopTable: each distinct set of attributes and each next hop kept once, counted by its users.
//
// A million routes of one neighbour share a handful of attribute sets, so a route costs a 4-byte number.
//
// Called by: rib, speaker. Runs on: control thread. Tested by: tests/control/bgp/rib_test.cc
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "control/bgp/attributes.h"
#include "control/routing/next_hop_resolver.h"

namespace sluice::bgp {

using AttributeId = std::uint32_t;  // 0: none
using NextHopId = std::uint32_t;

class NextHopTable {
 public:
  explicit NextHopTable(const routing::NextHopResolver& resolver) : resolver_(resolver) { entries_.emplace_back(); }

  NextHopId intern(const IpAddress& address);  // one more user
  void add_user(NextHopId id) { ++entries_[id].users; }
  void release(NextHopId id);
  const IpAddress& address(NextHopId id) const { return entries_[id].address; }
  const routing::NextHopState& state(NextHopId id) const { return entries_[id].state; }
  // Asks the resolver again; true: some answer changed.
  bool refresh();

 private:
  struct Entry {
    IpAddress address;
    routing::NextHopState state;
    std::uint32_t users = 0;
  };
  struct Hash {
    std::size_t operator()(const IpAddress& a) const noexcept;
  };
  const routing::NextHopResolver& resolver_;
  std::deque<Entry> entries_;
  std::vector<NextHopId> free_;
  std::unordered_map<IpAddress, NextHopId, Hash> ids_;
};

class AttributeTable {
 public:
  explicit AttributeTable(NextHopTable& next_hops) : next_hops_(next_hops), index_(16, Hash{this}, Equal{this}) {
    entries_.emplace_back();
  }
  AttributeTable(const AttributeTable&) = delete;
  AttributeTable& operator=(const AttributeTable&) = delete;

  AttributeId intern(PathAttributes attributes);  // one more user
  void add_user(AttributeId id) { ++entries_[id].users; }
  void release(AttributeId id);
  const PathAttributes& operator[](AttributeId id) const { return entries_[id].attributes; }
  NextHopId next_hop(AttributeId id) const { return entries_[id].next_hop; }
  unsigned as_path_length(AttributeId id) const { return entries_[id].as_path_length; }
  std::size_t size() const { return index_.size(); }
  std::size_t bytes() const { return bytes_; }  // about

 private:
  struct Entry {
    PathAttributes attributes;
    std::uint64_t hash = 0;
    std::uint32_t users = 0;
    NextHopId next_hop = 0;
    unsigned as_path_length = 0;
  };
  struct Hash {
    const AttributeTable* table;
    std::size_t operator()(AttributeId id) const { return table->entries_[id].hash; }
  };
  struct Equal {
    const AttributeTable* table;
    bool operator()(AttributeId a, AttributeId b) const {
      const auto& x = table->entries_[a];
      const auto& y = table->entries_[b];
      return x.hash == y.hash && x.attributes == y.attributes;
    }
  };
  NextHopTable& next_hops_;
  std::deque<Entry> entries_;  // [0] is the candidate of a search
  std::vector<AttributeId> free_;
  std::size_t bytes_ = 0;
  std::unordered_set<AttributeId, Hash, Equal> index_;
};

}  // namespace sluice::bgp
