// Short-hands for tests of lb: members and pools by specs, built as the daemon builds them.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "lb/balance/balance.h"
#include "lb/snapshot/builder.h"

namespace sluice::lb {

inline Ipv4Endpoint endpoint(const std::string& text) { return *Ipv4Endpoint::parse(text); }
inline Ipv4Address address(const std::string& text) { return *Ipv4Address::parse(text); }

// 10.244.0.0 + i, port 80.
inline MemberSpec member_spec(std::uint32_t i, MonitorStatus status = MonitorStatus::up) {
  MemberSpec spec;
  spec.endpoint = {{0x0af40000 + i}, 80};
  spec.verdict.status = status;
  return spec;
}

inline PoolSpec pool_spec(Balance balance, std::uint32_t members, const std::string& name = "pool") {
  PoolSpec spec;
  spec.name = name;
  spec.balance = balance;
  for (std::uint32_t i = 0; i < members; ++i) spec.members.push_back(member_spec(i));
  return spec;
}

// One pool after the other under one registry, each built on the former.
struct PoolBench {
  explicit PoolBench(unsigned workers = 1) : registry(workers), workers_(workers) {}

  const Pool& build(PoolSpec spec, Instant now = Instant{}) {
    Builder builder(registry, balance::state_factory(workers_));
    builder.add_pool(std::move(spec));
    auto next = builder.build(now, snapshot.get());
    EXPECT_TRUE(next.has_value()) << next.error().text();
    snapshot = *next;
    return *snapshot->pools().front();
  }
  const Pool& pool() const { return *snapshot->pools().front(); }
  // The index of the member picked, kNoMember for none.
  std::uint32_t pick(balance::PickRequest request = {}) {
    const balance::Picked picked = balance::pick(pool(), request);
    return picked.member == nullptr ? kNoMember : static_cast<std::uint32_t>(picked.member - pool().members.data());
  }
  std::vector<std::uint32_t> picks(unsigned count, balance::PickRequest request = {}) {
    std::vector<std::uint32_t> shares(pool().members.size());
    for (unsigned i = 0; i < count; ++i) {
      const std::uint32_t member = pick(request);
      if (member != kNoMember) ++shares[member];
    }
    return shares;
  }

  Registry registry;
  std::shared_ptr<const Snapshot> snapshot;

 private:
  unsigned workers_;
};

}  // namespace sluice::lb
