// A worker's BFD sessions with real packets: which session a datagram belongs to, why others are dropped, what leaves.
#include "dataplane/bfd/table.h"

#include <gmock/gmock.h>

#include "tests/dataplane/ip/world.h"

namespace sluice::bfd {
namespace {

using test::Bytes;
using test::Frame;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint32_t kOurs = 0x01000001, kRemote = 0x99999999;
const SessionKey kKey{test::ip("172.16.40.202"), test::ip("172.16.40.199"), false};

class BfdTable : public testing::Test {
 protected:
  BfdTable() {
    world.learn("172.16.40.199", *MacAddress::parse("02:00:00:00:01:99"));
    table.set_enabled(true);
    table.insert(world.now, session);
  }
  ~BfdTable() override { table.erase(session); }

  static ControlPacket packet(State state, std::uint32_t yours = kOurs) {
    ControlPacket out;
    out.state = state;
    out.my_discriminator = kRemote;
    out.your_discriminator = yours;
    out.desired_min_tx_us = out.required_min_rx_us = 100'000;
    return out;
  }
  static Frame datagram(const ControlPacket& packet, unsigned port = kSingleHopPort) {
    const auto bytes = encode(packet);
    return Frame()
        .ip("172.16.40.199", "172.16.40.202")
        .ttl(255)
        .udp(50000, port)
        .payload(Bytes(bytes.begin(), bytes.end()));
  }
  void input(const Bytes& frame, bool verify = true) {
    const wire::Layers layers = test::layers_of(frame);
    ASSERT_TRUE(table.takes(layers));
    table.input(world.now, test::to_packet(world.pool, frame), layers, verify);
  }
  void input(const Frame& frame) { input(frame.bytes()); }
  void input(State state, std::uint32_t yours = kOurs) { input(datagram(packet(state, yours))); }
  std::vector<ControlPacket> sent() {
    std::vector<ControlPacket> out;
    for (const auto& frame : world.sink.take()) {
      EXPECT_EQ(test::faults(frame.bytes), "");
      const auto layers = test::layers_of([&] {
        Bytes copy = frame.bytes;
        std::copy_n(test::kOwnMac.bytes.begin(), 6, copy.begin());
        return copy;
      }());
      EXPECT_EQ(layers.ttl, 255);
      EXPECT_EQ(layers.tos, 0xc0);
      EXPECT_EQ(layers.source, kKey.local);
      EXPECT_EQ(layers.destination, kKey.remote);
      EXPECT_EQ(layers.src_port, 50001);
      ControlPacket packet;
      const auto payload = std::span(frame.bytes).subspan(layers.payload_offset);
      EXPECT_EQ(decode({payload.data(), payload.size()}, packet), std::nullopt);
      out.push_back(packet);
    }
    return out;
  }
  void pass(Duration duration) {
    for (const Instant end = world.now + duration; world.now < end;) {
      world.now = std::min(end, std::max(world.now + 1ms, table.next_deadline()));
      table.expire(world.now);
    }
  }
  std::uint64_t dropped(DropReason reason) const { return world.dropped(reason); }

  ip::World world;
  Table table{world.now, {world.output, world.pool, world.drops}};
  Session session{kKey, 50001, {100ms, 100ms, 3}, kOurs, 5};
};

TEST_F(BfdTable, ComesUp) {
  pass(1s);
  auto packets = sent();
  ASSERT_FALSE(packets.empty());
  EXPECT_EQ(packets[0].state, State::down);
  EXPECT_EQ(packets[0].my_discriminator, kOurs);
  input(State::down, 0);
  packets = sent();
  ASSERT_EQ(packets.size(), 1u);
  EXPECT_EQ(packets[0].state, State::init);
  EXPECT_EQ(packets[0].your_discriminator, kRemote);
  input(State::up);
  EXPECT_EQ(session.facts().state, State::up);
  packets = sent();
  ASSERT_EQ(packets.size(), 1u);
  EXPECT_TRUE(packets[0].poll);
  EXPECT_EQ(table.changes(), 2u);
  EXPECT_EQ(session.facts().ups, 1u);
  EXPECT_EQ(session.facts().packets_in, 2u);
  EXPECT_EQ(world.drops.consumed(), 2u + 1u);  // and the ARP request
}

TEST_F(BfdTable, SilenceIsAFailureWithItsReason) {
  input(State::init);
  auto independent = packet(State::up);
  independent.control_plane_independent = true;
  input(datagram(independent));
  pass(295ms);
  EXPECT_EQ(session.facts().failures, 0u);
  pass(10ms);
  const SessionFacts facts = session.facts();
  EXPECT_EQ(facts.state, State::down);
  EXPECT_EQ(facts.failures, 1u);
  EXPECT_EQ(facts.failure, Diagnostic::detection_time_expired);
  EXPECT_TRUE(facts.failure_independent);
}

// RFC 5882 §3.2: the operator's doing is no failure.
TEST_F(BfdTable, AdminDownOfTheNeighborIsNoFailure) {
  input(State::init);
  input(State::admin_down);
  EXPECT_EQ(session.facts().state, State::down);
  EXPECT_EQ(session.facts().failures, 0u);
  input(State::init);
  input(State::down);
  EXPECT_EQ(session.facts().failures, 1u);
  EXPECT_EQ(session.facts().failure, Diagnostic::neighbor_signaled_down);
}

TEST_F(BfdTable, DropsHaveNames) {
  input(datagram(packet(State::down, 0)).ttl(254));
  EXPECT_EQ(dropped(DropReason::bfd_bad_ttl), 1u);
  input(datagram(packet(State::down, kOurs + 1)));
  EXPECT_EQ(dropped(DropReason::bfd_no_session), 1u);
  input(datagram(packet(State::down, 0)).ip("172.16.40.198", "172.16.40.202"));
  EXPECT_EQ(dropped(DropReason::bfd_no_session), 2u);
  input(datagram(packet(State::down)).ip("172.16.40.198", "172.16.40.202"));
  EXPECT_EQ(dropped(DropReason::bfd_wrong_address), 1u);
  input(datagram(packet(State::down), kMultihopPort));  // ours is a single hop
  EXPECT_EQ(dropped(DropReason::bfd_wrong_address), 2u);
  input(datagram(packet(State::up, 0)));
  EXPECT_EQ(dropped(DropReason::bfd_bad_state), 1u);
  input(datagram(packet(State::down)).payload("short"));
  EXPECT_EQ(dropped(DropReason::bfd_bad_length), 1u);
  input(datagram(packet(State::down, 0)).bad_l4_checksum());
  EXPECT_EQ(dropped(DropReason::udp_bad_checksum), 1u);
  table.set_admin_down(world.now, session, true);
  input(State::down);
  EXPECT_EQ(dropped(DropReason::bfd_admin_down), 1u);
  EXPECT_EQ(session.facts().packets_in, 0u);
  sent();
}

TEST_F(BfdTable, AChecksumThatIsPartialOrAbsentIsNotJudged) {
  input(datagram(packet(State::down, 0)).partial_l4_checksum().bytes(), false);
  EXPECT_EQ(session.facts().state, State::init);
  input(datagram(packet(State::up)).no_udp_checksum());
  EXPECT_EQ(session.facts().state, State::up);
  sent();
}

TEST_F(BfdTable, MultihopTakesAnyTtlOnItsOwnPort) {
  SessionKey key = kKey;
  key.multihop = true;
  Session far(key, 50002, {}, kOurs + 4096, 6);  // the same bucket as the other
  table.insert(world.now, far);
  input(datagram(packet(State::down, 0), kMultihopPort).ttl(60));
  EXPECT_EQ(far.facts().state, State::init);
  EXPECT_EQ(session.facts().state, State::down);
  const auto frames = world.sink.take();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(wire::load_be16(frames[0].bytes.data() + 36), kMultihopPort);
  table.erase(far);
  input(datagram(packet(State::down, kOurs + 4096), kMultihopPort).ttl(60));
  EXPECT_EQ(dropped(DropReason::bfd_no_session), 1u);
}

TEST_F(BfdTable, AdminDownIsSentAndErasedSessionsAreSilent) {
  input(State::init);
  sent();
  table.set_admin_down(world.now, session, true);
  const auto packets = sent();
  ASSERT_EQ(packets.size(), 1u);
  EXPECT_EQ(packets[0].state, State::admin_down);
  EXPECT_EQ(session.facts().failures, 0u);
  table.erase(session);
  pass(5s);
  EXPECT_THAT(world.sink.take(), IsEmpty());
  EXPECT_EQ(table.next_deadline(), kInstantMax);
}

TEST_F(BfdTable, NothingIsTakenWhileDisabledOrForOtherPorts) {
  const auto layers = test::layers_of(datagram(packet(State::down)).bytes());
  table.set_enabled(false);
  EXPECT_FALSE(table.takes(layers));
  table.set_enabled(true);
  EXPECT_FALSE(table.takes(test::layers_of(datagram(packet(State::down), 3785).bytes())));
  EXPECT_FALSE(table.takes(test::layers_of(Frame().ip("172.16.40.199", "172.16.40.202").tcp(50000, 3784).bytes())));
}

TEST_F(BfdTable, ManySessionsFindTheirOwn) {
  std::vector<std::unique_ptr<Session>> sessions;
  for (std::uint32_t i = 0; i < 5000; ++i) {
    const SessionKey key{kKey.local, Ipv4Address{0x0a010000u + i}, true};
    sessions.push_back(std::make_unique<Session>(key, 50000, Settings{}, 0x40000000u + i * 7919, i));
    table.insert(world.now, *sessions.back());
  }
  for (std::uint32_t i = 0; i < 5000; i += 37) {
    input(datagram(packet(State::down, i % 2 == 0 ? 0 : 0x40000000u + i * 7919), kMultihopPort)
              .ip(Ipv4Address{0x0a010000u + i}, kKey.local));
    EXPECT_EQ(sessions[i]->facts().state, State::init) << i;
  }
  world.sink.take();
  for (const auto& each : sessions) table.erase(*each);
  EXPECT_EQ(table.next_deadline() == kInstantMax, false);  // the first one's
}

TEST(BfdOwner, EveryNeighborHasOneWorkerAndTheyShareThem) {
  for (const unsigned workers : {1u, 2u, 3u, 16u}) {
    std::vector<unsigned> count(workers);
    for (std::uint32_t i = 0; i < 1000 * workers; ++i) ++count.at(owner_of(Ipv4Address{0x0a000000u + i}, workers));
    for (const unsigned n : count) EXPECT_NEAR(n, 1000, 200);
  }
}

}  // namespace
}  // namespace sluice::bfd
