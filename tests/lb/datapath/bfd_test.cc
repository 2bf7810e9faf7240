// BFD in the packet path: which datagrams are BFD's, which are the kernel's, and whose worker has the session.
#include "dataplane/bfd/table.h"

#include "tests/support/lb_world.h"

namespace sluice::lb::bfd_test {
namespace {

using test::Bytes;
using test::Frame;

const bfd::SessionKey kKey{test::ip("172.16.40.202"), test::ip("172.16.40.199"), false};

Frame datagram(bfd::State state, std::uint32_t yours, const std::string& from = "172.16.40.199") {
  bfd::ControlPacket packet;
  packet.state = state;
  packet.my_discriminator = 7;
  packet.your_discriminator = yours;
  packet.desired_min_tx_us = packet.required_min_rx_us = 100'000;
  const auto bytes = bfd::encode(packet);
  return Frame().ip(from, "172.16.40.202").ttl(255).udp(49152, 3784).payload(Bytes(bytes.begin(), bytes.end()));
}

TEST(DatapathBfd, WithoutSessionsTheKernelHasIt) {
  World world;
  world.install_default();
  EXPECT_EQ(world.send(datagram(bfd::State::down, 0)).substr(0, 5), "host:");
}

TEST(DatapathBfd, ASessionAnswersThroughTheRouteAndNeighbor) {
  World world;
  world.install_default();
  bfd::Session session(kKey, 50000, {100ms, 100ms, 3}, 0x1234, 1);
  world.datapath().bfd_table().set_enabled(true);
  world.datapath().bfd_table().insert(world.now, session);
  EXPECT_EQ(world.send(datagram(bfd::State::down, 0)),
            "int: 172.16.40.202:50000 > 172.16.40.199:3784 udp ttl 255 len 24");
  world.send(datagram(bfd::State::up, 0x1234));
  EXPECT_EQ(session.facts().state, bfd::State::up);
  // Its timers run in the worker's turns: it sends, and notices silence, with nobody else awake.
  EXPECT_NE(world.advance(250ms).find("172.16.40.202:50000 > 172.16.40.199:3784"), std::string::npos);
  world.advance(200ms);
  EXPECT_EQ(session.facts().failures, 1u);
  EXPECT_EQ(world.send(datagram(bfd::State::down, 0, "172.16.40.10")), "drop bfd_no_session");
  world.datapath().bfd_table().erase(session);
}

TEST(DatapathBfd, TheTimersWakeTheWorker) {
  World world;
  world.install_default();
  bfd::Session session(kKey, 50000, {10ms, 10ms, 3}, 0x1234, 1);
  world.datapath().bfd_table().insert(world.now, session);
  EXPECT_LE(world.datapath().next_timer(), world.now + 1s);
  world.datapath().bfd_table().erase(session);
}

TEST(DatapathBfd, AnotherWorkersSessionIsHandedOverOnce) {
  const unsigned owner = bfd::owner_of(kKey.remote, 2);
  World other({.worker = 1 - owner, .workers = 2});
  other.install_default();
  other.datapath().bfd_table().set_enabled(true);
  const Bytes frame = datagram(bfd::State::down, 0).bytes();
  other.feed(test::to_packet(other.pool(), frame), kNetworkPort);
  ASSERT_EQ(other.handover().workers, std::vector<unsigned>{owner});
  EXPECT_EQ(test::to_bytes(other.handover().batch.packets[0]), frame);

  World owns({.worker = owner, .workers = 2});
  owns.install_default();
  bfd::Session session(kKey, 50000, {100ms, 100ms, 3}, 0x1234, 1);
  owns.datapath().bfd_table().set_enabled(true);
  owns.datapath().bfd_table().insert(owns.now, session);
  owns.handed_over(frame);
  EXPECT_EQ(session.facts().state, bfd::State::init);
  owns.datapath().bfd_table().erase(session);
}

}  // namespace
}  // namespace sluice::lb::bfd_test
