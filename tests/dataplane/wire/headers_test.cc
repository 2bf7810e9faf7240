// Headers to bytes and back, and what is refused: ARP, IPv4 options, ICMP quotes, TCP options, UDP, IPv6.
#include <gtest/gtest.h>

#include "dataplane/base/rng.h"
#include "dataplane/wire/ethernet.h"
#include "dataplane/wire/ipv6.h"
#include "tests/support/packets.h"

namespace sluice::wire {
namespace {

using test::Frame;

TEST(Bytes, AreBigEndianAtAnyAddress) {
  std::uint8_t bytes[9] = {};
  for (unsigned at = 0; at < 5; ++at) {
    store_be32(bytes + at, 0x01020304);
    EXPECT_EQ(bytes[at], 1);
    EXPECT_EQ(bytes[at + 3], 4);
    EXPECT_EQ(load_be32(bytes + at), 0x01020304u);
    EXPECT_EQ(load_be16(bytes + at + 1), 0x0203u);
  }
}

TEST(Ethernet, RewriteWritesItsFourteenBytesOnly) {
  std::uint8_t frame[32];
  std::memset(frame, 0xee, sizeof frame);
  const auto rewrite = EthernetRewrite::make(test::kPeerMac, test::kOwnMac, kEtherTypeIpv4);
  rewrite.write(frame + 8);
  EXPECT_EQ(load_mac(frame + 8), test::kPeerMac);
  EXPECT_EQ(load_mac(frame + 14), test::kOwnMac);
  EXPECT_EQ(load_be16(frame + 20), kEtherTypeIpv4);
  for (unsigned i = 0; i < 8; ++i) EXPECT_EQ(frame[i], 0xee);
  for (unsigned i = 22; i < 32; ++i) EXPECT_EQ(frame[i], 0xee);
  EXPECT_EQ(rewrite.destination(), test::kPeerMac);
  EXPECT_EQ(rewrite.source(), test::kOwnMac);
}

TEST(Arp, RoundTrip) {
  const ArpPacket arp{ArpOperation::reply, test::kPeerMac, test::ip("10.0.0.1"), test::kOwnMac, test::ip("10.0.0.2")};
  std::uint8_t bytes[kArpLength];
  emit_arp(bytes, arp);
  EXPECT_EQ(parse_arp(bytes), arp);
  const test::Bytes built = test::arp_reply(test::kPeerMac, "10.0.0.1", test::kOwnMac, "10.0.0.2");
  EXPECT_EQ(test::Bytes(bytes, bytes + kArpLength), test::Bytes(built.begin() + 14, built.end()));
}

TEST(Arp, RefusesWhatIsNotEthernetAndIpv4) {
  const test::Bytes frame = test::arp_request(test::kPeerMac, "10.0.0.1", "10.0.0.2");
  const test::Bytes good(frame.begin() + 14, frame.end());
  ASSERT_TRUE(parse_arp(good));
  for (std::size_t length = 0; length < kArpLength; ++length) EXPECT_FALSE(parse_arp(ConstBytes(good).first(length)));
  for (const std::size_t at : {0u, 1u, 2u, 3u, 4u, 5u, 6u}) {
    auto bad = good;
    bad[at] ^= 0x40;
    EXPECT_FALSE(parse_arp(bad)) << at;
  }
  auto bad = good;
  bad[7] = 3;  // operation
  EXPECT_FALSE(parse_arp(bad));
  bad = good;
  bad[8] |= 1;  // sender is a group
  EXPECT_FALSE(parse_arp(bad));
  for (const char* sender : {"224.0.0.1", "127.0.0.1", "255.255.255.255"}) {
    bad = good;
    store_ipv4(&bad[14], test::ip(sender));
    EXPECT_FALSE(parse_arp(bad)) << sender;
  }
  bad = good;
  store_ipv4(&bad[14], {});
  EXPECT_TRUE(parse_arp(bad)->is_probe());
}

TEST(Ipv4, RoundTrip) {
  Ipv4Header header;
  header.tos = 0xb9;
  header.total_length = 1500;
  header.identification = 0x1234;
  header.dont_fragment = true;
  header.ttl = 7;
  header.protocol = 6;
  header.source = test::ip("1.2.3.4");
  header.destination = test::ip("5.6.7.8");
  std::uint8_t bytes[20];
  emit_ipv4(bytes, header);
  EXPECT_EQ(parse_ipv4(bytes), header);
  EXPECT_EQ(internet_checksum(bytes), 0);
  header.dont_fragment = false;
  header.more_fragments = true;
  header.fragment_offset = 1480;
  emit_ipv4(bytes, header);
  EXPECT_EQ(parse_ipv4(bytes), header);
}

TEST(Ipv4, OptionsAreCheckedOneByOne) {
  const auto check = [](std::initializer_list<std::uint8_t> options) {
    test::Bytes header(20);
    header.insert(header.end(), options);
    return check_ipv4_options(header.data(), header.size());
  };
  EXPECT_EQ(check({}), std::nullopt);
  EXPECT_EQ(check({1, 1, 1, 0}), std::nullopt);
  EXPECT_EQ(check({0, 131, 3, 4}), std::nullopt);  // behind the end
  EXPECT_EQ(check({7, 4, 4, 0}), std::nullopt);    // record route
  EXPECT_EQ(check({131, 3, 4, 0}), DropReason::ipv4_options_source_route);
  EXPECT_EQ(check({1, 137, 3, 4}), DropReason::ipv4_options_source_route);
  EXPECT_EQ(check({1, 1, 1, 7}), DropReason::ipv4_options_malformed);  // no length byte
  EXPECT_EQ(check({7, 5, 0, 0}), DropReason::ipv4_options_malformed);
  EXPECT_EQ(check({7, 1, 0, 0}), DropReason::ipv4_options_malformed);
  EXPECT_EQ(check({7, 0, 0, 0}), DropReason::ipv4_options_malformed);
}

TEST(Ipv4, Sources) {
  for (const char* good : {"1.0.0.0", "10.0.0.1", "223.255.255.255", "240.0.0.1"}) {
    EXPECT_TRUE(is_valid_source(test::ip(good))) << good;
  }
  for (const char* bad : {"0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "239.1.1.1", "255.255.255.255"}) {
    EXPECT_FALSE(is_valid_source(test::ip(bad))) << bad;
  }
}

// ICMP errors with what they quote.
test::Bytes icmp_error(const test::Bytes& quoted, unsigned type = 3, unsigned code = 1) {
  const test::Bytes frame = Frame().icmp(type, code).payload(quoted).bytes();
  return {frame.begin() + 34, frame.end()};
}

TEST(Icmp, QuotedPacketShowsItsTuple) {
  const auto icmp = icmp_error(Frame().ip("10.0.0.9", "10.0.0.8").tcp(1000, 80).payload("xyz").l3());
  const auto quoted = parse_quoted(icmp);
  ASSERT_TRUE(quoted);
  EXPECT_EQ(quoted->ip.source, test::ip("10.0.0.9"));
  EXPECT_EQ(quoted->ip.destination, test::ip("10.0.0.8"));
  EXPECT_EQ(quoted->src_port, 1000);
  EXPECT_EQ(quoted->dst_port, 80);
  EXPECT_EQ(quoted->ip_offset, 8u);
  EXPECT_EQ(quoted->l4_offset, 28u);
  EXPECT_EQ(quoted->l4_length, 23u);
  EXPECT_EQ(parse_quoted(icmp_error(Frame().echo(77, 1).l3()))->src_port, 77);
}

TEST(Icmp, QuotedPacketNeedsItsFirstEightBytes) {
  const auto icmp = icmp_error(Frame().udp(53, 54).payload("payload").l3());
  for (std::size_t length = 0; length < icmp.size(); ++length) {
    EXPECT_EQ(parse_quoted(ConstBytes(icmp).first(length)).has_value(), length >= 8 + 20 + 8) << length;
  }
  EXPECT_FALSE(parse_quoted(icmp_error(Frame().udp(1, 2).l3(), 8)));                              // no error
  EXPECT_FALSE(parse_quoted(icmp_error(Frame().fragment(8, false).payload("0123456789").l3())));  // later fragment
  EXPECT_FALSE(parse_quoted(icmp_error(Frame().udp(1, 2).total_length(19).l3())));
  EXPECT_FALSE(parse_quoted(icmp_error(Frame().udp(1, 2).total_length(27).l3())));
  // Bytes behind the quoted packet (RFC 4884 extensions) are no part of it.
  EXPECT_EQ(parse_quoted(icmp_error(Frame().udp(1, 2).payload("12345678").total_length(30).l3()))->l4_length, 10u);
}

TEST(Tcp, OptionsRoundTripInEveryCombination) {
  Rng rng(1);
  for (unsigned bits = 0; bits < 16; ++bits) {
    for (std::uint8_t blocks = 0; blocks <= 4; ++blocks) {
      TcpOptions options;
      if (bits & 1) options.mss = static_cast<std::uint16_t>(rng());
      if (bits & 2) options.window_scale = 7;
      if (bits & 4) options.sack_permitted = true;
      if (bits & 8) options.timestamps = TcpTimestamps{1, 2};
      options.sack_count = blocks;
      for (unsigned i = 0; i < blocks; ++i) options.sack[i] = {i * 10, i * 10 + 5};
      std::uint8_t bytes[40];
      const std::size_t length = emit_tcp_options(bytes, options);
      ASSERT_EQ(length, tcp_options_length(options));
      ASSERT_LE(length, 40u);
      ASSERT_EQ(length % 4, 0u);
      const TcpOptions back = parse_tcp_options({bytes, length});
      for (unsigned i = back.sack_count; i < blocks; ++i) options.sack[i] = {};
      ASSERT_LE(back.sack_count, blocks);
      options.sack_count = back.sack_count;  // those that fit
      ASSERT_EQ(back, options) << bits << " " << unsigned{blocks};
    }
  }
}

TEST(Tcp, MalformedOptionsEndTheList) {
  const auto parse = [](std::initializer_list<std::uint8_t> bytes) { return parse_tcp_options(test::Bytes(bytes)); };
  EXPECT_EQ(parse({2, 4, 5, 180}).mss, 1460);
  EXPECT_FALSE(parse({2, 0, 5, 180}).mss);
  EXPECT_FALSE(parse({2, 5, 5, 180}).mss);
  EXPECT_FALSE(parse({2}).mss);
  EXPECT_FALSE(parse({2, 3, 5}).mss);
  EXPECT_FALSE(parse({0, 2, 4, 5, 180}).mss);
  EXPECT_EQ(parse({99, 3, 0, 2, 4, 5, 180}).mss, 1460);  // unknown ones are skipped
  EXPECT_EQ(parse({5, 9, 0, 0, 0, 0, 0, 0, 0}).sack_count, 0);
  // A second SACK option replaces the first whole (found by fuzzing).
  EXPECT_EQ(parse({5, 10, 0, 0, 0, 1, 0, 0, 0, 2, 5, 2}), TcpOptions{});
}

TEST(Tcp, HeaderRoundTripAndRefusals) {
  const TcpHeader header{1, 2, 3, 4, 24, kTcpSyn | kTcpAck, 5, 0};
  test::Bytes bytes(24);
  emit_tcp(bytes.data(), header);
  EXPECT_EQ(parse_tcp(bytes), header);
  for (std::size_t length = 0; length < 24; ++length) EXPECT_FALSE(parse_tcp(ConstBytes(bytes).first(length)));
  bytes[12] = 4 << 4;
  EXPECT_FALSE(parse_tcp(bytes));
  EXPECT_TRUE(seq_before(0xfffffff0, 5));
  EXPECT_FALSE(seq_before(5, 0xfffffff0));
  EXPECT_TRUE(seq_before_eq(5, 5));
}

TEST(Tcp, FlagsThatNoStackSends) {
  for (unsigned flags = 0; flags < 256; ++flags) {
    const bool syn = flags & 2, fin = flags & 1, rst = flags & 4, ack = flags & 16;
    const bool possible = !(syn && (fin || rst)) && (syn || ack || rst);
    EXPECT_EQ(are_tcp_flags_possible(static_cast<std::uint8_t>(flags)), possible) << flags;
  }
}

TEST(Udp, RoundTripAndRefusals) {
  test::Bytes bytes(12);
  emit_udp(bytes.data(), {53, 1000, 12, 0xabcd});
  EXPECT_EQ(parse_udp(bytes), (UdpHeader{53, 1000, 12, 0xabcd}));
  EXPECT_FALSE(parse_udp(ConstBytes(bytes).first(11)));
  EXPECT_FALSE(parse_udp(ConstBytes(bytes).first(7)));
  store_be16(&bytes[4], 7);
  EXPECT_FALSE(parse_udp(bytes));
}

TEST(Ipv6, RoundTripAndRefusals) {
  Ipv6Header header{0xb8, 0xabcde, 4, 58, 64, *Ipv6Address::parse("2001:db8::1"), *Ipv6Address::parse("2001:db8::2")};
  test::Bytes bytes(44);
  emit_ipv6(bytes.data(), header);
  EXPECT_EQ(parse_ipv6(bytes), header);
  for (std::size_t length = 0; length < 44; ++length) EXPECT_FALSE(parse_ipv6(ConstBytes(bytes).first(length)));
  bytes[0] = 0x45;
  EXPECT_FALSE(parse_ipv6(bytes));
  const test::Bytes icmp{128, 0, 0x12, 0x34, 0, 1, 0, 2};
  EXPECT_EQ(parse_icmpv6(icmp), (Icmpv6Header{128, 0, 0x1234, 0x00010002}));
  EXPECT_FALSE(parse_icmpv6(ConstBytes(icmp).first(7)));
}

}  // namespace
}  // namespace sluice::wire
