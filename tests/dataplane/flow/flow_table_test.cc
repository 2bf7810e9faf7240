// Tests of FlowTable: two keys a flow, capacity, embryonic flows, ids, and age at a million flows.
#include "dataplane/flow/flow_table.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::flow {
namespace {

struct TestFlow : Entry {
  int tag = 0;
};
using Table = FlowTable<TestFlow>;

FlowKey client_key(std::uint32_t i) {
  return {{0x0a000000 + i / 50000}, {0xac102850}, static_cast<std::uint16_t>(1024 + i % 50000), 80, 6, {}};
}
FlowKey server_key(std::uint32_t i) {
  return {{0x0af40000 + i % 7},
          {0xac1028ca},
          80,
          static_cast<std::uint16_t>(1024 + i % 50000),
          static_cast<std::uint8_t>(6 + i / 50000),
          {}};
}
constexpr Instant kStart = instant_ns(1'000'000'000);
TestFlow* add(Table& table, std::uint32_t i, Instant deadline) {
  TestFlow* flow = table.allocate();
  if (flow == nullptr) return nullptr;
  flow->keys[0] = client_key(i);
  flow->keys[1] = server_key(i);
  flow->tag = static_cast<int>(i);
  if (table.insert(*flow, kStart, deadline)) return flow;
  table.release(*flow);
  return nullptr;
}

TEST(FlowTableTest, BothKeysFindTheFlowWithItsDirection) {
  Table table(16, {}, kStart);
  TestFlow* flow = add(table, 3, kStart + 10s);
  ASSERT_NE(flow, nullptr);
  const auto hash = table.prefetch(client_key(3));
  const auto candidate = table.prefetch_entry(hash);
  const auto from_client = table.find(client_key(3), hash, candidate);
  const auto from_server = table.find(server_key(3));
  EXPECT_EQ(from_client.flow, flow);
  EXPECT_EQ(from_client.direction, Direction::from_client);
  EXPECT_EQ(from_server.flow, flow);
  EXPECT_EQ(from_server.direction, Direction::from_server);
  EXPECT_FALSE(table.find(client_key(4)));
  table.erase(*flow);
  EXPECT_FALSE(table.find(client_key(3)));
  EXPECT_FALSE(table.find(server_key(3)));
  EXPECT_EQ(table.size(), 0u);
}

// Packets of a burst are decided on one by one: what an earlier one ended, a later one must not find.
TEST(FlowTableTest, ACandidateIsNoFlowOnceItEndedOrWasNeverPutIn) {
  Table table(16, {}, kStart);
  TestFlow* flow = add(table, 3, kStart + 10s);
  const auto hash = table.hash(client_key(3));
  const auto candidate = table.prefetch_entry(hash);
  ASSERT_NE(candidate, Table::kNoCandidate);
  table.erase(*flow);
  EXPECT_FALSE(table.find(client_key(3), hash, candidate));
  EXPECT_EQ(table.prefetch_entry(hash), Table::kNoCandidate);

  TestFlow* other = add(table, 4, kStart + 10s);  // the same slot
  ASSERT_EQ(other, flow);
  EXPECT_FALSE(table.find(client_key(3), hash, candidate));
  table.erase(*other);

  ASSERT_NE(add(table, 4, kStart + 10s), nullptr);
  TestFlow* refused = table.allocate();
  refused->keys[0] = client_key(3);
  refused->keys[1] = server_key(4);  // taken
  ASSERT_FALSE(table.insert(*refused, kStart, kStart + 10s));
  table.release(*refused);
  for (std::uint32_t slot = 0; slot < 16; ++slot) EXPECT_FALSE(table.find(client_key(3), hash, slot << 1)) << slot;

  // One that is elsewhere is found all the same.
  TestFlow* third = add(table, 3, kStart + 10s);
  EXPECT_EQ(table.find(client_key(3), hash, Table::kNoCandidate).flow, third);
}

TEST(FlowTableTest, AKeyCannotBeTakenTwice) {
  Table table(16, {}, kStart);
  ASSERT_NE(add(table, 1, kStart + 10s), nullptr);
  EXPECT_EQ(add(table, 1, kStart + 10s), nullptr);
  TestFlow* half = table.allocate();
  half->keys[0] = client_key(2);
  half->keys[1] = server_key(1);
  EXPECT_FALSE(table.insert(*half, kStart, kStart + 10s));
  table.release(*half);
  EXPECT_EQ(table.size(), 1u);
}

TEST(FlowTableTest, FullTableRefusesAndEveryPlaceComesBack) {
  Table table(100, {}, kStart);
  for (int round = 0; round < 3; ++round) {
    std::vector<TestFlow*> flows;
    for (std::uint32_t i = 0; i < 100; ++i) flows.push_back(add(table, i, kStart + 10s));
    EXPECT_EQ(table.size(), 100u);
    EXPECT_EQ(table.allocate(), nullptr);
    for (TestFlow* flow : flows) {
      ASSERT_NE(flow, nullptr);
      table.erase(*flow);
    }
  }
}

TEST(FlowTableTest, OldestEmbryonicComesFirstAndEstablishedNever) {
  Table table(8, {}, kStart);
  TestFlow* first = add(table, 0, kStart + 10s);
  TestFlow* second = add(table, 1, kStart + 10s);
  TestFlow* third = add(table, 2, kStart + 10s);
  EXPECT_EQ(table.oldest_embryonic(), first);
  table.establish(*first);
  table.establish(*first);
  EXPECT_EQ(table.oldest_embryonic(), second);
  table.erase(*second);
  EXPECT_EQ(table.oldest_embryonic(), third);
  table.establish(*third);
  EXPECT_EQ(table.oldest_embryonic(), nullptr);
  EXPECT_EQ(table.embryonic(), 0u);
}

TEST(FlowTableTest, AnIdNamesAFlowForGood) {
  Table table(4, {}, kStart);
  TestFlow* flow = add(table, 0, kStart + 10s);
  const FlowId id = table.id_of(*flow);
  EXPECT_NE(id, 0u);
  EXPECT_EQ(table.by_id(id), flow);
  table.erase(*flow);
  EXPECT_EQ(table.by_id(id), nullptr);
  TestFlow* next = add(table, 1, kStart + 10s);
  EXPECT_EQ(next, flow);  // the same place
  EXPECT_EQ(table.by_id(id), nullptr);
  EXPECT_EQ(table.by_id(0xffffffffffffffff), nullptr);
}

TEST(FlowTableTest, TimerAsksAndAUsedFlowStays) {
  Table table(4, {}, kStart);
  TestFlow* flow = add(table, 0, kStart + 10s);
  flow->last_used = Table::tick(kStart + 8s);
  unsigned asked = 0;
  const auto due = [&](Instant now) {
    return [&, now](TestFlow& f) {
      ++asked;
      const Instant deadline = Table::last_used(f, now) + 10s;
      if (deadline > now) return deadline;
      table.erase(f);
      return kInstantMax;
    };
  };
  table.expire(kStart + 9s, 100, due(kStart + 9s));
  EXPECT_EQ(asked, 0u);
  table.expire(kStart + 11s, 100, due(kStart + 11s));
  EXPECT_EQ(asked, 1u);
  EXPECT_EQ(table.size(), 1u);
  EXPECT_LE(table.next_timer(), kStart + 18s + 50ms);
  table.expire(kStart + 18s + 50ms, 100, due(kStart + 18s + 50ms));
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.next_timer(), kInstantMax);
}

TEST(FlowTableTest, AMillionFlowsAgeInBoundedTurns) {
  constexpr std::uint32_t kFlows = 1'000'000;
  Table table(kFlows, {}, kStart);
  for (std::uint32_t i = 0; i < kFlows; ++i) {
    TestFlow* flow = add(table, i, kStart + 300s);
    ASSERT_NE(flow, nullptr) << i;
    flow->last_used = Table::tick(kStart + (i % 2 == 0 ? 0s : 200s));
    table.establish(*flow);
  }
  const auto run_until = [&](Instant until) {
    for (Instant now = kStart; now <= until; now += 1s) {
      for (int turn = 0; turn < 10000; ++turn) {
        const std::size_t asked = table.expire(now, 256, [&](TestFlow& f) {
          const Instant deadline = Table::last_used(f, now) + 300s;
          if (deadline > now) return deadline;
          table.erase(f);
          return kInstantMax;
        });
        EXPECT_LE(asked, 256u);
        if (table.next_timer() > now) break;
      }
    }
  };
  run_until(kStart + 299s);
  EXPECT_EQ(table.size(), kFlows);
  run_until(kStart + 302s);
  EXPECT_EQ(table.size(), kFlows / 2);
  for (std::uint32_t i = 0; i < kFlows; i += 1000) EXPECT_FALSE(table.find(client_key(i)));
  for (std::uint32_t i = 1; i < kFlows; i += 1000) EXPECT_EQ(table.find(server_key(i)).flow->tag, static_cast<int>(i));
  run_until(kStart + 502s);
  EXPECT_EQ(table.size(), 0u);
}

}  // namespace
}  // namespace sluice::flow
