// The many-producer ring: bounds, order per producer, nothing lost or doubled under contention.
#include "dataplane/base/mpsc_ring.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace sluice {
namespace {

TEST(MpscRing, IsBoundedAndFirstInFirstOut) {
  MpscRing<std::unique_ptr<int>> ring(3);  // rounded up to 4
  ASSERT_EQ(ring.capacity(), 4u);
  EXPECT_FALSE(ring.pop());
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(ring.push(std::make_unique<int>(i)));
  auto fifth = std::make_unique<int>(4);
  EXPECT_FALSE(ring.push(std::move(fifth)));
  EXPECT_NE(fifth, nullptr);  // untouched
  for (int i = 0; i < 4; ++i) EXPECT_EQ(**ring.pop(), i);
  EXPECT_FALSE(ring.pop());
}

TEST(MpscRing, KeepsEachProducersOrder) {
  constexpr std::uint32_t kProducers = 3;
  constexpr std::uint32_t kEach = 20000;
  MpscRing<std::uint32_t> ring(64);
  std::vector<std::thread> producers;
  for (std::uint32_t p = 0; p < kProducers; ++p) {
    producers.emplace_back([&ring, p] {
      for (std::uint32_t i = 0; i < kEach; ++i) {
        while (!ring.push(p << 24 | i)) std::this_thread::yield();
      }
    });
  }
  std::vector<std::uint32_t> next(kProducers, 0);
  for (std::uint32_t got = 0; got < kProducers * kEach;) {
    const auto value = ring.pop();
    if (!value) {
      std::this_thread::yield();
      continue;
    }
    ASSERT_EQ(*value & 0xffffff, next[*value >> 24]++);
    ++got;
  }
  for (auto& thread : producers) thread.join();
  EXPECT_FALSE(ring.pop());
}

}  // namespace
}  // namespace sluice
