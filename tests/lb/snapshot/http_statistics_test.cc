// Latency buckets without gaps, quantiles that bracket the truth, sums over workers.
#include "lb/snapshot/http_statistics.h"

#include <gtest/gtest.h>

#include <random>

namespace sluice::lb {
namespace {

std::uint64_t bound_us(unsigned bucket) {
  return static_cast<std::uint64_t>(LatencyHistogram::bound(bucket).count()) / 1000;
}

TEST(LatencyHistogram, BucketsFollowEachOtherWithoutGaps) {
  EXPECT_EQ(bound_us(0), 4u);
  EXPECT_EQ(bound_us(3), 16u);
  EXPECT_EQ(bound_us(4), 20u);
  EXPECT_EQ(bound_us(8), 40u);
  for (unsigned bucket = 0; bucket + 1 < LatencyHistogram::kBuckets; ++bucket) {
    ASSERT_LT(bound_us(bucket), bound_us(bucket + 1));
    ASSERT_EQ(LatencyHistogram::bucket_of(bound_us(bucket)), bucket);
    ASSERT_EQ(LatencyHistogram::bucket_of(bound_us(bucket) + 1), bucket + 1);
    if (bucket >= 4) {
      ASSERT_LE(bound_us(bucket + 1) * 4, bound_us(bucket) * 5);
    }
  }
  EXPECT_EQ(LatencyHistogram::bucket_of(0), 0u);
  EXPECT_EQ(LatencyHistogram::bucket_of(UINT64_MAX), LatencyHistogram::kBuckets - 1);
}

TEST(Latency, QuantilesBracketTheTruth) {
  HttpTable table(2);
  std::mt19937 random(7);
  std::lognormal_distribution<double> times(7, 1.5);  // about a millisecond, with a long tail
  std::vector<std::uint64_t> all;
  for (unsigned i = 0; i < 10000; ++i) {
    const auto us = static_cast<std::uint64_t>(times(random)) + 17;
    all.push_back(us);
    table.of(i % 2).total.add(std::chrono::microseconds(us));
  }
  std::sort(all.begin(), all.end());
  const Latency latency = table.sum().total;
  EXPECT_EQ(latency.count(), all.size());
  EXPECT_EQ(latency.max_us, all.back());
  for (const double share : {0.01, 0.5, 0.9, 0.99, 1.0}) {
    const auto index = static_cast<std::size_t>(share * static_cast<double>(all.size()) + 0.5) - 1;
    const auto said = static_cast<std::uint64_t>(latency.quantile(share).count()) / 1000;
    EXPECT_GE(said, all[index]) << share;
    EXPECT_LE(said, all[index] + all[index] / 4 + 4) << share;
  }
}

TEST(Latency, OfNothingAndOfOne) {
  HttpTable table(1);
  EXPECT_EQ(table.sum().connect.quantile(0.5), Duration::zero());
  table.of(0).connect.add(Duration(-5));  // a clock that went back
  EXPECT_EQ(table.sum().connect.quantile(0.99), Duration::zero());
  table.of(0).first_byte.add(90s);
  EXPECT_EQ(table.sum().first_byte.quantile(0.5), 90s);
  EXPECT_EQ(table.sum().first_byte.sum_us, 90'000'000u);
}

TEST(HttpTable, SumsWorkers) {
  HttpTable table(3);
  table.of(0).requests.add(3);
  table.of(2).requests.add(4);
  table.of(1).responses_5xx.add();
  const HttpTotals totals = table.sum();
  EXPECT_EQ(totals.requests, 7u);
  EXPECT_EQ(totals.responses_5xx, 1u);
}

}  // namespace
}  // namespace sluice::lb
