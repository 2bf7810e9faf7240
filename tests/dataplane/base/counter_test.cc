// Counters and drop reasons: sums, names and meanings.
#include "dataplane/base/counter.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "dataplane/base/drop_reason.h"

namespace sluice {
namespace {

TEST(Counter, IsReadWholeByAnotherThread) {
  Counter counter;
  std::thread writer([&] {
    for (int i = 0; i < 100000; ++i) counter.add(0x1'0000'0001);  // both halves move together
  });
  std::uint64_t last = 0;
  while (last < 100000ull * 0x1'0000'0001) {
    const std::uint64_t now = counter.get();
    ASSERT_GE(now, last);
    ASSERT_EQ(now >> 32, now & 0xffffffff);
    last = now;
  }
  writer.join();
}

TEST(DropReason, NamesAreUniqueWordsAndMeaningsAreSentences) {
  std::set<std::string_view> names;
  for (const DropReasonText& text : kDropReasonTexts) {
    EXPECT_TRUE(names.insert(text.name).second) << text.name;
    EXPECT_EQ(text.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"), std::string_view::npos)
        << text.name;
    EXPECT_GT(text.meaning.size(), 10u) << text.name;
    EXPECT_NE(text.meaning.back(), '.') << text.name;
  }
  EXPECT_EQ(names.size(), kDropReasonCount);
  EXPECT_EQ(name_of(DropReason::shutting_down), "shutting_down");
  EXPECT_EQ(name_of(DropReason::frame_too_short), "frame_too_short");
}

TEST(DropCounters, TotalIsTheSumOfReasons) {
  DropCounters counters;
  counters.add(DropReason::no_route);
  counters.add(DropReason::shutting_down, 3);
  EXPECT_EQ(counters.get(DropReason::no_route), 1u);
  EXPECT_EQ(counters.get(DropReason::ttl_exceeded), 0u);
  EXPECT_EQ(counters.total(), 4u);
}

}  // namespace
}  // namespace sluice
