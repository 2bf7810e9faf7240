// Properties under random traffic: every frame out is right, accounting holds, flows keep their member, counts return.
#include <map>
#include <random>

#include "tests/support/lb_world.h"

namespace sluice::lb::properties_test {
namespace {

using test::Frame;

constexpr unsigned kSyn = wire::kTcpSyn, kAck = wire::kTcpAck, kFin = wire::kTcpFin, kRst = wire::kTcpRst;

// Random frames from clients and members, changes of configuration and time in between. World checks every frame that
// comes out and the accounting after each step.
void storm(World& world, std::uint32_t seed, int steps) {
  std::mt19937 random(seed);
  const auto pick = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  const std::vector<std::string> hosts{"172.16.40.10", "172.16.40.11", "10.99.3.4",    "10.244.0.76",
                                       "10.244.1.37",  "10.244.0.53",  "172.16.40.80", "172.16.40.202"};
  const unsigned kinds[] = {kSyn, kAck, kSyn | kAck, kFin | kAck, kRst, kRst | kAck, kAck | wire::kTcpPsh};
  PoolSpec web = pool_of("web", {"10.244.0.76:80", "10.244.1.37:80"}, Balance::least_connections_member);
  for (int step = 0; step < steps; ++step) {
    Frame frame;
    frame.ip(hosts[pick(8)], hosts[pick(8)]).ttl(pick(20) == 0 ? pick(2) : 64).tos(pick(256)).id(pick(65536));
    if (pick(4) == 0) frame.dont_fragment();
    const unsigned ports[] = {80, 53, 81, 40000 + pick(8), 1024 + pick(8)};
    switch (pick(5)) {
      case 0:
      case 1:
      case 2:
        frame.tcp(ports[pick(5)], ports[pick(5)]).flags(kinds[pick(7)]).seq(1000 + pick(4), 5000 + pick(4));
        break;
      case 3:
        frame.udp(ports[pick(5)], ports[pick(5)]);
        break;
      case 4:
        frame.icmp(pick(16), pick(5));
        break;
    }
    frame.payload_size(pick(3) == 0 ? pick(1400) : 0);
    world.send(frame, static_cast<packet::PortId>(pick(10) == 0   ? kHostPort
                                                  : pick(10) == 0 ? kOtherPort
                                                                  : kNetworkPort));
    if (pick(50) == 0) world.advance(Duration(1ms) * pick(20000));
    if (pick(100) == 0) {
      for (auto& member : web.members) member.verdict.status = pick(3) == 0 ? MonitorStatus::down : MonitorStatus::up;
      web.service_down = static_cast<ServiceDownAction>(pick(4));
      world.install(
          {server_spec("web", "172.16.40.80:80", "web"), server_spec("dns", "172.16.40.80:53", "dns", Mode::udp)},
          {web, pool_of("dns", {"10.244.0.53:53"})});
    }
  }
}

TEST(PropertiesTest, RandomTrafficLeavesNothingBehind) {
  for (std::uint32_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE(seed);
    World world({.flows_max = 32});
    world.install_default();
    storm(world, seed, 4000);
    // Exactly the flows that are open are counted, and none once they have aged.
    std::map<std::string, std::uint32_t> open;
    for (const FlowView& flow : world.flows()) open[flow.member.text()] += flow.state != FlowState::time_wait;
    for (const auto& pool : world.snapshot().pools()) {
      for (const Member& member : pool->members) {
        EXPECT_EQ(member.runtime->connections.current(), open[member.endpoint.text()]);
      }
    }
    world.advance(700s);
    EXPECT_EQ(world.datapath().flow_count(), 0u);
    EXPECT_EQ(world.packets_in_use(), 0u);
    for (const auto& pool : world.snapshot().pools()) {
      EXPECT_EQ(pool->runtime->connections.current(), 0u);
      for (const Member& member : pool->members) {
        EXPECT_EQ(member.runtime->connections.current(), 0u);
        EXPECT_EQ(member.runtime->shares.lingering(), 0u);
      }
    }
    for (const VirtualServer& server : world.snapshot().virtual_servers()) {
      EXPECT_EQ(server.runtime->connections.current(), 0u);
      EXPECT_EQ(server.runtime->shares.lingering(), 0u);
    }
  }
}

TEST(PropertiesTest, AFlowKeepsItsMemberThroughEveryChangeOfConfiguration) {
  World world;
  world.install_default();
  for (unsigned i = 0; i < 50; ++i) world.establish(40000 + i);
  std::map<std::uint16_t, std::string> member_of;
  for (const FlowView& flow : world.flows()) member_of[flow.client.port] = flow.member.text();
  std::mt19937 random(5);
  for (int round = 0; round < 30; ++round) {
    PoolSpec web = pool_of("web", {"10.244.0.76:80", "10.244.1.37:80", "10.244.0.81:80"});
    web.balance = static_cast<Balance>(random() % 5);
    for (auto& member : web.members) {
      member.verdict.status = random() % 2 == 0 ? MonitorStatus::up : MonitorStatus::down;
      member.ratio = static_cast<std::uint32_t>(1 + random() % 5);
    }
    if (random() % 4 == 0) web.members.erase(web.members.begin() + static_cast<long>(random() % 3));
    world.install({server_spec("web", "172.16.40.80:80", "web")}, {web});
    world.registry().collect();
    for (unsigned i = 0; i < 50; ++i) {
      const auto port = static_cast<std::uint16_t>(40000 + i);
      const std::string sent = world.send(world.client("172.16.40.80", 80, port).flags(kAck).seq(1001, 5001));
      EXPECT_NE(sent.find("> " + member_of[port] + " tcp A"), std::string::npos) << sent;
    }
  }
}

TEST(BurstTest, AFullBurstOfAllKindsIsAccountedFor) {
  World world;
  world.install_default();
  packet::Batch batch;
  for (unsigned i = 0; i < packet::kBatchMax; ++i) {
    const auto frame = i % 4 == 0   ? world.client("172.16.40.80", 80, 2000 + i).flags(kSyn).seq(1).bytes()
                       : i % 4 == 1 ? Frame().ip("172.16.40.10", "172.16.40.80").echo(1, i).bytes()
                       : i % 4 == 2 ? test::arp_request(test::kPeerMac, "172.16.40.77", "172.16.40.80")
                                    : Frame().ip("172.16.40.10", "8.8.8.8").udp(1, 2).bytes();
    batch.push(test::to_packet(world.pool(), frame));
  }
  world.feed(batch, kNetworkPort);
  world.outcome();
  EXPECT_EQ(batch.count, 0u);
  EXPECT_EQ(world.drops(DropReason::ipv4_not_for_us), 16u);
  EXPECT_EQ(world.datapath().flow_count(), 16u);
}

TEST(BurstTest, TheFirstPacketsOfAFlowMayShareABurst) {
  World world;
  world.install_default();
  packet::Batch batch;
  for (int i = 0; i < 3; ++i) {
    batch.push(test::to_packet(world.pool(), Frame().ip("172.16.40.10", "172.16.40.80").udp(7, 53).bytes()));
  }
  world.feed(batch, kNetworkPort);
  world.outcome();
  EXPECT_EQ(world.datapath().flow_count(), 1u);
  EXPECT_EQ(world.flows()[0].packets_in, 3u);
}

}  // namespace
}  // namespace sluice::lb::properties_test
