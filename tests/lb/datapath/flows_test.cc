// Flows over time: ageing by state, eviction, listing, deletion, counters, and that nothing leaks.
#include "tests/support/lb_world.h"

namespace sluice::lb::flows_test {
namespace {

using test::Frame;

constexpr unsigned kSyn = wire::kTcpSyn, kAck = wire::kTcpAck, kFin = wire::kTcpFin;

struct FlowsTest : SharedWorld {
  Frame segment(unsigned flags, std::uint32_t seq, std::uint32_t ack = 0) {
    return world.client().flags(flags).seq(seq, ack);
  }
  // How long the only flow lives without packets, to half a second.
  Duration life() {
    const Instant start = world.now;
    while (world.datapath().flow_count() > 0 && world.now - start < 1000s) world.advance(500ms);
    return world.now - start;
  }
};

TEST_F(FlowsTest, HalfOpenConnectionsGoAfterTenSeconds) {
  world.send(segment(kSyn, 1000));
  EXPECT_NEAR(to_seconds(life()), 10.5, 0.6);
  EXPECT_EQ(world.member_runtime(0, 0).connections.current(), 0u);
  EXPECT_GE(world.datapath().counters().flows_expired.get(), 1u);
}

TEST_F(FlowsTest, EstablishedConnectionsGoAfterFiveMinutesOfSilence) {
  world.establish();
  world.advance(200s);
  world.send(segment(kAck, 1001, 5001));
  EXPECT_NEAR(to_seconds(life()), 300.5, 0.6);
}

TEST_F(FlowsTest, BothEndsOfAnIdleConnectionAreTold) {
  world.establish();
  EXPECT_EQ(world.advance(299s), "");
  EXPECT_EQ(world.advance(2s),
            "int: 172.16.40.80:80 > 172.16.40.10:40000 tcp RA ttl 255 len 0; "
            "int: 172.16.40.202:40000 > 10.244.0.76:80 tcp RA ttl 255 len 0");
  world.send(segment(kSyn, 1000));
  EXPECT_EQ(world.advance(12s), "");  // nobody is told of one that never was
  EXPECT_EQ(world.datapath().flow_count(), 0u);
}

TEST_F(FlowsTest, ClosingAndClosedConnectionsGoSooner) {
  world.establish();
  world.send(segment(kFin | kAck, 1001, 5001));
  EXPECT_EQ(world.flows()[0].state, FlowState::closing);
  EXPECT_NEAR(to_seconds(life()), 5.5, 0.6);

  world.establish(40001);
  const auto again = [&](unsigned flags, std::uint32_t seq, std::uint32_t ack) {
    world.send(world.client("172.16.40.80", 80, 40001).flags(flags).seq(seq, ack));
  };
  again(kFin | kAck, 1001, 5001);
  world.send(world.member(40001, "10.244.1.37").flags(kFin | kAck).seq(5001, 1002));
  again(kAck, 1002, 5002);
  EXPECT_EQ(world.flows()[0].state, FlowState::time_wait);
  EXPECT_NEAR(to_seconds(life()), 2.5, 0.6);
}

// What is over must not keep others from connecting: with short connections most flows are in TIME_WAIT.
TEST_F(FlowsTest, AClosedConnectionCountsNoMore) {
  VirtualServerSpec server = server_spec("web", "172.16.40.80:80", "web");
  PoolSpec pool = pool_of("web", {"10.244.0.76:80"});
  server.connection_limit = pool.members[0].connection_limit = 1;
  world.install({server}, {pool});
  MemberRuntime& member = world.member_runtime(0, 0);
  VirtualServerRuntime& runtime = *world.datapath().snapshot()->virtual_servers()[0].runtime;
  world.establish();
  world.send(segment(kFin | kAck, 1001, 5001));
  world.send(world.member(40000).flags(kFin | kAck).seq(5001, 1002));
  EXPECT_EQ(member.connections.current(), 1u);
  world.send(segment(kAck, 1002, 5002));
  ASSERT_EQ(world.flows()[0].state, FlowState::time_wait);
  EXPECT_EQ(member.connections.current(), 0u);
  EXPECT_EQ(member.pool->connections.current(), 0u);
  EXPECT_EQ(member.node->connections.current(), 0u);
  EXPECT_EQ(runtime.connections.current(), 0u);
  EXPECT_EQ(member.shares.lingering(), 1u);
  EXPECT_EQ(runtime.shares.lingering(), 1u);

  // The limit of one has room for the next one; the last ACK is still repeated to the member.
  world.establish(40001);
  EXPECT_EQ(member.connections.current(), 1u);
  EXPECT_EQ(world.send(segment(kAck, 1002, 5002)), "int: 172.16.40.202:40000 > 10.244.0.76:80 tcp A ttl 63 len 0");
  EXPECT_EQ(world.flows().size(), 2u);
  world.advance(3s);
  EXPECT_EQ(world.flows().size(), 1u);
  EXPECT_EQ(member.shares.lingering(), 0u);
  EXPECT_EQ(runtime.shares.lingering(), 0u);
  EXPECT_EQ(member.connections.current(), 1u);
}

// Its member gone from the configuration, a flow in TIME_WAIT still has what it points to.
TEST_F(FlowsTest, AClosedConnectionKeepsItsMemberUntilItGoes) {
  world.establish();
  world.send(segment(kFin | kAck, 1001, 5001));
  world.send(world.member(40000).flags(kFin | kAck).seq(5001, 1002));
  world.send(segment(kAck, 1002, 5002));
  world.install({}, {});
  const std::size_t kept = world.registry().size();
  world.registry().collect();
  EXPECT_GE(world.registry().size(), 3u) << kept;
  EXPECT_EQ(world.flows()[0].member.text(), "10.244.0.76:80");
  world.advance(3s);
  world.registry().collect();
  EXPECT_EQ(world.registry().size(), 0u);
}

TEST_F(FlowsTest, UdpFlowsGoAfterAMinute) {
  world.send(Frame().ip("172.16.40.10", "172.16.40.80").udp(40000, 53));
  EXPECT_NEAR(to_seconds(life()), 60.5, 0.6);
}

TEST_F(FlowsTest, TimeoutsFollowTheConfiguration) {
  VirtualServerSpec server = server_spec("web", "172.16.40.80:80", "web");
  server.idle.established = 20s;
  world.install({server}, {pool_of("web", {"10.244.0.76:80"})});
  world.establish();
  EXPECT_NEAR(to_seconds(life()), 20.5, 0.6);
}

// RFC 1812 §4.3.3.1; a blackhole is silent, as its name says.
TEST(RouteTest, WhoSendsIntoAFlowWhoseRouteIsGoneHearsOfIt) {
  World world;
  world.install_default();
  world.establish();
  const auto route = [&](const char* prefix, ip::NextHopGroup hops) {
    ASSERT_TRUE(world.datapath().fib().apply({*Ipv4Prefix::parse(prefix), std::move(hops)}).has_value());
  };
  const auto from_client = world.client().flags(kAck).seq(1001, 5001).payload("x");
  const auto via_node = ip::NextHop::via(kNetworkPort, test::ip("172.16.40.199"));
  const std::uint64_t before = world.datapath().counters().unreachables_sent.get();

  route("10.244.0.0/24", {});
  EXPECT_EQ(world.send(from_client), "drop no_route; int: 172.16.40.80 > 172.16.40.10 icmp 3/0 ttl 255 len 41");
  EXPECT_EQ(world.datapath().counters().unreachables_sent.get() - before, 1u);
  unsigned told = 0;  // nobody is told without end
  for (int i = 0; i < 5000; ++i) told += world.send(from_client) != "drop no_route";
  EXPECT_GT(told, 0u);
  EXPECT_LT(told, 2500u);

  route("10.244.0.0/24", {ip::NextHop::blackhole()});
  EXPECT_EQ(world.send(from_client), "drop route_blackhole");
  route("10.244.0.0/24", {via_node});
  EXPECT_EQ(world.send(from_client), "int: 172.16.40.202:40000 > 10.244.0.76:80 tcp A ttl 63 len 1");
  EXPECT_EQ(world.datapath().flow_count(), 1u);
}

TEST_F(FlowsTest, ListingShowsWhatIsThere) {
  world.establish();
  world.send(segment(kAck, 1001, 5001).payload_size(100));
  world.advance(2s);
  world.send(Frame().ip("172.16.40.11", "172.16.40.80").udp(9, 53));
  EXPECT_EQ(world.flows().size(), 2u);
  const auto found = world.flows({.protocol = Protocol::tcp});
  ASSERT_EQ(found.size(), 1u);
  const FlowView& flow = found[0];
  EXPECT_EQ(flow.client.text(), "172.16.40.10:40000");
  EXPECT_EQ(flow.destination.text(), "172.16.40.80:80");
  EXPECT_EQ(flow.snat.text(), "172.16.40.202:40000");
  EXPECT_EQ(flow.member.text(), "10.244.0.76:80");
  EXPECT_EQ(flow.state, FlowState::established);
  EXPECT_EQ(flow.packets_in, 3u);
  EXPECT_EQ(flow.bytes_in, 40u + 40 + 140);
  EXPECT_EQ(flow.packets_out, 1u);
  EXPECT_EQ(flow.bytes_out, 40u);
  EXPECT_EQ(flow.age, 2s);
  EXPECT_NEAR(to_seconds(flow.idle), 2, 0.01);
  EXPECT_EQ(flow.idle_timeout, 300s);
}

TEST_F(FlowsTest, FiltersSelect) {
  world.establish();
  world.send(Frame().ip("172.16.40.11", "172.16.40.80").udp(9, 53));
  const auto count = [&](const FlowFilter& filter) { return world.flows(filter).size(); };
  EXPECT_EQ(count({.client = Ipv4Prefix::parse("172.16.40.10/32")}), 1u);
  EXPECT_EQ(count({.client = Ipv4Prefix::parse("172.16.40.0/24")}), 2u);
  EXPECT_EQ(count({.client_port = 9}), 1u);
  EXPECT_EQ(count({.destination = address("172.16.40.80"), .destination_port = 53}), 1u);
  EXPECT_EQ(count({.member = address("10.244.0.76"), .member_port = 80}), 1u);
  EXPECT_EQ(count({.member = address("10.244.0.76"), .member_port = 81}), 0u);
  EXPECT_EQ(count({.state = FlowState::one_way}), 1u);
}

TEST_F(FlowsTest, DeletingEndsAFlowAtOnce) {
  world.establish();
  const std::uint64_t id = world.flows()[0].id;
  EXPECT_TRUE(world.datapath().delete_flow(world.now, id));
  EXPECT_FALSE(world.datapath().delete_flow(world.now, id));
  EXPECT_EQ(world.member_runtime(0, 0).connections.current(), 0u);
  EXPECT_EQ(world.send(segment(kAck, 1001, 5001)),
            "drop tcp_no_flow; int: 172.16.40.80:80 > 172.16.40.10:40000 tcp R ttl 255 len 0");
}

TEST_F(FlowsTest, DeletingByFilterWorksInChunks) {
  for (unsigned i = 0; i < 100; ++i) world.send(world.client("172.16.40.80", 80, 2000 + i).flags(kSyn));
  std::uint32_t deleted = 0, cursor = 0, chunks = 0;
  const FlowFilter filter{.member = address("10.244.0.76")};
  while (cursor != kFlowListEnd) {
    cursor = world.datapath().delete_flows(world.now, cursor, 10, filter, deleted);
    ++chunks;
  }
  EXPECT_EQ(deleted, 50u);
  EXPECT_GE(chunks, 400u);
  EXPECT_EQ(world.flows().size(), 50u);
}

TEST_F(FlowsTest, TrafficIsCountedForServerMemberAndPool) {
  const Traffic before = world.server_runtime(0).shares.traffic();
  world.establish();
  const Traffic after = world.server_runtime(0).shares.traffic();
  EXPECT_EQ(after.packets_in - before.packets_in, 2u);
  EXPECT_EQ(after.bytes_in - before.bytes_in, 80u);
  EXPECT_EQ(after.packets_out - before.packets_out, 1u);
  EXPECT_GE(world.member_runtime(0, 0).shares.traffic().packets_in, 2u);
  EXPECT_GE(world.registry().pool_traffic("web").packets_in, 2u);
  EXPECT_EQ(world.member_runtime(0, 0).connections.current(), 1u);
  EXPECT_EQ(world.server_runtime(0).connections.current(), 1u);
}

TEST(FlowTableFullTest, ASynFloodNeverEvictsEstablishedConnections) {
  World world({.flows_max = 64});
  world.install_default();
  for (unsigned i = 0; i < 32; ++i) world.establish(40000 + i);
  for (unsigned i = 0; i < 1000; ++i) {
    world.send(Frame().ip("10.99.1." + std::to_string(i % 250), "172.16.40.80").tcp(1024 + i, 80).flags(kSyn));
  }
  EXPECT_EQ(world.datapath().counters().flows_evicted.get(), 1000u - 32);
  EXPECT_EQ(world.datapath().flow_count(), 64u);
  EXPECT_EQ(world.flows({.state = FlowState::established}).size(), 32u);
  EXPECT_EQ(world.member_runtime(0, 0).connections.current() + world.member_runtime(0, 1).connections.current(), 64u);
}

TEST(FlowTableFullTest, FullOfEstablishedRefuses) {
  World world({.flows_max = 4});
  world.install_default();
  for (unsigned i = 0; i < 4; ++i) world.establish(40000 + i);
  EXPECT_EQ(world.send(world.client("172.16.40.80", 80, 50000).flags(kSyn)),
            "drop flow_table_full; int: 172.16.40.80:80 > 172.16.40.10:50000 tcp RA ttl 255 len 0");
  EXPECT_EQ(world.server_runtime(0).connections.current(), 4u);
}

TEST(EndTest, StoppingReleasesEverything) {
  auto world = std::make_unique<World>();
  world->install_default();
  world->establish();
  world->send(Frame().ip("172.16.40.10", "172.16.40.80").protocol(17).fragment(0, true).payload_size(64));  // waits
  EXPECT_EQ(world->packets_in_use(), 1u);
  MemberRuntime& member = world->member_runtime(0, 0);
  EXPECT_EQ(member.connections.current(), 1u);
  world->datapath().on_stop(world->now);
  EXPECT_EQ(member.connections.current(), 0u);
  EXPECT_EQ(world->packets_in_use(), 0u);
  EXPECT_EQ(world->drops(DropReason::shutting_down), 1u);
  EXPECT_EQ(world->send(world->client().flags(kSyn)),
            "drop shutting_down; drop shutting_down");  // the fragment's and its
  EXPECT_EQ(world->datapath().next_timer(), kInstantMax);
  world.reset();  // a second stop does no harm; the pool says if a packet leaked
}

TEST(PoolEmptyTest, NothingCrashesWhenNoBufferIsFree) {
  World world({.pool_size = 31});
  world.install_default();
  std::vector<packet::Packet> taken;
  const auto frame = world.client().flags(kSyn).seq(1).bytes();
  const packet::Packet syn = test::to_packet(world.pool(), world.client("172.16.40.80", 81).flags(kSyn).bytes());
  const packet::Packet ping =
      test::to_packet(world.pool(), Frame().ip("172.16.40.10", "172.16.40.80").echo(1, 1).bytes());
  while (const packet::Packet packet = world.pool().allocate()) taken.push_back(packet);
  world.feed(syn, kNetworkPort);
  world.feed(ping, kNetworkPort);
  for (const packet::Packet packet : taken) packet::Drops().consume(packet);
  EXPECT_EQ(world.outcome(), "drop no_virtual_server; int: 172.16.40.80 > 172.16.40.10 icmp 0/0 ttl 255 len 0");
}

}  // namespace
}  // namespace sluice::lb::flows_test
