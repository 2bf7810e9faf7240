// Tests of source-address persistence: ageing, separation by virtual server, bounds, several workers.
#include "lb/persist/source_address.h"

#include <gtest/gtest.h>

#include <thread>

namespace sluice::lb {
namespace {

constexpr Instant kStart = instant_ns(1'000'000'000'000);
constexpr Ipv4Address kClient{0x0a000001};

TEST(SourceAddressTest, RemembersUntilUnusedForTheTimeout) {
  SourceAddressTable table(100, {});
  EXPECT_EQ(table.use(kStart, 1, kClient, 180s), kNoPersistentMember);
  table.put(kStart, 1, kClient, 7);
  EXPECT_EQ(table.use(kStart + 179s, 1, kClient, 180s), 7u);
  EXPECT_EQ(table.use(kStart + 358s, 1, kClient, 180s), 7u);  // the use at 179 s counted
  EXPECT_EQ(table.use(kStart + 358s + 181s, 1, kClient, 180s), kNoPersistentMember);
  EXPECT_TRUE(table.list(kStart + 600s).empty());
}

TEST(SourceAddressTest, VirtualServersAndClientsAreApart) {
  SourceAddressTable table(100, {});
  table.put(kStart, 1, kClient, 7);
  table.put(kStart, 2, kClient, 8);
  table.put(kStart, 1, {kClient.value + 1}, 9);
  EXPECT_EQ(table.use(kStart, 1, kClient, 1s), 7u);
  EXPECT_EQ(table.use(kStart, 2, kClient, 1s), 8u);
  EXPECT_EQ(table.use(kStart, 1, {kClient.value + 1}, 1s), 9u);
  table.put(kStart, 1, kClient, 10);
  EXPECT_EQ(table.use(kStart, 1, kClient, 1s), 10u);
  EXPECT_EQ(table.list(kStart).size(), 3u);
  EXPECT_EQ(table.evicted(), 0u);
}

TEST(SourceAddressTest, AFloodOfClientsStaysWithinBoundsAndOldRecordsGoFirst) {
  SourceAddressTable table(64, {});
  for (std::uint32_t i = 0; i < 100000; ++i) table.put(kStart + i * 2ms, 1, {i}, 1 + i);
  EXPECT_LE(table.list(kStart + 200s).size(), table.capacity());
  EXPECT_GE(table.evicted(), 100000 - table.capacity());
  EXPECT_EQ(table.use(kStart + 200s, 1, {99999}, 300s), 100000u);
  EXPECT_EQ(table.use(kStart + 200s, 1, {0}, 300s), kNoPersistentMember);
}

TEST(SourceAddressTest, WorkersShareIt) {
  SourceAddressTable table(4096, {});
  std::vector<std::thread> threads;
  for (unsigned w = 0; w < 3; ++w) {
    threads.emplace_back([&] {
      for (std::uint32_t i = 0; i < 20000; ++i) {
        const Ipv4Address client{i % 500};
        const std::uint32_t member = table.use(kStart, 1, client, 180s);
        if (member == kNoPersistentMember) {
          table.put(kStart, 1, client, 1 + client.value);
        } else {
          EXPECT_EQ(member, 1 + client.value);
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(table.list(kStart).size(), 500u);
}

}  // namespace
}  // namespace sluice::lb
