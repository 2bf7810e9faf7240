// The gate after a restart: nothing before it opens, then the frames that waited, then the device's own.
#include "dataplane/port/kept_frames.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "dataplane/port/memory_port.h"
#include "tests/support/eal.h"

namespace sluice::port {
namespace {

using packet::Batch;

class KeptFramesTest : public test::EalTest {
 protected:
  // A datagram socket gives what a packet socket would: one frame a read.
  KeptFramesTest() {
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends_.data()), 0);
    MemoryPort::Options options;
    options.info.id = 3;
    auto inner = std::make_unique<MemoryPort>(options);
    inner_ = inner.get();
    for (const std::size_t size : {60u, 1514u, 9000u, 61u}) {
      const std::vector<std::uint8_t> frame(size, static_cast<std::uint8_t>(size));
      EXPECT_EQ(::send(ends_[1], frame.data(), size, 0), static_cast<ssize_t>(size));
    }
    port_ = std::make_unique<GatedPort>(std::move(inner), ends_[0], *pool_);
  }
  ~KeptFramesTest() override { ::close(ends_[1]); }
  Batch rx() {
    Batch batch;
    port_->queue(0).rx(batch);
    return batch;
  }
  static void free(Batch& batch) {
    for (const packet::Packet p : batch.view()) rte_pktmbuf_free(p.mbuf());
  }

  std::array<int, 2> ends_{};
  test::TestPool pool_{256};
  MemoryPort* inner_ = nullptr;
  std::unique_ptr<GatedPort> port_;
};

TEST_F(KeptFramesTest, WaitBehindTheGateAndComeFirst) {
  std::array own{pool_->allocate()};
  own[0].append(100);
  inner_->inject(0, own);
  Batch batch = rx();
  EXPECT_EQ(batch.count, 0u);
  EXPECT_FALSE(port_->queue(0).prepare_to_sleep());
  port_->open_gate();
  batch = rx();
  ASSERT_EQ(batch.count, 3u);
  EXPECT_EQ(batch.packets[0].length(), 60u);
  EXPECT_EQ(batch.packets[1].length(), 1514u);
  EXPECT_EQ(batch.packets[1].data()[1513], static_cast<std::uint8_t>(1514));
  EXPECT_EQ(batch.packets[2].length(), 61u);
  EXPECT_EQ(batch.packets[0].rx_port(), 3);
  free(batch);
  EXPECT_EQ(port_->kept(), 3u);
  EXPECT_EQ(port_->too_long(), 1u);
  EXPECT_TRUE(port_->is_drained());
  batch = rx();
  ASSERT_EQ(batch.count, 1u);
  EXPECT_EQ(batch.packets[0].mbuf(), own[0].mbuf());
  free(batch);
  EXPECT_TRUE(port_->queue(0).prepare_to_sleep());
}

TEST_F(KeptFramesTest, WhatComesAfterTheDeviceReceivesIsNotKeptTwice) {
  const std::uint8_t byte = 1;
  static_cast<void>(::send(ends_[1], &byte, 1, 0));
  port_->open_gate();
  Batch batch = rx();
  EXPECT_EQ(batch.count, 3u);
  free(batch);
}

TEST(KeepFrames, AnInterfaceThatIsNotThereIsAnError) {
  const auto kept = keep_frames("nosuch0");
  ASSERT_FALSE(kept);
  EXPECT_NE(kept.error().text().find("nosuch0"), std::string::npos);
}

}  // namespace
}  // namespace sluice::port
