// Tests of TCP tracking where packets alone do not reach: sequence numbers that wrap, scaled windows, idle timeouts.
#include "lb/l4/tcp_state.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

namespace sluice::lb {
namespace {

constexpr std::uint8_t kSyn = wire::kTcpSyn, kAck = wire::kTcpAck, kFin = wire::kTcpFin, kRst = wire::kTcpRst;
constexpr Direction kClient = Direction::from_client, kServer = Direction::from_server;
constexpr std::uint8_t kScale7[] = {1, 3, 3, 7};

TcpSegment segment(std::uint8_t flags, std::uint32_t seq, std::uint32_t ack = 0, std::uint32_t payload = 0,
                   std::uint16_t window = 1000) {
  return {seq, ack, payload, window, flags, {}};
}

struct TcpStateTest : testing::Test {
  L4Flow flow;
  // Both numbers are the first behind the SYN.
  void open(std::uint32_t client, std::uint32_t server, bool client_scales = false, bool server_scales = false) {
    flow = {};
    TcpSegment syn = segment(kSyn, client - 1);
    if (client_scales) syn.options = kScale7;
    open_tcp(flow, syn);
    TcpSegment syn_ack = segment(kSyn | kAck, server - 1, client);
    if (server_scales) syn_ack.options = kScale7;
    EXPECT_EQ(track_tcp(flow, kServer, syn_ack), TcpVerdict::pass);
    EXPECT_EQ(flow.state, FlowState::syn_received);
    EXPECT_EQ(track_tcp(flow, kClient, segment(kAck, client, server)), TcpVerdict::pass);
    EXPECT_EQ(flow.state, FlowState::established);
  }
};

TEST_F(TcpStateTest, SequenceNumbersMayWrapAnywhere) {
  for (const std::uint32_t client : {0u, 1u, 0xffffffffu, 0xfffffff0u, 0x7fffffffu, 0x80000000u}) {
    for (const std::uint32_t server : {0u, 0xffffffffu, 0x80000001u}) {
      open(client, server);
      track_tcp(flow, kClient, segment(kAck, client, server, 100));
      track_tcp(flow, kServer, segment(kAck, server, client + 100, 50));
      EXPECT_EQ(track_tcp(flow, kServer, segment(kRst, server + 200'000)), TcpVerdict::invalid);
      EXPECT_EQ(track_tcp(flow, kServer, segment(kRst, server + 51)), TcpVerdict::pass);
      EXPECT_EQ(track_tcp(flow, kServer, segment(kRst, server + 50)), TcpVerdict::ends);
      EXPECT_EQ(track_tcp(flow, kClient, segment(kRst, client + 100)), TcpVerdict::ends);
      EXPECT_EQ(track_tcp(flow, kClient, segment(kRst, client + 99)), TcpVerdict::invalid);
    }
  }
}

TEST_F(TcpStateTest, WindowsAreScaledOnlyWhenBothOffer) {
  // The client offers 1,000: 128,000 when scaled by 7, which the server's reset may lie in.
  open(1, 1, true, true);
  track_tcp(flow, kClient, segment(kAck, 1, 1));
  EXPECT_EQ(track_tcp(flow, kServer, segment(kRst, 100'000)), TcpVerdict::pass);
  EXPECT_EQ(track_tcp(flow, kServer, segment(kRst, 130'000)), TcpVerdict::invalid);
  for (const bool client_scales : {false, true}) {
    open(1, 1, client_scales, !client_scales);
    EXPECT_EQ(track_tcp(flow, kServer, segment(kRst, 100'000)), TcpVerdict::invalid);
  }
}

TEST_F(TcpStateTest, ADataFloodFromNowhereMovesNothing) {
  open(1000, 5000);
  const TcpSide before = flow.sides[0];
  EXPECT_EQ(track_tcp(flow, kClient, segment(kAck, 0x80000000, 5000, 1000)), TcpVerdict::pass);
  EXPECT_EQ(track_tcp(flow, kClient, segment(kAck | kFin, 0x80000000, 5000)), TcpVerdict::pass);
  EXPECT_EQ(flow.sides[0].end, before.end);
  EXPECT_EQ(flow.state, FlowState::established);
}

TEST_F(TcpStateTest, AcknowledgmentsOfWhatWasNeverSentDoNotCount) {
  open(1000, 5000);
  track_tcp(flow, kClient, segment(kAck, 1000, 5000 + 40'000));
  EXPECT_EQ(flow.sides[0].ack, 5000u);
}

TEST_F(TcpStateTest, SimultaneousCloseEndsInTimeWait) {
  open(1000, 5000);
  track_tcp(flow, kClient, segment(kFin | kAck, 1000, 5000));
  track_tcp(flow, kServer, segment(kFin | kAck, 5000, 1000));
  EXPECT_EQ(flow.state, FlowState::closing);
  track_tcp(flow, kClient, segment(kAck, 1001, 5001));
  EXPECT_EQ(flow.state, FlowState::closing);
  track_tcp(flow, kServer, segment(kAck, 5001, 1001));
  EXPECT_EQ(flow.state, FlowState::time_wait);
}

// A port used again while the member still has the old connection in TIME_WAIT: without the client's RST it would
// challenge every SYN for a minute.
TEST_F(TcpStateTest, TheAnswerToAChallengeReachesTheMember) {
  flow = {};
  open_tcp(flow, segment(kSyn, 1000));
  EXPECT_EQ(track_tcp(flow, kClient, segment(kRst, 0)), TcpVerdict::invalid) << "nobody challenged";
  EXPECT_EQ(track_tcp(flow, kServer, segment(kAck, 70'000, 90'000)), TcpVerdict::pass);
  EXPECT_EQ(track_tcp(flow, kClient, segment(kRst, 90'001)), TcpVerdict::invalid);
  EXPECT_EQ(track_tcp(flow, kClient, segment(kRst, 90'000)), TcpVerdict::pass);
  EXPECT_EQ(flow.state, FlowState::syn_sent);
  EXPECT_EQ(track_tcp(flow, kClient, segment(kSyn, 1000)), TcpVerdict::pass);
  EXPECT_EQ(track_tcp(flow, kServer, segment(kSyn | kAck, 5000, 1001)), TcpVerdict::pass);
  EXPECT_EQ(track_tcp(flow, kClient, segment(kAck, 1001, 5001)), TcpVerdict::pass);
  EXPECT_EQ(flow.state, FlowState::established);
}

// The short way of plain segments leaves the flow as the long one does, whatever the segment says.
TEST_F(TcpStateTest, PlainSegmentsAreTrackedAlikeBothWays) {
  std::mt19937 random(3);
  const auto near = [&](std::uint32_t n) {
    constexpr std::uint32_t kReach = 300'000;
    return random() % 8 == 0 ? static_cast<std::uint32_t>(random())
                             : n - kReach + static_cast<std::uint32_t>(random()) % (2 * kReach);
  };
  open(0xffff0000, 0x7fff0000, true, true);
  L4Flow by_short = flow;
  std::uint32_t changes = 0;
  for (int i = 0; i < 20'000; ++i) {
    const Direction d = random() % 2 == 0 ? kClient : kServer;
    const auto payload = static_cast<std::uint32_t>(random() % 3 * 700);
    std::uint8_t tcp[wire::kTcpLength];
    wire::emit_tcp(tcp, {.src_port = 1,
                         .dst_port = 2,
                         .sequence = near(flow.sides[index_of(d)].end),
                         .acknowledgment = near(flow.sides[index_of(opposite(d))].end),
                         .flags = kAck,
                         .window = static_cast<std::uint16_t>(random())});
    ASSERT_TRUE(is_plain(by_short, kAck));
    const L4Flow before = by_short;
    track_plain(by_short, d, tcp, payload);
    const TcpSegment whole =
        segment(kAck, wire::load_be32(tcp + wire::kTcpSequence), wire::load_be32(tcp + wire::kTcpAcknowledgment),
                payload, wire::load_be16(tcp + wire::kTcpWindow));
    ASSERT_EQ(track_tcp(flow, d, whole), TcpVerdict::pass);
    ASSERT_EQ(std::memcmp(by_short.sides, flow.sides, sizeof flow.sides), 0) << i;
    ASSERT_EQ(flow.state, FlowState::established);
    changes += std::memcmp(before.sides, flow.sides, sizeof flow.sides) != 0;
  }
  EXPECT_GT(changes, 100u);
  EXPECT_FALSE(is_plain(flow, kAck | kFin));
  EXPECT_FALSE(is_plain(flow, kRst));
  EXPECT_FALSE(is_plain(flow, kSyn));
}

TEST_F(TcpStateTest, EveryStateHasItsTimeout) {
  VirtualServerRuntime server(1, "vs", 1);
  server.idle.established = 11s;
  server.idle.half_open = 12s;
  server.idle.closing = 13s;
  server.idle.time_wait = 14s;
  server.idle.udp = 15s;
  flow.virtual_server = &server;
  const std::pair<FlowState, Duration> expected[] = {{FlowState::syn_sent, 12s},    {FlowState::syn_received, 12s},
                                                     {FlowState::established, 11s}, {FlowState::closing, 13s},
                                                     {FlowState::time_wait, 14s},   {FlowState::one_way, 15s},
                                                     {FlowState::two_way, 15s}};
  for (const auto& [state, timeout] : expected) {
    flow.state = state;
    EXPECT_EQ(idle_timeout(flow), timeout) << name_of(state);
  }
}

}  // namespace
}  // namespace sluice::lb
