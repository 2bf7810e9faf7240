// What Calico's objects tell BGP; see model.h.
#include <algorithm>
#include <set>

#include "control/config/schema.h"
#include "control/k8s/model.h"

namespace sluice::k8s {

void learn_calico(const Cluster& cluster, config::Bgp& bgp) {
  if (bgp.accept.empty()) {
    for (const IpPool* pool : cluster.ip_pools)
      if (pool->cidr && bgp.accept.size() < config::kListMax) bgp.accept.push_back(*pool->cidr);
    std::sort(bgp.accept.begin(), bgp.accept.end());
    bgp.accept.erase(std::unique(bgp.accept.begin(), bgp.accept.end()), bgp.accept.end());
  }
  // What sluice.yaml says of a block stands.
  std::set<Ipv4Prefix> known;
  for (const auto& owner : bgp.block_owners) known.insert(owner.prefix);
  for (const BlockAffinity* block : cluster.block_affinities) {
    const auto node = cluster.nodes_by_name.find(block->node);
    if (!block->cidr || node == cluster.nodes_by_name.end() || node->second->internal_ips.empty()) continue;
    if (bgp.block_owners.size() >= config::kBlockOwnersMax || !known.insert(*block->cidr).second) continue;
    bgp.block_owners.push_back({*block->cidr, node->second->internal_ips.front()});
  }
}

}  // namespace sluice::k8s
