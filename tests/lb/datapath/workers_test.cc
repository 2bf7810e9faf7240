// Two workers: each gives away its own half of the source ports, and replies find the worker that owns their flow.
#include "lb/l4/client_owner.h"
#include "lb/l4/snat_ports.h"
#include "tests/support/lb_world.h"

namespace sluice::lb::workers_test {
namespace {

using test::Frame;

constexpr unsigned kSyn = wire::kTcpSyn, kAck = wire::kTcpAck;

unsigned source_port(const World& world) { return wire::load_be16(world.last_frames().at(0).bytes.data() + 34); }

TEST(WorkersTest, PortsAreSplitAndRepliesHandedOver) {
  World first({.worker = 0, .workers = 2}), second({.worker = 1, .workers = 2});
  first.install_default();
  second.install_default();
  const auto syn = first.client("172.16.40.80", 80, 50000).flags(kSyn).seq(1000);
  first.send(syn);
  const unsigned first_port = source_port(first);
  EXPECT_LT(first_port, 1024u + 30208);  // 50,000 is the other's: not preserved
  second.send(syn);
  const unsigned second_port = source_port(second);
  EXPECT_EQ(second_port, 50000u);

  // The reply to the first one's flow arrives at the second: it goes over as it came, and is forwarded there.
  const auto reply =
      Frame().ip("10.244.0.76", "172.16.40.202").ttl(63).tcp(80, first_port).flags(kSyn | kAck).seq(5000, 1001);
  second.feed(test::to_packet(second.pool(), reply.bytes()), kNetworkPort);
  ASSERT_EQ(second.handover().batch.count, 1u);
  EXPECT_EQ(second.handover().workers, std::vector<unsigned>{0});
  EXPECT_EQ(second.datapath().counters().handed_over.get(), 1u);
  EXPECT_EQ(test::to_bytes(second.handover().batch.packets[0]), reply.bytes());
  EXPECT_EQ(first.handed_over(reply.bytes()), "int: 172.16.40.80:80 > 172.16.40.10:50000 tcp SA ttl 62 len 0");
}

// An ICMP error arrives wherever its sender's address leads it. It goes round until the flow's owner translates it: the
// member's side (about a SNAT port) and the client's side (about the virtual server's) alike.
TEST(WorkersTest, IcmpErrorsFindTheWorkerThatOwnsTheFlow) {
  World owner({.worker = 0, .workers = 3}), other({.worker = 2, .workers = 3});
  owner.install_default();
  other.install_default();
  owner.send(Frame().ip("172.16.40.10", "172.16.40.80").udp(2000, 53).payload("hi"));
  const Frame sent = Frame().ip("172.16.40.202", "10.244.0.53").ttl(63).udp(2000, 53).payload("hi");
  const Frame answer = Frame().ip("172.16.40.80", "172.16.40.10").ttl(62).udp(53, 2000).payload("ok");
  const auto from_member = Frame().ip("10.244.0.53", "172.16.40.202").icmp(3, 3).payload(sent.l3()).bytes();
  const auto from_client = Frame().ip("172.16.40.10", "172.16.40.80").icmp(3, 3).payload(answer.l3()).bytes();
  for (const auto& [error, told] :
       {std::pair{from_member, "int: 172.16.40.80 > 172.16.40.10 icmp 3/3 ttl 63 len 30"},
        std::pair{from_client, "int: 172.16.40.202 > 10.244.0.53 icmp 3/3 ttl 63 len 30"}}) {
    other.feed(test::to_packet(other.pool(), error), kNetworkPort);
    ASSERT_EQ(other.handover().batch.count, 1u);
    EXPECT_EQ(other.handover().workers.back(), 0u);  // the next after the last is the first
    const packet::Packet passed = other.handover().batch.packets[--other.handover().batch.count];
    EXPECT_EQ(test::to_bytes(passed), error);
    EXPECT_EQ(owner.handed_over(error, worker::workers_passed(passed)), told);
    other.end(passed);
  }
  EXPECT_EQ(owner.datapath().counters().icmp_errors_translated.get(), 2u);
}

TEST(WorkersTest, AnIcmpErrorOfNobodysGoesRoundOnce) {
  World last({.worker = 1, .workers = 3}), middle({.worker = 0, .workers = 3});
  last.install_default();
  middle.install_default();
  const Frame sent = Frame().ip("172.16.40.80", "172.16.40.10").ttl(62).udp(53, 2000).payload("ok");
  const auto error = Frame().ip("172.16.40.10", "172.16.40.80").icmp(3, 3).payload(sent.l3()).bytes();
  middle.handed_over(error, 1);  // the second to look passes it on
  ASSERT_EQ(middle.handover().batch.count, 1u);
  EXPECT_EQ(worker::workers_passed(middle.handover().batch.packets[0]), 2u);
  middle.end(middle.handover().batch.packets[0]);
  EXPECT_EQ(last.handed_over(error, 2), "drop icmp_no_flow");
  EXPECT_EQ(last.handover().batch.count, 0u);
}

// Each costs every worker a look: so many a second, and no more.
TEST(WorkersTest, StrangersCannotKeepAllWorkersBusyWithIcmpErrors) {
  World world({.worker = 0, .workers = 2});
  world.install_default();
  const Frame sent = Frame().ip("172.16.40.80", "172.16.40.10").ttl(62).udp(53, 2000).payload("ok");
  const auto error = Frame().ip("172.16.40.10", "172.16.40.80").icmp(3, 3).payload(sent.l3()).bytes();
  for (int i = 0; i < 500; ++i) {
    world.feed(test::to_packet(world.pool(), error), kNetworkPort);
    while (world.handover().batch.count > 0) {
      world.end(world.handover().batch.packets[--world.handover().batch.count]);
    }
  }
  EXPECT_EQ(world.datapath().counters().handed_over.get(), 100u);
  EXPECT_EQ(world.drops(DropReason::icmp_no_flow), 400u);
}

TEST(WorkersTest, APacketIsHandedOverOnceAtMost) {
  World world({.worker = 0, .workers = 2});
  world.install_default();
  const auto stray = Frame().ip("10.244.0.76", "172.16.40.202").tcp(80, 50000).flags(kAck).bytes();
  EXPECT_EQ(world.handed_over(stray), "host: 10.244.0.76:80 > 172.16.40.202:50000 tcp A ttl 64 len 0");
  EXPECT_EQ(world.handover().batch.count, 0u);
}

TEST(WorkersTest, WhatIsNoSnatPortStays) {
  World world({.worker = 0, .workers = 2});
  world.install_default();
  EXPECT_EQ(world.send(Frame().ip("172.16.40.199", "172.16.40.202").tcp(50000, 179).flags(kSyn)),
            "host: 172.16.40.199:50000 > 172.16.40.202:179 tcp S ttl 64 len 0");
  EXPECT_EQ(world.send(Frame().ip("10.244.0.76", "172.16.40.202").tcp(80, 61440).flags(kAck)),
            "host: 10.244.0.76:80 > 172.16.40.202:61440 tcp A ttl 64 len 0");
  EXPECT_EQ(world.handover().batch.count, 0u);
}

// A packet of the default client in two fragments.
std::array<test::Bytes, 2> in_fragments(const Frame& frame, std::uint8_t protocol) {
  const test::Bytes whole = frame.l3();
  const test::Bytes l4(whole.begin() + wire::kIpv4Length, whole.end());
  const auto part = [&](std::size_t at, std::size_t end) {
    return Frame()
        .ip("172.16.40.10", "172.16.40.80")
        .id(7)
        .protocol(protocol)
        .fragment(static_cast<unsigned>(at), end < l4.size())
        .payload(
            test::Bytes(l4.begin() + static_cast<std::ptrdiff_t>(at), l4.begin() + static_cast<std::ptrdiff_t>(end)))
        .bytes();
  };
  return {part(0, 504), part(504, l4.size())};
}

// Two workers with one virtual server of each protocol that leaves the client's address.
struct WithoutSnat : testing::Test {
  WithoutSnat() {
    for (World* world : {&first, &second}) install(*world, SnatKind::none);
  }
  static void install(World& world, SnatKind snat) {
    VirtualServerSpec web = server_spec("web", "172.16.40.80:80", "web");
    VirtualServerSpec dns = server_spec("dns", "172.16.40.80:53", "dns", Mode::udp);
    web.snat = dns.snat = snat;
    world.install({web, dns}, {pool_of("web", {"10.244.0.76:80"}), pool_of("dns", {"10.244.0.53:53"})});
  }
  // A source port of the default client's whose flows this worker owns.
  static std::uint16_t port_of(unsigned worker, std::uint16_t from = 40000) {
    while (owner_of_client(address("172.16.40.10"), from, 2) != worker) ++from;
    return from;
  }
  // What comes of a frame that arrives at the other worker than its flow's.
  std::string by_way_of_first(const Frame& frame) {
    first.feed(test::to_packet(first.pool(), frame.bytes()), kNetworkPort);
    const auto here = first.outcome();
    if (first.handover().batch.count != 1) return "not handed over: " + here;
    EXPECT_EQ(first.handover().workers.back(), 1u);
    const packet::Packet passed = first.handover().batch.packets[--first.handover().batch.count];
    const auto bytes = test::to_bytes(passed);
    first.end(passed);
    first.outcome();
    return second.handed_over(bytes);
  }
  Frame reply(std::uint16_t port) const { return Frame().ip("10.244.0.76", "172.16.40.10").ttl(63).tcp(80, port); }
  World first{{.worker = 0, .workers = 2}}, second{{.worker = 1, .workers = 2}};
};

TEST_F(WithoutSnat, BothSidesMeetAtTheClientsOwner) {
  const std::uint16_t port = port_of(1);
  const std::string name = std::to_string(port);
  const std::string in = "int: 172.16.40.10:" + name + " > 10.244.0.76:80 tcp ";
  const std::string out = "int: 172.16.40.80:80 > 172.16.40.10:" + name + " tcp ";
  const auto client = [&](unsigned flags, unsigned sequence, unsigned acknowledgment = 0) {
    return first.client("172.16.40.80", 80, port).flags(flags).seq(sequence, acknowledgment);
  };
  EXPECT_EQ(by_way_of_first(client(kSyn, 1000)), in + "S ttl 63 len 0");
  EXPECT_EQ(by_way_of_first(reply(port).flags(kSyn | kAck).seq(5000, 1001)), out + "SA ttl 62 len 0");
  EXPECT_EQ(by_way_of_first(client(kAck, 1001, 5001)), in + "A ttl 63 len 0");
  EXPECT_EQ(by_way_of_first(reply(port).flags(kAck).seq(5001, 1001).payload("data")), out + "A ttl 62 len 4");
  // Where it lives nothing is handed over.
  EXPECT_EQ(second.send(client(kAck, 1001, 5005)), in + "A ttl 63 len 0");
  EXPECT_EQ(second.handover().batch.count, 0u);
  EXPECT_EQ(first.datapath().flow_count(), 0u);
  EXPECT_EQ(second.datapath().flow_count(), 1u);
  EXPECT_EQ(first.datapath().counters().handed_over.get(), 4u);
}

// Fragments arrive where two addresses lead them, whole datagrams where addresses and ports do: they meet all the same.
TEST_F(WithoutSnat, FragmentedAndWholeDatagramsAreOneFlow) {
  const std::uint16_t port = port_of(1);
  const auto datagram = Frame().ip("172.16.40.10", "172.16.40.80").udp(port, 53);
  const std::string sent = "int: 172.16.40.10:" + std::to_string(port) + " > 10.244.0.53:53 udp ttl 63 len ";
  EXPECT_EQ(second.send(Frame(datagram).payload_size(100)), sent + "100");
  for (const auto& part : in_fragments(Frame(datagram).payload_size(1000), wire::kProtocolUdp)) {
    first.feed(test::to_packet(first.pool(), part), kNetworkPort);
  }
  ASSERT_EQ(first.handover().batch.count, 1u);
  const packet::Packet passed = first.handover().batch.packets[--first.handover().batch.count];
  const auto bytes = test::to_bytes(passed);
  first.end(passed);
  EXPECT_EQ(second.handed_over(bytes), sent + "1000");
  EXPECT_EQ(second.datapath().flow_count(), 1u);
}

TEST_F(WithoutSnat, StrangersAreHandedOverOnceAndDropped) {
  const auto stranger = [](std::uint16_t port) { return Frame().ip("10.244.0.76", "172.16.40.10").tcp(81, port); };
  EXPECT_EQ(by_way_of_first(stranger(port_of(1)).flags(kAck)), "drop ipv4_not_for_us");
  EXPECT_EQ(second.handover().batch.count, 0u);
  EXPECT_EQ(first.send(stranger(port_of(0)).flags(kAck)), "drop ipv4_not_for_us");
  EXPECT_EQ(first.handover().batch.count, 0u);
}

// A connection does not notice that the configuration has SNAT now; a new one has it.
TEST_F(WithoutSnat, FlowsGoOnWhenSnatIsSwitchedOn) {
  const std::uint16_t port = port_of(1);
  by_way_of_first(first.client("172.16.40.80", 80, port).flags(kSyn).seq(1000));
  by_way_of_first(reply(port).flags(kSyn | kAck).seq(5000, 1001));
  for (World* world : {&first, &second}) install(*world, SnatKind::automap);
  EXPECT_EQ(by_way_of_first(first.client("172.16.40.80", 80, port).flags(kAck).seq(1001, 5001)),
            "int: 172.16.40.10:" + std::to_string(port) + " > 10.244.0.76:80 tcp A ttl 63 len 0");
  EXPECT_EQ(by_way_of_first(reply(port).flags(kAck).seq(5001, 1001).payload("data")),
            "int: 172.16.40.80:80 > 172.16.40.10:" + std::to_string(port) + " tcp A ttl 62 len 4");
}

// With SNAT: a port sends fragments to workers by less than what it sends whole packets by. The reassembled packet goes
// round until the flow's owner has it.
TEST(WorkersTest, FragmentsFindTheFlowOfWholePackets) {
  World first({.worker = 0, .workers = 2}), second({.worker = 1, .workers = 2});
  first.install_default();
  second.install_default();
  const auto by_way_of_first = [&](const Frame& frame, std::uint8_t protocol) -> std::string {
    for (const auto& part : in_fragments(frame, protocol)) {
      first.feed(test::to_packet(first.pool(), part), kNetworkPort);
    }
    if (first.handover().batch.count != 1) return "not handed over: " + first.outcome();
    const packet::Packet passed = first.handover().batch.packets[--first.handover().batch.count];
    const auto bytes = test::to_bytes(passed);
    const auto looked = worker::workers_passed(passed);
    first.end(passed);
    first.outcome();
    return second.handed_over(bytes, looked);
  };
  const Frame query = Frame().ip("172.16.40.10", "172.16.40.80").udp(50000, 53);
  EXPECT_EQ(second.send(Frame(query).payload_size(100)),
            "int: 172.16.40.202:50000 > 10.244.0.53:53 udp ttl 63 len 100");
  EXPECT_EQ(by_way_of_first(Frame(query).payload_size(1000), wire::kProtocolUdp),
            "int: 172.16.40.202:50000 > 10.244.0.53:53 udp ttl 63 len 1000");
  second.establish(50001);
  EXPECT_EQ(by_way_of_first(second.client("172.16.40.80", 80, 50001).flags(kAck).seq(1001, 5001).payload_size(1000),
                            wire::kProtocolTcp),
            "int: 172.16.40.202:50001 > 10.244.1.37:80 tcp A ttl 63 len 1000");
  EXPECT_EQ(second.datapath().flow_count(), 2u);
  EXPECT_EQ(second.datapath().counters().fragments_without_flow.get(), 0u);

  // Nobody's: the last to look opens it, and it counts.
  EXPECT_EQ(
      by_way_of_first(Frame().ip("172.16.40.10", "172.16.40.80").udp(50002, 53).payload_size(1000), wire::kProtocolUdp),
      "int: 172.16.40.202:50002 > 10.244.0.53:53 udp ttl 63 len 1000");
  EXPECT_EQ(second.datapath().counters().fragments_without_flow.get(), 1u);
  EXPECT_EQ(first.datapath().flow_count(), 0u);
}

TEST(WorkersTest, WithSnatOpeningPacketsStayWhereTheyArrive) {
  World world({.worker = 0, .workers = 2});
  world.install_default();
  for (unsigned port = 40000; port < 40064; ++port) world.send(world.client("172.16.40.80", 80, port).flags(kSyn));
  EXPECT_EQ(world.handover().batch.count, 0u);
  EXPECT_EQ(world.datapath().flow_count(), 64u);
}

TEST(SnatPortsTest, EveryPortHasExactlyOneOwner) {
  for (const unsigned workers : {1u, 2u, 3u, 7u, 16u}) {
    std::vector<SnatPorts> all;
    for (unsigned w = 0; w < workers; ++w) all.emplace_back(1024, 61439, w, workers);
    for (unsigned port = 0; port < 65536; ++port) {
      unsigned owners = 0;
      for (const SnatPorts& ports : all) owners += ports.is_own(port);
      const auto owner = all[0].owner(static_cast<std::uint16_t>(port));
      ASSERT_EQ(owners, owner ? 1u : 0u) << port;
      if (owner) {
        ASSERT_TRUE(all[*owner].is_own(port));
      }
    }
    EXPECT_FALSE(all[0].owner(1023));
    EXPECT_FALSE(all[0].owner(61440));
  }
}

}  // namespace
}  // namespace sluice::lb::workers_test
