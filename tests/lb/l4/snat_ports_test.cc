// Tests of SnatPorts: preserved where free, never one that is taken, never another worker's.
#include "lb/l4/snat_ports.h"

#include <gtest/gtest.h>

#include <set>

namespace sluice::lb {
namespace {

constexpr Instant kNow = instant_ns(1'000'000'000);

struct SnatPortsTest : testing::Test {
  L4FlowTable table{1000, {}, kNow};
  // Takes a port towards a member as a flow does; 0: none is free.
  std::uint16_t take(SnatPorts& ports, std::uint16_t preferred, std::uint32_t member = 1) {
    flow::FlowKey server{{member}, {99}, 80, 0, 6, {}};
    if (!ports.allocate(table, server, preferred)) return 0;
    L4Flow* flow = table.allocate();
    flow->keys[0] = {{++client_}, {2}, 3, 4, 6, {}};
    flow->keys[1] = server;
    EXPECT_TRUE(table.insert(*flow, kNow, kNow + 10s));
    return server.dst_port;
  }

 private:
  std::uint32_t client_ = 1000;
};

TEST_F(SnatPortsTest, EveryPortOnceThenNone) {
  SnatPorts ports(2000, 2199, 1, 2);
  std::set<std::uint16_t> taken;
  for (int i = 0; i < 100; ++i) taken.insert(take(ports, 0));
  EXPECT_EQ(taken.size(), 100u);
  EXPECT_EQ(*taken.begin(), 2100);
  EXPECT_EQ(*taken.rbegin(), 2199);
  EXPECT_EQ(take(ports, 0), 0);
  EXPECT_EQ(take(ports, 2150), 0);
  EXPECT_NE(take(ports, 0, 2), 0);  // towards another member all are free
}

TEST_F(SnatPortsTest, UpcomingOnesAreThoseThatComeNext) {
  SnatPorts ports(2000, 2199, 1, 2);
  for (int i = 0; i < 150; ++i) {
    std::uint16_t expected[3];
    for (std::uint32_t n = 0; n < 3; ++n) expected[n] = ports.upcoming(n);
    for (std::uint32_t n = 0; n < 3; ++n) EXPECT_EQ(take(ports, 0, 1000u + 3 * i + n), expected[n]);
  }
}

TEST_F(SnatPortsTest, PreservedOnlyWhereOwnAndFree) {
  SnatPorts ports(2000, 2199, 0, 2);
  EXPECT_EQ(take(ports, 2050), 2050);
  EXPECT_NE(take(ports, 2050), 2050);
  EXPECT_EQ(take(ports, 2050, 2), 2050);
  const std::uint16_t other = take(ports, 2150);  // the other worker's
  EXPECT_GE(other, 2000);
  EXPECT_LT(other, 2100);
}

}  // namespace
}  // namespace sluice::lb
