// The Rib against brute force: random announcements, withdrawals, losses and returns; then the routes and every count.
#include "control/bgp/rib.h"

#include <gtest/gtest.h>

#include "tests/control/bgp/support.h"
#include "tests/support/random.h"

namespace sluice::bgp::rib_test {
namespace {

using namespace testing;

struct Model {
  struct PathInfo {
    std::uint32_t next_hop;
    bool stale = false;
  };
  std::map<std::tuple<unsigned, routing::IpPrefix, std::uint32_t>, PathInfo> paths;  // peer, prefix, id
};

class RibProperty : public ::testing::TestWithParam<unsigned> {};

TEST_P(RibProperty, RoutesAreThoseOfBruteForce) {
  sluice::testing::Random random(GetParam());
  FakeResolver resolver;
  Rib rib(resolver);
  DecisionSettings settings;
  settings.multipath_max = 1 + random() % 3;
  rib.configure(settings);
  constexpr unsigned kPeers = 5;
  std::vector<PeerIndex> index;
  for (unsigned i = 0; i < kPeers; ++i) {
    index.push_back(rib.add_peer(Ipv4Address{100 + i}));
    rib.set_peer(index[i], {i % 2 == 0, 10 + i, Ipv4Address{100 + i}});
  }
  Model model;
  RouteView view;
  RouteBatch batch;
  const auto hop = [](std::uint32_t n) { return Ipv4Address{0x0a000000 + n}; };
  const auto attributes_of = [&](std::uint32_t n) {
    PathAttributes a;
    a.next_hop = hop(n);
    a.local_pref = 100 + n % 2;
    return a;
  };
  const auto check = [&] {
    RouteView expected;
    std::map<routing::IpPrefix, std::vector<Candidate>> by_prefix;
    std::deque<PathAttributes> store;
    for (const auto& [key, info] : model.paths) {
      const auto& [peer, p, id] = key;
      Candidate c;
      c.attributes = &store.emplace_back(attributes_of(info.next_hop));
      c.next_hop = resolver.resolve_next_hop(c.attributes->next_hop);
      c.internal = peer % 2 == 0;
      c.router_id = 10 + peer;
      c.peer = Ipv4Address{100 + peer};
      c.path_id = id;
      by_prefix[p].push_back(c);
    }
    for (auto& [p, candidates] : by_prefix) {
      const int best = decide(candidates, settings);
      if (best < 0) continue;
      expected[p].insert(candidates[static_cast<std::size_t>(best)].attributes->next_hop);
      for (const auto& c : candidates) {
        if (c.multipath) expected[p].insert(c.attributes->next_hop);
      }
    }
    ASSERT_EQ(view, expected);
    ASSERT_EQ(rib.path_count(), model.paths.size());
    ASSERT_EQ(rib.prefix_count(), by_prefix.size());
    for (unsigned i = 0; i < kPeers; ++i) {
      std::size_t fresh = 0, stale = 0;
      for (const auto& [key, info] : model.paths) {
        if (std::get<0>(key) == i) ++(info.stale ? stale : fresh);
      }
      ASSERT_EQ(rib.path_count(index[i]), fresh);
      ASSERT_EQ(rib.stale_count(index[i]), stale);
    }
  };
  for (int step = 0; step < 3000; ++step) {
    const unsigned peer = random() % kPeers;
    const routing::IpPrefix p =
        random() % 4 == 0 ? routing::IpPrefix(Ipv6Prefix::of(ip("2001:db8::").v6(), 32 + random() % 8))
                          : routing::IpPrefix(Ipv4Prefix::of(Ipv4Address{0x0af40000 + (random() % 8 << 8)}, 24));
    const std::uint32_t id = random() % 2;
    batch.clear();
    switch (random() % 16) {
      default: {
        const auto n = random() % 6;
        const auto a = rib.attributes().intern(attributes_of(n));
        rib.update(index[peer], p, id, a, 0, batch);
        rib.attributes().release(a);
        model.paths[{peer, p, id}] = {n, false};
        break;
      }
      case 0:
      case 1:
      case 2:
      case 3:
        EXPECT_EQ(rib.withdraw(index[peer], p, id, batch), model.paths.erase({peer, p, id}) == 1);
        break;
      case 4:  // the session is gone for good
      case 5:  // the session is gone, routes are kept
      {
        const bool keep = random() % 2 == 0;
        for (const auto family : {Family::ipv4, Family::ipv6}) {
          rib.sweep_kept(index[peer], family);
          rib.retire(index[peer], family, keep ? Rib::Retire::keep : Rib::Retire::sweep);
        }
        std::erase_if(model.paths,
                      [&](const auto& e) { return std::get<0>(e.first) == peer && (!keep || e.second.stale); });
        for (auto& [key, info] : model.paths) {
          if (std::get<0>(key) == peer) info.stale = true;
        }
        break;
      }
      case 6:  // End-of-RIB
        for (const auto family : {Family::ipv4, Family::ipv6}) rib.sweep_kept(index[peer], family);
        std::erase_if(model.paths, [&](const auto& e) { return std::get<0>(e.first) == peer && e.second.stale; });
        break;
      case 7: {
        const IpAddress a = hop(random() % 6);
        if (resolver.unreachable.erase(a) == 0) resolver.unreachable.insert(a);
        rib.next_hops_changed();
        break;
      }
    }
    while (rib.has_work()) rib.work(1 + random() % 5, batch);
    testing::apply(batch, view);
    if (step % 10 == 0) check();
    if (HasFatalFailure()) FAIL() << "seed " << GetParam() << " step " << step;
  }
  batch.clear();
  for (const auto i : index) rib.remove_peer(i);
  while (rib.has_work()) rib.work(3, batch);
  testing::apply(batch, view);
  EXPECT_TRUE(view.empty());
  EXPECT_EQ(rib.path_count(), 0u);
  EXPECT_EQ(rib.attributes().size(), 0u);  // every interned set was given back
}

INSTANTIATE_TEST_SUITE_P(Seeds, RibProperty, ::testing::Range(1u, 9u));

TEST(Rib, StaleRouteIsReplacedBeforeTheSweepReachesIt) {
  FakeResolver resolver;
  Rib rib(resolver);
  rib.configure({});
  const auto peer = rib.add_peer(ip("172.16.40.199"));
  RouteBatch batch;
  PathAttributes a;
  a.next_hop = ip("172.16.40.199");
  const auto id = rib.attributes().intern(a);
  for (std::uint32_t i = 0; i < 100; ++i) rib.update(peer, Ipv4Prefix::of(Ipv4Address{i << 8}, 24), 0, id, 0, batch);
  rib.retire(peer, Family::ipv4, Rib::Retire::sweep);
  rib.work(10, batch);
  // The session is up again before the sweep is done: what it announces is not swept.
  for (std::uint32_t i = 0; i < 100; ++i) rib.update(peer, Ipv4Prefix::of(Ipv4Address{i << 8}, 24), 0, id, 0, batch);
  while (rib.has_work()) rib.work(10, batch);
  EXPECT_EQ(rib.path_count(peer), 100u);
  EXPECT_EQ(rib.prefix_count(), 100u);
  RouteView view;
  testing::apply(batch, view);
  EXPECT_EQ(view.size(), 100u);
}

// More losses than a path's one-byte generation can number, none of them swept in between.
// While decisions are held there is no work that could be done: the loop may sleep.
TEST(Rib, HeldDecisionsAreNoWork) {
  FakeResolver resolver;
  Rib rib(resolver);
  rib.configure({});
  rib.hold_decisions(true);
  const auto peer = rib.add_peer(ip("172.16.40.199"));
  PathAttributes a;
  a.next_hop = ip("172.16.40.199");
  RouteBatch batch;
  rib.update(peer, Ipv4Prefix::of(Ipv4Address{0x0a000000}, 24), 0, rib.attributes().intern(a), 0, batch);
  rib.rescan();
  EXPECT_FALSE(rib.has_work());
  EXPECT_EQ(batch.size(), 0u);
  rib.hold_decisions(false);
  EXPECT_TRUE(rib.has_work());
  rib.work(100, batch);
  EXPECT_EQ(batch.size(), 1u);
}

// Lost again while routes of before are still long-lived stale (RFC 9494 4.2): what came meanwhile joins them, and is
// the least preferred from then on.
TEST(Rib, WhatJoinsLongLivedStalePathsIsDecidedAnew) {
  FakeResolver resolver;
  Rib rib(resolver);
  rib.configure({});
  const auto first = rib.add_peer(ip("172.16.40.199")), second = rib.add_peer(ip("172.16.40.200"));
  PathAttributes a, b;
  a.next_hop = ip("172.16.40.199");
  b.next_hop = ip("172.16.40.200");
  b.as_path.prepend(64513, 1);  // the longer path: taken only when the other is long-lived stale
  const auto kept = Ipv4Prefix::of(Ipv4Address{0x0af40000}, 24), joins = Ipv4Prefix::of(Ipv4Address{0x0af40100}, 24);
  const auto id_a = rib.attributes().intern(a), id_b = rib.attributes().intern(b);
  RouteBatch batch;
  rib.update(first, kept, 0, id_a, 0, batch);
  rib.retire(first, Family::ipv4, Rib::Retire::keep);
  rib.make_long_lived(first, Family::ipv4);
  while (rib.has_work()) rib.work(10, batch);
  rib.update(first, joins, 0, id_a, 0, batch);
  rib.update(second, joins, 0, id_b, 0, batch);
  batch.clear();
  rib.retire(first, Family::ipv4, Rib::Retire::keep);
  while (rib.has_work()) rib.work(10, batch);
  ASSERT_EQ(batch.size(), 1u);
  EXPECT_EQ(batch[0].prefix, routing::IpPrefix(joins));
  ASSERT_EQ(batch[0].next_hops.size(), 1u);
  EXPECT_EQ(batch[0].next_hops[0], ip("172.16.40.200"));
}

TEST(Rib, ThousandLossesBeforeAnySweep) {
  for (const bool keep : {false, true}) {
    FakeResolver resolver;
    Rib rib(resolver);
    rib.configure({});
    const auto peer = rib.add_peer(ip("172.16.40.199"));
    RouteBatch batch;
    PathAttributes a;
    a.next_hop = ip("172.16.40.199");
    const auto id = rib.attributes().intern(a);
    const auto nth = [](std::uint32_t i) { return Ipv4Prefix::of(Ipv4Address{i << 8}, 24); };
    for (std::uint32_t i = 0; i < 1000; ++i) {
      rib.update(peer, nth(i), 0, id, 0, batch);
      rib.retire(peer, Family::ipv4, keep || i % 3 == 0 ? Rib::Retire::keep : Rib::Retire::sweep);
    }
    EXPECT_EQ(rib.path_count(), 1000u);
    EXPECT_EQ(rib.stale_count(peer), keep ? 1000u : 334u);
    for (std::uint32_t i = 0; i < 1000; i += 2) rib.update(peer, nth(i), 0, id, 0, batch);
    while (rib.has_work()) rib.work(10, batch);
    EXPECT_EQ(rib.path_count(peer), 500u);
    EXPECT_EQ(rib.stale_count(peer), keep ? 500u : 167u);
    rib.sweep_kept(peer, Family::ipv4);
    while (rib.has_work()) rib.work(10, batch);
    EXPECT_EQ(rib.path_count(), 500u);
    EXPECT_EQ(rib.prefix_count(), 500u);
  }
}

}  // namespace
}  // namespace sluice::bgp::rib_test
