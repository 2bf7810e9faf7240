// IpOutput: every way a packet can go or end, remembered hops, MTU, checksums for each kind of port.
#include "dataplane/ip/output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/dataplane/ip/world.h"

namespace sluice::ip {
namespace {

using test::ip;
using test::kPeerMac;
using test::prefix;
using ::testing::ElementsAre;

class OutputTest : public test::EalTest {
 protected:
  OutputTest() {
    world_.learn("172.16.40.9", kPeerMac);
    world_.learn("172.16.40.199", test::mac("02:00:00:00:01:99"));
  }
  static Frame datagram() { return Frame().ip("172.16.40.202", "172.16.40.9").udp(1000, 2000).payload("abc"); }
  World world_;
};

TEST_F(OutputTest, ConnectedAndViaAGateway) {
  ASSERT_TRUE(world_.fib->apply({prefix("10.244.0.0/24"), {NextHop::via(0, ip("172.16.40.199"))}}));
  world_.send(datagram().bytes());
  world_.send(datagram().ip("172.16.40.202", "10.244.0.76").bytes());
  const auto frames = world_.sink.take();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].bytes, datagram().eth(test::kOwnMac, kPeerMac).bytes());
  EXPECT_EQ(frames[1].port, 0);
  EXPECT_EQ(wire::load_mac(frames[1].bytes.data()), test::mac("02:00:00:00:01:99"));
  EXPECT_EQ(test::describe(frames[1].bytes), "172.16.40.202:1000 > 10.244.0.76:2000 udp ttl 64 len 3");
}

TEST_F(OutputTest, EndsThatHaveAReason) {
  ASSERT_TRUE(world_.fib->apply({prefix("9.0.0.0/8"), {NextHop::blackhole()}}));
  ASSERT_TRUE(world_.fib->apply({prefix("172.16.40.80/32"), {NextHop::local()}}));
  ASSERT_TRUE(world_.fib->apply({prefix("7.0.0.0/8"), {NextHop::connected(9)}}));
  const auto send_to = [&](const char* destination) {
    world_.send(Frame().ip("172.16.40.202", destination).udp(1, 2).bytes());
  };
  send_to("8.8.8.8");
  EXPECT_EQ(world_.dropped(DropReason::no_route), 1u);
  send_to("9.8.8.8");
  EXPECT_EQ(world_.dropped(DropReason::route_blackhole), 1u);
  send_to("172.16.40.80");
  EXPECT_EQ(world_.dropped(DropReason::looped_to_self), 1u);
  send_to("7.8.8.8");
  EXPECT_EQ(world_.dropped(DropReason::port_down), 1u);
  send_to("172.16.40.255");  // nobody is asked for a broadcast address
  EXPECT_EQ(world_.dropped(DropReason::no_route), 2u);
  EXPECT_TRUE(world_.sink.take().empty());
  EXPECT_EQ(world_.pool->in_use(), 0u);
}

TEST_F(OutputTest, ARememberedHopHoldsUntilSomethingChanges) {
  CachedHop cache;
  const Hop first = world_.output.route(world_.now, ip("172.16.40.9"), 1, cache);
  ASSERT_EQ(first.status, HopStatus::usable);
  EXPECT_EQ(cache.epoch, world_.epoch.value());
  EXPECT_EQ(first.mtu, 1500);
  // Remembered: asked for another destination it still gives the same, so it was not looked up.
  EXPECT_EQ(world_.output.route(world_.now, ip("8.8.8.8"), 1, cache).neighbor, first.neighbor);
  ASSERT_TRUE(world_.fib->apply({prefix("172.16.40.9/32"), {NextHop::via(0, ip("172.16.40.199"))}}));
  const Hop second = world_.output.route(world_.now, ip("172.16.40.9"), 1, cache);
  EXPECT_NE(second.neighbor, first.neighbor);
  EXPECT_EQ(cache.neighbor, second.neighbor);
  // Refreshing a neighbor with the same MAC voids nothing.
  const auto epoch = world_.epoch.value();
  world_.learn("172.16.40.199", test::mac("02:00:00:00:01:99"));
  EXPECT_EQ(world_.epoch.value(), epoch);
}

// pass() decides nothing, so there must be no way for it wherever transmit() would have something to do.
TEST_F(OutputTest, PassesOnlyWhereNothingIsToBeDecided) {
  CachedHop way;
  const auto passes = [&](std::uint16_t length) { return world_.output.way_at_once(way, length) != nullptr; };
  EXPECT_FALSE(passes(100));
  ASSERT_EQ(world_.output.route(world_.now, ip("172.16.40.9"), 1, way).status, HopStatus::usable);
  EXPECT_TRUE(passes(1500));
  EXPECT_FALSE(passes(1501));
  world_.now += 1ms;
  world_.output.pass(world_.now, test::to_packet(world_.pool, datagram().bytes()),
                     *world_.output.way_at_once(way, 100));
  EXPECT_EQ(world_.sink.take().at(0).bytes, datagram().eth(test::kOwnMac, kPeerMac).bytes());

  world_.pass(31s);  // it was in use: asked again, and good meanwhile
  ASSERT_EQ(world_.state_of("172.16.40.9").substr(0, 5), "probe");
  EXPECT_TRUE(passes(1500));
  world_.learn("172.16.40.9", kPeerMac);
  world_.pass(31s);  // out of use: the next packet is to ask
  ASSERT_EQ(world_.state_of("172.16.40.9").substr(0, 5), "stale");
  EXPECT_FALSE(passes(20));
  const Hop hop = world_.output.route(world_.now, ip("172.16.40.9"), 1, way);
  world_.output.transmit(world_.now, test::to_packet(world_.pool, datagram().bytes()), hop, {});
  EXPECT_EQ(world_.state_of("172.16.40.9").substr(0, 5), "probe");
  EXPECT_TRUE(passes(1500));
  ASSERT_TRUE(world_.neighbors.erase(0, ip("172.16.40.9")));
  EXPECT_FALSE(passes(20));
}

TEST_F(OutputTest, UnresolvedHopsAreNotRemembered) {
  CachedHop cache;
  EXPECT_EQ(world_.output.route(world_.now, ip("172.16.40.66"), 1, cache).status, HopStatus::unresolved);
  EXPECT_EQ(cache.epoch, 0u);
}

TEST_F(OutputTest, VlanTagsAreTakenOffAndMissingHeadersPutOn) {
  world_.send(datagram().vlan(0).bytes(), {.l3_offset = 18});
  EXPECT_EQ(world_.sink.take().at(0).bytes, datagram().eth(test::kOwnMac, kPeerMac).bytes());
  world_.send(datagram().l3(), {.l3_offset = 0});
  EXPECT_EQ(world_.sink.take().at(0).bytes, datagram().eth(test::kOwnMac, kPeerMac).bytes());
}

TEST_F(OutputTest, PartialChecksumsAreCompletedHereOrByThePort) {
  const Bytes right = datagram().eth(test::kOwnMac, kPeerMac).bytes();
  world_.send(datagram().partial_l4_checksum().bytes(), {.l4 = L4Checksum::recompute});
  auto frames = world_.sink.take();
  EXPECT_EQ(frames.at(0).bytes, right);
  EXPECT_EQ(frames.at(0).offloads, 0u);
  world_.send(datagram().bad_ip_checksum().bytes(), {.ipv4_checksum = true});
  EXPECT_EQ(world_.sink.take().at(0).bytes, right);
  world_.ports[0].tx_l4_checksum = true;
  world_.send(datagram().bytes(), {.l4 = L4Checksum::recompute});
  frames = world_.sink.take();
  EXPECT_NE(frames.at(0).offloads & RTE_MBUF_F_TX_UDP_CKSUM, 0u);
  EXPECT_EQ(frames.at(0).bytes, datagram().eth(test::kOwnMac, kPeerMac).partial_l4_checksum().bytes());
  // What needs nothing asks for nothing.
  world_.send(datagram().bytes());
  frames = world_.sink.take();
  EXPECT_EQ(frames.at(0).offloads, 0u);
  EXPECT_EQ(frames.at(0).bytes, right);
}

TEST_F(OutputTest, FragmentsKeepTheirL4Bytes) {
  const Frame fragment = Frame().ip("172.16.40.202", "172.16.40.9").protocol(17).fragment(0, true).payload_size(64);
  world_.send(fragment.bytes(), {.l4 = L4Checksum::recompute});
  EXPECT_EQ(world_.sink.take().at(0).bytes, Frame(fragment).eth(test::kOwnMac, kPeerMac).bytes());
}

TEST_F(OutputTest, TooLargeIsCutOrDroppedAsItsDfBitSays) {
  const Frame large = datagram().payload_size(4000);
  world_.ports[0].tx_l4_checksum = world_.ports[0].tx_ipv4_checksum = true;  // cannot help with pieces
  world_.send(Frame(large).partial_l4_checksum().bytes(), {.l4 = L4Checksum::recompute});
  const auto frames = world_.sink.take();
  ASSERT_EQ(frames.size(), 3u);
  packet::Drops drops;
  Reassembly reassembly(world_.now, {}, {}, drops);
  Bytes done;
  for (const auto& frame : frames) {
    EXPECT_EQ(frame.offloads, 0u);
    wire::Layers layers;
    ASSERT_FALSE(wire::parse(frame.bytes, static_cast<std::uint32_t>(frame.bytes.size()), {kPeerMac, true}, layers));
    const auto packet = reassembly.input(world_.now, test::to_packet(world_.pool, frame.bytes), layers);
    if (!packet) continue;
    done = test::to_bytes(packet);
    packet::discard(packet);
  }
  EXPECT_EQ(done, Frame(large).eth(test::kOwnMac, kPeerMac).bytes());
  EXPECT_EQ(world_.drops.consumed(), 3u);  // two ARP packets and the one that was cut

  world_.send(Frame(large).dont_fragment().bytes());
  EXPECT_EQ(world_.dropped(DropReason::fragmentation_needed), 1u);
  EXPECT_TRUE(world_.sink.take().empty());
  world_.send(datagram().payload_size(1472).dont_fragment().bytes());
  EXPECT_EQ(world_.sink.take().size(), 1u);
}

TEST_F(OutputTest, PiecesWaitForArpToo) {
  world_.send(Frame().ip("172.16.40.202", "172.16.40.66").udp(1, 2).payload_size(2000).bytes());
  EXPECT_EQ(world_.sink.take().size(), 1u);
  EXPECT_EQ(world_.neighbors.queued(), 2u);
  world_.arp(0, test::arp_reply(kPeerMac, "172.16.40.66", test::kOwnMac, "172.16.40.202"));
  EXPECT_THAT(world_.sink.take_described(), ElementsAre("172.16.40.202 > 172.16.40.66 frag 0+1480 proto 17 ttl 64",
                                                        "172.16.40.202 > 172.16.40.66 frag 1480..528 proto 17 ttl 64"));
}

TEST_F(OutputTest, StraightToTheHostPort) {
  world_.output.transmit_to(test::to_packet(world_.pool, datagram().partial_l4_checksum().bytes()), 2, kPeerMac,
                            {.l4 = L4Checksum::recompute});
  const auto frames = world_.sink.take();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].port, 2);
  EXPECT_EQ(frames[0].bytes, datagram().eth(kHostMac, kPeerMac).bytes());
}

TEST_F(OutputTest, TosAndTtlAreNotTouched) {
  world_.send(datagram().tos(0xbb).ttl(1).bytes());
  const Bytes bytes = world_.sink.take().at(0).bytes;
  EXPECT_EQ(bytes[15], 0xbb);
  EXPECT_EQ(bytes[22], 1);
}

}  // namespace
}  // namespace sluice::ip
