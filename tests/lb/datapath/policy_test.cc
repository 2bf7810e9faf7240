// Policy on the packet path: who is refused and how, SNAT kinds, persistence, limits, members that go down.
#include <set>

#include "tests/support/lb_world.h"

namespace sluice::lb::policy_test {
namespace {

using test::Frame;

constexpr unsigned kSyn = wire::kTcpSyn, kAck = wire::kTcpAck;
const std::string kRefused = "; int: 172.16.40.80:80 > 172.16.40.10:40000 tcp RA ttl 255 len 0";

Frame syn(unsigned src_port = 40000, const std::string& from = "172.16.40.10") {
  return Frame().ip(from, "172.16.40.80").tcp(src_port, 80).flags(kSyn).seq(1000);
}
Frame query(unsigned src_port = 40000, const std::string& from = "172.16.40.10") {
  return Frame().ip(from, "172.16.40.80").udp(src_port, 53).payload("hi");
}
VirtualServerSpec web() { return server_spec("web", "172.16.40.80:80", "web"); }
VirtualServerSpec dns() { return server_spec("dns", "172.16.40.80:53", "dns", Mode::udp); }
PoolSpec two_members() {
  PoolSpec pool = pool_of("web", {"10.244.0.76:80", "10.244.1.37:80"});
  pool.slow_ramp = 0s;  // members come and go in these tests
  return pool;
}

// Where the flow went: "10.244.0.76".
std::string member_of(const std::string& sent) {
  const auto at = sent.find(" > ");
  return at == std::string::npos ? sent : sent.substr(at + 3, sent.find(':', at) - at - 3);
}

struct PolicyTest : SharedWorld {};

TEST_F(PolicyTest, NoPool) {
  world.install({server_spec("web", "172.16.40.80:80", "")}, {});
  EXPECT_EQ(world.send(syn()), "drop no_available_member" + kRefused);
}

TEST_F(PolicyTest, EmptyPool) {
  world.install({web()}, {pool_of("web", {})});
  EXPECT_EQ(world.send(syn()), "drop no_available_member" + kRefused);
}

TEST_F(PolicyTest, AllMembersDown) {
  PoolSpec pool = two_members();
  for (auto& member : pool.members) member.verdict.status = MonitorStatus::down;
  world.install({web()}, {pool});
  EXPECT_EQ(world.send(syn()), "drop no_available_member" + kRefused);
  EXPECT_EQ(world.server_runtime(0).connections.current(), 0u);
}

TEST_F(PolicyTest, NoMemberForUdpIsPortUnreachable) {
  world.install({dns()}, {pool_of("dns", {})});
  EXPECT_EQ(world.send(query()), "drop no_available_member; int: 172.16.40.80 > 172.16.40.10 icmp 3/3 ttl 255 len 30");
}

TEST_F(PolicyTest, DisabledVirtualServerKeepsItsConnections) {
  world.establish();
  VirtualServerSpec off = web();
  off.enabled = false;
  world.install({off}, {two_members()});
  EXPECT_EQ(world.send(syn(40001)),
            "drop virtual_server_disabled; int: 172.16.40.80:80 > 172.16.40.10:40001 tcp RA ttl 255 len 0");
  EXPECT_EQ(world.send(world.client().seq(1001, 5001)), "int: 172.16.40.202:40000 > 10.244.0.76:80 tcp A ttl 63 len 0");
}

TEST_F(PolicyTest, RemovedVirtualServerKeepsItsConnections) {
  world.establish();
  world.install({}, {});
  EXPECT_EQ(world.send(world.client().seq(1001, 5001)), "int: 172.16.40.202:40000 > 10.244.0.76:80 tcp A ttl 63 len 0");
  EXPECT_EQ(world.flows().size(), 1u);
}

TEST_F(PolicyTest, ConnectionLimitOfTheVirtualServer) {
  VirtualServerSpec limited = web();
  limited.connection_limit = 2;
  world.install({limited}, {two_members()});
  world.send(syn(1));
  world.send(syn(2));
  EXPECT_EQ(world.send(syn()), "drop connection_limit" + kRefused);
  world.send(Frame().ip("172.16.40.10", "172.16.40.80").tcp(1, 80).flags(wire::kTcpRst).seq(1001));
  EXPECT_EQ(member_of(world.send(syn())), "10.244.0.76");
}

TEST_F(PolicyTest, ConnectionLimitOfMembers) {
  PoolSpec pool = two_members();
  pool.members[0].connection_limit = pool.members[1].connection_limit = 1;
  world.install({web()}, {pool});
  EXPECT_EQ(member_of(world.send(syn(1))), "10.244.0.76");
  EXPECT_EQ(member_of(world.send(syn(2))), "10.244.1.37");
  EXPECT_EQ(world.send(syn()), "drop connection_limit" + kRefused);
  EXPECT_EQ(world.server_runtime(0).connections.current(), 2u);
}

TEST_F(PolicyTest, WildcardPortServesAnyPort) {
  world.install({server_spec("any", "172.16.40.80:0", "web")}, {two_members()});
  EXPECT_EQ(world.send(Frame().ip("172.16.40.10", "172.16.40.80").tcp(5000, 8443).flags(kSyn)),
            "int: 172.16.40.202:5000 > 10.244.0.76:80 tcp S ttl 63 len 0");
}

TEST_F(PolicyTest, HttpModeAnswersTheHandshakeItself) {
  world.install({server_spec("web", "172.16.40.80:80", "web", Mode::http)}, {two_members()});
  const std::string answer = world.send(syn(99));
  EXPECT_NE(answer.find("172.16.40.80:80 > "), std::string::npos) << answer;
  EXPECT_NE(answer.find("tcp SA ttl 255"), std::string::npos) << answer;
}

// ---- SNAT

TEST_F(PolicyTest, AutomapIsTheSelfIpOfTheEgressPort) {
  world.install({web()}, {pool_of("web", {"192.168.7.20:80"})});
  EXPECT_EQ(world.send(syn()), "ext: 192.168.7.1:40000 > 192.168.7.20:80 tcp S ttl 63 len 0");
}

TEST_F(PolicyTest, SnatNoneKeepsTheClient) {
  VirtualServerSpec open = web();
  open.snat = SnatKind::none;
  world.install({open}, {two_members()});
  EXPECT_EQ(world.send(syn()), "int: 172.16.40.10:40000 > 10.244.0.76:80 tcp S ttl 63 len 0");
  EXPECT_EQ(world.send(Frame().ip("10.244.0.76", "172.16.40.10").tcp(80, 40000).flags(kSyn | kAck).seq(1, 1001)),
            "int: 172.16.40.80:80 > 172.16.40.10:40000 tcp SA ttl 63 len 0");
}

TEST_F(PolicyTest, SnatPoolSpreadsClientsAndAnswersArp) {
  VirtualServerSpec pooled = web();
  pooled.snat = SnatKind::pool;
  pooled.snat_pool = "s";
  world.install({pooled}, {two_members()}, {}, {{"s", {address("172.16.40.210"), address("172.16.40.211")}}});
  std::set<std::string> sources;
  for (int i = 0; i < 40; ++i) {
    const std::string sent = world.send(syn(40000, "10.99.0." + std::to_string(i)));
    sources.insert(sent.substr(5, sent.find(':', 5) - 5));
  }
  EXPECT_EQ(sources, (std::set<std::string>{"172.16.40.210", "172.16.40.211"}));
  EXPECT_EQ(world.send(test::arp_request(test::kPeerMac, "172.16.40.77", "172.16.40.210")),
            "int: arp reply 172.16.40.210 is 02:00:00:00:00:01 to 172.16.40.77");
  EXPECT_EQ(world.send(Frame().ip("172.16.40.10", "172.16.40.210").echo(1, 1)), "drop icmp_unhandled");
}

TEST_F(PolicyTest, PortIsPreservedWhereFreeAndAnotherTakenWhereNot) {
  EXPECT_EQ(world.send(syn(40000, "172.16.40.10")), "int: 172.16.40.202:40000 > 10.244.0.76:80 tcp S ttl 63 len 0");
  EXPECT_EQ(world.send(syn(40000, "172.16.40.11")), "int: 172.16.40.202:40000 > 10.244.1.37:80 tcp S ttl 63 len 0");
  const std::string third = world.send(syn(40000, "10.99.0.1"));
  EXPECT_EQ(member_of(third), "10.244.0.76");
  EXPECT_EQ(third.find(":40000 > 10"), std::string::npos) << third;
  // Ports of the kernel's and privileged ones are never given away.
  for (const unsigned port : {80u, 1023u, 61440u, 65535u}) {
    const std::string sent = world.send(syn(port));
    EXPECT_EQ(sent.find(":" + std::to_string(port) + " > 10"), std::string::npos) << sent;
  }
}

TEST(SnatExhaustionTest, IsCountedAndEndsWhenAFlowEnds) {
  World world({.snat_port_first = 2000, .snat_port_last = 2003});
  world.install({web()}, {pool_of("web", {"10.244.0.76:80"})});
  for (unsigned i = 0; i < 4; ++i) EXPECT_EQ(member_of(world.send(syn(50000 + i))), "10.244.0.76");
  EXPECT_EQ(world.send(syn()), "drop snat_port_exhausted" + kRefused);
  EXPECT_EQ(world.member_runtime(0, 0).connections.current(), 4u);
  EXPECT_EQ(world.server_runtime(0).connections.current(), 4u);
  world.send(Frame().ip("172.16.40.10", "172.16.40.80").tcp(50002, 80).flags(wire::kTcpRst).seq(1001));
  EXPECT_EQ(member_of(world.send(syn())), "10.244.0.76");
}

TEST_F(PolicyTest, MemberWithoutRoute) {
  world.install({web()}, {pool_of("web", {"203.0.113.1:80"})});
  EXPECT_EQ(world.send(syn()), "drop no_route" + kRefused);
  world.install({web()}, {pool_of("web", {"192.0.2.1:80"})});
  EXPECT_EQ(world.send(syn()), "drop route_blackhole" + kRefused);
  EXPECT_EQ(world.flows().size(), 0u);
}

TEST_F(PolicyTest, MemberThatIsOurOwnAddress) {
  world.install({web()}, {pool_of("web", {"172.16.40.202:80"})});
  EXPECT_EQ(world.send(syn()), "drop looped_to_self" + kRefused);
}

TEST_F(PolicyTest, MemberWhoseMacIsUnknownWaitsForArp) {
  world.install({web()}, {pool_of("web", {"172.16.40.50:80"})});
  EXPECT_EQ(world.send(syn()), "int: arp request 172.16.40.202 (02:00:00:00:00:01) asks 172.16.40.50");
  EXPECT_EQ(world.send(test::arp_reply(test::kPeerMac, "172.16.40.50", test::kOwnMac, "172.16.40.202")),
            "int: 172.16.40.202:40000 > 172.16.40.50:80 tcp S ttl 63 len 0");
}

TEST_F(PolicyTest, MemberThatNeverAnswersArp) {
  world.install({web()}, {pool_of("web", {"172.16.40.51:80"})});
  for (unsigned i = 0; i < 10; ++i) world.send(syn(50000 + i));
  EXPECT_EQ(world.drops(DropReason::neighbor_queue_full), 2u);
  world.advance(5s);
  EXPECT_EQ(world.drops(DropReason::neighbor_unresolved), 8u);
}

// ---- persistence

struct PersistTest : SharedWorld {
  void SetUp() override {
    SharedWorld::SetUp();
    server = web();
    server.persist = PersistKind::source_address;
    server.persist_timeout = 60s;
    world.advance(61s);  // what earlier tests left is forgotten
    world.install({}, {});
    world.install({server}, {pool = two_members()});
  }
  std::string go(unsigned port, const std::string& from = "172.16.40.10") {
    return member_of(world.send(syn(port, from)));
  }
  VirtualServerSpec server;
  PoolSpec pool;
};

TEST_F(PersistTest, AClientComesBackToItsMemberUntilTheTimeout) {
  EXPECT_EQ(go(1), "10.244.0.76");
  EXPECT_EQ(go(2), "10.244.0.76");
  EXPECT_EQ(go(1, "172.16.40.11"), "10.244.1.37");
  EXPECT_EQ(go(3), "10.244.0.76");
  world.advance(61s);
  go(4, "10.99.0.1");  // turns the wheel: the next in turn is the other member
  EXPECT_EQ(go(4), "10.244.1.37");
}

TEST_F(PersistTest, DisabledMemberStillTakesItsClientsForcedOfflineDoesNot) {
  EXPECT_EQ(go(1), "10.244.0.76");
  pool.members[0].state = MemberState::disabled;
  world.install({server}, {pool});
  EXPECT_EQ(go(2), "10.244.0.76");
  EXPECT_EQ(go(1, "172.16.40.11"), "10.244.1.37");
  pool.members[0].state = MemberState::forced_offline;
  world.install({server}, {pool});
  EXPECT_EQ(go(3), "10.244.1.37");
  EXPECT_EQ(go(4), "10.244.1.37");
}

TEST_F(PersistTest, AMemberThatIsDownLosesItsClients) {
  EXPECT_EQ(go(1), "10.244.0.76");
  pool.members[0].verdict.status = MonitorStatus::down;
  world.install({server}, {pool});
  EXPECT_EQ(go(2), "10.244.1.37");
  pool.members[0].verdict.status = MonitorStatus::up;
  pool.slow_ramp = 0s;
  world.install({server}, {pool});
  EXPECT_EQ(go(3), "10.244.1.37");  // and stays where it went
}

TEST_F(PersistTest, AFullMemberSendsItsClientElsewhere) {
  pool.members[0].connection_limit = 1;
  world.install({server}, {pool});
  EXPECT_EQ(go(1), "10.244.0.76");
  EXPECT_EQ(go(2), "10.244.1.37");
}

// ---- members that go down

struct ServiceDownTest : SharedWorld {
  void SetUp() override {
    SharedWorld::SetUp();
    pool = two_members();
    world.install({}, {});
  }
  void install(ServiceDownAction action) {
    pool.service_down = action;
    world.install({web(), dns()}, {pool, dns_pool});
  }
  void take_down() {
    pool.members[0].verdict.status = MonitorStatus::down;
    world.install({web(), dns()}, {pool, dns_pool});
  }
  PoolSpec pool;
  PoolSpec dns_pool = pool_of("dns", {"10.244.0.53:53", "10.244.1.53:53"});
};

TEST_F(ServiceDownTest, NoneKeepsTheConnection) {
  install(ServiceDownAction::none);
  world.establish();
  take_down();
  EXPECT_EQ(world.advance(1s), "");
  EXPECT_EQ(member_of(world.send(world.client().seq(1001, 5001))), "10.244.0.76");
}

TEST_F(ServiceDownTest, RejectResetsBothSidesWithNumbersTheyMustBelieve) {
  install(ServiceDownAction::reject);
  world.establish();
  take_down();
  EXPECT_EQ(world.advance(100ms),
            "int: 172.16.40.80:80 > 172.16.40.10:40000 tcp RA ttl 255 len 0; "
            "int: 172.16.40.202:40000 > 10.244.0.76:80 tcp RA ttl 255 len 0");
  ASSERT_EQ(world.last_frames().size(), 2u);
  const auto number = [&](std::size_t frame) {
    return wire::load_be32(world.last_frames()[frame].bytes.data() + 34 + wire::kTcpSequence);
  };
  EXPECT_EQ(number(0), 5001u);
  EXPECT_EQ(number(1), 1001u);
  EXPECT_EQ(world.flows().size(), 0u);
  EXPECT_EQ(world.member_runtime(0, 0).connections.current(), 0u);
}

TEST_F(ServiceDownTest, RejectOfAHalfOpenConnectionTellsTheClientOnly) {
  install(ServiceDownAction::reject);
  world.send(syn());
  take_down();
  EXPECT_EQ(world.advance(100ms), "int: 172.16.40.80:80 > 172.16.40.10:40000 tcp RA ttl 255 len 0");
}

TEST_F(ServiceDownTest, DropSwallowsWhatStillComes) {
  install(ServiceDownAction::drop);
  world.establish();
  take_down();
  EXPECT_EQ(world.advance(100ms), "");
  EXPECT_EQ(world.send(world.client().seq(1001, 5001)), "drop member_gone");
  EXPECT_EQ(world.advance(10s), "");
  EXPECT_EQ(world.flows().size(), 0u);
  EXPECT_EQ(world.member_runtime(0, 0).connections.current(), 0u);
}

TEST_F(ServiceDownTest, ReselectMovesTheFlowToAnotherMember) {
  install(ServiceDownAction::none);
  dns_pool.service_down = ServiceDownAction::reselect;
  install(ServiceDownAction::none);
  EXPECT_EQ(member_of(world.send(query())), "10.244.0.53");
  dns_pool.members[0].verdict.status = MonitorStatus::down;
  install(ServiceDownAction::none);
  EXPECT_EQ(world.advance(100ms), "");
  EXPECT_EQ(world.send(query()), "int: 172.16.40.202:40000 > 10.244.1.53:53 udp ttl 63 len 2");
  EXPECT_EQ(world.send(Frame().ip("10.244.1.53", "172.16.40.202").udp(53, 40000).payload("ok")),
            "int: 172.16.40.80:53 > 172.16.40.10:40000 udp ttl 63 len 2");
  EXPECT_EQ(world.member_runtime(1, 0).connections.current(), 0u);
  EXPECT_EQ(world.member_runtime(1, 1).connections.current(), 1u);
  EXPECT_EQ(world.server_runtime(1).connections.current(), 1u);
}

TEST_F(ServiceDownTest, ReselectWithNobodyLeftResets) {
  install(ServiceDownAction::reselect);
  world.establish();
  pool.members[1].verdict.status = MonitorStatus::down;
  take_down();
  const std::string told = world.advance(100ms);
  EXPECT_NE(told.find("172.16.40.10:40000 tcp RA"), std::string::npos) << told;
  EXPECT_EQ(world.flows().size(), 0u);
}

TEST_F(ServiceDownTest, AFlowOpenedOnTheWayIsFoundAllTheSame) {
  install(ServiceDownAction::reject);
  for (unsigned i = 0; i < 3000; ++i) world.send(syn(2000 + i));
  EXPECT_EQ(world.flows().size(), 3000u);
  take_down();
  world.advance(1s);
  EXPECT_EQ(world.flows().size(), 1500u);
  EXPECT_EQ(world.member_runtime(0, 0).connections.current(), 0u);
  EXPECT_EQ(world.member_runtime(0, 1).connections.current(), 1500u);
}

}  // namespace
}  // namespace sluice::lb::policy_test
