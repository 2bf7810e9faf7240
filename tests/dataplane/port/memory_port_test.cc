// The port in memory: both directions, full rings, draining.
#include "dataplane/port/memory_port.h"

#include <gtest/gtest.h>

#include "tests/support/eal.h"

namespace sluice::port {
namespace {

using packet::Batch;
using packet::Packet;

class MemoryPortTest : public test::EalTest {
 protected:
  MemoryPortTest()
      : port_([] {
          MemoryPort::Options options;
          options.info.id = 3;
          options.queues = 2;
          options.depth = 64;
          return options;
        }()) {}
  Batch packets(std::uint32_t count) {
    Batch batch;
    for (std::uint32_t i = 0; i < count; ++i) {
      batch.push(pool_->allocate());
      batch.packets[i].append(100);
    }
    return batch;
  }
  test::TestPool pool_{256};
  MemoryPort port_;
};

TEST_F(MemoryPortTest, CarriesBothWaysByQueue) {
  Batch in = packets(10);
  EXPECT_EQ(port_.inject(1, in.view()), 10u);
  Batch got;
  port_.queue(0).rx(got);
  EXPECT_EQ(got.count, 0u);
  EXPECT_FALSE(port_.queue(1).prepare_to_sleep());
  port_.queue(1).rx(got);
  ASSERT_EQ(got.count, 10u);
  EXPECT_TRUE(port_.queue(1).prepare_to_sleep());
  EXPECT_EQ(got.packets[0].rx_port(), 3);
  EXPECT_EQ(got.packets[0].mbuf(), in.packets[0].mbuf());
  EXPECT_EQ(port_.queue(1).tx(got.view()), 10u);
  Batch out;
  port_.take(1, out);
  EXPECT_EQ(out.count, 10u);
  for (Packet packet : out.view()) rte_pktmbuf_free(packet.mbuf());
  EXPECT_EQ(port_.statistics().rx_bytes, 1000u);
  EXPECT_EQ(port_.statistics().tx_packets, 10u);
}

TEST_F(MemoryPortTest, FullRingsTakeNoMore) {
  Batch first = packets(40);
  EXPECT_EQ(port_.inject(0, first.view()), 40u);
  Batch second = packets(40);
  EXPECT_EQ(port_.inject(0, second.view()), 24u);
  EXPECT_EQ(port_.statistics().rx_missed, 16u);
  for (Packet packet : second.view().subspan(24)) rte_pktmbuf_free(packet.mbuf());
  Batch third = packets(64);
  EXPECT_EQ(port_.queue(1).tx(third.view()), 64u);
  Batch fourth = packets(1);
  EXPECT_EQ(port_.queue(1).tx(fourth.view()), 0u);
  rte_pktmbuf_free(fourth.packets[0].mbuf());
  EXPECT_EQ(port_.drain(), 128u);
  EXPECT_EQ(pool_->in_use(), 0u);
}

}  // namespace
}  // namespace sluice::port
