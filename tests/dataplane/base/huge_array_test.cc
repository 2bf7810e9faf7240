// Tests of arrays on huge pages: of any size, made and unmade element by element, aligned.
#include "dataplane/base/huge_array.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace sluice {
namespace {

struct alignas(64) Line {
  Line() { ++live; }
  ~Line() { --live; }
  std::uint64_t value = 7;
  static inline int live = 0;
};

TEST(HugeArrayTest, SmallAndLargeOnesHoldWhatWasPutIn) {
  // One page, just under, at and over a huge page, and several of those.
  for (const std::size_t size : {1u, 32767u, 32768u, 32769u, 100'000u}) {
    {
      HugeArray<Line> array(size);
      EXPECT_EQ(Line::live, static_cast<int>(size));
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(array.data()) % 64, 0u);
      EXPECT_EQ(array[0].value, 7u);
      for (std::size_t i = 0; i < size; ++i) array[i].value = i;
      for (std::size_t i = 0; i < size; ++i) ASSERT_EQ(array[i].value, i);
    }
    EXPECT_EQ(Line::live, 0);
  }
}

TEST(HugeArrayTest, PlainValuesBeginAsZero) {
  const HugeArray<std::uint32_t> array(1'000'000);
  for (std::size_t i = 0; i < array.size(); i += 1000) ASSERT_EQ(array[i], 0u);
}

}  // namespace
}  // namespace sluice
