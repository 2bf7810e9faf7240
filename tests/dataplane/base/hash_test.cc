// The keyed hash: spread, avalanche, dependence on the seed; Rng and TokenBucket beside it.
#include "dataplane/base/hash.h"

#include <gtest/gtest.h>

#include <bit>
#include <set>
#include <vector>

#include "dataplane/base/rng.h"
#include "dataplane/base/token_bucket.h"

namespace sluice {
namespace {

TEST(Hash, SpreadsNeighbouringTuplesEvenly) {
  constexpr std::uint32_t kBuckets = 256;
  constexpr std::uint32_t kKeys = 65536;
  const Ipv4Address server{0x0a000001};
  for (const bool by_port : {true, false}) {
    std::vector<int> low(kBuckets), high(kBuckets);
    for (std::uint32_t i = 0; i < kKeys; ++i) {
      const auto port = static_cast<std::uint16_t>(by_port ? i : 80);
      const Ipv4Address client{by_port ? 0x0a000002 : 0x0a000000 + i};
      const std::uint64_t hash = hash_tuple({}, client, server, port, 80, 6);
      ++low[hash % kBuckets];
      ++high[hash_to_range(hash, kBuckets)];
    }
    for (const auto& counts : {low, high}) {
      double chi = 0;
      for (const int n : counts) chi += (n - 256.0) * (n - 256.0) / 256.0;
      EXPECT_LT(chi, 360) << "255 degrees of freedom: one in 10,000 is above 349";
    }
  }
}

TEST(Hash, EveryInputBitMattersForHalfOfTheOutput) {
  Rng rng(7);
  double flipped = 0;
  for (int round = 0; round < 200; ++round) {
    const std::uint64_t a = rng(), b = rng();
    for (unsigned bit = 0; bit < 128; ++bit) {
      const std::uint64_t a2 = bit < 64 ? a ^ 1ull << bit : a;
      const std::uint64_t b2 = bit < 64 ? b : b ^ 1ull << (bit - 64);
      flipped += std::popcount(hash_u64x2({}, a, b) ^ hash_u64x2({}, a2, b2));
    }
  }
  EXPECT_NEAR(flipped / (200 * 128), 32.0, 0.5);
}

TEST(Hash, AnotherSeedIsAnotherHash) {
  const HashSeed one = HashSeed::random();
  const HashSeed two = HashSeed::random();
  EXPECT_NE(one.a, two.a);
  EXPECT_NE(hash_u64(one, 1), hash_u64(two, 1));
  EXPECT_EQ(hash_u64(one, 1), hash_u64(one, 1));
}

TEST(Rng, SameSeedSameNumbersAndKnownOnes) {
  Rng a(42), b(42), c(43);
  EXPECT_EQ(a(), b());
  EXPECT_NE(a(), c());
  // The published reference code seeded by splitmix64(0).
  Rng zero(0);
  EXPECT_EQ(zero(), 0x99ec5f36cb75f2b4u);
}

TEST(Rng, RangesAreKeptAndReached) {
  Rng rng(1);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(rng.between(3, 7));
  EXPECT_EQ(seen, (std::set<std::uint64_t>{3, 4, 5, 6, 7}));
  int heads = 0;
  for (int i = 0; i < 10000; ++i) heads += rng.chance(0.25);
  EXPECT_NEAR(heads, 2500, 200);
}

TEST(TokenBucket, PassesABurstThenTheRate) {
  TokenBucket bucket(10, 5);
  Instant now = instant_ns(0);
  int passed = 0;
  for (int i = 0; i < 20; ++i) passed += bucket.take(now);
  EXPECT_EQ(passed, 5);
  EXPECT_FALSE(bucket.take(now + 99ms));
  EXPECT_TRUE(bucket.take(now + 100ms));
  EXPECT_FALSE(bucket.take(now + 100ms));
  passed = 0;
  for (int ms = 200; ms < 10200; ++ms) passed += bucket.take(now + Duration(1ms) * ms);
  EXPECT_NEAR(passed, 100, 1);
  now += 100s;  // long quiet: a burst again, not more
  passed = 0;
  for (int i = 0; i < 20; ++i) passed += bucket.take(now);
  EXPECT_EQ(passed, 5);
}

TEST(TokenBucket, RateZeroPassesNothingAndHugeRatesPass) {
  TokenBucket none(0, 10);
  EXPECT_FALSE(none.take(instant_ns(0)));
  EXPECT_FALSE(none.take(instant_ns(0) + 1000s));
  TokenBucket huge(4'000'000'000u, 1);
  EXPECT_TRUE(huge.take(instant_ns(0)));
  EXPECT_TRUE(huge.take(instant_ns(1)));
}

}  // namespace
}  // namespace sluice
