// Sums of traffic, and the registry of run-time objects; see runtime.h.
#include "lb/snapshot/runtime.h"

#include <algorithm>
#include <bit>

namespace sluice::lb {

Traffic& Traffic::operator+=(const Traffic& other) {
  packets_in += other.packets_in;
  bytes_in += other.bytes_in;
  packets_out += other.packets_out;
  bytes_out += other.bytes_out;
  return *this;
}

Traffic Shares::traffic() const {
  Traffic sum;
  for (const Share& share : shares_) {
    const auto& [in, out] = share.ways;
    sum += {in.packets.get(), in.bytes.get(), out.packets.get(), out.bytes.get()};
  }
  return sum;
}

std::uint64_t Shares::opened() const {
  std::uint64_t sum = 0;
  for (const Share& share : shares_) sum += share.opened.get();
  return sum;
}

std::uint32_t Shares::most_open() const {
  std::uint64_t most = 0;
  for (const Share& share : shares_) most = std::max(most, share.most_open.get());
  return static_cast<std::uint32_t>(most);
}

std::uint32_t Shares::lingering() const {
  std::uint32_t sum = 0;
  for (const Share& share : shares_) sum += share.lingering.load(std::memory_order_acquire);
  return sum;
}

std::uint32_t LoadTable::allocate() {
  std::uint32_t block = 0;
  while (block < blocks_.size() && used_[block] == ~std::uint64_t{0}) ++block;
  if (block == blocks_.size()) {
    blocks_.push_back(std::make_unique<Block>());
    used_.push_back(0);
    if (block % kLine == 0) ended_.push_back(std::make_unique<Ended>());
  }
  const auto bit = static_cast<std::uint32_t>(std::countr_one(used_[block]));
  used_[block] |= std::uint64_t{1} << bit;
  return block * kBlock + bit;
}

void LoadTable::release(std::uint32_t slot) { used_[slot / kBlock] &= ~(std::uint64_t{1} << slot % kBlock); }

std::shared_ptr<VirtualServerRuntime> Registry::virtual_server(const std::string& name) {
  auto& slot = virtual_servers_[name];
  if (!slot) slot = std::make_shared<VirtualServerRuntime>(next_id_++, name, workers_);
  return slot;
}

std::shared_ptr<PoolRuntime> Registry::pool(const std::string& name) {
  auto& slot = pools_[name];
  if (!slot) slot = std::make_shared<PoolRuntime>(name, workers_);
  return slot;
}

std::shared_ptr<NodeRuntime> Registry::node(Ipv4Address address) {
  auto& slot = nodes_[address];
  if (!slot) slot = std::make_shared<NodeRuntime>(address, node_loads_, workers_);
  return slot;
}

std::shared_ptr<MemberRuntime> Registry::member(const std::string& pool_name, Ipv4Endpoint endpoint) {
  auto& slot = members_[MemberKey{pool_name, endpoint}];
  if (!slot) {
    slot = std::make_shared<MemberRuntime>(next_id_++, endpoint, pool(pool_name), node(endpoint.address), workers_);
  }
  return slot;
}

// What only the registry holds belongs to no snapshot any more, so no worker can open another flow on it; with none
// open nobody can reach it. Members go first: they hold their pool and node.
std::size_t Registry::collect() {
  const auto unused = [](const auto& entry) {
    return entry.second.use_count() == 1 && entry.second->connections.current() == 0;
  };
  const auto unused_member = [&](const auto& entry) {
    return unused(entry) && entry.second->idle_conns == 0 && entry.second->shares.lingering() == 0;
  };
  for (const auto& entry : members_) {
    if (unused_member(entry)) entry.second->pool->retired += entry.second->shares.traffic();
  }
  std::size_t freed = std::erase_if(members_, unused_member);
  freed += std::erase_if(pools_, unused);
  freed += std::erase_if(nodes_, unused);
  freed += std::erase_if(virtual_servers_, [&](const auto& entry) {
    return unused(entry) && entry.second->half_open == 0 && entry.second->shares.lingering() == 0;
  });
  freed += std::erase_if(retained_, [](const auto& kept) { return kept.use_count() == 1 && kept->users == 0; });
  return freed;
}

void Registry::retain(std::shared_ptr<const Retained> object) {
  if (std::ranges::find(retained_, object) == retained_.end()) retained_.push_back(std::move(object));
}

Traffic Registry::pool_traffic(const std::string& pool_name) const {
  Traffic sum;
  if (const auto found = pools_.find(pool_name); found != pools_.end()) sum = found->second->retired;
  for (auto at = members_.lower_bound({pool_name, {}}); at != members_.end() && at->first.pool == pool_name; ++at) {
    sum += at->second->shares.traffic();
  }
  return sum;
}

std::size_t Registry::size() const { return virtual_servers_.size() + pools_.size() + nodes_.size() + members_.size(); }

}  // namespace sluice::lb
