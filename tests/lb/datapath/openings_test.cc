// Bursts: what comes together is opened together, and each packet fares as if it had come alone.
#include <algorithm>
#include <set>

#include "tests/support/lb_world.h"

namespace sluice::lb::openings_test {
namespace {

using test::Frame;

constexpr unsigned kSyn = wire::kTcpSyn, kRst = wire::kTcpRst, kAck = wire::kTcpAck;

class OpeningsTest : public SharedWorld {
 protected:
  static std::string burst(World& world, const std::vector<Frame>& frames) {
    packet::Batch batch;
    for (const Frame& frame : frames) batch.push(test::to_packet(world.pool(), frame.bytes(), {}, kNetworkPort));
    world.feed(batch, kNetworkPort);
    EXPECT_EQ(batch.count, 0u);
    return world.outcome();
  }
  std::string burst(const std::vector<Frame>& frames) { return burst(world, frames); }
  static Frame syn(unsigned client_port, const std::string& client = "172.16.40.10") {
    return Frame().ip(client, "172.16.40.80").tcp(client_port, 80).flags(kSyn).seq(1000);
  }
  static Frame query(unsigned client_port, const char* text, const std::string& client = "172.16.40.10") {
    return Frame().ip(client, "172.16.40.80").udp(client_port, 53).payload(text);
  }
  std::uint64_t created() const { return world.datapath().counters().flows_created.get(); }
};

TEST_F(OpeningsTest, PacketsOfOneNewFlowKeepTheirOrderAndMakeOneFlow) {
  const auto before = created();
  EXPECT_EQ(burst({query(2000, "1"), query(2001, "other"), query(2000, "22"), query(2000, "333")}),
            "int: 172.16.40.202:2000 > 10.244.0.53:53 udp ttl 63 len 1; "
            "int: 172.16.40.202:2001 > 10.244.0.53:53 udp ttl 63 len 5; "
            "int: 172.16.40.202:2000 > 10.244.0.53:53 udp ttl 63 len 2; "
            "int: 172.16.40.202:2000 > 10.244.0.53:53 udp ttl 63 len 3");
  EXPECT_EQ(created() - before, 2u);
  EXPECT_EQ(world.server_runtime(1).connections.current(), 2u);
}

TEST_F(OpeningsTest, ASynThatComesTwiceOpensOnce) {
  const auto before = created();
  EXPECT_EQ(burst({syn(40000), syn(40000)}),
            "int: 172.16.40.202:40000 > 10.244.0.76:80 tcp S ttl 63 len 0; "
            "int: 172.16.40.202:40000 > 10.244.0.76:80 tcp S ttl 63 len 0");
  EXPECT_EQ(created() - before, 1u);
  EXPECT_EQ(world.server_runtime(0).connections.current(), 1u);
}

TEST_F(OpeningsTest, ASynAndTheResetBehindIt) {
  EXPECT_EQ(burst({syn(40000), syn(40000).flags(kRst).seq(1001)}),
            "int: 172.16.40.202:40000 > 10.244.0.76:80 tcp S ttl 63 len 0; "
            "int: 172.16.40.202:40000 > 10.244.0.76:80 tcp R ttl 63 len 0");
  EXPECT_EQ(world.server_runtime(0).connections.current(), 0u);
  EXPECT_EQ(world.datapath().flow_count(), 0u);
}

TEST_F(OpeningsTest, ClientsWithOneSourcePortGetPortsOfTheirOwn) {
  std::vector<Frame> frames;
  for (int i = 1; i <= 60; ++i) frames.push_back(query(2000, "x", "10.99.0." + std::to_string(i)));
  burst(frames);
  std::set<unsigned> ports;
  for (const auto& sent : world.last_frames()) ports.insert(wire::load_be16(sent.bytes.data() + 34));
  EXPECT_EQ(ports.size(), 60u);
  EXPECT_EQ(world.datapath().flow_count(), 60u);
}

TEST_F(OpeningsTest, LimitsHoldWithinABurst) {
  VirtualServerSpec limited = server_spec("web", "172.16.40.80:80", "web");
  limited.connection_limit = 2;
  world.install({limited}, {pool_of("web", {"10.244.0.76:80"})});
  EXPECT_EQ(burst({syn(40000), syn(40001), syn(40002)}),
            "drop connection_limit; "
            "int: 172.16.40.80:80 > 172.16.40.10:40002 tcp RA ttl 255 len 0; "
            "int: 172.16.40.202:40000 > 10.244.0.76:80 tcp S ttl 63 len 0; "
            "int: 172.16.40.202:40001 > 10.244.0.76:80 tcp S ttl 63 len 0");
  EXPECT_EQ(world.server_runtime(0).connections.current(), 2u);
  EXPECT_EQ(world.server_runtime(0).connections.max(), 2u);
}

TEST_F(OpeningsTest, LeastConnectionsSpreadsABurst) {
  world.install(
      {server_spec("web", "172.16.40.80:80", "web")},
      {pool_of("web", {"10.244.0.76:80", "10.244.0.77:80", "10.244.1.37:80"}, Balance::least_connections_member)});
  std::vector<Frame> frames;
  for (unsigned i = 0; i < packet::kBatchMax; ++i) frames.push_back(syn(40000 + i));
  burst(frames);
  std::vector<std::uint32_t> open;
  for (std::size_t i = 0; i < 3; ++i) open.push_back(world.member_runtime(0, i).connections.current());
  std::ranges::sort(open);
  EXPECT_EQ(open, (std::vector<std::uint32_t>{21, 21, 22}));
}

// More than the table holds: half-open ones make room for one another, and whoever had to go holds nothing any more.
TEST(OpeningsLimitsTest, ASmallTableHoldsWhatItCan) {
  World world({.flows_max = 4});
  world.install_default();
  packet::Batch batch;
  for (unsigned i = 0; i < 10; ++i) {
    const auto syn = world.client("172.16.40.80", 80, 40000 + i).flags(kSyn).seq(1000);
    batch.push(test::to_packet(world.pool(), syn.bytes(), {}, kNetworkPort));
  }
  world.feed(batch, kNetworkPort);
  world.outcome();
  EXPECT_EQ(world.last_frames().size(), 10u);
  EXPECT_EQ(world.datapath().flow_count(), 4u);
  EXPECT_EQ(world.datapath().counters().flows_evicted.get(), 6u);
  EXPECT_EQ(world.server_runtime(0).connections.current(), 4u);
  EXPECT_EQ(world.server_runtime(0).connections.total(), 10u);
}

// One port for all of them: those who get none are refused, and hold nothing.
TEST(OpeningsLimitsTest, WhoGetsNoPortHoldsNothing) {
  World world({.snat_port_first = 5000, .snat_port_last = 5000});
  world.install({server_spec("dns", "172.16.40.80:53", "dns", Mode::udp)}, {pool_of("dns", {"10.244.0.53:53"})});
  packet::Batch batch;
  for (unsigned i = 0; i < 3; ++i) {
    const auto query = Frame().ip("172.16.40.10", "172.16.40.80").udp(2000 + i, 53).payload("x");
    batch.push(test::to_packet(world.pool(), query.bytes(), {}, kNetworkPort));
  }
  world.feed(batch, kNetworkPort);
  world.outcome();
  EXPECT_EQ(world.drops(DropReason::snat_port_exhausted), 2u);
  EXPECT_EQ(world.server_runtime(0).connections.current(), 1u);
  EXPECT_EQ(world.member_runtime(0, 0).connections.current(), 1u);
  EXPECT_EQ(world.datapath().flow_count(), 1u);
}

// Without SNAT two virtual servers may want the same addresses towards one member.
TEST_F(OpeningsTest, WithoutSnatTheSecondClaimToAnAddressIsRefused) {
  VirtualServerSpec first = server_spec("first", "172.16.40.80:80", "web");
  VirtualServerSpec second = server_spec("second", "172.16.99.99:80", "web");
  first.snat = second.snat = SnatKind::none;
  world.install({first, second}, {pool_of("web", {"10.244.0.76:80"})});
  const auto other = Frame().ip("172.16.40.10", "172.16.99.99").tcp(40000, 80).flags(kSyn).seq(1000);
  EXPECT_EQ(burst({syn(40000), other}),
            "drop snat_port_exhausted; "
            "int: 172.16.40.10:40000 > 10.244.0.76:80 tcp S ttl 63 len 0; "
            "int: 172.16.99.99:80 > 172.16.40.10:40000 tcp RA ttl 255 len 0");
  EXPECT_EQ(world.server_runtime(1).connections.current(), 0u);
  EXPECT_EQ(world.member_runtime(0, 0).connections.current(), 1u);
}

// Established, in one burst: data both ways, a FIN, and the data that is late behind it.
TEST_F(OpeningsTest, PlainAndOtherSegmentsOfAFlowInOneBurst) {
  world.establish(40000);
  const auto data = [&](unsigned sequence, const char* text) {
    return world.client().flags(kAck).seq(sequence, 5001).payload(text);
  };
  const auto fin = world.client().flags(kAck | wire::kTcpFin).seq(1006, 5001);
  const std::string sent = burst({data(1001, "hello"), fin, data(1001, "again")});
  EXPECT_EQ(std::ranges::count(sent, ';'), 2) << sent;
  EXPECT_EQ(sent.find("drop"), std::string::npos) << sent;
  ASSERT_EQ(world.flows().size(), 1u);
  EXPECT_EQ(world.flows()[0].state, FlowState::closing);
}

}  // namespace
}  // namespace sluice::lb::openings_test
