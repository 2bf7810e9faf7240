// The decision, step by step: each test changes one thing and names the step that must see it.
#include "control/bgp/decide.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/control/bgp/support.h"
#include "tests/support/random.h"

namespace sluice::bgp::decide_test {
namespace {

using namespace testing;

class Decide : public ::testing::Test {
 protected:
  Decide() {
    for (unsigned i = 0; i < 2; ++i) {
      attributes[i].next_hop = ip(i == 0 ? "172.16.40.198" : "172.16.40.199");
      attributes[i].local_pref = 100;
      attributes[i].as_path.prepend(64513 + i, 1);
      candidates[i].attributes = &attributes[i];
      candidates[i].next_hop = {true, true, 0};
      candidates[i].router_id = i + 1;
      candidates[i].peer = attributes[i].next_hop;
    }
  }
  // The second one wins, the first loses at `step`.
  void expect_second(Step step) {
    for (const bool swapped : {false, true}) {
      for (auto& a : candidates) a.as_path_length = a.attributes->as_path.length();
      auto copy = candidates;
      if (swapped) std::swap(copy[0], copy[1]);
      EXPECT_EQ(decide(copy, settings), swapped ? 0 : 1);
      EXPECT_EQ(copy[swapped ? 1 : 0].lost_at, step) << text_of(copy[swapped ? 1 : 0].lost_at);
    }
  }
  PathAttributes attributes[2];
  std::vector<Candidate> candidates{2};
  DecisionSettings settings;
};

TEST_F(Decide, UnreachableNextHopIsNoRoute) {
  candidates[0].next_hop.reachable = false;
  expect_second(Step::next_hop_unreachable);
  candidates[1].next_hop.reachable = false;
  EXPECT_EQ(decide(candidates, settings), -1);
}
TEST_F(Decide, LongLivedStale) {
  candidates[0].long_lived_stale = true;
  attributes[0].local_pref = 1000;
  expect_second(Step::long_lived_stale);
}
TEST_F(Decide, LocalPref) {
  attributes[1].local_pref = 2147482623;  // Calico >= 3.32: all 32 bits
  expect_second(Step::local_pref);
  attributes[1].local_pref = 0xffffffff;
  expect_second(Step::local_pref);
}
TEST_F(Decide, AsPathLength) {
  attributes[0].as_path.prepend(64600, 1);
  expect_second(Step::as_path_length);
}
TEST_F(Decide, Origin) {
  attributes[1].origin = Origin::igp;
  expect_second(Step::origin);
}
TEST_F(Decide, MedOfTheSameNeighbouringAsOnly) {
  attributes[0].med = 10;
  candidates[0].router_id = 0;
  settings.multipath_max = 1;
  for (auto& c : candidates) c.as_path_length = 1;
  EXPECT_EQ(decide(candidates, settings), 0);  // different AS: not compared
  settings.always_compare_med = true;
  expect_second(Step::med);
  settings.always_compare_med = false;
  attributes[0].as_path = attributes[1].as_path;
  expect_second(Step::med);
}
TEST_F(Decide, ExternalBeforeInternal) {
  candidates[1].internal = false;
  expect_second(Step::external);
}
TEST_F(Decide, InteriorCost) {
  candidates[0].next_hop.metric = 1;
  expect_second(Step::interior_cost);
}
TEST_F(Decide, OwnerOfTheBlock) {
  candidates[1].owner = true;
  expect_second(Step::owner);
}
TEST_F(Decide, RouterIdOrOriginator) {
  candidates[0].router_id = 9;
  expect_second(Step::router_id);
  attributes[0].originator_id = 3;
  candidates[1].router_id = 2;
  candidates[0].router_id = 1;
  expect_second(Step::router_id);
}
TEST_F(Decide, ClusterListThenAddress) {
  candidates[1].router_id = 1;
  attributes[0].cluster_list = {1};
  expect_second(Step::cluster_list);
  attributes[0].cluster_list.clear();
  candidates[0].peer = ip("172.16.40.200");
  expect_second(Step::peer_address);
}

TEST_F(Decide, MultipathUsesEqualPathsOnceANextHop) {
  for (auto& c : candidates) c.as_path_length = 1;
  EXPECT_EQ(decide(candidates, settings), 0);
  EXPECT_TRUE(candidates[1].multipath);
  settings.multipath_relax = false;  // different AS_PATHs
  decide(candidates, settings);
  EXPECT_FALSE(candidates[1].multipath);
  settings.multipath_relax = true;
  attributes[1].next_hop = attributes[0].next_hop;
  decide(candidates, settings);
  EXPECT_FALSE(candidates[1].multipath);
  attributes[1].next_hop = ip("172.16.40.7");
  settings.multipath_max = 1;
  decide(candidates, settings);
  EXPECT_FALSE(candidates[1].multipath);
}

// Whatever the order of arrival, the outcome is the same (MED makes naive pairwise comparison fail this).
TEST(DecideProperty, OrderOfArrivalDoesNotMatter) {
  sluice::testing::Random random(7);
  for (int round = 0; round < 500; ++round) {
    std::vector<PathAttributes> attributes(6);
    std::vector<Candidate> candidates(6);
    for (unsigned i = 0; i < 6; ++i) {
      attributes[i].next_hop = Ipv4Address{i + 1};
      attributes[i].med = random() % 3;
      attributes[i].as_path.prepend(64513 + random() % 2, 1 + random() % 2);
      candidates[i].attributes = &attributes[i];
      candidates[i].as_path_length = attributes[i].as_path.length();
      candidates[i].next_hop = {random() % 8 != 0, true, static_cast<std::uint32_t>(random() % 2)};
      candidates[i].internal = random() % 2 != 0;
      candidates[i].router_id = 1 + random() % 3;
      candidates[i].peer = Ipv4Address{i + 1};
      candidates[i].handle = i;
    }
    const auto outcome = [](std::vector<Candidate> c) {
      const int best = decide(c, {});
      std::vector<std::tuple<std::uint32_t, int, bool>> out;
      for (const auto& x : c) out.emplace_back(x.handle, static_cast<int>(x.lost_at), x.multipath);
      std::sort(out.begin(), out.end());
      return std::pair(best < 0 ? 99u : c[static_cast<std::size_t>(best)].handle, out);
    };
    const auto expected = outcome(candidates);
    for (int i = 0; i < 5; ++i) {
      std::shuffle(candidates.begin(), candidates.end(), random);
      ASSERT_EQ(outcome(candidates), expected) << "round " << round;
    }
  }
}

}  // namespace
}  // namespace sluice::bgp::decide_test
