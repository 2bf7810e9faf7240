// Packet in, packets out: one frame each into the default world, by name: link, ARP, IPv4, ICMP, host port, refusals.
#include "tests/support/lb_world.h"

namespace sluice::lb::packet_cases_test {
namespace {

using test::Bytes;
using test::Frame;
using namespace std::string_literals;

struct Case {
  std::string name;
  Bytes in;
  std::string want;
  packet::PortId port = kNetworkPort;
};
std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

Frame from_client() { return Frame().ip("172.16.40.10", "172.16.40.80"); }
Frame from_host(const char* to) { return Frame().ip("172.16.40.202", to); }
constexpr const char* kClientMac = "02:99:ac:10:28:0a";

Bytes cut(const Frame& frame, std::size_t length) {
  Bytes bytes = frame.bytes();
  bytes.resize(length);
  return bytes;
}
Bytes icmp_error(const char* from, const char* to, unsigned type, unsigned code, const Frame& quoted) {
  Bytes l3 = quoted.l3();
  if (l3.size() > 28) l3.resize(28);
  return Frame().ip(from, to).icmp(type, code).payload(l3).bytes();
}

std::vector<Case> link_cases() {
  return {
      {"runt", Bytes(10, 0), "drop frame_too_short"},
      {"empty_frame", Bytes(), "drop frame_too_short"},
      {"other_hosts_mac", Frame().eth(test::kPeerMac, test::mac("02:00:00:00:00:55")).udp(1, 2).bytes(),
       "drop frame_not_for_us"},
      {"ip_to_broadcast_mac", from_client().eth(test::kPeerMac, MacAddress::broadcast()).tcp(1, 80).flags(2).bytes(),
       "drop frame_not_for_us"},
      {"ipv6", Frame().ether_type(0x86dd).bytes(), "drop ethertype_unknown"},
      {"lldp", Frame().ether_type(0x88cc).bytes(), "drop ethertype_unknown"},
      {"arp_cut", cut(Frame().ether_type(0x0806), 30), "drop arp_malformed"},
      {"arp_for_another", test::arp_request(test::kPeerMac, "172.16.40.77", "172.16.40.78"), "drop arp_not_for_us"},
      {"arp_for_self_ip", test::arp_request(test::kPeerMac, "172.16.40.77", "172.16.40.202"),
       "int: arp reply 172.16.40.202 is 02:00:00:00:00:01 to 172.16.40.77"},
      {"arp_for_virtual_address", test::arp_request(test::kPeerMac, "172.16.40.77", "172.16.40.80"),
       "int: arp reply 172.16.40.80 is 02:00:00:00:00:01 to 172.16.40.77"},
      {"arp_for_self_ip_of_another_port", test::arp_request(test::kPeerMac, "172.16.40.79", "192.168.7.1"),
       "drop arp_not_for_us"},
      {"arp_for_virtual_address_on_the_other_port", test::arp_request(test::kPeerMac, "192.168.7.77", "172.16.40.80"),
       "ext: arp reply 172.16.40.80 is 02:00:00:00:00:01 to 192.168.7.77", kOtherPort},
  };
}

std::vector<Case> ipv4_cases() {
  std::vector<Case> cases{
      {"bad_version",
       [] {
         Bytes b = from_client().tcp(1, 80).bytes();
         b[14] = 0x65;
         return b;
       }(),
       "drop ipv4_bad_version"},
      {"header_length_4",
       [] {
         Bytes b = from_client().tcp(1, 80).bytes();
         b[14] = 0x44;
         return b;
       }(),
       "drop ipv4_bad_header_length"},
      {"header_longer_than_packet",
       [] {
         Bytes b = from_client().total_length(20).bytes();
         b[14] = 0x4f;
         return b;
       }(),
       "drop ipv4_bad_header_length"},
      {"total_length_too_short", from_client().total_length(19).tcp(1, 80).bytes(), "drop ipv4_bad_total_length"},
      {"total_length_beyond_frame", from_client().total_length(1400).tcp(1, 80).bytes(), "drop ipv4_bad_total_length"},
      {"header_checksum_wrong", from_client().bad_ip_checksum().tcp(1, 80).flags(2).bytes(), "drop ipv4_bad_checksum"},
      {"source_loopback", Frame().ip("127.0.0.1", "172.16.40.80").tcp(1, 80).flags(2).bytes(), "drop ipv4_bad_source"},
      {"source_zero", Frame().ip("0.0.0.0", "172.16.40.80").udp(68, 67).bytes(), "drop ipv4_bad_source"},
      {"source_multicast", Frame().ip("224.0.0.1", "172.16.40.80").tcp(1, 80).flags(2).bytes(), "drop ipv4_bad_source"},
      {"source_broadcast", Frame().ip("255.255.255.255", "172.16.40.80").udp(1, 53).bytes(), "drop ipv4_bad_source"},
      {"source_is_our_self_ip", Frame().ip("172.16.40.202", "172.16.40.80").tcp(1, 80).flags(2).bytes(),
       "drop ipv4_bad_source"},
      {"source_is_our_virtual_address", Frame().ip("172.16.40.80", "172.16.40.202").tcp(1, 80).flags(2).bytes(),
       "drop ipv4_bad_source"},
      {"ping_from_our_own_address", Frame().ip("172.16.40.80", "172.16.40.202").echo(1, 1).bytes(),
       "drop ipv4_bad_source"},
      {"land_attack", Frame().ip("172.16.40.80", "172.16.40.80").tcp(80, 80).flags(2).bytes(), "drop ipv4_bad_source"},
      {"source_route", from_client().ip_options({131, 7, 4, 10, 0, 0, 1, 0}).tcp(1, 80).flags(2).bytes(),
       "drop ipv4_options_source_route"},
      {"option_cut", from_client().ip_options({7, 40, 4, 0}).tcp(1, 80).flags(2).bytes(),
       "drop ipv4_options_malformed"},
      {"stranger", Frame().ip("172.16.40.10", "8.8.8.8").udp(1, 53).bytes(), "drop ipv4_not_for_us"},
      {"stranger_tcp", Frame().ip("172.16.40.10", "10.244.0.76").tcp(1, 80).flags(2).bytes(), "drop ipv4_not_for_us"},
      {"stranger_ping", Frame().ip("172.16.40.10", "10.244.0.76").echo(1, 1).bytes(), "drop ipv4_not_for_us"},
      {"stranger_fragment", Frame().ip("172.16.40.10", "8.8.8.8").fragment(0, true).payload_size(16).bytes(),
       "drop ipv4_not_for_us"},
      {"subnet_broadcast", Frame().ip("172.16.40.10", "172.16.40.255").udp(1, 137).bytes(), "drop ipv4_not_for_us"},
      {"limited_broadcast", Frame().ip("172.16.40.10", "255.255.255.255").udp(68, 67).bytes(), "drop ipv4_not_for_us"},
      {"multicast", Frame().ip("172.16.40.10", "224.0.0.5").protocol(89).payload("hello").bytes(),
       "drop ipv4_not_for_us"},
      {"fragment_empty", from_client().fragment(8, true).bytes(), "drop fragment_malformed"},
      {"fragment_beyond_64k", from_client().fragment(65528, false).payload_size(100).bytes(),
       "drop fragment_malformed"},
      {"tcp_data_offset_4",
       [] {
         Bytes b = from_client().tcp(1, 80).bytes();
         b[14 + 20 + 12] = 0x40;
         return b;
       }(),
       "drop tcp_malformed"},
      {"tcp_data_offset_beyond",
       [] {
         Bytes b = from_client().tcp(1, 80).bytes();
         b[14 + 20 + 12] = 0xf0;
         return b;
       }(),
       "drop tcp_malformed"},
      {"tcp_syn_fin", from_client().tcp(1, 80).flags(3).bytes(), "drop tcp_bad_flags"},
      {"tcp_syn_rst", from_client().tcp(1, 80).flags(6).bytes(), "drop tcp_bad_flags"},
      {"tcp_null_scan", from_client().tcp(1, 80).flags(0).bytes(), "drop tcp_bad_flags"},
      {"tcp_xmas_scan", from_client().tcp(1, 80).flags(0x29).bytes(), "drop tcp_bad_flags"},
      {"udp_length_too_short",
       [] {
         Bytes b = from_client().udp(1, 53).bytes();
         b[14 + 24] = 0;
         b[14 + 25] = 7;
         return b;
       }(),
       "drop udp_malformed"},
      {"udp_length_beyond",
       [] {
         Bytes b = from_client().udp(1, 53).bytes();
         b[14 + 24] = 1;
         return b;
       }(),
       "drop udp_malformed"},
  };
  return cases;
}

std::vector<Case> icmp_cases() {
  const Frame query = Frame().ip("172.16.40.202", "10.244.0.9").udp(5000, 53);
  return {
      {"ping_self_ip", Frame().ip("172.16.40.10", "172.16.40.202").echo(7, 1).payload("abcd").bytes(),
       "int: 172.16.40.202 > 172.16.40.10 icmp 0/0 ttl 255 len 4"},
      {"ping_virtual_address", from_client().echo(7, 1).payload_size(56).bytes(),
       "int: 172.16.40.80 > 172.16.40.10 icmp 0/0 ttl 255 len 56"},
      {"ping_without_payload", from_client().echo(7, 1).bytes(),
       "int: 172.16.40.80 > 172.16.40.10 icmp 0/0 ttl 255 len 0"},
      {"ping_of_zeros", from_client().echo(0, 0).bytes(), "int: 172.16.40.80 > 172.16.40.10 icmp 0/0 ttl 255 len 0"},
      {"ping_odd_payload_with_dscp", from_client().tos(0xb8).echo(7, 1).payload_size(33).bytes(),
       "int: 172.16.40.80 > 172.16.40.10 icmp 0/0 ttl 255 len 33"},
      {"ping_from_a_pod_beyond_a_node", Frame().ip("10.244.0.5", "172.16.40.80").echo(7, 1).bytes(),
       "int: 172.16.40.80 > 10.244.0.5 icmp 0/0 ttl 255 len 0"},
      {"ping_with_ttl_1", from_client().ttl(1).echo(7, 1).bytes(),
       "int: 172.16.40.80 > 172.16.40.10 icmp 0/0 ttl 255 len 0"},
      {"ping_with_wrong_checksum", from_client().echo(7, 1).bad_l4_checksum().bytes(), "drop icmp_malformed"},
      {"ping_from_where_no_route_leads", Frame().ip("8.8.8.8", "172.16.40.80").echo(7, 1).bytes(), "drop no_route"},
      {"ping_from_a_blackholed_net", Frame().ip("192.0.2.1", "172.16.40.80").echo(7, 1).bytes(),
       "drop route_blackhole"},
      {"icmp_cut",
       [] {
         Bytes b = from_client().protocol(1).payload("abc").bytes();
         return b;
       }(),
       "drop icmp_malformed"},
      {"timestamp_to_virtual_address", from_client().icmp(13, 0).bytes(), "drop icmp_unhandled"},
      {"echo_reply_to_virtual_address", from_client().icmp(0, 0, 0x70001).bytes(), "drop icmp_unhandled"},
      {"echo_reply_to_self_ip", Frame().ip("10.244.0.76", "172.16.40.202").ttl(63).icmp(0, 0, 0x70001).bytes(),
       "host: 10.244.0.76 > 172.16.40.202 icmp 0/0 ttl 63 len 0"},
      {"error_about_no_flow_to_virtual_address",
       icmp_error("172.16.40.10", "172.16.40.80", 3, 3, Frame().ip("172.16.40.80", "172.16.40.10").udp(53, 9)),
       "drop icmp_no_flow"},
      {"error_about_the_kernels_traffic", icmp_error("172.16.40.254", "172.16.40.202", 3, 1, query),
       "host: 172.16.40.254 > 172.16.40.202 icmp 3/1 ttl 64 len 28"},
      {"error_that_quotes_rubbish_to_virtual_address",
       Frame().ip("172.16.40.10", "172.16.40.80").icmp(3, 1).payload("xx").bytes(), "drop icmp_no_flow"},
      {"redirect_to_virtual_address", from_client().icmp(5, 1, 0x0a000001).payload_size(28).bytes(),
       "drop icmp_no_flow"},
  };
}

std::vector<Case> host_cases() {
  return {
      {"bgp_to_the_kernel", Frame().ip("172.16.40.199", "172.16.40.202").tcp(40000, 179).flags(2).bytes(),
       "host: 172.16.40.199:40000 > 172.16.40.202:179 tcp S ttl 64 len 0"},
      {"udp_to_the_kernel", Frame().ip("172.16.40.199", "172.16.40.202").udp(40000, 9999).payload("x").bytes(),
       "host: 172.16.40.199:40000 > 172.16.40.202:9999 udp ttl 64 len 1"},
      {"probe_answer_to_the_kernel",
       Frame().ip("10.244.0.76", "172.16.40.202").ttl(63).tcp(80, 61500).flags(0x12).bytes(),
       "host: 10.244.0.76:80 > 172.16.40.202:61500 tcp SA ttl 63 len 0"},
      {"other_protocol_to_the_kernel",
       Frame().ip("172.16.40.199", "172.16.40.202").protocol(89).payload("ospf").bytes(),
       "host: 172.16.40.199 > 172.16.40.202 proto 89 ttl 64 len 4"},
      {"to_the_self_ip_of_another_port", Frame().ip("172.16.40.199", "192.168.7.1").tcp(1, 22).flags(2).bytes(),
       "host: 172.16.40.199:1 > 192.168.7.1:22 tcp S ttl 64 len 0"},
      {"kernel_to_a_member", from_host("10.244.0.76").tcp(61500, 80).flags(2).bytes(),
       "int: 172.16.40.202:61500 > 10.244.0.76:80 tcp S ttl 64 len 0", kHostPort},
      {"kernel_to_a_member_ttl_1", from_host("10.244.0.76").ttl(1).tcp(61500, 80).flags(2).bytes(),
       "int: 172.16.40.202:61500 > 10.244.0.76:80 tcp S ttl 1 len 0", kHostPort},
      {"kernel_to_a_neighbor", from_host("172.16.40.198").tcp(61500, 179).flags(2).bytes(),
       "int: 172.16.40.202:61500 > 172.16.40.198:179 tcp S ttl 64 len 0", kHostPort},
      {"kernel_pings_a_pod", from_host("10.244.0.76").echo(1, 1).payload_size(56).bytes(),
       "int: 172.16.40.202 > 10.244.0.76 icmp 8/0 ttl 64 len 56", kHostPort},
      {"kernel_pings_our_virtual_address", from_host("172.16.40.80").echo(1, 1).bytes(),
       "host: 172.16.40.80 > 172.16.40.202 icmp 0/0 ttl 255 len 0", kHostPort},
      {"kernel_to_our_virtual_server", from_host("172.16.40.80").tcp(61500, 80).flags(2).bytes(),
       "int: 172.16.40.202:1024 > 10.244.0.76:80 tcp S ttl 64 len 0", kHostPort},
      {"kernel_to_a_closed_port_of_a_virtual_address", from_host("172.16.40.80").tcp(61500, 81).flags(2).bytes(),
       "drop no_virtual_server; host: 172.16.40.80:81 > 172.16.40.202:61500 tcp RA ttl 255 len 0", kHostPort},
      {"kernel_with_a_strange_source", Frame().ip("10.0.0.9", "10.244.0.76").tcp(1, 80).flags(2).bytes(),
       "drop ipv4_bad_source", kHostPort},
      {"kernel_with_a_virtual_address_as_source", Frame().ip("172.16.40.80", "10.244.0.76").tcp(1, 80).flags(2).bytes(),
       "drop ipv4_bad_source", kHostPort},
      {"kernel_without_route", from_host("8.8.8.8").tcp(61500, 80).flags(2).bytes(),
       "drop no_route; host: 172.16.40.202 > 172.16.40.202 icmp 3/0 ttl 255 len 40", kHostPort},
      {"kernel_too_large_with_df", from_host("192.168.7.20").dont_fragment().udp(61500, 80).payload_size(1400).bytes(),
       "drop fragmentation_needed; host: 172.16.40.202 > 172.16.40.202 icmp 3/4 ttl 255 len 548", kHostPort},
      {"kernel_too_large", from_host("192.168.7.20").udp(61500, 80).payload_size(1400).bytes(),
       "ext: 172.16.40.202 > 192.168.7.20 frag 0+1376 proto 17 ttl 64; "
       "ext: 172.16.40.202 > 192.168.7.20 frag 1376..32 proto 17 ttl 64",
       kHostPort},
      {"kernel_sends_a_fragment", from_host("10.244.0.76").fragment(1480, false).payload_size(8).bytes(),
       "int: 172.16.40.202 > 10.244.0.76 frag 1480..8 proto 253 ttl 64", kHostPort},
  };
}

std::vector<Case> refusal_cases() {
  return {
      {"no_virtual_server_tcp", from_client().tcp(40000, 81).flags(2).seq(99).bytes(),
       "drop no_virtual_server; int: 172.16.40.80:81 > 172.16.40.10:40000 tcp RA ttl 255 len 0"},
      {"no_virtual_server_tcp_reset_is_not_answered", from_client().tcp(40000, 81).flags(4).bytes(),
       "drop no_virtual_server"},
      {"no_virtual_server_udp", from_client().udp(40000, 81).payload("hi").bytes(),
       "drop no_virtual_server; int: 172.16.40.80 > 172.16.40.10 icmp 3/3 ttl 255 len 30"},
      {"tcp_port_has_no_udp", from_client().udp(40000, 80).payload("hi").bytes(),
       "drop no_virtual_server; int: 172.16.40.80 > 172.16.40.10 icmp 3/3 ttl 255 len 30"},
      {"other_protocol_to_virtual_address", from_client().protocol(47).payload("gre").bytes(),
       "drop protocol_unknown; int: 172.16.40.80 > 172.16.40.10 icmp 3/2 ttl 255 len 23"},
      {"ack_without_flow", from_client().tcp(40000, 80).flags(0x10).seq(5, 777).bytes(),
       "drop tcp_no_flow; int: 172.16.40.80:80 > 172.16.40.10:40000 tcp R ttl 255 len 0"},
      {"data_without_flow", from_client().tcp(40000, 80).flags(0x18).seq(5, 777).payload("GET").bytes(),
       "drop tcp_no_flow; int: 172.16.40.80:80 > 172.16.40.10:40000 tcp R ttl 255 len 0"},
      {"syn_ack_without_flow", from_client().tcp(40000, 80).flags(0x12).seq(5, 777).bytes(),
       "drop tcp_no_flow; int: 172.16.40.80:80 > 172.16.40.10:40000 tcp R ttl 255 len 0"},
      {"reset_without_flow", from_client().tcp(40000, 80).flags(4).seq(5).bytes(), "drop tcp_no_flow"},
      {"fin_without_flow", from_client().tcp(40000, 80).flags(0x11).seq(5, 777).bytes(),
       "drop tcp_no_flow; int: 172.16.40.80:80 > 172.16.40.10:40000 tcp R ttl 255 len 0"},
      {"syn_with_ttl_1", from_client().ttl(1).tcp(40000, 80).flags(2).bytes(),
       "drop ttl_exceeded; int: 172.16.40.80 > 172.16.40.10 icmp 11/0 ttl 255 len 40"},
      {"udp_with_ttl_0", from_client().ttl(0).udp(40000, 53).bytes(),
       "drop ttl_exceeded; int: 172.16.40.80 > 172.16.40.10 icmp 11/0 ttl 255 len 28"},
  };
}

std::vector<Case> all_cases() {
  std::vector<Case> all;
  for (auto make : {link_cases, ipv4_cases, icmp_cases, host_cases, refusal_cases}) {
    for (Case& c : make()) all.push_back(std::move(c));
  }
  return all;
}

class PacketCase : public SharedWorld, public testing::WithParamInterface<Case> {};

TEST_P(PacketCase, InAndOut) { EXPECT_EQ(world.send(GetParam().in, GetParam().port), GetParam().want); }

INSTANTIATE_TEST_SUITE_P(All, PacketCase, testing::ValuesIn(all_cases()),
                         [](const auto& param) { return param.param.name; });

TEST(PacketCaseTest, TruncationAtEveryLengthIsADropOrAnAnswerNeverACrash) {
  World world;
  world.install_default();
  for (const Case& c : all_cases()) {
    for (std::size_t length = 0; length < c.in.size(); ++length) {
      Bytes bytes = c.in;
      bytes.resize(length);
      world.send(bytes, c.port);
    }
  }
}

TEST(PacketCaseTest, AnswersToAClientGoToItsMac) {
  World world;
  world.install_default();
  world.send(from_client().echo(1, 1));
  ASSERT_EQ(world.last_frames().size(), 1u);
  EXPECT_EQ(wire::load_mac(world.last_frames()[0].bytes.data()), test::mac(kClientMac));
}

TEST(PacketCaseTest, BeforeTheFirstSnapshotNothingIsOurs) {
  World world;
  EXPECT_EQ(world.send(from_client().tcp(1, 80).flags(2)), "drop ipv4_not_for_us");
  EXPECT_EQ(world.send(from_client().echo(1, 1)), "drop ipv4_not_for_us");
  EXPECT_EQ(world.send(test::arp_request(test::kPeerMac, "172.16.40.77", "172.16.40.80")), "drop arp_not_for_us");
}

TEST(PacketCaseTest, WithoutAHostPortSelfIpsRefuse) {
  World world({.with_host_port = false});
  world.install_default();
  EXPECT_EQ(world.send(Frame().ip("172.16.40.10", "172.16.40.202").tcp(1, 22).flags(2)),
            "drop no_virtual_server; int: 172.16.40.202:22 > 172.16.40.10:1 tcp RA ttl 255 len 0");
}

TEST(PacketCaseTest, FragmentedPingIsAnsweredInFragments) {
  World world;
  world.install_default();
  const Bytes l3 = from_client().id(77).echo(1, 1).payload_size(4000).l3();
  const Bytes l4(l3.begin() + 20, l3.end());
  const auto piece = [&](std::size_t at, std::size_t length) {
    return from_client()
        .id(77)
        .protocol(1)
        .fragment(static_cast<unsigned>(at), at + length < l4.size())
        .payload(Bytes(l4.begin() + at, l4.begin() + at + length));
  };
  EXPECT_EQ(world.send(piece(2960, l4.size() - 2960)), "");
  EXPECT_EQ(world.send(piece(0, 1480)), "");
  EXPECT_EQ(
      world.send(piece(1480, 1480)),
      "int: 172.16.40.80 > 172.16.40.10 frag 0+1480 proto 1 ttl 255; int: 172.16.40.80 > 172.16.40.10 frag 1480+1480 "
      "proto 1 ttl 255; int: 172.16.40.80 > 172.16.40.10 frag 2960..1048 proto 1 ttl 255");
}

TEST(PacketCaseTest, EchoSettingsOfAVirtualAddress) {
  World world;
  const auto ask = [&](IcmpEcho echo, MonitorStatus status) {
    PoolSpec pool = pool_of("p", {"10.244.0.76:80"});
    pool.members[0].verdict.status = status;
    world.install({server_spec("v", "172.16.40.80:80", "p")}, {pool},
                  {{.address = address("172.16.40.80"), .icmp_echo = echo}});
    return world.send(from_client().echo(1, 1));
  };
  const std::string reply = "int: 172.16.40.80 > 172.16.40.10 icmp 0/0 ttl 255 len 0";
  EXPECT_EQ(ask(IcmpEcho::enabled, MonitorStatus::down), reply);
  EXPECT_EQ(ask(IcmpEcho::disabled, MonitorStatus::up), "drop icmp_unhandled");
  EXPECT_EQ(ask(IcmpEcho::selective, MonitorStatus::up), reply);
  EXPECT_EQ(ask(IcmpEcho::selective, MonitorStatus::down), "drop icmp_unhandled");
}

TEST(PacketCaseTest, ArpOfAVirtualAddressCanBeOff) {
  World world;
  world.install({server_spec("v", "172.16.40.80:80", "")}, {}, {{.address = address("172.16.40.80"), .arp = false}});
  EXPECT_EQ(world.send(test::arp_request(test::kPeerMac, "172.16.40.77", "172.16.40.80")), "drop arp_not_for_us");
  world.datapath().announce(world.now, address("172.16.40.80"));
  EXPECT_EQ(world.advance(2s), "");
}

TEST(PacketCaseTest, AnnouncedOnAllNetworks) {
  World world;
  world.install_default();
  world.datapath().announce(world.now, address("172.16.40.80"));
  const std::string announced = world.advance(100ms);
  EXPECT_NE(announced.find("int: arp"), std::string::npos) << announced;
  EXPECT_NE(announced.find("ext: arp"), std::string::npos) << announced;
  EXPECT_EQ(announced.find("host: arp"), std::string::npos) << announced;
}

}  // namespace
}  // namespace sluice::lb::packet_cases_test
