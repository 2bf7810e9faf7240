// AttributeTable and NextHopTable: hash-consing with user counts.
#include "control/bgp/attribute_table.h"

#include <cstring>

namespace sluice::bgp {

std::size_t NextHopTable::Hash::operator()(const IpAddress& a) const noexcept {
  if (a.is_v4()) return std::size_t{a.v4().value} * 0x9e3779b97f4a7c15;
  std::uint64_t high = 0, low = 0;
  const auto bytes = a.v6().bytes;
  std::memcpy(&high, bytes.data(), 8);
  std::memcpy(&low, bytes.data() + 8, 8);
  return (high * 0x9e3779b97f4a7c15) ^ (low * 0xff51afd7ed558ccd);
}

NextHopId NextHopTable::intern(const IpAddress& address) {
  const auto [at, fresh] = ids_.try_emplace(address, 0);
  if (fresh) {
    if (free_.empty()) {
      at->second = static_cast<NextHopId>(entries_.size());
      entries_.emplace_back();
    } else {
      at->second = free_.back();
      free_.pop_back();
    }
    entries_[at->second] = {address, resolver_.resolve_next_hop(address), 0};
  }
  ++entries_[at->second].users;
  return at->second;
}

void NextHopTable::release(NextHopId id) {
  auto& entry = entries_[id];
  if (--entry.users != 0) return;
  ids_.erase(entry.address);
  free_.push_back(id);
}

bool NextHopTable::refresh() {
  bool changed = false;
  for (const auto& [address, id] : ids_) {
    const auto state = resolver_.resolve_next_hop(address);
    changed = changed || state != entries_[id].state;
    entries_[id].state = state;
  }
  return changed;
}

namespace {
std::size_t bytes_of(const PathAttributes& a) {
  return 512 + 4 * (a.as_path.words().size() + a.cluster_list.size() + a.communities.size()) +
         8 * a.extended_communities.size() + sizeof(LargeCommunity) * a.large_communities.size();
}
}  // namespace

AttributeId AttributeTable::intern(PathAttributes attributes) {
  auto& candidate = entries_[0];
  candidate.attributes = std::move(attributes);
  candidate.hash = candidate.attributes.hash();
  if (const auto found = index_.find(0); found != index_.end()) {
    ++entries_[*found].users;
    return *found;
  }
  AttributeId id = 0;
  if (free_.empty()) {
    id = static_cast<AttributeId>(entries_.size());
    entries_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
  }
  auto& entry = entries_[id];
  entry.attributes = std::move(entries_[0].attributes);
  entry.hash = entries_[0].hash;
  entry.users = 1;
  entry.next_hop = next_hops_.intern(entry.attributes.next_hop);
  entry.as_path_length = entry.attributes.as_path.length();
  index_.insert(id);
  bytes_ += bytes_of(entry.attributes);
  return id;
}

void AttributeTable::release(AttributeId id) {
  auto& entry = entries_[id];
  if (--entry.users != 0) return;
  index_.erase(id);
  next_hops_.release(entry.next_hop);
  bytes_ -= bytes_of(entry.attributes);
  entry.attributes = {};
  free_.push_back(id);
}

}  // namespace sluice::bgp
