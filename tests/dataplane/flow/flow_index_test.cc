// Tests of FlowIndex: a reference model, overflowing buckets, and that erasure leaves no trace.
#include "dataplane/flow/flow_index.h"

#include <gtest/gtest.h>

#include <random>
#include <unordered_map>

namespace sluice::flow {
namespace {

TEST(FlowIndexTest, FindsWhatWasInsertedAndNothingElse) {
  FlowIndex index(1000);
  const auto equal_to = [](std::uint32_t wanted) { return [wanted](std::uint32_t r) { return r == wanted; }; };
  index.insert(42, 7);
  EXPECT_EQ(index.find(42, equal_to(7)), 7u);
  EXPECT_EQ(index.first_candidate(42), 7u);
  EXPECT_EQ(index.find(42, equal_to(8)), FlowIndex::kNone);
  EXPECT_EQ(index.find(43, equal_to(7)), FlowIndex::kNone);
  index.erase(42, 7);
  EXPECT_EQ(index.find(42, equal_to(7)), FlowIndex::kNone);
  EXPECT_EQ(index.size(), 0u);
}

TEST(FlowIndexTest, OneHomeForAllStillWorks) {
  FlowIndex index(200);
  for (std::uint32_t i = 0; i < 199; ++i) index.insert(5, i);
  for (std::uint32_t i = 0; i < 199; ++i) EXPECT_EQ(index.find(5, [&](std::uint32_t r) { return r == i; }), i);
  for (std::uint32_t i = 0; i < 199; i += 2) index.erase(5, i);
  for (std::uint32_t i = 0; i < 199; ++i) {
    EXPECT_EQ(index.find(5, [&](std::uint32_t r) { return r == i; }), i % 2 == 0 ? FlowIndex::kNone : i);
  }
  for (std::uint32_t i = 1; i < 199; i += 2) index.erase(5, i);
  // No bucket remembers to have been passed: a search ends at home, without looking at any reference.
  unsigned looked = 0;
  index.find(5, [&](std::uint32_t) { return ++looked, false; });
  EXPECT_EQ(looked, 0u);
}

TEST(FlowIndexTest, AgreesWithAModelUnderChurnAtFullLoad) {
  constexpr std::size_t kKeys = 4096;
  FlowIndex index(kKeys);
  std::mt19937_64 random(1);
  std::unordered_map<std::uint32_t, std::uint64_t> model;  // reference -> hash
  std::uint32_t next = 0;
  for (int step = 0; step < 100000; ++step) {
    if (model.size() < kKeys - 1 && (model.empty() || random() % 5 < 3)) {
      const std::uint64_t hash = random();
      index.insert(hash, next);
      model[next++] = hash;
    } else {
      const auto victim = model.begin();
      index.erase(victim->second, victim->first);
      model.erase(victim);
    }
  }
  EXPECT_EQ(index.size(), model.size());
  for (const auto& [reference, hash] : model) {
    EXPECT_EQ(index.find(hash, [&, wanted = reference](std::uint32_t r) { return r == wanted; }), reference);
  }
}

}  // namespace
}  // namespace sluice::flow
