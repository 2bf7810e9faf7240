// judge_plain and fill_layers against parse: what it takes, parse reads the same; what parse drops, it never takes.
#include "dataplane/wire/plain.h"

#include <gtest/gtest.h>

#include "dataplane/base/rng.h"
#include "tests/support/packets.h"

namespace sluice::wire {
namespace {

using test::Bytes;
using test::Frame;

std::optional<Layers> plain(const Bytes& frame, bool verify = true) {
  Layers layers;
  std::memset(static_cast<void*>(&layers), 0xee, sizeof layers);  // whatever it does not set shows
  PlainFrame plain;
  const bool taken = judge_plain(frame, static_cast<std::uint32_t>(frame.size()), test::kOwnMac, verify, plain);
  if (taken) fill_layers(frame.data(), plain, layers);
  return taken ? std::optional(layers) : std::nullopt;
}

void expect_equal(const Layers& a, const Layers& b) {
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.protocol, b.protocol);
  EXPECT_EQ(a.l3_offset, b.l3_offset);
  EXPECT_EQ(a.l4_offset, b.l4_offset);
  EXPECT_EQ(a.payload_offset, b.payload_offset);
  EXPECT_EQ(a.tcp_flags, b.tcp_flags);
  EXPECT_EQ(a.icmp_type, b.icmp_type);
  EXPECT_EQ(a.icmp_code, b.icmp_code);
  EXPECT_EQ(a.ttl, b.ttl);
  EXPECT_EQ(a.tos, b.tos);
  EXPECT_EQ(a.dont_fragment, b.dont_fragment);
  EXPECT_EQ(a.more_fragments, b.more_fragments);
  EXPECT_EQ(a.link_group, b.link_group);
  EXPECT_EQ(a.has_ports, b.has_ports);
  EXPECT_EQ(a.l3_length, b.l3_length);
  EXPECT_EQ(a.fragment_offset, b.fragment_offset);
  EXPECT_EQ(a.src_port, b.src_port);
  EXPECT_EQ(a.dst_port, b.dst_port);
  EXPECT_EQ(a.source, b.source);
  EXPECT_EQ(a.destination, b.destination);
}

// Whether it was taken; then parse() must agree.
bool judged_alike(const Bytes& frame, bool verify) {
  const auto taken = plain(frame, verify);
  if (!taken) return false;
  Layers layers;
  const ParseOptions options{test::kOwnMac, verify};
  const auto reason = parse(frame, static_cast<std::uint32_t>(frame.size()), options, layers);
  EXPECT_FALSE(reason) << name_of(*reason);
  expect_equal(*taken, layers);
  return true;
}

Bytes tcp_frame() {
  return Frame()
      .ip("10.0.0.1", "172.16.40.80")
      .ttl(63)
      .tos(0xb9)
      .dont_fragment()
      .tcp(40000, 80)
      .flags(kTcpAck | kTcpPsh)
      .tcp_options({1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2})
      .payload("hello")
      .bytes();
}
Bytes udp_frame() { return Frame().udp(53, 1053).payload("a question of some length").bytes(); }

TEST(ParsePlain, TakesTcpAndUdp) {
  EXPECT_TRUE(judged_alike(tcp_frame(), true));
  EXPECT_TRUE(judged_alike(udp_frame(), true));
  EXPECT_TRUE(judged_alike(Frame().tcp(1, 2).flags(kTcpSyn).payload("abcdef").bytes(), true));
}

TEST(ParsePlain, LeavesOthersToParse) {
  EXPECT_FALSE(plain(Frame().icmp(kIcmpEchoRequest, 0).payload("a ping of some length, padded").bytes()));
  Bytes broadcast = tcp_frame();
  std::fill_n(broadcast.begin(), 6, std::uint8_t{0xff});
  EXPECT_FALSE(plain(broadcast));
  Bytes strange = tcp_frame();
  strange[5] ^= 1;
  EXPECT_FALSE(plain(strange));
}

TEST(ParsePlain, NoLengthIsReadBeyond) {
  for (const Bytes& whole : {tcp_frame(), udp_frame()}) {
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
      EXPECT_FALSE(plain(cut)) << length;
    }
  }
}

TEST(ParsePlain, EveryChecksumIsJudgedAsByFolding) {
  Bytes frame = tcp_frame();
  unsigned taken = 0;
  for (unsigned checksum = 0; checksum < 65536; ++checksum) {
    store_be16(frame.data() + kEthernetLength + kIpv4Checksum, static_cast<std::uint16_t>(checksum));
    if (judged_alike(frame, true)) ++taken;
  }
  EXPECT_EQ(taken, 1u);
}

TEST(ParsePlain, RandomDamageIsJudgedAsByParse) {
  Rng rng(20261125);
  unsigned taken = 0;
  for (int round = 0; round < 200'000; ++round) {
    Bytes frame = rng.below(2) == 0 ? tcp_frame() : udp_frame();
    const std::uint64_t damages = 1 + rng.below(3);
    for (std::uint64_t i = 0; i < damages; ++i) {
      frame[rng.below(60)] = static_cast<std::uint8_t>(rng.below(3) == 0 ? rng.below(256) : rng.below(2) * 0xff);
    }
    if (judged_alike(frame, rng.below(4) == 0)) ++taken;
  }
  EXPECT_GT(taken, 10'000u);  // else nothing was compared
}

}  // namespace
}  // namespace sluice::wire
