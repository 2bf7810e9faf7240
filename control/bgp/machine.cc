// RouteBatch: next hops that repeat are stored once.
#include "control/bgp/machine.h"

#include <algorithm>

namespace sluice::bgp {

void RouteBatch::add(const routing::IpPrefix& prefix, bool external, std::span<const IpAddress> next_hops) {
  std::uint32_t first = 0;
  const auto count = static_cast<std::uint16_t>(next_hops.size());
  const auto same_as = [&](const Record& r) {
    return r.count == count && std::equal(next_hops.begin(), next_hops.end(), next_hops_.begin() + r.first);
  };
  if (!records_.empty() && same_as(records_.back())) {
    first = records_.back().first;
  } else {
    first = static_cast<std::uint32_t>(next_hops_.size());
    next_hops_.insert(next_hops_.end(), next_hops.begin(), next_hops.end());
  }
  records_.push_back({prefix, external, count, first});
}

}  // namespace sluice::bgp
