// BFD and BGP together: who gets a session, and what a failed path does (RFC 5882 §4.3, RFC 9384).
#include <gtest/gtest.h>

#include "tests/control/bgp/support.h"

namespace sluice::bgp::bfd_test {
namespace {

using namespace testing;

constexpr auto kMaster = "172.16.40.199";
const auto kBlock = "10.244.0.0/24";

class BfdAndBgp : public ::testing::Test {
 protected:
  static SpeakerSettings settings(bool abort = false) {
    auto s = reference_settings();
    s.neighbors[1].session.bfd = BfdSettings{{50ms, 60ms, 4}, std::nullopt, abort};
    return s;
  }
  void up(const OpenMessage& open) {
    conn = bench.accept_from(kMaster, open);
    bench.receive(conn, block_update(kMaster, kBlock));
    bench.receive(conn, end_of_rib());
    ASSERT_EQ(bench.routes.size(), 1u);
    bench.take(conn);
  }
  void down(bool path_is_dead) {
    bench.step(input::PathDown{ip(kMaster), path_is_dead, "control detection time expired"});
  }
  Bytes last_message() {
    const auto messages = bench.take(conn);
    return messages.empty() ? Bytes{} : messages.back();
  }
  Bench bench{settings()};
  ConnId conn = 0;
};

TEST_F(BfdAndBgp, WithoutGracefulRestartTheSessionAndItsRoutesGoAtOnce) {
  auto open = calico_open(kMaster);
  open.capabilities.graceful_restart.reset();
  up(open);
  down(false);
  EXPECT_TRUE(bench.routes.empty());
  ASSERT_EQ(bench.downs.size(), 1u);
  EXPECT_NE(bench.downs[0].find("BFD down: control detection time expired"), std::string::npos) << bench.downs[0];
  EXPECT_NE(bench.facts(kMaster).last_reset.find("BFD down"), std::string::npos);
  const auto message = last_message();
  ASSERT_GE(message.size(), 21u);
  EXPECT_EQ(message[18], 3);
  EXPECT_EQ(message[19], code::kCease);
  EXPECT_EQ(message[20], 10);  // RFC 9384
}

// RFC 5882 §4.3.2: the C bit is clear, the neighbour may be restarting: its routes stay, as stale.
TEST_F(BfdAndBgp, WithSharedFateGracefulRestartGoesOn) {
  up(calico_open(kMaster));
  down(false);
  EXPECT_EQ(bench.routes.size(), 1u);
  EXPECT_TRUE(bench.facts(kMaster).restarting);
  EXPECT_NE(bench.facts(kMaster).last_reset.find("BFD down"), std::string::npos);
  EXPECT_EQ(last_message(), Bytes{});  // a NOTIFICATION would end graceful restart at the neighbour
  bench.advance(121s);
  EXPECT_TRUE(bench.routes.empty());
}

// With the C bit the path itself is dead, whatever the control plane does.
TEST_F(BfdAndBgp, AnIndependentFailureAbortsGracefulRestart) {
  up(calico_open(kMaster));
  down(true);
  EXPECT_TRUE(bench.routes.empty());
  EXPECT_FALSE(bench.facts(kMaster).restarting);
}

TEST_F(BfdAndBgp, AnIndependentFailureDuringRestartDropsTheStaleRoutes) {
  up(calico_open(kMaster));
  bench.step(input::Closed{conn, "closed"});
  ASSERT_EQ(bench.routes.size(), 1u);
  down(false);
  EXPECT_EQ(bench.routes.size(), 1u);
  down(true);
  while (bench.speaker.has_work()) bench.step(input::Tick{});
  EXPECT_TRUE(bench.routes.empty());
  EXPECT_FALSE(bench.facts(kMaster).restarting);
}

TEST_F(BfdAndBgp, TheUserMayHaveRoutesGoInAnyCase) {
  bench.settings = settings(true);
  bench.reconfigure();
  up(calico_open(kMaster));
  down(false);
  EXPECT_TRUE(bench.routes.empty());
}

// RFC 8538 3.1, RFC 9384 3
TEST_F(BfdAndBgp, ToANeighborWithTheNBitItIsAHardReset) {
  auto open = calico_open(kMaster);
  open.capabilities.graceful_restart->notification = true;
  up(open);
  down(true);
  const auto message = last_message();
  ASSERT_EQ(message.size(), 23u);
  EXPECT_EQ(message[19], code::kCease);
  EXPECT_EQ(message[20], cease::kHardReset);
  EXPECT_EQ(message[21], code::kCease);
  EXPECT_EQ(message[22], cease::kBfdDown);
}

TEST_F(BfdAndBgp, TheSessionComesBackByItself) {
  up(calico_open(kMaster));
  down(true);
  bench.advance(5s);
  conn = bench.accept_from(kMaster, calico_open(kMaster));
  EXPECT_EQ(bench.facts(kMaster).state, State::established);
}

TEST_F(BfdAndBgp, UnknownOrIdleNeighborsAreNotTouched) {
  bench.step(input::PathDown{ip("172.16.40.77"), true, "x"});
  down(true);
  EXPECT_TRUE(bench.downs.empty());
}

TEST_F(BfdAndBgp, WhoWantsASession) {
  const auto peers = bench.speaker.bfd_peers();
  ASSERT_EQ(peers.size(), 1u);
  EXPECT_EQ(peers[0].address, ip(kMaster));
  EXPECT_EQ(peers[0].local, ip("172.16.40.202"));
  EXPECT_FALSE(peers[0].multihop);
  EXPECT_EQ(peers[0].settings.timers, (bfd::Settings{50ms, 60ms, 4}));
}

TEST_F(BfdAndBgp, OffTheSubnetItIsMultihopUnlessSaidOtherwise) {
  NeighborSettings far;
  far.address = ip("192.0.2.1");
  far.session.remote_as = 64513;
  far.session.bfd = BfdSettings{};
  bench.settings.neighbors.push_back(far);
  far.address = ip("192.0.2.2");
  far.session.bfd->multihop = false;
  bench.settings.neighbors.push_back(far);
  far.address = ip("192.0.2.3");
  far.enabled = false;
  bench.settings.neighbors.push_back(far);
  bench.reconfigure();
  const auto peers = bench.speaker.bfd_peers();
  ASSERT_EQ(peers.size(), 3u);
  EXPECT_TRUE(peers[1].multihop);
  EXPECT_FALSE(peers[2].multihop);
}

// Turning BFD on, off or faster is no reason to end the BGP session.
TEST_F(BfdAndBgp, AChangeOfBfdLeavesTheSessionAlone) {
  up(calico_open(kMaster));
  bench.settings.neighbors[1].session.bfd.reset();
  bench.reconfigure();
  EXPECT_TRUE(bench.downs.empty());
  EXPECT_TRUE(bench.speaker.bfd_peers().empty());
}

TEST_F(BfdAndBgp, WhoeverCameByAListenRangeHasOneFromThenOn) {
  ListenRange range;
  range.prefix = prefix("172.16.40.0/24");
  range.session.remote_as = 64512;
  range.session.bfd = BfdSettings{};
  bench.settings.listen_ranges = {range};
  bench.reconfigure();
  EXPECT_EQ(bench.speaker.bfd_peers().size(), 1u);
  const auto dynamic = bench.accept_from("172.16.40.50", calico_open("172.16.40.50"));
  ASSERT_EQ(bench.speaker.bfd_peers().size(), 2u);
  EXPECT_EQ(bench.speaker.bfd_peers()[0].address, ip("172.16.40.50"));
  bench.step(input::Closed{dynamic, "closed"});
  EXPECT_EQ(bench.speaker.bfd_peers().size(), 2u);  // while its routes may be stale
  bench.advance(400s);                              // forgotten
  EXPECT_EQ(bench.speaker.bfd_peers().size(), 1u);
}

}  // namespace
}  // namespace sluice::bgp::bfd_test
