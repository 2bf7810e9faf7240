// Rates per second out of sampled counters.
#include "control/daemon/rates.h"

#include <gtest/gtest.h>

namespace sluice::daemon::rates_test {
namespace {

void sample(Rates<2>& rates, Duration at, std::uint64_t key, std::uint64_t a, std::uint64_t b) {
  rates.begin(instant_ns(at.count()));
  rates.sample(key, {a, b});
  rates.end();
}

TEST(Rates, ZeroUntilSampledTwiceThenPerSecond) {
  Rates<2> rates;
  EXPECT_EQ(rates.of(1)[0], 0);
  sample(rates, 10s, 1, 1000, 7);
  EXPECT_EQ(rates.of(1)[0], 0);
  sample(rates, 12s, 1, 1500, 7);
  EXPECT_EQ(rates.of(1), (Rates<2>::PerSecond{250, 0}));
  sample(rates, 13s, 1, 1500, 8);
  EXPECT_EQ(rates.of(1), (Rates<2>::PerSecond{0, 1}));
}

TEST(Rates, CounterThatWentBackHasNoRate) {
  Rates<2> rates;
  sample(rates, 1s, 1, 1000, 0);
  sample(rates, 2s, 1, 10, 0);
  EXPECT_EQ(rates.of(1)[0], 0);
  sample(rates, 3s, 1, 20, 0);
  EXPECT_EQ(rates.of(1)[0], 10);
}

TEST(Rates, WhatIsGoneIsForgotten) {
  Rates<2> rates;
  sample(rates, 1s, 1, 1, 1);
  sample(rates, 2s, 2, 1, 1);
  EXPECT_EQ(rates.size(), 1u);
  sample(rates, 3s, 1, 100, 1);  // a newcomer, though of an old key
  EXPECT_EQ(rates.of(1)[0], 0);
}

}  // namespace
}  // namespace sluice::daemon::rates_test
