// The FIB against brute force over all routes, its limits, ECMP, and the epoch.
#include "dataplane/ip/fib.h"

#include <gtest/gtest.h>

#include <map>

#include "dataplane/base/rng.h"
#include "tests/dataplane/ip/world.h"

namespace sluice::ip {
namespace {

using test::ip;
using test::prefix;

class FibTest : public test::EalTest {
 protected:
  ForwardingEpoch epoch_;
};

TEST_F(FibTest, LongestPrefixWins) {
  const auto fib = make_fib(epoch_);
  EXPECT_EQ(fib->lookup(ip("10.0.0.1"), 0).kind, NextHopKind::none);
  ASSERT_TRUE(fib->apply({prefix("0.0.0.0/0"), {NextHop::via(0, ip("172.16.40.254"))}}));
  ASSERT_TRUE(fib->apply({prefix("10.244.0.0/16"), {NextHop::blackhole()}}));
  ASSERT_TRUE(fib->apply({prefix("10.244.0.0/24"), {NextHop::via(0, ip("172.16.40.199"))}}));
  ASSERT_TRUE(fib->apply({prefix("10.244.0.64/26"), {NextHop::connected(1)}}));
  ASSERT_TRUE(fib->apply({prefix("10.244.0.80/32"), {NextHop::local()}}));
  EXPECT_EQ(fib->lookup(ip("8.8.8.8"), 0), NextHop::via(0, ip("172.16.40.254")));
  EXPECT_EQ(fib->lookup(ip("10.244.9.9"), 0), NextHop::blackhole());
  EXPECT_EQ(fib->lookup(ip("10.244.0.63"), 0), NextHop::via(0, ip("172.16.40.199")));
  EXPECT_EQ(fib->lookup(ip("10.244.0.64"), 0), NextHop::connected(1));
  EXPECT_EQ(fib->lookup(ip("10.244.0.80"), 0), NextHop::local());
  ASSERT_TRUE(fib->apply({prefix("10.244.0.64/26"), {}}));
  EXPECT_EQ(fib->lookup(ip("10.244.0.64"), 0), NextHop::via(0, ip("172.16.40.199")));
  ASSERT_TRUE(fib->apply({prefix("0.0.0.0/0"), {}}));
  EXPECT_EQ(fib->lookup(ip("8.8.8.8"), 0).kind, NextHopKind::none);
  EXPECT_EQ(fib->route_count(), 3u);
}

TEST_F(FibTest, EqualCostHopsShareByHashAndStayPerFlow) {
  const auto fib = make_fib(epoch_);
  NextHopGroup group;
  for (unsigned i = 0; i < 5; ++i) group.push_back(NextHop::via(0, {0xac102801 + i}));
  ASSERT_TRUE(fib->apply({prefix("10.0.0.0/8"), group}));
  Rng rng(1);
  std::map<NextHop, int> shares;
  for (int i = 0; i < 10000; ++i) {
    const auto hash = static_cast<std::uint32_t>(rng());
    const NextHop hop = fib->lookup(ip("10.1.2.3"), hash);
    ASSERT_EQ(hop, fib->lookup(ip("10.1.2.3"), hash));
    ++shares[hop];
  }
  ASSERT_EQ(shares.size(), 5u);
  for (const auto& [hop, n] : shares) EXPECT_NEAR(n, 2000, 200);
}

TEST_F(FibTest, GroupsAreSharedAndGivenBack) {
  const auto fib = make_fib(epoch_);
  const NextHopGroup ab{NextHop::via(0, ip("1.0.0.1")), NextHop::via(0, ip("1.0.0.2"))};
  const NextHopGroup ba{ab[1], ab[0]};
  for (std::uint32_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(fib->apply({Ipv4Prefix::of({0x0a000000 + i * 256}, 24), i % 2 ? ab : ba}));
  }
  EXPECT_EQ(fib->group_count(), 1u);
  for (std::uint32_t i = 0; i < 100; ++i) ASSERT_TRUE(fib->apply({Ipv4Prefix::of({0x0a000000 + i * 256}, 24), {}}));
  EXPECT_EQ(fib->group_count(), 0u);
  EXPECT_TRUE(fib->routes().empty());
}

TEST_F(FibTest, EveryChangeBumpsTheEpochAndFailuresDoNot) {
  const auto fib = make_fib(epoch_);
  const auto before = epoch_.value();
  ASSERT_TRUE(fib->apply({prefix("10.0.0.0/8"), {NextHop::local()}}));
  EXPECT_NE(epoch_.value(), before);
  const auto after = epoch_.value();
  EXPECT_FALSE(fib->apply({prefix("11.0.0.0/8"), {}}));
  EXPECT_EQ(epoch_.value(), after);
}

TEST_F(FibTest, LimitsAreErrorsThatChangeNothing) {
  const auto fib = make_fib(epoch_, {200, 4, 64});
  const auto hop = [](std::uint32_t i) { return NextHop::via(0, {0x01000000 + i}); };
  for (std::uint32_t i = 0; i < 4; ++i) ASSERT_TRUE(fib->apply({Ipv4Prefix::of({i << 24}, 8), {hop(i + 1)}}));
  auto status = fib->apply({prefix("9.0.0.0/8"), {hop(9)}});
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().text().find("4 next-hop groups"), std::string::npos) << status.error().text();
  EXPECT_EQ(fib->lookup(ip("9.1.1.1"), 0).kind, NextHopKind::none);

  // Each /25 takes a table of its own.
  std::uint32_t longs = 0;
  while (longs < 150 && fib->apply({Ipv4Prefix::of({0x14000000 + longs * 256}, 25), {hop(1)}})) ++longs;
  EXPECT_EQ(longs, 64u);
  status = fib->apply({prefix("30.0.0.0/25"), {hop(1)}});
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().text().find("longer than /24"), std::string::npos) << status.error().text();
  EXPECT_EQ(fib->lookup(ip("30.0.0.1"), 0).kind, NextHopKind::none);

  for (std::uint32_t i = 0; fib->route_count() < 200; ++i) {
    ASSERT_TRUE(fib->apply({Ipv4Prefix::of({0x28000000 + i * 256}, 24), {hop(1)}}));
  }
  status = fib->apply({prefix("50.0.0.0/8"), {hop(1)}});
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().text().find("200 routes"), std::string::npos);
  EXPECT_TRUE(fib->apply({prefix("0.0.0.0/8"), {hop(2)}}));  // a change of one is no new one
}

TEST_F(FibTest, IllFormedUpdatesAreRefused) {
  const auto fib = make_fib(epoch_);
  const NextHop good = NextHop::via(0, ip("1.2.3.4"));
  EXPECT_FALSE(fib->apply({Ipv4Prefix{ip("10.0.0.1"), 8}, {good}}));
  EXPECT_FALSE(fib->apply({Ipv4Prefix{ip("10.0.0.0"), 33}, {good}}));
  EXPECT_FALSE(fib->apply({prefix("10.0.0.0/8"), {NextHop{}}}));
  EXPECT_FALSE(fib->apply({prefix("10.0.0.0/8"), {good, NextHop::blackhole()}}));
  EXPECT_FALSE(fib->apply({prefix("10.0.0.0/8"), {NextHop::via(0, {})}}));
  EXPECT_FALSE(fib->apply({prefix("10.0.0.0/8"), {NextHop::connected(packet::kNoPort)}}));
  EXPECT_FALSE(fib->apply({prefix("10.0.0.0/8"), NextHopGroup(kEcmpMax + 1, good)}));
  EXPECT_EQ(fib->route_count(), 0u);
  EXPECT_FALSE(Fib::create("bad", {1000, 40000, 64}, -1, epoch_));
  EXPECT_FALSE(Fib::create("bad", {0, 10, 64}, -1, epoch_));
}

// Random routes come and go; the oracle looks at every route for every address.
TEST_F(FibTest, AgreesWithBruteForce) {
  for (const std::uint32_t groups : {100u, 1000u}) {
    for (const std::uint64_t seed : {1, 2, 3}) {
      SCOPED_TRACE(seed);
      Rng rng(seed);
      const auto fib = make_fib(epoch_, {4096, groups, 512});
      std::map<Ipv4Prefix, NextHop> oracle;
      const auto brute_force = [&](Ipv4Address address) {
        const std::pair<const Ipv4Prefix, NextHop>* best = nullptr;
        for (const auto& route : oracle) {
          if (route.first.contains(address) && (best == nullptr || route.first.length >= best->first.length))
            best = &route;
        }
        return best == nullptr ? NextHop{} : best->second;
      };
      // Few distinct addresses, so that prefixes nest.
      const auto random_address = [&] {
        return Ipv4Address{
            static_cast<std::uint32_t>(0x0a000000 | rng.below(4) << 16 | rng.below(8) << 8 | rng.below(256))};
      };
      for (int step = 0; step < 3000; ++step) {
        const auto target = Ipv4Prefix::of(
            random_address(), static_cast<unsigned>(rng.chance(0.05) ? rng.below(16) : rng.between(16, 32)));
        if (rng.chance(0.6) && oracle.size() < 1000) {
          const NextHop hop = NextHop::via(static_cast<packet::PortId>(rng.below(2)),
                                           {static_cast<std::uint32_t>(0xac100000 + rng.below(60))});
          if (fib->apply({target, {hop}})) oracle[target] = hop;
        } else {
          ASSERT_EQ(fib->apply({target, {}}).has_value(), oracle.erase(target) == 1);
        }
        if (step % 10 != 0) continue;
        std::vector<Ipv4Address> addresses(40);
        for (auto& address : addresses)
          address = rng.chance(0.1) ? Ipv4Address{static_cast<std::uint32_t>(rng())} : random_address();
        std::vector<NextHop> bulk(addresses.size());
        fib->lookup_bulk(addresses, std::vector<std::uint32_t>(addresses.size()), bulk);
        for (std::size_t i = 0; i < addresses.size(); ++i) {
          const NextHop expected = brute_force(addresses[i]);
          ASSERT_EQ(fib->lookup(addresses[i], 0), expected) << addresses[i].text() << " step " << step;
          ASSERT_EQ(bulk[i], expected);
        }
      }
      std::vector<RouteUpdate> routes;
      for (const auto& [target, hop] : oracle) routes.push_back({target, {hop}});
      EXPECT_EQ(fib->routes(), routes);
    }
  }
}

}  // namespace
}  // namespace sluice::ip
