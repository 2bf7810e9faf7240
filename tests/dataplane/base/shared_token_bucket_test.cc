// A rate that workers keep together: exact for one and for many, whoever of them has the traffic.
#include "dataplane/base/shared_token_bucket.h"

#include <gtest/gtest.h>

#include <array>
#include <thread>

namespace sluice {
namespace {

constexpr Instant kStart = instant_ns(1'000'000'000'000);

TEST(SharedTokenBucket, TwoWorkersTogetherPassWhatOneWould) {
  SharedTokenBucket bucket(100, 100);
  std::array<TokenShare, 2> shares;
  unsigned passed = 0;
  for (unsigned i = 0; i < 1000; ++i) passed += bucket.take(kStart, shares[i % 2]) ? 1 : 0;
  EXPECT_EQ(passed, 100u) << "the burst";
  passed = 0;
  for (unsigned ms = 1; ms <= 3000; ++ms)
    for (TokenShare& share : shares) passed += bucket.take(kStart + Duration(1ms) * ms, share) ? 1 : 0;
  EXPECT_EQ(passed, 300u) << "then the rate";
}

TEST(SharedTokenBucket, OneWorkerMayUseItAll) {
  SharedTokenBucket bucket(5, 5);
  std::array<TokenShare, 4> shares;
  unsigned passed = 0;
  for (unsigned i = 0; i < 20; ++i) passed += bucket.take(kStart, shares[3]) ? 1 : 0;
  EXPECT_EQ(passed, 5u) << "no worker's part of a small rate lies idle with another";
}

TEST(SharedTokenBucket, BatchesOfLargeRatesAddNothing) {
  constexpr std::uint32_t kRate = 200'000;
  SharedTokenBucket bucket(kRate, kRate);
  std::array<TokenShare, 3> shares;
  std::uint32_t passed = 0;
  for (std::uint32_t i = 0; i < 3 * kRate; ++i) passed += bucket.take(kStart, shares[i % 3]) ? 1 : 0;
  EXPECT_EQ(passed, kRate);
}

TEST(SharedTokenBucket, RateOfZeroLetsNothingPass) {
  SharedTokenBucket bucket(0, 0);
  TokenShare share;
  EXPECT_FALSE(bucket.take(kStart, share));
}

TEST(SharedTokenBucket, ThreadsAtOncePassTheBurstAndNoMore) {
  constexpr std::uint32_t kBurst = 40'000;
  SharedTokenBucket bucket(kBurst, kBurst);
  std::array<TokenShare, 4> shares;
  std::array<std::uint32_t, 4> passed{};
  std::array<std::thread, 4> threads;
  for (std::size_t i = 0; i < threads.size(); ++i) {
    threads[i] = std::thread([&bucket, &share = shares[i], &mine = passed[i]] {
      for (std::uint32_t n = 0; n < kBurst; ++n) mine += bucket.take(kStart, share) ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(passed[0] + passed[1] + passed[2] + passed[3], kBurst);
}

}  // namespace
}  // namespace sluice
