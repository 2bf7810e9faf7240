// Tests of availability: BIG-IP's states and words from member to virtual address.
#include "lb/snapshot/status.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::lb {
namespace {

using enum Availability;

struct MemberCase {
  MemberState state;
  MonitorStatus monitor;
  std::uint32_t connections, limit;
  ObjectStatus want;
};

TEST(StatusTest, Member) {
  using S = MemberState;
  using M = MonitorStatus;
  const MemberCase cases[] = {
      {S::enabled, M::up, 0, 0, {available, true, "Pool member is available"}},
      {S::enabled, M::up, 5, 5, {unavailable, true, "Pool member has reached its connection limit"}},
      {S::enabled, M::up, 4, 5, {available, true, "Pool member is available"}},
      {S::enabled, M::unchecked, 0, 0, {unknown, true, "Pool member does not have service checking enabled"}},
      {S::enabled, M::checking, 0, 0, {unknown, true, "Pool member service check results are not available yet"}},
      {S::enabled, M::down, 0, 0, {offline, true, "Pool member has been marked down by a monitor"}},
      {S::disabled, M::up, 0, 0, {available, false, "Pool member is available, user disabled"}},
      {S::forced_offline, M::up, 0, 0, {offline, false, "Forced down"}},
  };
  for (const auto& c : cases) EXPECT_EQ(member_status(c.state, {c.monitor, false, ""}, c.connections, c.limit), c.want);
  EXPECT_EQ(member_status(S::enabled, {M::down, false, "http: connect timed out"}, 0, 0).reason,
            "Pool member has been marked down by a monitor (http: connect timed out)");
  EXPECT_FALSE(member_status(S::enabled, {M::up, true, ""}, 0, 0).enabled);
}

ObjectStatus member(MonitorStatus monitor, MemberState state = MemberState::enabled) {
  return member_status(state, {monitor, false, ""}, 0, 0);
}
ObjectStatus pool(std::vector<ObjectStatus> members) { return pool_status(members); }

TEST(StatusTest, Pool) {
  using M = MonitorStatus;
  EXPECT_EQ(pool({member(M::down), member(M::up)}).reason, "The pool is available");
  EXPECT_EQ(pool({member(M::down), member(M::up)}).availability, available);
  EXPECT_EQ(pool({member(M::down), member(M::down)}),
            (ObjectStatus{offline, true, "The children pool member(s) are down"}));
  EXPECT_EQ(pool({member(M::down), member(M::checking)}).availability, unknown);
  EXPECT_EQ(pool({}).reason,
            "The children pool member(s) either don't have service checking enabled, or service check results are not "
            "available yet");
  EXPECT_EQ(pool({member(M::up, MemberState::disabled)}).reason, "The children pool member(s) might be disabled");
  EXPECT_EQ(pool({member(M::up, MemberState::forced_offline)}).reason, "The children pool member(s) are down");
  EXPECT_EQ(pool({member_status(MemberState::enabled, {M::up, false, ""}, 1, 1)}).availability, unavailable);
}

TEST(StatusTest, VirtualServerAndAddress) {
  const ObjectStatus up = pool({member(MonitorStatus::up)});
  const ObjectStatus down = pool({member(MonitorStatus::down)});
  EXPECT_EQ(virtual_server_status(true, &up, 0, 0), (ObjectStatus{available, true, "The virtual server is available"}));
  EXPECT_EQ(virtual_server_status(true, &down, 0, 0),
            (ObjectStatus{offline, true, "The children pool member(s) are down"}));
  EXPECT_EQ(virtual_server_status(true, &up, 3, 3).availability, unavailable);
  EXPECT_EQ(virtual_server_status(true, nullptr, 0, 0).availability, unknown);
  const ObjectStatus disabled = virtual_server_status(false, &up, 0, 0);
  EXPECT_EQ(disabled.reason, "The virtual server is available, user disabled");
  EXPECT_FALSE(disabled.enabled);

  const ObjectStatus good = virtual_server_status(true, &up, 0, 0), bad = virtual_server_status(true, &down, 0, 0);
  EXPECT_EQ(virtual_address_status(std::vector{bad, good}).availability, available);
  EXPECT_EQ(virtual_address_status(std::vector{bad, disabled}).availability, offline);
  EXPECT_FALSE(virtual_address_status(std::vector{disabled}).enabled);
  EXPECT_EQ(virtual_address_status({}).availability, unknown);
}

}  // namespace
}  // namespace sluice::lb
