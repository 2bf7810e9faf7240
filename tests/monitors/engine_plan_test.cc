// The engine's rules about plans: several monitors, members that come and go, limits; one test each, with a virtual
// clock.
#include "monitors/engine.h"

#include "tests/monitors/world.h"

namespace sluice::monitors {
namespace {

// ---- several monitors

TEST(Engine, AllMonitorsMustPass) {
  Monitor a = monitor_of(MonitorType::tcp), b = monitor_of(MonitorType::tcp);
  a.name = "a", b.name = "b", b.destination_port = 81;
  World w;
  w.configure(plan_of({a, b}));
  w.run(1s);
  ASSERT_EQ(w.open.size(), 2U);
  const AttemptId one = w.open.begin()->first, two = w.open.rbegin()->first;
  w.connect(one);
  EXPECT_EQ(w.health(), Health::checking);
  w.connect(two);
  EXPECT_EQ(w.health(), Health::up);
  AttemptId id = w.await_open();
  while (w.open[id].to.port != 81) w.connect(id), id = w.await_open();
  w.end(id, CloseReason::refused);
  EXPECT_EQ(w.health(), Health::down);
  EXPECT_EQ(w.reason(), "b: connection refused.");
}

TEST(Engine, AtLeastNMonitorsMustPass) {
  std::vector<Monitor> monitors;
  for (std::uint16_t i = 0; i < 3; ++i) {
    monitors.push_back(monitor_of(MonitorType::tcp));
    monitors.back().name = std::string(1, static_cast<char>('a' + i));
    monitors.back().destination_port = static_cast<std::uint16_t>(81 + i);
  }
  World w;
  w.configure(plan_of(monitors, 2));
  auto handle = [&](std::uint16_t port, bool good) {
    for (int i = 0; i < 30; ++i) {
      for (const auto& [id, o] : w.open) {
        if (o.to.port == port) {
          const AttemptId copy = id;
          good ? w.connect(copy) : w.end(copy, CloseReason::refused);
          return;
        }
      }
      w.run(500ms);
    }
    FAIL() << "no attempt at port " << port;
  };
  handle(81, false);
  EXPECT_EQ(w.health(), Health::checking) << "two more can pass";
  handle(82, true);
  EXPECT_EQ(w.health(), Health::checking);
  handle(83, true);
  EXPECT_EQ(w.health(), Health::up);
  handle(83, false);
  EXPECT_EQ(w.health(), Health::down);
  EXPECT_TRUE(w.reason().starts_with("1 of 3 monitors pass, 2 needed. a: connection refused")) << w.reason();
}

// ---- plans

TEST(Engine, EqualMonitorsShareOneProbe) {
  Plan plan;
  plan.monitors = {http_monitor(), http_monitor()};
  plan.monitors[1].name = "other";
  plan.groups = {{{0}, 0}, {{1}, 0}};
  plan.targets = {{1, kMember, 0}, {2, kMember, 1}};
  World w;
  w.configure(plan);
  EXPECT_EQ(w.engine.stats().probes, 1U);
  w.answer(kGood);
  EXPECT_EQ(w.health(1), Health::up);
  EXPECT_EQ(w.health(2), Health::up);
  EXPECT_TRUE(w.reason(2).starts_with("other: ")) << w.reason(2);
  EXPECT_EQ(w.changes.size(), 2U);
}

TEST(Engine, DestinationOverridesTheMembers) {
  Monitor m = http_monitor();
  m.destination_address = Ipv4Address::from_octets(10, 0, 0, 9);
  m.destination_port = 8080;
  Plan plan = plan_of({m});
  plan.targets.push_back({2, {Ipv4Address::from_octets(10, 244, 0, 77), 80}, 0});
  World w;
  w.configure(plan);
  EXPECT_EQ(w.engine.stats().probes, 1U) << "one destination, one probe";
  EXPECT_EQ(w.open[w.await_open()].to.text(), "10.0.0.9:8080");
}

TEST(Engine, AGroupWithoutMonitorsIsUnchecked) {
  World w;
  w.configure(plan_of({}));
  EXPECT_EQ(w.health(), Health::unchecked);
  EXPECT_EQ(w.engine.next_deadline(), kInstantMax);
  ASSERT_EQ(w.changes.size(), 1U);
  w.configure(plan_of({http_monitor()}));
  EXPECT_EQ(w.health(), Health::checking);
  ASSERT_EQ(w.changes.size(), 2U);
  EXPECT_EQ(w.changes[1].health, Health::checking);
}

TEST(Engine, ReconfiguringKeepsWhatStays) {
  Plan plan = plan_of({http_monitor()});
  World w;
  w.configure(plan);
  w.answer(kGood);
  const AttemptId id = w.await_open();
  w.connect(id);
  plan.targets.insert(plan.targets.begin(), {7, {Ipv4Address::from_octets(10, 244, 0, 99), 80}, 0});
  w.configure(plan);
  EXPECT_EQ(w.health(1), Health::up);
  EXPECT_EQ(w.health(7), Health::checking);
  EXPECT_TRUE(w.open.contains(id)) << "the attempt in flight goes on";
  w.receive(id, kGood);
  EXPECT_EQ(w.changes.size(), 1U) << "nothing new about member 1";
  plan.targets.erase(plan.targets.begin());
  w.configure(plan);
  EXPECT_FALSE(w.engine.status(7).has_value());
  EXPECT_EQ(w.engine.stats().probes, 1U);
}

TEST(Engine, RemovedMembersAreClosed) {
  Plan plan = plan_of({http_monitor()});
  plan.targets.clear();
  for (std::uint32_t i = 0; i < 1000; ++i) plan.targets.push_back({i, {Ipv4Address{0x0a000000 + i}, 80}, 0});
  World w;
  w.configure(plan);
  w.run(3s);
  EXPECT_EQ(w.engine.stats().in_flight, w.open.size());
  EXPECT_GE(w.open.size(), 1000U);
  const AttemptId late = w.newest();
  plan.targets.clear();
  w.configure(plan);
  EXPECT_TRUE(w.open.empty());
  EXPECT_EQ(w.engine.stats().in_flight, 0U);
  EXPECT_EQ(w.engine.next_deadline(), kInstantMax);
  w.step(Input::connected(late));
  w.step(Input::received(late, kGood));
  EXPECT_EQ(w.engine.stats().inputs_ignored, 2U);
}

TEST(Engine, ANewMonitorDoesNotDisturbAMemberThatIsUp) {
  Plan plan = plan_of({http_monitor()});
  World w;
  w.configure(plan);
  w.answer(kGood);
  plan.monitors[0].interval = 3s;  // another monitor now
  w.configure(plan);
  EXPECT_EQ(w.health(), Health::up);
  EXPECT_EQ(w.changes.size(), 1U);
  w.refuse();
  EXPECT_EQ(w.health(), Health::down) << "until it has a verdict of its own";
}

TEST(Engine, AnotherEndpointUnderTheSameKeyBeginsAnew) {
  Plan plan = plan_of({http_monitor()});
  World w;
  w.configure(plan);
  w.answer(kGood);
  plan.targets[0].endpoint.port = 81;
  w.configure(plan);
  EXPECT_EQ(w.health(), Health::checking);
  EXPECT_EQ(w.changes.back().health, Health::checking);
}

TEST(Engine, APlanWithFaultsChangesNothingAndReportsAll) {
  Plan plan = plan_of({http_monitor()});
  World w;
  w.configure(plan);
  w.answer(kGood);
  Plan bad = plan;
  bad.monitors.push_back(http_monitor());
  bad.monitors[1].name = "second", bad.monitors[1].recv = "(", bad.monitors[1].timeout = 1s;
  bad.targets.push_back({1, kMember, 0});
  bad.targets.push_back({5, kMember, 9});
  const Errors errors = w.engine.configure(w.now, bad);
  EXPECT_EQ(errors.size(), 4U);
  EXPECT_EQ(w.health(), Health::up);
  EXPECT_EQ(w.engine.stats().targets, 1U);

  Plan never = plan;
  never.groups[0].at_least = 2;
  EXPECT_EQ(w.engine.configure(w.now, never).size(), 1U);
  Plan no_port = plan;
  no_port.targets[0].endpoint.port = 0;
  EXPECT_EQ(w.engine.configure(w.now, no_port).size(), 1U);
}

TEST(Engine, TooManyProbesAreRefused) {
  World w(Limits{.in_flight_max = 10, .probes_max = 2});
  Plan plan = plan_of({http_monitor()});
  for (std::uint32_t i = 2; i < 4; ++i) plan.targets.push_back({i, {Ipv4Address{0x0a000000 + i}, 80}, 0});
  EXPECT_EQ(w.engine.configure(w.now, plan).size(), 1U);
  plan.targets.pop_back();
  EXPECT_TRUE(w.engine.configure(w.now, plan).empty());
}

// ---- limits

TEST(Engine, MoreMembersThanAttemptsAreServedInTurn) {
  World w(Limits{.in_flight_max = 20});
  Plan plan = plan_of({http_monitor()});
  plan.targets.clear();
  for (std::uint32_t i = 0; i < 100; ++i) plan.targets.push_back({i, {Ipv4Address{0x0a000000 + i}, 80}, 0});
  w.configure(plan);
  w.run(200s);  // nobody ever answers
  EXPECT_EQ(w.open_max, 20U);
  for (std::uint32_t i = 0; i < 100; ++i) EXPECT_EQ(w.health(i), Health::down) << i;
}

TEST(Engine, WaitingForATurnIsNotHeldAgainstAMember) {
  World w(Limits{.in_flight_max = 4});
  Plan plan = plan_of({http_monitor()});
  plan.targets.clear();
  for (std::uint32_t i = 0; i < 9; ++i) plan.targets.push_back({i, {Ipv4Address{0x0a000000 + i}, 80}, 0});
  w.configure(plan);
  // Members 0 .. 7 never answer, member 8 answers at once.
  const Ipv4Endpoint good{Ipv4Address{0x0a000008}, 80};
  for (int i = 0; i < 3000; ++i) {
    for (const auto& [id, o] : w.open) {
      if (o.to == good) {
        const AttemptId copy = id;
        w.connect(copy);
        w.receive(copy, kGood);
        break;
      }
    }
    w.run(100ms);
    EXPECT_NE(w.health(8), Health::down) << i;
  }
  EXPECT_EQ(w.health(8), Health::up);
}

TEST(Engine, ManyChangesAtOnceComeInBoundedBites) {
  Monitor m = monitor_of(MonitorType::tcp);
  m.destination_address = Ipv4Address::from_octets(10, 9, 9, 9);
  Plan plan = plan_of({m});
  plan.targets.clear();
  for (std::uint32_t i = 0; i < 1000; ++i) plan.targets.push_back({i, {Ipv4Address{0x0a000000 + i}, 80}, 0});
  World w;
  w.configure(plan);
  const AttemptId id = w.await_open();
  w.connect(id);
  EXPECT_EQ(w.changes.size(), Outputs::kChangesMax);
  EXPECT_LE(w.engine.next_deadline(), w.now);
  w.settle();
  EXPECT_EQ(w.changes.size(), 1000U);
}

TEST(Engine, ProbesAreListedInThePlansOrder) {
  Plan plan = plan_of({http_monitor(), monitor_of(MonitorType::gateway_icmp)});
  World w;
  w.configure(plan);
  std::vector<std::string> seen;
  w.engine.for_each_probe([&](const ProbeStatus& s) {
    seen.push_back(std::string(s.monitor) + " " + s.endpoint.text() + " " + std::string(text(s.health)));
  });
  EXPECT_EQ(seen, (std::vector<std::string>{"http 10.244.0.76:80 checking", "m 10.244.0.76:0 checking"}));
}

}  // namespace
}  // namespace sluice::monitors
