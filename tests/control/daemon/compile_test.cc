// Config to Snapshot: every value arrives, unchanged pools are kept, and a bad reference names its object.
#include "control/daemon/compile.h"

#include <gtest/gtest.h>

#include "control/config/normalise.h"

namespace sluice::daemon {
namespace {

const Instant kNow = instant_ns(1'000'000'000);

class CompileTest : public testing::Test {
 protected:
  CompileTest() {
    config_.self_ips.push_back({"self", *Ipv4Interface::parse("10.0.0.2/24"), "int_vlan"});
    config_.snat_pools.push_back({"out", {*Ipv4Address::parse("10.0.0.90")}});
    config::Pool pool;
    pool.name = "web";
    pool.balance = config::Balance::least_connections_member;
    pool.members.resize(2);
    pool.members[0].endpoint = *Ipv4Endpoint::parse("10.0.0.11:80");
    pool.members[0].ratio = 3;
    pool.members[1].endpoint = *Ipv4Endpoint::parse("10.0.0.12:80");
    pool.members[1].state = config::MemberState::forced_offline;
    config_.pools = {pool};
    config::VirtualServer server;
    server.name = "vs";
    server.destination = *Ipv4Endpoint::parse("10.0.0.80:80");
    server.mode = config::Mode::http;
    server.pool = "web";
    server.snat = config::SnatKind::pool;
    server.snat_pool = "out";
    server.connection_limit = 7;
    server.idle.established = 77s;
    config_.virtual_servers = {server};
    config::normalise(config_);
  }
  Result<std::shared_ptr<const lb::Snapshot>> build(const lb::Snapshot* previous = nullptr) {
    const CompileContext context{
        registry_,
        [this](const std::string&, Ipv4Endpoint endpoint) {
          lb::MonitorVerdict verdict;
          verdict.status = down_.contains(endpoint) ? lb::MonitorStatus::down : lb::MonitorStatus::up;
          return verdict;
        },
        [](const std::string& name) { return name == "int_vlan" ? packet::PortId{0} : packet::kNoPort; }};
    return compile(kNow, config_, context, previous);
  }

  config::Config config_;
  lb::Registry registry_{1};
  std::set<Ipv4Endpoint> down_;
};

TEST_F(CompileTest, EveryValueArrives) {
  const auto snapshot = build();
  ASSERT_TRUE(snapshot) << snapshot.error().text();
  const lb::VirtualServer* server =
      (*snapshot)->find_virtual_server(*Ipv4Address::parse("10.0.0.80"), 80, lb::Protocol::tcp);
  ASSERT_NE(server, nullptr);
  EXPECT_EQ(server->name, "vs");
  EXPECT_EQ(server->connection_limit, 7u);
  EXPECT_EQ(server->idle.established, 77s);
  ASSERT_NE(server->snat_pool, nullptr);
  EXPECT_EQ(server->snat_pool->addresses.front().text(), "10.0.0.90");
  ASSERT_NE(server->pool, nullptr);
  EXPECT_EQ(server->pool->spec.balance, lb::Balance::least_connections_member);
  EXPECT_EQ(server->pool->members[0].ratio, 3u);
  EXPECT_TRUE(server->pool->members[0].takes_new);
  EXPECT_FALSE(server->pool->members[1].takes_new);
  EXPECT_EQ((*snapshot)->self_ips().front().address.text(), "10.0.0.2/24");
  EXPECT_EQ((*snapshot)->virtual_addresses().front().address.text(), "10.0.0.80");
}

TEST_F(CompileTest, UnchangedPoolsAreKept) {
  const auto first = build();
  ASSERT_TRUE(first);
  config_.virtual_servers[0].connection_limit = 8;
  const auto second = build(first->get());
  ASSERT_TRUE(second);
  EXPECT_EQ((*first)->pools()[0].get(), (*second)->pools()[0].get());
  down_.insert(config_.pools[0].members[0].endpoint);
  const auto third = build(second->get());
  ASSERT_TRUE(third);
  EXPECT_NE((*second)->pools()[0].get(), (*third)->pools()[0].get());
  EXPECT_EQ((*second)->pools()[0]->runtimes[0], (*third)->pools()[0]->runtimes[0]) << "counts go on";
}

TEST_F(CompileTest, BadReferencesNameTheirObject) {
  config_.virtual_servers[0].pool = "nope";
  ASSERT_FALSE(build());
  EXPECT_NE(build().error().text().find("nope"), std::string::npos);
  config_.virtual_servers[0].pool = "web";
  config_.self_ips[0].port = "gone";
  EXPECT_EQ(build().error().text(), "self-ips.self: no port \"gone\"");
}

}  // namespace
}  // namespace sluice::daemon
