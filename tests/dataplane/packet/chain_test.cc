// Packets of several segments: every operation against the same on plain bytes.
#include "dataplane/packet/chain.h"

#include <gtest/gtest.h>

#include "dataplane/base/rng.h"
#include "tests/support/eal.h"
#include "tests/support/packets.h"

namespace sluice::packet {
namespace {

using test::Bytes;
using test::to_bytes;
using test::to_packet;

class ChainTest : public test::EalTest {
 protected:
  static Bytes counting(std::size_t n) {
    Bytes bytes(n);
    for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::uint8_t>(i * 3 + i / 256);
    return bytes;
  }
  test::TestPool pool_;
};

TEST_F(ChainTest, FromBytesChainsWhatDoesNotFitOneBuffer) {
  const Bytes bytes = counting(5000);
  const Packet packet = from_bytes(pool_, bytes);
  EXPECT_EQ(packet.segment_count(), 3);
  EXPECT_EQ(to_bytes(packet), bytes);
  discard(packet);
  const Packet empty = from_bytes(pool_, {});
  EXPECT_EQ(empty.length(), 0u);
  discard(empty);
}

TEST_F(ChainTest, PullUpMovesHeadersForward) {
  const Bytes bytes = counting(300);
  for (const int bytes_wanted : {1, 20, 21, 60, 138, 299, 300, 400}) {
    const Packet packet = to_packet(pool_, bytes, {20, 1, 0, 30, 100});
    const auto wanted = static_cast<std::uint16_t>(bytes_wanted);
    ASSERT_TRUE(pull_up(packet, wanted)) << wanted;
    EXPECT_GE(packet.segment_length(), std::min<std::size_t>(wanted, bytes.size()));
    EXPECT_EQ(to_bytes(packet), bytes);
    discard(packet);
  }
}

TEST_F(ChainTest, PullUpLeavesSharedBuffersAlone) {
  const Packet packet = to_packet(pool_, counting(300), {20});
  const Packet other = share(packet, pool_);
  EXPECT_TRUE(is_shared(packet));
  EXPECT_FALSE(pull_up(packet, 100));
  EXPECT_EQ(to_bytes(other), to_bytes(packet));
  discard(other);
  EXPECT_FALSE(is_shared(packet));
  EXPECT_TRUE(pull_up(packet, 100));
  discard(packet);
}

TEST_F(ChainTest, LinearizeOrTellThatItDoesNotFit) {
  const Packet fits = to_packet(pool_, counting(1000), {100, 200});
  EXPECT_TRUE(linearize(fits));
  EXPECT_TRUE(fits.is_contiguous());
  EXPECT_EQ(to_bytes(fits), counting(1000));
  discard(fits);
  const Packet large = to_packet(pool_, counting(4000));
  EXPECT_FALSE(linearize(large));
  EXPECT_EQ(to_bytes(large), counting(4000));
  discard(large);
}

TEST_F(ChainTest, TruncateAtEveryLength) {
  for (std::uint32_t length = 0; length <= 50; ++length) {
    const Packet packet = to_packet(pool_, counting(50), {10, 20});
    truncate(packet, length);
    Bytes expected = counting(50);
    expected.resize(length);
    ASSERT_EQ(to_bytes(packet), expected);
    ASSERT_EQ(rte_mbuf_check(packet.mbuf(), 1, nullptr), 0);
    discard(packet);
  }
}

TEST_F(ChainTest, CopyInAndOutAcrossSegments) {
  Rng rng(5);
  Bytes bytes = counting(200);
  const Packet packet = to_packet(pool_, bytes, {7, 50, 1, 90});
  for (int round = 0; round < 300; ++round) {
    const std::size_t offset = rng.below(200), length = rng.below(201 - offset);
    Bytes piece(length);
    for (auto& byte : piece) byte = static_cast<std::uint8_t>(rng());
    ASSERT_TRUE(copy_in(packet, static_cast<std::uint32_t>(offset), piece));
    std::copy(piece.begin(), piece.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
    ASSERT_EQ(to_bytes(packet), bytes);
  }
  Bytes out(10);
  EXPECT_FALSE(copy_out(packet, 191, out));
  EXPECT_FALSE(copy_in(packet, 191, out));
  EXPECT_FALSE(copy_out(packet, 0xffffffff, out));
  discard(packet);
}

TEST_F(ChainTest, CopyIsDeepAndShareIsNot) {
  const Packet packet = to_packet(pool_, counting(3000));
  const Packet deep = copy(packet, pool_, 10, 100);
  const Packet shared = share(packet, pool_);
  packet.data()[10] ^= 0xff;
  EXPECT_EQ(deep.data()[0], counting(11)[10]);
  EXPECT_EQ(shared.data()[10], packet.data()[10]);
  EXPECT_EQ(deep.length(), 100u);
  discard(deep);
  discard(packet);
  EXPECT_EQ(shared.length(), 3000u);  // lives on by its reference
  discard(shared);
}

TEST_F(ChainTest, ChecksumOverOddSegments) {
  const Bytes bytes = counting(777);
  const Packet packet = to_packet(pool_, bytes, {3, 5, 1, 1, 100, 333});
  for (std::uint32_t offset : {0u, 1u, 2u, 9u, 120u}) {
    wire::ChecksumSum sum;
    add_to_checksum(packet, offset, 600, sum);
    EXPECT_EQ(sum.finish(), wire::internet_checksum(std::span(bytes).subspan(offset, 600)));
  }
  discard(packet);
}

TEST_F(ChainTest, EmptyPoolGivesNothingAndLeaksNothing) {
  test::TestPool small(3);
  EXPECT_FALSE(from_bytes(small, counting(9000)));
  EXPECT_EQ(small->in_use(), 0u);
  const Packet a = small->allocate(), b = small->allocate(), c = small->allocate();
  EXPECT_FALSE(small->allocate());
  EXPECT_FALSE(copy(a, small));
  EXPECT_FALSE(share(a, small));
  EXPECT_EQ(small->in_use(), 3u);
  EXPECT_EQ(small->size(), 3u);
  for (const Packet packet : {a, b, c}) discard(packet);
}

TEST_F(ChainTest, PoolErrorsSayWhatToDo) {
  const auto huge = PacketPool::create("huge", 100'000'000, 0, -1);
  ASSERT_FALSE(huge);
  EXPECT_NE(huge.error().text().find("memory_mb"), std::string::npos) << huge.error().text();
  EXPECT_FALSE(PacketPool::create("none", 0, 0, -1));
  auto one = PacketPool::create("same", 8, 256, -1);
  ASSERT_TRUE(one);
  EXPECT_FALSE(PacketPool::create("same", 8, 0, -1));
  one->destroy();
}

TEST_F(ChainTest, DropsCountAndFree) {
  Drops drops;
  drops.drop(to_packet(pool_, counting(3000)), DropReason::no_route);
  drops.consume(to_packet(pool_, counting(3)));
  drops.count_generated();
  EXPECT_EQ(drops.counters().get(DropReason::no_route), 1u);
  EXPECT_EQ(drops.consumed(), 1u);
  EXPECT_EQ(drops.generated(), 1u);
  EXPECT_EQ(pool_->in_use(), 0u);
}

TEST_F(ChainTest, SinkFlushesWhenABatchIsFull) {
  test::CollectSink sink;
  for (std::uint32_t i = 0; i < kBatchMax + 1; ++i) sink.push(2, to_packet(pool_, counting(60)));
  EXPECT_EQ(sink.frames.size(), kBatchMax);
  EXPECT_EQ(sink.take().size(), kBatchMax + 1);
}

}  // namespace
}  // namespace sluice::packet
