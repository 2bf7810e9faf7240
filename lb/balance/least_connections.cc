// Picking by open connections; see least_connections.h.
#include "lb/balance/least_connections.h"

namespace sluice::lb::balance {

LeastConnections::LeastConnections(const Pool& pool, const Tier& tier, unsigned workers, Weight weight)
    : weight_(weight), scan_(pool.runtime->loads, workers), ramps_(workers) {
  for (const std::uint32_t i : tier.members) {
    const Member& member = pool.members[i];
    const std::uint32_t slot = member.runtime->slot;
    scan_.add(slot, weight(member), member.connection_limit);
    if (slot >= member_of_slot_.size()) member_of_slot_.resize(slot + 1, kNoMember);
    member_of_slot_[slot] = i;
    if (member.ramp_end != Instant::min()) {
      ramping_.push_back(i);
      ramps_.until(member.ramp_end);
    }
  }
}

const Member* LeastConnections::pick(const Pool& pool, const PickRequest& request) {
  if (ramps_.is_due(request.worker, request.now)) [[unlikely]] {
    for (const std::uint32_t i : ramping_) {
      const Member& member = pool.members[i];
      scan_.set_weight(request.worker, member.runtime->slot, weight_(member) / ramp_fraction(member, request.now));
    }
  }
  for (;;) {
    const LoadScan::Found found = scan_.search(request.worker);
    if (found.slot == LoadScan::kNoSlot) return nullptr;
    const Member& member = pool.members[member_of_slot_[found.slot]];
    std::uint32_t expected = found.count;
    if (!member.runtime->connections.acquire_from(request.worker, expected)) continue;  // another worker was faster
    member.runtime->acquire_parents(request.worker);
    scan_.took(request.worker, found.slot);
    return &member;
  }
}

}  // namespace sluice::lb::balance
