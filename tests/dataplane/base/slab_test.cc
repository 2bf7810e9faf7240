// The slab: capacity, reuse, stale handles, destruction.
#include "dataplane/base/slab.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice {
namespace {

TEST(Slab, HandsOutItsCapacityAndNoMore) {
  Slab<std::string> slab(2);
  const auto a = slab.emplace("a");
  const auto b = slab.emplace("b");
  EXPECT_FALSE(slab.emplace("c"));
  EXPECT_TRUE(slab.full());
  EXPECT_EQ(*slab.get(*a), "a");
  EXPECT_EQ(slab[b->index], "b");
  EXPECT_EQ(slab.size(), 2u);
}

TEST(Slab, AStaleHandleFindsNothing) {
  Slab<int> slab(1);
  const auto first = *slab.emplace(1);
  slab.erase(first.index);
  EXPECT_EQ(slab.get(first), nullptr);
  const auto second = *slab.emplace(2);
  EXPECT_EQ(second.index, first.index);
  EXPECT_EQ(slab.get(first), nullptr);
  EXPECT_EQ(*slab.get(second), 2);
  EXPECT_EQ(slab.get(SlabHandle{}), nullptr);
  EXPECT_EQ(slab.get(SlabHandle{5, 1}), nullptr);
  EXPECT_EQ(slab.handle_of(second.index), second);
}

TEST(Slab, DestroysWhatItHolds) {
  int alive = 0;
  struct Life {
    int& count;
    explicit Life(int& n) : count(n) { ++count; }
    ~Life() { --count; }
  };
  {
    Slab<Life> slab(3);
    slab.emplace(alive);
    const auto b = slab.emplace(alive);
    slab.emplace(alive);
    slab.erase(b->index);
    EXPECT_EQ(alive, 2);
  }
  EXPECT_EQ(alive, 0);
}

}  // namespace
}  // namespace sluice
