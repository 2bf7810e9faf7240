// Conversations through virtual servers, packet by packet, by name: TCP state, UDP, ICMP errors, fragments, rewrites.
#include <functional>

#include <gtest/gtest-spi.h>

#include "tests/support/lb_world.h"

namespace sluice::lb::flow_cases_test {
namespace {

using test::Bytes;
using test::Frame;

constexpr unsigned kSyn = wire::kTcpSyn, kAck = wire::kTcpAck, kFin = wire::kTcpFin, kRst = wire::kTcpRst;

struct Step {
  Bytes in;
  std::string want;
  packet::PortId port = kNetworkPort;
};
struct Case {
  std::string name;
  std::vector<Step> steps;
  std::size_t flows_left;
};
std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

// The client's and the member's segments, and what they look like on the other side.
Frame c(unsigned flags, std::uint32_t seq, std::uint32_t ack = 0) {
  return Frame().ip("172.16.40.10", "172.16.40.80").tcp(40000, 80).flags(flags).seq(seq, ack);
}
Frame m(unsigned flags, std::uint32_t seq, std::uint32_t ack = 0) {
  return Frame().ip("10.244.0.76", "172.16.40.202").ttl(63).tcp(80, 40000).flags(flags).seq(seq, ack);
}
std::string to_member(const std::string& rest, unsigned ttl = 63, unsigned length = 0) {
  return "int: 172.16.40.202:40000 > 10.244.0.76:80 tcp " + rest + " ttl " + std::to_string(ttl) + " len " +
         std::to_string(length);
}
std::string to_client(const std::string& rest, unsigned ttl = 62, unsigned length = 0) {
  return "int: 172.16.40.80:80 > 172.16.40.10:40000 tcp " + rest + " ttl " + std::to_string(ttl) + " len " +
         std::to_string(length);
}
Step client(unsigned flags, std::uint32_t seq, std::uint32_t ack, const std::string& shown) {
  return {c(flags, seq, ack).bytes(), to_member(shown)};
}
Step member(unsigned flags, std::uint32_t seq, std::uint32_t ack, const std::string& shown) {
  return {m(flags, seq, ack).bytes(), to_client(shown)};
}
const std::string kInvalid = "drop tcp_invalid_state";
// "web" is round-robin: a second connection goes to the other member.
const std::string kSecondSyn = "int: 172.16.40.202:40000 > 10.244.1.37:80 tcp S ttl 63 len 0";

std::vector<Step> handshake() {
  return {client(kSyn, 1000, 0, "S"), member(kSyn | kAck, 5000, 1001, "SA"), client(kAck, 1001, 5001, "A")};
}
std::vector<Step> then(std::vector<Step> first, std::vector<Step> more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}
std::vector<Step> closed_by_both() {
  return then(handshake(), {client(kFin | kAck, 1001, 5001, "FA"), member(kAck, 5001, 1002, "A"),
                            member(kFin | kAck, 5001, 1002, "FA"), client(kAck, 1002, 5002, "A")});
}

std::vector<Case> tcp_cases() {
  return {
      {"handshake_and_data",
       then(handshake(), {{c(kAck, 1001, 5001).payload("GET").bytes(), to_member("A", 63, 3)},
                          {m(kAck, 5001, 1004).payload("200 OK").bytes(), to_client("A", 62, 6)}}),
       1},
      {"data_with_urgent_and_options",
       then(handshake(), {{c(kAck, 1001, 5001).tcp_options({1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}).payload("x").bytes(),
                           to_member("A", 63, 1)}}),
       1},
      {"ip_options_are_kept", {{c(kSyn, 1000).ip_options({148, 4, 0, 0}).bytes(), to_member("S")}}, 1},
      {"syn_again_is_passed_on", {client(kSyn, 1000, 0, "S"), client(kSyn, 1000, 0, "S")}, 1},
      {"new_syn_from_the_same_port_before_an_answer_begins_anew",
       {client(kSyn, 1000, 0, "S"), {c(kSyn, 2000).bytes(), kSecondSyn}},
       1},
      {"ack_before_the_member_answered", {client(kSyn, 1000, 0, "S"), {c(kAck, 1001, 5001).bytes(), kInvalid}}, 1},
      {"syn_ack_from_a_client", {client(kSyn, 1000, 0, "S"), {c(kSyn | kAck, 1000, 1).bytes(), kInvalid}}, 1},
      {"syn_ack_that_acknowledges_another_syn",
       {client(kSyn, 1000, 0, "S"), {m(kSyn | kAck, 5000, 77).bytes(), kInvalid}},
       1},
      {"syn_from_a_member", {client(kSyn, 1000, 0, "S"), {m(kSyn, 5000).bytes(), kInvalid}}, 1},
      {"member_challenges_the_syn", {client(kSyn, 1000, 0, "S"), member(kAck, 999, 888, "A")}, 1},
      {"member_refuses", {client(kSyn, 1000, 0, "S"), member(kRst | kAck, 0, 1001, "RA")}, 0},
      {"blind_reset_in_answer_to_a_syn",
       {client(kSyn, 1000, 0, "S"), {m(kRst | kAck, 0, 4711).bytes(), kInvalid}, {m(kRst, 0).bytes(), kInvalid}},
       1},
      {"client_gives_up_before_an_answer", {client(kSyn, 1000, 0, "S"), client(kRst, 1001, 0, "R")}, 0},
      {"syn_ack_again_is_passed_on",
       {client(kSyn, 1000, 0, "S"), member(kSyn | kAck, 5000, 1001, "SA"), member(kSyn | kAck, 5000, 1001, "SA")},
       1},
      {"another_syn_ack_is_not",
       {client(kSyn, 1000, 0, "S"),
        member(kSyn | kAck, 5000, 1001, "SA"),
        {m(kSyn | kAck, 9000, 1001).bytes(), kInvalid}},
       1},
      {"handshake_ack_with_a_wrong_number",
       {client(kSyn, 1000, 0, "S"), member(kSyn | kAck, 5000, 1001, "SA"), {c(kAck, 1001, 4242).bytes(), kInvalid}},
       1},
      {"client_resets_half_open",
       {client(kSyn, 1000, 0, "S"), member(kSyn | kAck, 5000, 1001, "SA"), client(kRst, 1001, 0, "R")},
       0},
      {"syn_on_an_open_connection_is_left_to_the_member", then(handshake(), {client(kSyn, 7777, 0, "S")}), 1},
      {"close_by_both", closed_by_both(), 1},
      {"close_by_the_member_first",
       then(handshake(), {member(kFin | kAck, 5001, 1001, "FA"), client(kAck, 1001, 5002, "A"),
                          client(kFin | kAck, 1001, 5002, "FA"), member(kAck, 5002, 1002, "A")}),
       1},
      {"new_connection_from_the_same_port_after_a_close", then(closed_by_both(), {{c(kSyn, 9000).bytes(), kSecondSyn}}),
       1},
      {"fin_again_after_a_close", then(closed_by_both(), {member(kFin | kAck, 5001, 1002, "FA")}), 1},
      {"data_after_a_half_close",
       then(handshake(), {client(kFin | kAck, 1001, 5001, "FA"),
                          {m(kAck, 5001, 1002).payload("rest").bytes(), to_client("A", 62, 4)}}),
       1},
      {"reset_by_the_client", then(handshake(), {client(kRst, 1001, 0, "R")}), 0},
      {"reset_by_the_member", then(handshake(), {member(kRst | kAck, 5001, 1001, "RA")}), 0},
      {"segments_after_a_reset_are_reset",
       then(handshake(),
            {member(kRst, 5001, 0, "R"), {c(kAck, 1001, 5001).bytes(), "drop tcp_no_flow; " + to_client("R", 255)}}),
       0},
      {"blind_reset_beyond_the_window", then(handshake(), {{m(kRst, 5001 + 1'000'000).bytes(), kInvalid}}), 1},
      {"blind_reset_behind", then(handshake(), {{c(kRst, 900).bytes(), kInvalid}}), 1},
      {"reset_inside_the_window_is_left_to_the_end", then(handshake(), {member(kRst, 5101, 0, "R")}), 1},
      {"reset_with_data_in_flight",
       then(handshake(),
            {{m(kAck, 5001, 1001).payload_size(100).bytes(), to_client("A", 62, 100)}, member(kRst, 5101, 0, "R")}),
       0},
      {"fin_outside_the_window_changes_nothing",
       then(handshake(), {client(kFin | kAck, 900'000'000, 5001, "FA"), {c(kRst, 900'000'001).bytes(), kInvalid}}), 1},
      {"keepalive_probe", then(handshake(), {client(kAck, 1000, 5001, "A")}), 1},
      {"ttl_runs_out",
       then(handshake(), {{c(kAck, 1001, 5001).ttl(1).bytes(),
                           "drop ttl_exceeded; int: 172.16.40.80 > 172.16.40.10 icmp 11/0 ttl 255 len 40"}}),
       1},
      {"ttl_runs_out_from_the_member",
       then(handshake(), {{m(kAck, 5001, 1001).ttl(1).bytes(),
                           "drop ttl_exceeded; int: 172.16.40.202 > 10.244.0.76 icmp 11/0 ttl 255 len 40"}}),
       1},
      {"dscp_and_ecn_are_kept", {{c(kSyn, 1000).tos(0xbb).bytes(), to_member("S")}}, 1},
      {"ethernet_padding_is_not_forwarded", {{c(kSyn, 1000).pad_to(60).bytes(), to_member("S")}}, 1},
      {"vlan_of_a_port_that_has_none", {{c(kSyn, 1000).vlan(7).bytes(), "drop vlan_unknown"}}, 0},
  };
}

Frame q(unsigned length = 4) { return Frame().ip("172.16.40.10", "172.16.40.80").udp(40000, 53).payload_size(length); }
Frame a(unsigned length = 4) {
  return Frame().ip("10.244.0.53", "172.16.40.202").ttl(63).udp(53, 40000).payload_size(length);
}
std::string udp_out(unsigned length = 4) {
  return "int: 172.16.40.202:40000 > 10.244.0.53:53 udp ttl 63 len " + std::to_string(length);
}
std::string udp_back(unsigned length = 4) {
  return "int: 172.16.40.80:53 > 172.16.40.10:40000 udp ttl 62 len " + std::to_string(length);
}
// An ICMP error about a packet as we sent it.
Bytes error(const char* from, const char* to, unsigned type, unsigned code, const Frame& quoted,
            std::size_t length = 28, std::uint32_t rest = 0) {
  Bytes l3 = quoted.l3();
  l3.resize(std::min(length, l3.size()));
  return Frame().ip(from, to).icmp(type, code, rest).payload(l3).bytes();
}
const Frame kSentQuery = Frame().ip("172.16.40.202", "10.244.0.53").ttl(63).udp(40000, 53).payload_size(4);
const Frame kSentAnswer = Frame().ip("172.16.40.80", "172.16.40.10").ttl(62).udp(53, 40000).payload_size(4);
Frame sent_segment(std::uint32_t seq) {
  return Frame().ip("172.16.40.202", "10.244.0.76").ttl(63).tcp(40000, 80).flags(kAck).seq(seq, 5001);
}

std::vector<Case> udp_cases() {
  return {
      {"udp_both_ways", {{q().bytes(), udp_out()}, {a().bytes(), udp_back()}}, 1},
      {"udp_empty", {{q(0).bytes(), udp_out(0)}}, 1},
      {"udp_odd_length", {{q(7).bytes(), udp_out(7)}, {a(9).bytes(), udp_back(9)}}, 1},
      {"udp_without_checksum_stays_without", {{q().no_udp_checksum().bytes(), udp_out()}}, 1},
      {"udp_answer_from_a_stranger_is_the_kernels",
       {{q().bytes(), udp_out()},
        {Frame().ip("10.244.0.99", "172.16.40.202").udp(53, 40000).payload("x").bytes(),
         "host: 10.244.0.99:53 > 172.16.40.202:40000 udp ttl 64 len 1"}},
       1},
      {"port_unreachable_from_the_member",
       {{q().bytes(), udp_out()},
        {error("10.244.0.53", "172.16.40.202", 3, 3, kSentQuery),
         "int: 172.16.40.80 > 172.16.40.10 icmp 3/3 ttl 63 len 28"}},
       1},
      {"host_unreachable_from_a_router_keeps_its_name",
       {{q().bytes(), udp_out()},
        {error("172.16.40.199", "172.16.40.202", 3, 1, kSentQuery),
         "int: 172.16.40.199 > 172.16.40.10 icmp 3/1 ttl 63 len 28"}},
       1},
      {"port_unreachable_from_the_client",
       {{q().bytes(), udp_out()},
        {a().bytes(), udp_back()},
        {error("172.16.40.10", "172.16.40.80", 3, 3, kSentAnswer),
         "int: 172.16.40.202 > 10.244.0.53 icmp 3/3 ttl 63 len 28"}},
       1},
      {"error_with_a_wrong_checksum",
       {{q().bytes(), udp_out()},
        {Frame().ip("10.244.0.53", "172.16.40.202").icmp(3, 3).bad_l4_checksum().payload(kSentQuery.l3()).bytes(),
         "drop icmp_malformed"}},
       1},
      {"error_with_ttl_1",
       {{q().bytes(), udp_out()},
        {Frame().ip("10.244.0.53", "172.16.40.202").ttl(1).icmp(3, 3).payload(kSentQuery.l3()).bytes(),
         "drop ttl_exceeded"}},
       1},
      {"fragmentation_needed_for_tcp",
       then(handshake(), {{error("172.16.40.199", "172.16.40.202", 3, 4, sent_segment(1001), 28, 1400),
                           "int: 172.16.40.199 > 172.16.40.10 icmp 3/4 ttl 63 len 28"}}),
       1},
      {"blind_error_for_tcp_is_not_believed",
       then(handshake(), {{error("172.16.40.199", "172.16.40.202", 3, 4, sent_segment(77'777'777), 28, 68),
                           "host: 172.16.40.199 > 172.16.40.202 icmp 3/4 ttl 64 len 28"}}),
       1},
      {"time_exceeded_with_the_whole_segment_quoted",
       then(handshake(), {{error("172.16.40.199", "172.16.40.202", 11, 0, sent_segment(1001), 40),
                           "int: 172.16.40.199 > 172.16.40.10 icmp 11/0 ttl 63 len 40"}}),
       1},
  };
}

std::vector<Case> all_cases() {
  std::vector<Case> all;
  for (auto make : {tcp_cases, udp_cases}) {
    for (Case& one : make()) {
      if (!one.steps.empty()) all.push_back(std::move(one));
    }
  }
  return all;
}

class FlowCase : public SharedWorld, public testing::WithParamInterface<Case> {};

TEST_P(FlowCase, StepByStep) {
  for (std::size_t i = 0; i < GetParam().steps.size(); ++i) {
    const Step& step = GetParam().steps[i];
    EXPECT_EQ(world.send(step.in, step.port), step.want) << "step " << i + 1;
  }
  EXPECT_EQ(world.flows().size(), GetParam().flows_left);
  EXPECT_EQ(world.datapath().flow_count(), GetParam().flows_left);
}

INSTANTIATE_TEST_SUITE_P(All, FlowCase, testing::ValuesIn(all_cases()),
                         [](const auto& param) { return param.param.name; });

TEST(RewriteTest, WhatIsNotTranslatedIsUntouched) {
  World world;
  world.install_default();
  world.establish();
  const Frame in = c(kAck | wire::kTcpPsh | wire::kTcpUrg, 1001, 5001)
                       .tos(0xbb)
                       .id(4242)
                       .dont_fragment()
                       .window(1234)
                       .tcp_options({1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2})
                       .payload("payload");
  world.send(in);
  ASSERT_EQ(world.last_frames().size(), 1u);
  const Bytes want = Frame()
                         .ip("172.16.40.202", "10.244.0.76")
                         .ttl(63)
                         .tos(0xbb)
                         .id(4242)
                         .dont_fragment()
                         .tcp(40000, 80)
                         .flags(kAck | wire::kTcpPsh | wire::kTcpUrg)
                         .seq(1001, 5001)
                         .window(1234)
                         .tcp_options({1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2})
                         .payload("payload")
                         .l3();
  const Bytes& got = world.last_frames()[0].bytes;
  EXPECT_EQ(Bytes(got.begin() + 14, got.end()), want);
}

TEST(RewriteTest, AWrongChecksumStaysWrong) {
  World world;
  world.install_default();
  world.establish();
  const Bytes in = c(kAck, 1001, 5001).payload("data").bad_l4_checksum().bytes();
  packet::Packet packet = test::to_packet(world.pool(), in);
  world.feed(packet, kNetworkPort);
  // outcome() would complain of the fault; look at the parts instead.
  testing::TestPartResultArray failures;
  {
    testing::ScopedFakeTestPartResultReporter reporter(&failures);
    world.outcome();
  }
  EXPECT_NE(world.last_frame_faults(), "");
}

TEST(RewriteTest, PartialChecksumsAreCompleted) {
  World world({.partial_checksums = true});
  world.install_default();
  EXPECT_EQ(world.send(c(kSyn, 1000).partial_l4_checksum()), to_member("S"));
  EXPECT_EQ(world.send(m(kSyn | kAck, 5000, 1001).partial_l4_checksum()), to_client("SA"));
  EXPECT_EQ(world.send(q().partial_l4_checksum()), udp_out());
  EXPECT_EQ(world.send(q().no_udp_checksum()), udp_out());
  EXPECT_EQ(world.send(Frame().ip("172.16.40.199", "172.16.40.202").tcp(4000, 179).flags(kSyn).partial_l4_checksum()),
            "host: 172.16.40.199:4000 > 172.16.40.202:179 tcp S ttl 64 len 0");
}

TEST(RewriteTest, ChainedPacketsAreRewrittenToo) {
  World world;
  world.install_default();
  world.establish();
  const Bytes in = c(kAck, 1001, 5001).payload_size(900).bytes();
  for (const auto& segments : {std::initializer_list<std::size_t>{14, 20, 20}, {1, 1, 1, 1}, {100, 100}}) {
    world.feed(test::to_packet(world.pool(), in, segments), kNetworkPort);
    EXPECT_EQ(world.outcome(), to_member("A", 63, 900));
  }
}

TEST(RewriteTest, QuotedPacketsAreRestored) {
  World world;
  world.install_default();
  world.send(q());
  world.send(error("10.244.0.53", "172.16.40.202", 3, 3, kSentQuery));
  ASSERT_EQ(world.last_frames().size(), 1u);
  const std::string payload = test::payload_of(world.last_frames()[0].bytes);
  Bytes want = q().ttl(63).l3();
  want.resize(28);
  EXPECT_EQ(Bytes(payload.begin(), payload.end()), want);
}

TEST(MtuTest, TooLargeWithDfIsReportedAndWithoutIsCut) {
  World world;
  world.install({server_spec("v", "172.16.40.80:53", "p", Mode::udp)}, {pool_of("p", {"192.168.7.20:53"})});
  EXPECT_EQ(world.send(q(1400).dont_fragment()),
            "drop fragmentation_needed; int: 172.16.40.80 > 172.16.40.10 icmp 3/4 ttl 255 len 548");
  EXPECT_EQ(world.send(q(1400)),
            "ext: 192.168.7.1 > 192.168.7.20 frag 0+1376 proto 17 ttl 63; ext: 192.168.7.1 > 192.168.7.20 frag "
            "1376..32 proto "
            "17 ttl 63");
}

TEST(FragmentTest, ADatagramInFragmentsIsForwardedAndCutAgain) {
  World world;
  world.install_default();
  const Bytes l3 = q(3000).id(9).l3();
  const Bytes l4(l3.begin() + 20, l3.end());
  const auto piece = [&](std::size_t at, std::size_t length) {
    return Frame()
        .ip("172.16.40.10", "172.16.40.80")
        .id(9)
        .protocol(17)
        .fragment(static_cast<unsigned>(at), at + length < l4.size())
        .payload(Bytes(l4.begin() + static_cast<long>(at), l4.begin() + static_cast<long>(at + length)));
  };
  EXPECT_EQ(world.send(piece(1480, 1480)), "");
  EXPECT_EQ(world.send(piece(0, 1480)), "");
  EXPECT_EQ(
      world.send(piece(2960, l4.size() - 2960)),
      "int: 172.16.40.202 > 10.244.0.53 frag 0+1480 proto 17 ttl 63; int: 172.16.40.202 > 10.244.0.53 frag 1480+1480 "
      "proto 17 ttl 63; int: 172.16.40.202 > 10.244.0.53 frag 2960..48 proto 17 ttl 63");
}

TEST(FragmentTest, WhatNeverCompletesTimesOutWithAnError) {
  World world;
  world.install_default();
  EXPECT_EQ(
      world.send(Frame().ip("172.16.40.10", "172.16.40.80").id(9).protocol(17).fragment(0, true).payload_size(64)), "");
  EXPECT_EQ(world.packets_in_use(), 1u);
  EXPECT_EQ(world.advance(20s), "drop fragment_timeout; int: 172.16.40.80 > 172.16.40.10 icmp 11/1 ttl 255 len 84");
  EXPECT_EQ(world.packets_in_use(), 0u);
}

}  // namespace
}  // namespace sluice::lb::flow_cases_test
