// The one parse: each kind of packet, each reason, each truncated length, and random damage against a naive judge.
#include "dataplane/wire/parse.h"

#include <gtest/gtest.h>

#include "dataplane/base/rng.h"
#include "tests/support/packets.h"

namespace sluice::wire {
namespace {

using test::Bytes;
using test::Frame;

const ParseOptions kOptions{test::kOwnMac, true};

std::optional<DropReason> reason_of(const Bytes& frame, const ParseOptions& options = kOptions) {
  Layers layers;
  return parse(frame, static_cast<std::uint32_t>(frame.size()), options, layers);
}

#define EXPECT_DROP(frame, reason) EXPECT_EQ(reason_of(frame), DropReason::reason)

TEST(Parse, Tcp) {
  const Bytes frame = Frame()
                          .ip("10.0.0.1", "172.16.40.80")
                          .ttl(63)
                          .tos(0xb9)
                          .dont_fragment()
                          .tcp(40000, 80)
                          .flags(kTcpSyn | kTcpEce)
                          .tcp_options({2, 4, 5, 180})
                          .payload("hello")
                          .bytes();
  const Layers layers = test::layers_of(frame);
  EXPECT_EQ(layers.kind, PacketKind::tcp);
  EXPECT_EQ(layers.protocol, kProtocolTcp);
  EXPECT_EQ(layers.source, test::ip("10.0.0.1"));
  EXPECT_EQ(layers.destination, test::ip("172.16.40.80"));
  EXPECT_EQ(layers.src_port, 40000);
  EXPECT_EQ(layers.dst_port, 80);
  EXPECT_TRUE(layers.has_ports);
  EXPECT_EQ(layers.tcp_flags, kTcpSyn | kTcpEce);
  EXPECT_EQ(layers.ttl, 63);
  EXPECT_EQ(layers.tos, 0xb9);
  EXPECT_TRUE(layers.dont_fragment);
  EXPECT_FALSE(layers.link_group);
  EXPECT_EQ(layers.l3_offset, 14);
  EXPECT_EQ(layers.l4_offset, 34);
  EXPECT_EQ(layers.payload_offset, 58);
  EXPECT_EQ(layers.payload_length(), 5);
  EXPECT_EQ(layers.l4_length(), 29);
  EXPECT_EQ(layers.frame_length(), frame.size());
}

TEST(Parse, UdpIcmpOtherAndArp) {
  Layers layers = test::layers_of(Frame().udp(53, 1053).payload("abc").bytes());
  EXPECT_EQ(layers.kind, PacketKind::udp);
  EXPECT_EQ(layers.dst_port, 1053);
  EXPECT_EQ(layers.payload_length(), 3);

  layers = test::layers_of(Frame().echo(0x1234, 7).payload("ping").bytes());
  EXPECT_EQ(layers.kind, PacketKind::icmp);
  EXPECT_EQ(layers.icmp_type, kIcmpEchoRequest);
  EXPECT_EQ(layers.src_port, 0x1234);
  EXPECT_EQ(layers.dst_port, 0x1234);

  layers = test::layers_of(Frame().icmp(3, 4, 1400).payload_size(28).bytes());
  EXPECT_EQ(layers.icmp_type, 3);
  EXPECT_EQ(layers.icmp_code, 4);
  EXPECT_FALSE(layers.has_ports);

  layers = test::layers_of(Frame().protocol(47).payload("gre").bytes());
  EXPECT_EQ(layers.kind, PacketKind::other);
  EXPECT_EQ(layers.protocol, 47);
  EXPECT_EQ(layers.payload_length(), 3);

  layers = test::layers_of(test::arp_request(test::kPeerMac, "10.0.0.1", "10.0.0.2"));
  EXPECT_EQ(layers.kind, PacketKind::arp);
  EXPECT_EQ(layers.l3_offset, 14);
  EXPECT_TRUE(layers.link_group);
}

TEST(Parse, PriorityTagIsSkippedOtherVlansAreNotOurs) {
  const Layers layers = test::layers_of(Frame().vlan(0xe000).udp(1, 2).bytes());
  EXPECT_EQ(layers.l3_offset, 18);
  EXPECT_EQ(layers.l4_offset, 38);
  EXPECT_DROP(Frame().vlan(7).udp(1, 2).bytes(), vlan_unknown);
}

TEST(Parse, PaddingIsNoPartOfThePacket) {
  const Layers layers = test::layers_of(Frame().tcp(1, 2).pad_to(60).bytes());
  EXPECT_EQ(layers.frame_length(), 54u);
  EXPECT_EQ(layers.payload_length(), 0);
}

TEST(Parse, Fragments) {
  Layers layers = test::layers_of(Frame().protocol(17).fragment(0, true).payload_size(16).bytes());
  EXPECT_EQ(layers.kind, PacketKind::fragment);
  EXPECT_TRUE(layers.more_fragments);
  EXPECT_TRUE(layers.has_ports);
  layers = test::layers_of(Frame().protocol(17).fragment(1480, false).payload_size(3).bytes());
  EXPECT_EQ(layers.fragment_offset, 1480);
  EXPECT_FALSE(layers.has_ports);
  EXPECT_EQ(layers.l4_length(), 3);
  EXPECT_DROP(Frame().fragment(8, true).payload_size(9).bytes(), fragment_malformed);       // not a multiple of 8
  EXPECT_DROP(Frame().fragment(8, false).bytes(), fragment_malformed);                      // empty
  EXPECT_DROP(Frame().fragment(65528, false).payload_size(8).bytes(), fragment_malformed);  // beyond 65,535
}

TEST(Parse, EveryReason) {
  EXPECT_DROP(Frame().eth(test::kPeerMac, test::mac("02:00:00:00:00:77")).udp(1, 2).bytes(), frame_not_for_us);
  EXPECT_DROP(Frame().ether_type(0x86dd).udp(1, 2).bytes(), ethertype_unknown);
  EXPECT_DROP(Frame().bad_ip_checksum().udp(1, 2).bytes(), ipv4_bad_checksum);
  EXPECT_EQ(reason_of(Frame().bad_ip_checksum().udp(1, 2).bytes(), {test::kOwnMac, false}), std::nullopt);
  EXPECT_DROP(Frame().total_length(19).udp(1, 2).bytes(), ipv4_bad_total_length);
  EXPECT_DROP(Frame().total_length(100).udp(1, 2).bytes(), ipv4_bad_total_length);
  EXPECT_DROP(Frame().ip_options({131, 3, 4, 0}).udp(1, 2).bytes(), ipv4_options_source_route);
  EXPECT_DROP(Frame().ip_options({7, 9, 4, 0}).udp(1, 2).bytes(), ipv4_options_malformed);
  EXPECT_EQ(reason_of(Frame().ip_options({1, 1, 1, 0}).udp(1, 2).bytes()), std::nullopt);
  for (const char* source : {"0.0.0.0", "127.0.0.1", "224.0.0.5", "255.255.255.255"}) {
    EXPECT_DROP(Frame().ip(source, "10.0.0.2").udp(1, 2).bytes(), ipv4_bad_source);
  }
  Bytes frame = Frame().udp(1, 2).bytes();
  frame[14] = 0x65;
  EXPECT_DROP(frame, ipv4_bad_version);
  frame[14] = 0x44;
  EXPECT_DROP(frame, ipv4_bad_header_length);
  frame[14] = 0x4f;
  EXPECT_DROP(frame, ipv4_bad_header_length);
  EXPECT_DROP(Frame().protocol(6).payload_size(19).bytes(), tcp_malformed);
  EXPECT_DROP(Frame().protocol(17).payload_size(7).bytes(), udp_malformed);
  EXPECT_DROP(Frame().protocol(17).payload({0, 1, 0, 2, 0, 9, 0, 0}).bytes(), udp_malformed);  // longer than the packet
  EXPECT_DROP(Frame().protocol(17).payload({0, 1, 0, 2, 0, 7, 0, 0}).bytes(), udp_malformed);  // shorter than itself
  EXPECT_DROP(Frame().protocol(1).payload_size(7).bytes(), icmp_malformed);
  EXPECT_DROP(Frame().tcp(1, 2).flags(kTcpSyn | kTcpFin).bytes(), tcp_bad_flags);
  EXPECT_DROP(Frame().tcp(1, 2).flags(0).bytes(), tcp_bad_flags);
  frame = Frame().tcp(1, 2).bytes();
  frame[46] = 4 << 4;
  EXPECT_DROP(frame, tcp_malformed);
  frame[46] = 6 << 4;
  EXPECT_DROP(frame, tcp_malformed);
}

TEST(Parse, HeedsWhatThePortSaysOfL4Checksums) {
  const ParseOptions bad{test::kOwnMac, true, true};
  EXPECT_EQ(reason_of(Frame().tcp(1, 2).bytes(), bad), DropReason::tcp_bad_checksum);
  EXPECT_EQ(reason_of(Frame().udp(1, 2).bytes(), bad), DropReason::udp_bad_checksum);
  EXPECT_EQ(reason_of(Frame().echo(1, 2).bytes(), bad), std::nullopt);
  EXPECT_EQ(reason_of(Frame().protocol(17).fragment(0, true).payload_size(16).bytes(), bad), std::nullopt);
  EXPECT_EQ(reason_of(Frame().total_length(19).tcp(1, 2).bytes(), bad), DropReason::ipv4_bad_total_length);
}

// A frame cut at any byte is refused with a reason of the layer that it was cut in, and never read beyond its end (each
// lies at the end of its own allocation, for ASan).
TEST(Parse, EveryTruncatedLength) {
  const Bytes frames[] = {
      Frame().tcp(1, 2).tcp_options({2, 4, 5, 180}).payload("abc").bytes(),
      Frame().vlan(0).udp(1, 2).payload("abc").bytes(),
      Frame().echo(1, 1).payload("abc").bytes(),
      Frame().ip_options({1, 1, 1, 0}).protocol(47).payload("abc").bytes(),
      Frame().fragment(0, true).payload_size(24).bytes(),
      test::arp_request(test::kPeerMac, "10.0.0.1", "10.0.0.2"),
  };
  for (const Bytes& whole : frames) {
    ASSERT_EQ(reason_of(whole), std::nullopt);
    for (std::size_t length = 0; length < whole.size(); ++length) {
      const auto cut = std::make_unique<std::uint8_t[]>(length);
      std::copy_n(whole.begin(), length, cut.get());
      Layers layers;
      const auto reason = parse({cut.get(), length}, static_cast<std::uint32_t>(length), kOptions, layers);
      ASSERT_TRUE(reason) << length;
      if (length < 14) {
        EXPECT_EQ(*reason, DropReason::frame_too_short);
      }
    }
  }
}

// The same, but the IP header says so: a shorter packet that is consistent down to L3.
TEST(Parse, EveryTruncatedTotalLength) {
  for (unsigned protocol : {1u, 6u, 17u}) {
    for (unsigned l4 = 0; l4 < 60; ++l4) {
      const Bytes frame = Frame().protocol(protocol).payload_size(l4).bytes();
      const auto reason = reason_of(frame);
      const unsigned need = protocol == 6 ? 20 : 8;
      if (l4 < need) {
        ASSERT_TRUE(reason) << protocol << " " << l4;
      }
    }
  }
}

// Chained packets: the first segment holds at least kHeadersMax bytes, the rest is elsewhere.
TEST(Parse, FirstSegmentIsEnough) {
  const Bytes frame = Frame().tcp(1, 2).payload_size(1000).bytes();
  Layers layers;
  EXPECT_FALSE(parse(ConstBytes(frame).first(kHeadersMax), static_cast<std::uint32_t>(frame.size()), kOptions, layers));
  EXPECT_EQ(layers.payload_length(), 1000);
  // A chain that was not pulled up is refused, not misread.
  EXPECT_TRUE(parse(ConstBytes(frame).first(40), static_cast<std::uint32_t>(frame.size()), kOptions, layers));
}

// A judge that knows only the RFCs' sentences, byte by byte.
bool is_acceptable(const Bytes& f) {
  const auto be16 = [&](std::size_t at) { return f[at] * 256u + f[at + 1]; };
  if (f.size() < 14) return false;
  const bool group = f[0] & 1;
  if (!group && !std::equal(f.begin(), f.begin() + 6, test::kOwnMac.bytes.begin())) return false;
  std::size_t l3 = 14;
  unsigned type = be16(12);
  if (type == 0x8100) {
    if (f.size() < 18 || be16(14) % 4096 != 0) return false;
    type = be16(16);
    l3 = 18;
  }
  if (type == 0x0806) return f.size() >= l3 + 28;
  if (type != 0x0800 || f.size() < l3 + 20 || f[l3] / 16 != 4) return false;
  const std::size_t header = f[l3] % 16 * 4u, total = be16(l3 + 2), l4 = l3 + header;
  if (header < 20 || header > total || l3 + total > f.size()) return false;
  unsigned long sum = 0;
  for (std::size_t i = l3; i < l4; i += 2) sum += be16(i);
  while (sum > 65535) sum = sum % 65536 + sum / 65536;
  if (sum != 65535) return false;
  if (f[l3 + 12] == 0 || f[l3 + 12] == 127 || f[l3 + 12] / 16 == 14 ||
      test::ip("255.255.255.255") == load_ipv4(&f[l3 + 12])) {
    return false;
  }
  for (std::size_t at = l3 + 20; at < l4 && f[at] != 0;) {
    if (f[at] == 1) {
      ++at;
      continue;
    }
    if (f[at] == 131 || f[at] == 137 || at + 1 >= l4 || f[at + 1] < 2 || at + f[at + 1] > l4) return false;
    at += f[at + 1];
  }
  const std::size_t length = total - header, offset = be16(l3 + 6) % 8192 * 8u;
  const bool more = f[l3 + 6] & 0x20;
  if (offset != 0 || more) return length > 0 && !(more && length % 8) && offset + header + length <= 65535;
  if (f[l3 + 9] == 6) {
    const std::size_t data = length < 20 ? 0 : f[l4 + 12] / 16u * 4;
    return data >= 20 && data <= length && are_tcp_flags_possible(f[l4 + 13]);
  }
  if (f[l3 + 9] == 17) return length >= 8 && be16(l4 + 4) >= 8 && be16(l4 + 4) <= length;
  return f[l3 + 9] != 1 || length >= 8;
}

TEST(Parse, AgreesWithANaiveJudgeOnDamagedFrames) {
  Rng rng(11);
  const Bytes seeds[] = {
      Frame().tcp(1, 2).tcp_options({2, 4, 5, 180}).payload("abc").pad_to(64).bytes(),
      Frame().udp(1, 2).payload("abcdefgh").bytes(),
      Frame().vlan(0).echo(1, 1).payload("abc").bytes(),
      Frame().ip_options({7, 7, 4, 0, 0, 0, 0, 0}).udp(3, 4).bytes(),
      Frame().protocol(17).fragment(16, true).payload_size(24).bytes(),
  };
  int accepted = 0;
  for (int round = 0; round < 200000; ++round) {
    Bytes frame = seeds[rng.below(std::size(seeds))];
    const std::uint64_t damages = rng.between(0, 3);
    for (std::uint64_t i = 0; i < damages; ++i) {
      // Mostly in the headers; often to small numbers, where lengths live.
      const std::size_t at = rng.below(std::min<std::size_t>(frame.size(), rng.chance(0.7) ? 50 : 1000));
      frame[at] = static_cast<std::uint8_t>(rng.chance(0.5) ? rng() : rng.below(64));
    }
    if (rng.chance(0.2)) frame.resize(rng.below(frame.size() + 1));
    // Most damage must get past the header checksum.
    if (rng.chance(0.8) && frame.size() >= 38) {
      const std::size_t l3 = frame[12] == 0x81 ? 18 : 14;
      const std::size_t header = std::max<std::size_t>(20, frame[l3] % 16 * 4u);
      if (l3 + header <= frame.size()) {
        store_be16(&frame[l3 + 10], 0);
        store_be16(&frame[l3 + 10], internet_checksum(ConstBytes(frame).subspan(l3, header)));
      }
    }
    const bool mine = !reason_of(frame).has_value();
    ASSERT_EQ(mine, is_acceptable(frame))
        << "round " << round << " " << name_of(reason_of(frame).value_or(DropReason::frame_too_short));
    accepted += mine;
  }
  EXPECT_GT(accepted, 40000);  // the judge saw both kinds
  EXPECT_LT(accepted, 160000);
}

// The tests' own builder and checker agree with each other and notice damage.
TEST(TestFrames, FaultsAreNoticed) {
  EXPECT_EQ(test::faults(Frame().tcp(1, 2).payload("x").bytes()), "");
  EXPECT_EQ(test::faults(Frame().tcp(1, 2).bad_l4_checksum().bytes()), "l4 checksum");
  EXPECT_EQ(test::faults(Frame().udp(1, 2).partial_l4_checksum().payload("x").bytes()), "l4 checksum");
  EXPECT_EQ(test::faults(Frame().udp(1, 2).no_udp_checksum().bytes()), "");
  EXPECT_EQ(test::faults(Frame().bad_ip_checksum().udp(1, 2).bytes()), "ipv4 checksum");
  EXPECT_EQ(test::faults(Frame().echo(1, 2).bad_l4_checksum().bytes()), "icmp checksum");
  EXPECT_EQ(test::describe(Frame().tcp(1234, 80).flags(kTcpSyn | kTcpAck).payload("abc").bytes()),
            "10.0.0.1:1234 > 10.0.0.2:80 tcp SA ttl 64 len 3");
  EXPECT_EQ(test::describe(Frame().echo(1, 2).payload("x").bytes()), "10.0.0.1 > 10.0.0.2 icmp 8/0 ttl 64 len 1");
}

}  // namespace
}  // namespace sluice::wire
