// SpscRing: order, bounds, bursts, moves, and two threads at once.
#include "dataplane/base/spsc_ring.h"

#include <gtest/gtest.h>

#include <array>
#include <thread>

namespace sluice {
namespace {

TEST(SpscRing, IsBoundedAndKeepsTheOrder) {
  SpscRing<int> ring(5);
  EXPECT_EQ(ring.capacity(), 8u);
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(ring.push(i));
  EXPECT_FALSE(ring.push(8));
  EXPECT_EQ(ring.size(), 8u);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(ring.pop(), i);
  EXPECT_EQ(ring.pop(), std::nullopt);
  EXPECT_TRUE(ring.empty());
}

TEST(SpscRing, BurstsTakeWhatFits) {
  SpscRing<int> ring(8);
  std::array<int, 6> in{1, 2, 3, 4, 5, 6};
  EXPECT_EQ(ring.push_burst(in), 6u);
  EXPECT_EQ(ring.push_burst(in), 2u);
  std::array<int, 5> out{};
  EXPECT_EQ(ring.pop_burst(out), 5u);
  EXPECT_EQ(out, (std::array<int, 5>{1, 2, 3, 4, 5}));
  EXPECT_EQ(ring.pop_burst(out), 3u);
  EXPECT_EQ(out[0], 6);
  EXPECT_EQ(out[1], 1);
  EXPECT_EQ(ring.pop_burst(out), 0u);
}

TEST(SpscRing, MoveOnlyElementsStayTheirOwnersWhenFull) {
  SpscRing<std::unique_ptr<int>> ring(2);
  EXPECT_TRUE(ring.push(std::make_unique<int>(1)));
  EXPECT_TRUE(ring.push(std::make_unique<int>(2)));
  auto third = std::make_unique<int>(3);
  EXPECT_FALSE(ring.push(std::move(third)));
  ASSERT_NE(third, nullptr);
  EXPECT_EQ(**ring.pop(), 1);
}

TEST(SpscRing, TwoThreads) {
  SpscRing<std::uint64_t> ring(64);
  constexpr std::uint64_t kCount = 200'000;
  std::thread producer([&] {
    for (std::uint64_t i = 0; i < kCount;) {
      if (ring.push(i)) {
        ++i;
      } else {
        std::this_thread::yield();
      }
    }
  });
  std::uint64_t expected = 0;
  std::array<std::uint64_t, 16> out{};
  while (expected < kCount) {
    const auto n = ring.pop_burst(out);
    for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(out[i], expected++);
    if (n == 0) std::this_thread::yield();
  }
  producer.join();
}

}  // namespace
}  // namespace sluice
