// Fragments: any order, any segments, duplicates, overlaps, limits, timeouts; and cutting, put together again.
#include "dataplane/ip/fragments.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "dataplane/base/rng.h"
#include "tests/dataplane/ip/world.h"

namespace sluice::ip {
namespace {

class FragmentsTest : public test::EalTest {
 protected:
  // A whole datagram, and it cut at multiples of `step`.
  static Bytes whole(std::size_t payload, unsigned id = 7) {
    return Frame().id(id).udp(1000, 2000).payload_size(payload).bytes();
  }
  static std::vector<Bytes> cut(const Bytes& frame, std::size_t step, unsigned id = 7) {
    std::vector<Bytes> pieces;
    const Bytes l4(frame.begin() + 34, frame.end());
    for (std::size_t at = 0; at < l4.size(); at += step) {
      const std::size_t end = std::min(at + step, l4.size());
      pieces.push_back(
          piece(Bytes(l4.begin() + static_cast<std::ptrdiff_t>(at), l4.begin() + static_cast<std::ptrdiff_t>(end)), at,
                end < l4.size(), id));
    }
    return pieces;
  }
  static Bytes piece(const Bytes& payload, std::size_t offset, bool more, unsigned id = 7) {
    return Frame()
        .id(id)
        .protocol(17)
        .fragment(static_cast<unsigned>(offset), more)
        .payload(payload)
        .pad_to(60)
        .bytes();
  }
  // Bytes of the packet that it completed, or nothing.
  Bytes input(const Bytes& frame, std::initializer_list<std::size_t> segments = {}) {
    const auto done = reassembly_->input(now_, test::to_packet(pool_, frame, segments), test::layers_of(frame));
    if (!done) return {};
    wire::Layers layers;
    EXPECT_FALSE(wire::parse_ipv4_layers(done.bytes(), done.length(), 14, true, layers));
    EXPECT_EQ(layers.kind, wire::PacketKind::udp);
    const Bytes bytes = test::to_bytes(done);
    packet::discard(done);
    return bytes;
  }
  std::uint64_t dropped(DropReason reason) const { return drops_.counters().get(reason); }
  void make(const ReassemblyLimits& limits) {
    reassembly_ = std::make_unique<Reassembly>(now_, limits, HashSeed{}, drops_);
  }

  Instant now_ = instant_ns(0);
  test::TestPool pool_{2047};
  packet::Drops drops_;
  std::unique_ptr<Reassembly> reassembly_ = std::make_unique<Reassembly>(now_, ReassemblyLimits{}, HashSeed{}, drops_);
};

TEST_F(FragmentsTest, AnyOrderGivesTheWholeBack) {
  Rng rng(1);
  const Bytes frame = whole(3000);
  for (int round = 0; round < 200; ++round) {
    auto pieces = cut(frame, rng.between(8, 200) * 8);
    std::shuffle(pieces.begin(), pieces.end(), rng);
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const Bytes done = input(pieces[i], {40, 100});
      if (i + 1 < pieces.size()) {
        ASSERT_TRUE(done.empty());
      } else {
        ASSERT_EQ(done, frame);
        ASSERT_EQ(test::faults(done), "");
      }
    }
    ASSERT_EQ(reassembly_->packets(), 0u);
    ASSERT_EQ(reassembly_->fragments(), 0u);
  }
  EXPECT_EQ(drops_.counters().total(), 0u);
  EXPECT_EQ(pool_->in_use(), 0u);
}

TEST_F(FragmentsTest, APingOf64KilobytesIsPutTogether) {
  const Bytes frame = whole(65507);
  const auto pieces = cut(frame, 1480);
  ASSERT_EQ(pieces.size(), 45u);
  for (std::size_t i = 0; i + 1 < pieces.size(); ++i) ASSERT_TRUE(input(pieces[i]).empty());
  EXPECT_EQ(input(pieces.back()), frame);
  EXPECT_EQ(drops_.consumed(), 44u);
}

TEST_F(FragmentsTest, InterleavedPacketsAreKeptApart) {
  const Bytes a = whole(2000, 1), b = whole(2000, 2);
  const auto pieces_a = cut(a, 1000, 1), pieces_b = cut(b, 1000, 2);
  for (std::size_t i = 0; i + 1 < pieces_a.size(); ++i) {
    EXPECT_TRUE(input(pieces_a[i]).empty());
    EXPECT_TRUE(input(pieces_b[i]).empty());
  }
  EXPECT_EQ(reassembly_->packets(), 2u);
  EXPECT_EQ(input(pieces_b.back()), b);
  EXPECT_EQ(input(pieces_a.back()), a);
}

TEST_F(FragmentsTest, DuplicatesAreHarmless) {
  const Bytes frame = whole(2000);
  const auto pieces = cut(frame, 800);
  EXPECT_TRUE(input(pieces[0]).empty());
  EXPECT_TRUE(input(pieces[0]).empty());
  EXPECT_TRUE(input(pieces[2]).empty());
  EXPECT_TRUE(input(pieces[2]).empty());
  EXPECT_EQ(input(pieces[1]), frame);
  EXPECT_EQ(dropped(DropReason::fragment_malformed), 2u);
}

TEST_F(FragmentsTest, OverlapsCondemnThePacket) {
  const Bytes bytes(64, 1);
  struct Case {
    std::size_t offset, length;
    bool more;
  };
  const Case first{64, 64, true};
  for (const Case& second :
       {Case{56, 16, true}, Case{120, 16, true}, Case{0, 200, true}, Case{72, 8, true}, Case{64, 32, true}}) {
    EXPECT_TRUE(input(piece(Bytes(first.length), first.offset, first.more)).empty());
    EXPECT_TRUE(input(piece(Bytes(second.length), second.offset, second.more)).empty());
    EXPECT_EQ(reassembly_->packets(), 0u) << second.offset;
  }
  EXPECT_EQ(dropped(DropReason::fragment_malformed), 10u);
}

TEST_F(FragmentsTest, TwoEndsOrDataBehindTheEndCondemnIt) {
  input(piece(Bytes(8), 64, false));
  input(piece(Bytes(8), 128, false));
  EXPECT_EQ(reassembly_->packets(), 0u);
  input(piece(Bytes(8), 64, false));
  input(piece(Bytes(8), 128, true));
  EXPECT_EQ(reassembly_->packets(), 0u);
  input(piece(Bytes(8), 128, true));
  input(piece(Bytes(8), 64, false));
  EXPECT_EQ(reassembly_->packets(), 0u);
  EXPECT_EQ(dropped(DropReason::fragment_malformed), 6u);
}

TEST_F(FragmentsTest, TimeoutDropsAllAndTellsOfTheFirst) {
  const auto pieces = cut(whole(2000), 800);
  input(pieces[0]);
  input(pieces[1]);
  input(piece(Bytes(8), 800, true, 99));  // another packet, without its first fragment
  EXPECT_EQ(reassembly_->next_deadline() > now_, true);
  int told = 0;
  const auto tell = [&](packet::Packet packet, const wire::Layers& layers) {
    ++told;
    EXPECT_EQ(packet.length(), layers.frame_length());
    EXPECT_EQ(layers.src_port, 1000);
  };
  reassembly_->expire(now_ + 14s, tell);
  EXPECT_EQ(reassembly_->packets(), 2u);
  reassembly_->expire(now_ + 16s, tell);
  EXPECT_EQ(reassembly_->packets(), 0u);
  EXPECT_EQ(told, 1);
  EXPECT_EQ(dropped(DropReason::fragment_timeout), 3u);
  EXPECT_EQ(reassembly_->next_deadline(), kInstantMax);
}

TEST_F(FragmentsTest, LimitsAreKept) {
  make({.packets_max = 2, .fragments_max = 5, .fragments_per_packet = 3});
  input(piece(Bytes(8), 0, true, 1));
  input(piece(Bytes(8), 0, true, 2));
  input(piece(Bytes(8), 0, true, 3));
  EXPECT_EQ(dropped(DropReason::fragment_table_full), 1u);
  for (std::size_t i = 1; i <= 2; ++i) input(piece(Bytes(8), i * 8, true, 1));
  EXPECT_EQ(reassembly_->fragments(), 4u);
  input(piece(Bytes(8), 64, true, 1));  // the fourth of a packet that may have three
  EXPECT_EQ(dropped(DropReason::fragment_malformed), 4u);
  EXPECT_EQ(reassembly_->packets(), 1u);
  for (std::size_t i = 1; i <= 2; ++i) input(piece(Bytes(8), i * 8, true, 2));
  input(piece(Bytes(8), 0, true, 4));
  input(piece(Bytes(8), 8, true, 4));
  EXPECT_EQ(reassembly_->fragments(), 5u);
  input(piece(Bytes(8), 16, true, 4));
  EXPECT_EQ(dropped(DropReason::fragment_table_full), 2u);
  reassembly_.reset();
  EXPECT_EQ(dropped(DropReason::shutting_down), 5u);
  EXPECT_EQ(pool_->in_use(), 0u);
}

TEST_F(FragmentsTest, RandomFragmentsNeverBreakTheBooks) {
  Rng rng(9);
  make({.packets_max = 8, .fragments_max = 60, .fragments_per_packet = 10});
  std::uint64_t received = 0, done = 0;
  for (int i = 0; i < 30000; ++i) {
    const bool more = rng.chance(0.8);
    const std::size_t length = more ? rng.between(1, 4) * 8 : rng.between(1, 30);
    ++received;
    // Not UDP: the bytes mean nothing.
    const Bytes frame = Frame()
                            .id(static_cast<unsigned>(rng.below(12)))
                            .fragment(static_cast<unsigned>(rng.below(8) * 8), more)
                            .payload_size(length)
                            .bytes();
    if (const auto packet = reassembly_->input(now_, test::to_packet(pool_, frame), test::layers_of(frame))) {
      ++done;
      ASSERT_EQ(test::faults(test::to_bytes(packet)), "");
      packet::discard(packet);
    }
    now_ += 50ms;
    reassembly_->expire(now_, {});
    ASSERT_LE(reassembly_->fragments(), 60u);
    ASSERT_EQ(received, done + drops_.consumed() + drops_.counters().total() + reassembly_->fragments());
  }
  EXPECT_GT(done, 100u);
  EXPECT_EQ(pool_->in_use(), reassembly_->fragments());
}

// ---- cutting

class CutTest : public FragmentsTest {
 protected:
  std::vector<Bytes> cut_packet(const Bytes& frame, std::uint16_t mtu,
                                std::initializer_list<std::size_t> segments = {}) {
    const auto packet = test::to_packet(pool_, frame, segments);
    std::vector<packet::Packet> out;
    EXPECT_TRUE(fragment_packet(packet, 14, mtu, pool_, out));
    packet::discard(packet);
    std::vector<Bytes> frames;
    for (const auto piece : out) {
      frames.push_back(test::to_bytes(piece));
      EXPECT_LE(frames.back().size(), 14u + mtu);
      EXPECT_EQ(test::faults(frames.back()), "");
      packet::discard(piece);
    }
    return frames;
  }
};

TEST_F(CutTest, PiecesReassembleToTheSamePacket) {
  for (const std::size_t payload : {1473u, 2952u, 2953u, 8000u, 65507u}) {
    for (const std::uint16_t mtu : std::initializer_list<std::uint16_t>{1500, 1006, 576}) {
      make({.fragments_per_packet = 200});
      const Bytes frame = whole(payload);
      const auto pieces = cut_packet(frame, mtu, {50, 777});
      Bytes done;
      for (const Bytes& piece : pieces) done = input(piece);
      ASSERT_EQ(done, frame) << payload << " " << mtu;
    }
  }
}

TEST_F(CutTest, ExactFitsAreNotCutFurther) {
  const auto pieces = cut_packet(whole(1480 * 2 - 8), 1500);
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_EQ(test::describe(pieces[0]), "10.0.0.1 > 10.0.0.2 frag 0+1480 proto 17 ttl 64");
  EXPECT_EQ(test::describe(pieces[1]), "10.0.0.1 > 10.0.0.2 frag 1480..1480 proto 17 ttl 64");
}

TEST_F(CutTest, AFragmentIsCutIntoFragments) {
  const auto pieces = cut_packet(piece(Bytes(1480, 5), 2960, true), 1000);
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_EQ(test::describe(pieces[0]), "10.0.0.1 > 10.0.0.2 frag 2960+976 proto 17 ttl 64");
  EXPECT_EQ(test::describe(pieces[1]), "10.0.0.1 > 10.0.0.2 frag 3936+504 proto 17 ttl 64");
}

TEST_F(CutTest, OnlyCopiedOptionsGoOn) {
  // Router alert (148, copied) and a timestamp (68, not).
  const Bytes frame = Frame().ip_options({148, 4, 0, 0, 68, 8, 5, 0, 0, 0, 0, 0}).udp(1, 2).payload_size(2000).bytes();
  const auto pieces = cut_packet(frame, 1500);
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_EQ(pieces[0][14], 0x48);
  EXPECT_EQ(pieces[1][14], 0x46);
  EXPECT_EQ(Bytes(pieces[1].begin() + 34, pieces[1].begin() + 38), (Bytes{148, 4, 0, 0}));
}

TEST_F(CutTest, AnEmptyPoolLeavesNothingBehind) {
  test::TestPool small(7);
  const auto packet = test::to_packet(small, whole(8000));  // 4 buffers
  std::vector<packet::Packet> out;
  EXPECT_FALSE(fragment_packet(packet, 14, 1500, small, out));  // would need 6
  EXPECT_TRUE(out.empty());
  EXPECT_FALSE(fragment_packet(packet, 14, 27, pool_, out));  // no room for 8 bytes
  packet::discard(packet);
  EXPECT_EQ(small->in_use(), 0u);
}

}  // namespace
}  // namespace sluice::ip
