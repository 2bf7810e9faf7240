// Tests of the Builder: refusals, reuse of pools, service-down marks, reachability of virtual addresses.
#include "lb/snapshot/builder.h"

#include <functional>

#include "tests/support/lb_pool.h"

namespace sluice::lb {
namespace {

struct BuilderTest : testing::Test {
  Registry registry{1};
  Builder builder{registry, balance::state_factory(1)};
  std::shared_ptr<const Snapshot> current;
  VirtualServerSpec server(const std::string& name = "vs", const std::string& pool = "pool") {
    VirtualServerSpec spec;
    spec.name = name;
    spec.destination = endpoint("172.16.40.80:80");
    spec.pool = pool;
    return spec;
  }
  const Snapshot& build(std::vector<PoolSpec> pools, Instant now = Instant{}) {
    for (auto& pool : pools) builder.add_pool(pool);
    auto next = builder.build(now, current.get());
    EXPECT_TRUE(next.has_value()) << next.error().text();
    current = *next;
    return *current;
  }
};

TEST_F(BuilderTest, RefusalsNameTheObject) {
  struct Case {
    const char* want;
    std::function<void(Builder&)> fill;
  };
  const PoolSpec pool = pool_spec(Balance::round_robin, 1);
  const Case cases[] = {
      {"virtual server vs: there is no pool \"pool\"", [&](Builder& b) { b.add_virtual_server(server()); }},
      {"pool pool: is there twice", [&](Builder& b) { b.add_pool(pool), b.add_pool(pool); }},
      {"virtual server b: another virtual server has the destination 172.16.40.80:80 already",
       [&](Builder& b) { b.add_virtual_server(server("a", "")), b.add_virtual_server(server("b", "")); }},
      {"virtual server a: is there twice",
       [&](Builder& b) { b.add_virtual_server(server("a", "")), b.add_virtual_server(server("a", "")); }},
      {"SNAT pool s: has no address",
       [](Builder& b) {
         b.add_snat_pool({"s", {}});
       }},
      {"virtual server vs: there is no SNAT pool \"s\"",
       [&](Builder& b) {
         auto spec = server("vs", "");
         spec.snat = SnatKind::pool;
         spec.snat_pool = "s";
         b.add_virtual_server(spec);
       }},
      {"pool pool member 10.244.0.0:80: is there twice",
       [&](Builder& b) {
         auto twice = pool;
         twice.members.push_back(twice.members[0]);
         b.add_pool(twice);
       }},
      {"pool pool member 10.244.0.0:80: ratio must be 1..65535",
       [&](Builder& b) {
         auto bad = pool;
         bad.members[0].ratio = 0;
         b.add_pool(bad);
       }},
      {"pool pool member 10.244.0.0:80: weighted-least-connections-member needs a connection limit on every member",
       [&](Builder& b) {
         auto bad = pool;
         bad.balance = Balance::weighted_least_connections_member;
         b.add_pool(bad);
       }},
  };
  for (const Case& c : cases) {
    c.fill(builder);
    const auto result = builder.build(Instant{}, nullptr);
    ASSERT_FALSE(result.has_value()) << c.want;
    EXPECT_EQ(result.error().text(), c.want);
    EXPECT_TRUE(builder.build(Instant{}, nullptr).has_value());  // it is empty again
  }
}

TEST_F(BuilderTest, UnchangedPoolsAreUsedAgain) {
  PoolSpec one = pool_spec(Balance::least_connections_member, 3, "one");
  PoolSpec two = pool_spec(Balance::round_robin, 3, "two");
  build({one, two});
  const Pool* first = current->pools()[0].get();
  const Pool* second = current->pools()[1].get();
  one.members[0].verdict.reason = "only other words";
  two.members[0].verdict.status = MonitorStatus::down;
  build({one, two});
  EXPECT_EQ(current->pools()[0].get(), first);
  EXPECT_NE(current->pools()[1].get(), second);
  EXPECT_EQ(current->generation(), 2u);
}

TEST_F(BuilderTest, MembersKeepTheirRuntimeWhereverTheyStand) {
  PoolSpec spec = pool_spec(Balance::round_robin, 3);
  build({spec});
  MemberRuntime* runtime = current->pools()[0]->members[2].runtime;
  spec.members.erase(spec.members.begin());
  build({spec});
  const Pool& pool = *current->pools()[0];
  EXPECT_EQ(pool.members[1].runtime, runtime);
  EXPECT_EQ(pool.member_by_id(runtime->id), &pool.members[1]);
  EXPECT_EQ(pool.member_by_id(4711), nullptr);
}

TEST_F(BuilderTest, GoingDownUnderAnActionAsksForASweep) {
  PoolSpec spec = pool_spec(Balance::round_robin, 2);
  spec.service_down = ServiceDownAction::reject;
  build({spec});
  const auto sweep = current->sweep_generation();
  MemberRuntime& member = *current->pools()[0]->members[0].runtime;
  spec.members[0].state = MemberState::forced_offline;  // existing connections go on
  build({spec});
  EXPECT_EQ(current->sweep_generation(), sweep);
  spec.members[0].verdict.status = MonitorStatus::down;
  build({spec});
  EXPECT_EQ(current->sweep_generation(), sweep + 1);
  EXPECT_EQ(member.flows_on_down, FlowsOnDown::reject);
  spec.members[1].ratio = 2;
  build({spec});
  EXPECT_EQ(current->sweep_generation(), sweep + 1);  // still the same outage
  spec.members[0].verdict.status = MonitorStatus::up;
  build({spec});
  EXPECT_EQ(member.flows_on_down, FlowsOnDown::keep);
}

TEST_F(BuilderTest, AnAddressIsReachableByKnownMembersOfEnabledServers) {
  const auto reachable = [&](MonitorStatus status, bool enabled) {
    PoolSpec spec = pool_spec(Balance::round_robin, 1);
    spec.members[0].verdict.status = status;
    auto vs = server();
    vs.enabled = enabled;
    builder.add_virtual_server(vs);
    return build({spec}).virtual_addresses()[0].reachable;
  };
  EXPECT_TRUE(reachable(MonitorStatus::up, true));
  EXPECT_TRUE(reachable(MonitorStatus::unchecked, true));
  EXPECT_FALSE(reachable(MonitorStatus::checking, true));
  EXPECT_FALSE(reachable(MonitorStatus::down, true));
  EXPECT_FALSE(reachable(MonitorStatus::up, false));
}

TEST_F(BuilderTest, RemovedPoolsAreFreedOnceTheirFlowsEnd) {
  build({pool_spec(Balance::round_robin, 2)});
  MemberRuntime* flow = current->pools()[0]->members[0].runtime;
  flow->acquire(0, 0);
  build({});
  registry.collect();
  EXPECT_EQ(registry.size(), 3u);  // the member with its pool and node
  flow->release();
  registry.collect();
  EXPECT_EQ(registry.size(), 0u);
}

}  // namespace
}  // namespace sluice::lb
