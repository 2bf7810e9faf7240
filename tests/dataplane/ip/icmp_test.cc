// ICMP that we send: echo replies of every size and shape, errors with their quote, and when to keep silent.
#include "dataplane/ip/icmp.h"

#include <gtest/gtest.h>

#include "tests/dataplane/ip/world.h"

namespace sluice::ip {
namespace {

using test::ip;
using test::layers_of;

class IcmpTest : public test::EalTest {
 protected:
  // The reply's bytes, or the reason.
  std::variant<Bytes, DropReason> reply(const Bytes& request, std::initializer_list<std::size_t> segments = {}) {
    wire::Layers layers = layers_of(request);
    const packet::Packet packet = test::to_packet(world_.pool, request, segments);
    packet::trim_padding(packet, layers.frame_length());
    const auto reason = world_.icmp.reply_to_echo(world_.now, packet, layers);
    const Bytes bytes = test::to_bytes(packet);
    packet::discard(packet);
    if (reason) return *reason;
    EXPECT_EQ(layers.ttl, 255);
    EXPECT_EQ(layers.source, layers_of(bytes).source);
    return bytes;
  }
  Bytes error(const Bytes& offending, const IcmpError& error = IcmpError::host_unreachable(),
              std::string_view source = "172.16.40.202") {
    const packet::Packet packet = test::to_packet(world_.pool, offending);
    const packet::Packet made = world_.icmp.make_error(world_.now, packet, layers_of(offending), ip(source), error);
    EXPECT_EQ(test::to_bytes(packet), offending);
    packet::discard(packet);
    if (!made) return {};
    Bytes bytes = test::to_bytes(made);
    packet::discard(made);
    wire::emit_ethernet(bytes.data(), test::kOwnMac, test::kPeerMac, wire::kEtherTypeIpv4);
    EXPECT_EQ(test::faults(bytes), "");
    return bytes;
  }
  World world_;
};

TEST_F(IcmpTest, EchoReplyHasTtl255AndTheSamePayload) {
  const Bytes request =
      Frame().ip("172.16.40.199", "172.16.40.80").ttl(64).tos(0x48).dont_fragment().echo(9, 3).payload_size(56).bytes();
  const auto result = reply(request);
  const Bytes bytes = std::get<Bytes>(result);
  EXPECT_EQ(test::describe(bytes), "172.16.40.80 > 172.16.40.199 icmp 0/0 ttl 255 len 56");
  EXPECT_EQ(test::faults(bytes), "");
  EXPECT_EQ(test::payload_of(bytes), test::payload_of(request));
  EXPECT_EQ(wire::load_be32(&bytes[38]), 9u << 16 | 3);  // identifier and sequence
  EXPECT_EQ(bytes[15], 0x48);
  EXPECT_EQ(world_.icmp.echoes_answered(), 1u);
}

TEST_F(IcmpTest, EchoReplyOfEverySizeAndManySegments) {
  for (std::size_t size : {0u, 1u, 2u, 3u, 17u, 18u, 1471u, 1472u, 8972u, 65507u}) {
    const Bytes request = Frame().ip("172.16.40.199", "172.16.40.80").echo(1, 1).payload_size(size).pad_to(60).bytes();
    const Bytes bytes = std::get<Bytes>(reply(request, {60, 1, 1333}));
    EXPECT_EQ(test::faults(bytes), "") << size;
    EXPECT_EQ(test::payload_of(bytes), test::payload_of(request));
  }
}

TEST_F(IcmpTest, EchoWithOptionsAndOddCode) {
  const Bytes bytes = std::get<Bytes>(reply(Frame()
                                                .ip("172.16.40.199", "172.16.40.80")
                                                .ip_options({7, 7, 4, 0, 0, 0, 0, 0})
                                                .icmp(8, 5)
                                                .payload("x")
                                                .bytes()));
  EXPECT_EQ(test::faults(bytes), "");
  EXPECT_EQ(test::describe(bytes), "172.16.40.80 > 172.16.40.199 icmp 0/5 ttl 255 len 1");
}

TEST_F(IcmpTest, EchoIsRefusedWhenWrongOrToMany) {
  const Frame good = Frame().ip("172.16.40.199", "172.16.40.80").echo(1, 1).payload("abc");
  EXPECT_EQ(std::get<DropReason>(reply(Frame(good).bad_l4_checksum().bytes())), DropReason::icmp_malformed);
  EXPECT_EQ(std::get<DropReason>(reply(Frame(good).eth(test::kPeerMac, MacAddress::broadcast()).bytes())),
            DropReason::icmp_unhandled);
  for (const char* group : {"224.0.0.1", "255.255.255.255", "172.16.40.255"}) {
    EXPECT_EQ(std::get<DropReason>(reply(Frame(good).ip("172.16.40.199", group).bytes())), DropReason::icmp_unhandled);
  }
}

TEST_F(IcmpTest, EchoesAreRateLimited) {
  World world({}, 64, {100, 10, 100, 5});
  int answered = 0;
  for (int i = 0; i < 20; ++i) {
    const Bytes request = Frame().ip("172.16.40.199", "172.16.40.80").echo(1, 1).bytes();
    auto layers = layers_of(request);
    const auto packet = test::to_packet(world.pool, request);
    const auto reason = world.icmp.reply_to_echo(world.now, packet, layers);
    if (reason) {
      EXPECT_EQ(*reason, DropReason::icmp_rate_limited);
      EXPECT_EQ(test::to_bytes(packet), request);  // untouched
    }
    answered += !reason;
    packet::discard(packet);
  }
  EXPECT_EQ(answered, 5);
}

TEST_F(IcmpTest, ErrorQuotesUpTo548Bytes) {
  for (const std::size_t size : {0u, 20u, 519u, 520u, 521u, 1400u}) {
    const Bytes offending = Frame().ip("172.16.40.199", "10.9.9.9").ttl(1).udp(1, 2).payload_size(size).bytes();
    const Bytes bytes = error(offending, IcmpError::ttl_exceeded());
    const std::size_t quoted = std::min<std::size_t>(28 + size, 548);
    EXPECT_EQ(test::describe(bytes), "172.16.40.202 > 172.16.40.199 icmp 11/0 ttl 255 len " + std::to_string(quoted));
    EXPECT_EQ(test::payload_of(bytes),
              std::string(offending.begin() + 14, offending.begin() + 14 + static_cast<std::ptrdiff_t>(quoted)));
    EXPECT_EQ(bytes[15], 0xc0);
  }
}

TEST_F(IcmpTest, ErrorsCarryTypeCodeAndMtu) {
  const Bytes offending = Frame().ip("172.16.40.199", "10.9.9.9").tcp(1, 2).bytes();
  const Bytes bytes = error(offending, IcmpError::fragmentation_needed(1400));
  EXPECT_EQ(bytes[34], 3);
  EXPECT_EQ(bytes[35], 4);
  EXPECT_EQ(wire::load_be32(&bytes[38]), 1400u);
  EXPECT_EQ(error(offending, IcmpError::port_unreachable())[35], 3);
  EXPECT_EQ(error(offending, IcmpError::net_unreachable())[35], 0);
  EXPECT_EQ(error(offending, IcmpError::admin_prohibited())[35], 13);
  const auto quoted = wire::parse_quoted(std::span(bytes).subspan(34));
  ASSERT_TRUE(quoted);
  EXPECT_EQ(quoted->src_port, 1);
}

TEST_F(IcmpTest, SilenceWhereTheRfcsWantIt) {
  const auto from = [](const char* source, const char* destination) {
    return Frame().ip(source, destination).udp(1, 2);
  };
  EXPECT_FALSE(error(from("172.16.40.199", "10.9.9.9").bytes()).empty());
  EXPECT_FALSE(error(Frame().ip("172.16.40.199", "10.9.9.9").echo(1, 1).bytes()).empty());  // about a ping: yes
  for (const unsigned type : {3u, 4u, 5u, 11u, 12u}) {
    EXPECT_TRUE(error(Frame().ip("172.16.40.199", "10.9.9.9").icmp(type, 0).payload_size(28).bytes()).empty()) << type;
  }
  EXPECT_FALSE(error(Frame().protocol(17).fragment(0, true).payload_size(16).bytes()).empty());
  EXPECT_TRUE(error(Frame().protocol(17).fragment(16, true).payload_size(16).bytes()).empty());
  EXPECT_TRUE(error(Frame().protocol(1).fragment(0, true).payload_size(16).bytes()).empty());
  EXPECT_TRUE(error(from("172.16.40.199", "10.9.9.9").eth(test::kPeerMac, MacAddress::broadcast()).bytes()).empty());
  EXPECT_TRUE(error(from("172.16.40.199", "224.0.0.9").bytes()).empty());
  EXPECT_TRUE(error(from("172.16.40.199", "255.255.255.255").bytes()).empty());
  EXPECT_TRUE(error(from("172.16.40.199", "172.16.40.255").bytes()).empty());
  EXPECT_TRUE(error(from("172.16.40.255", "10.9.9.9").bytes()).empty());
  EXPECT_TRUE(error(from("240.0.0.1", "10.9.9.9").bytes()).empty());
  EXPECT_TRUE(error(from("172.16.40.199", "10.9.9.9").bytes(), IcmpError::host_unreachable(), "0.0.0.0").empty());
}

TEST_F(IcmpTest, ErrorsAreRateLimitedAndCounted) {
  int made = 0;
  for (int i = 0; i < 500; ++i) made += !error(Frame().udp(1, 2).bytes()).empty();
  EXPECT_EQ(made, 100);
  EXPECT_EQ(world_.icmp.errors_limited(), 400u);
  EXPECT_EQ(world_.icmp.errors_sent(), 100u);
  EXPECT_EQ(world_.drops.generated(), 100u);
}

TEST_F(IcmpTest, AnEmptyPoolGivesNoError) {
  World world({}, 1);
  const Bytes offending = Frame().udp(1, 2).bytes();
  const auto packet = test::to_packet(world.pool, offending);
  EXPECT_FALSE(world.icmp.make_error(world.now, packet, layers_of(offending), ip("172.16.40.202"),
                                     IcmpError::host_unreachable()));
  EXPECT_EQ(world.drops.generated(), 0u);
  packet::discard(packet);
}

}  // namespace
}  // namespace sluice::ip
