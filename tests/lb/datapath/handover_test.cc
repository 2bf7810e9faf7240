// Flows that go from one process to the next: what the first had is what the second goes on with.
#include <stdexcept>

#include "lb/l4/saved_flow.h"
#include "tests/support/lb_world.h"

namespace sluice::lb::handover_test {
namespace {

constexpr unsigned kSyn = wire::kTcpSyn, kAck = wire::kTcpAck, kFin = wire::kTcpFin;

std::vector<SavedFlow> saved_by(World& world) {
  std::vector<SavedFlow> saved;
  world.datapath().save_flows_at_stop(&saved);
  world.datapath().on_stop(world.now);
  world.datapath().save_flows_at_stop(nullptr);  // the World stops it once more
  return saved;
}

const VirtualServer& server_of(World& world, const SavedFlow& flow) {
  for (const VirtualServer& server : world.datapath().snapshot()->virtual_servers()) {
    if (server.runtime->name == flow.virtual_server) return server;
  }
  throw std::runtime_error("no virtual server " + flow.virtual_server);
}

bool restore(World& world, const SavedFlow& flow) {
  const VirtualServer& server = server_of(world, flow);
  for (const auto& member : server.pool->runtimes) {
    if (member->endpoint == flow.facts.member) {
      return world.datapath().restore_flow(world.now, flow.facts, *server.runtime, *member);
    }
  }
  return false;
}

TEST(HandoverTest, AnEstablishedConnectionGoesOn) {
  std::vector<SavedFlow> saved;
  {
    World before;
    before.install_default();
    before.establish();
    before.send(test::Frame().ip("172.16.40.10", "172.16.40.80").udp(40001, 53));
    saved = saved_by(before);
  }
  ASSERT_EQ(saved.size(), 2u);
  World after;
  after.install_default();
  EXPECT_NE(after.send(after.client().flags(kAck).seq(1001, 5001)).find("tcp_no_flow"), std::string::npos);
  for (const SavedFlow& flow : saved) EXPECT_TRUE(restore(after, flow));
  EXPECT_EQ(after.datapath().flow_count(), 2u);
  EXPECT_EQ(after.member_runtime(0, 0).connections.current(), 1u);
  // Both directions, with the source port that the member knows.
  EXPECT_EQ(after.send(after.client().flags(kAck).seq(1001, 5001)),
            "int: 172.16.40.202:40000 > 10.244.0.76:80 tcp A ttl 63 len 0");
  EXPECT_EQ(after.send(after.member().flags(kAck).seq(5001, 1001)),
            "int: 172.16.40.80:80 > 172.16.40.10:40000 tcp A ttl 63 len 0");
  // It ages as any other, and lets go of its member.
  after.advance(301s);
  EXPECT_EQ(after.member_runtime(0, 0).connections.current(), 0u);
}

TEST(HandoverTest, AConnectionThatIsOverStaysNobodys) {
  std::vector<SavedFlow> saved;
  {
    World before;
    before.install_default();
    before.establish();
    before.send(before.client().flags(kFin | kAck).seq(1001, 5001));
    before.send(before.member().flags(kFin | kAck).seq(5001, 1002));
    before.send(before.client().flags(kAck).seq(1002, 5002));
    ASSERT_EQ(before.member_runtime(0, 0).connections.current(), 0u);
    saved = saved_by(before);
  }
  ASSERT_EQ(saved.at(0).facts.state, FlowState::time_wait);
  World after;
  after.install_default();
  EXPECT_TRUE(restore(after, saved[0]));
  EXPECT_EQ(after.member_runtime(0, 0).connections.current(), 0u);
  after.advance(3s);
  EXPECT_EQ(after.datapath().flow_count(), 0u);
  EXPECT_EQ(after.member_runtime(0, 0).connections.current(), 0u);
}

TEST(HandoverTest, WhatIsThereAlreadyIsNotRestoredTwice) {
  std::vector<SavedFlow> saved;
  {
    World before;
    before.install_default();
    before.establish();
    saved = saved_by(before);
  }
  World after;
  after.install_default();
  after.send(after.client().flags(kSyn).seq(1, 0));
  EXPECT_FALSE(restore(after, saved.at(0)));
  EXPECT_EQ(after.datapath().flow_count(), 1u);
  EXPECT_EQ(after.member_runtime(0, 0).connections.current(), 1u);
}

}  // namespace
}  // namespace sluice::lb::handover_test
