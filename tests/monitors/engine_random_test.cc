// Random worlds from printed seeds: members that answer, refuse, stay silent, reconfigurations, stalls; the invariants.
#include <fmt/format.h>

#include <random>
#include <set>

#include "tests/monitors/world.h"

namespace sluice::monitors {
namespace {

struct Chance {
  explicit Chance(unsigned seed) : random(seed) {}
  unsigned below(unsigned n) { return static_cast<unsigned>(random() % n); }
  bool one_in(unsigned n) { return below(n) == 0; }
  std::mt19937 random;
};

Monitor random_monitor(Chance& chance) {
  constexpr std::array kTypes = {MonitorType::http, MonitorType::tcp, MonitorType::tcp_half_open, MonitorType::udp,
                                 MonitorType::gateway_icmp};
  Monitor m;
  m.type = kTypes[chance.below(kTypes.size())];
  m.name = fmt::format("m{}", chance.below(1000));
  m.interval = 500ms * (1 + chance.below(10));
  m.timeout = m.interval + 500ms * (1 + chance.below(30));
  if (chance.one_in(3)) m.up_interval = 1s * (1 + chance.below(20));
  if (chance.one_in(3)) m.time_until_up = 1s * chance.below(30);
  m.manual_resume = chance.one_in(6);
  if (m.type == MonitorType::http || m.type == MonitorType::tcp || m.type == MonitorType::udp) {
    if (!chance.one_in(4)) m.send = "hello";
    if (!chance.one_in(4)) m.recv = "ok";
    if (!m.recv.empty() && chance.one_in(4)) m.reverse = true;
    if (!m.reverse && chance.one_in(4)) m.recv_disable = "maintenance";
  }
  if (chance.one_in(5)) m.destination_address = Ipv4Address{0x0a630000 + chance.below(3)};
  return m;
}

Plan random_plan(Chance& chance, const std::vector<Monitor>& stock) {
  Plan plan;
  plan.monitors = stock;
  for (unsigned g = 0; g < 4; ++g) {
    Group group;
    for (std::uint32_t m = 0; m < stock.size(); ++m) {
      if (chance.one_in(3)) group.monitors.push_back(m);
    }
    group.at_least = chance.below(static_cast<unsigned>(group.monitors.size()) + 1);
    plan.groups.push_back(group);
  }
  for (std::uint32_t t = 0; t < 30; ++t) {
    if (chance.one_in(4)) continue;
    const std::uint16_t port = chance.one_in(10) ? 81 : 80;
    plan.targets.push_back({t, {Ipv4Address{0x0a000000 + t / 2}, port}, chance.below(4)});
  }
  return plan;
}

// What the changes told must be what the engine says, once it is at rest.
void check(World& w, const Plan& plan, const std::map<TargetKey, std::pair<Health, bool>>& told, Limits limits) {
  const Stats stats = w.engine.stats();
  ASSERT_EQ(stats.in_flight, w.open.size());
  ASSERT_LE(stats.in_flight, limits.in_flight_max);
  ASSERT_EQ(stats.targets, plan.targets.size());
  for (const Target& target : plan.targets) {
    const TargetStatus status = w.engine.status(target.key).value();
    const auto found = told.find(target.key);
    const auto known = found == told.end() ? std::pair(Health::checking, false) : found->second;
    ASSERT_EQ(known.first, status.health) << "target " << target.key;
    ASSERT_EQ(known.second, status.session_disabled) << "target " << target.key;
    ASSERT_FALSE(status.reason.empty());
    ASSERT_TRUE(status.health == Health::up || !status.session_disabled);
  }
  std::map<std::pair<TargetKey, std::string>, int> open_by_probe;
  w.engine.for_each_probe([&](const ProbeStatus& probe) {
    ASSERT_LE(probe.successes + probe.failures, probe.attempts);
    ASSERT_TRUE(probe.health != Health::up || probe.last_success.has_value()) << probe.reason;
    ASSERT_TRUE(!probe.awaits_resume || probe.health == Health::down);
  });
}

void run_world(unsigned seed) {
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Chance chance(seed);
  const Limits limits{.in_flight_max = chance.one_in(2) ? 10U : 1000U};
  World w(limits);
  std::vector<Monitor> stock;
  for (unsigned i = 0; i < 6; ++i) stock.push_back(random_monitor(chance));
  Plan plan = random_plan(chance, stock);
  w.configure(plan);
  std::map<TargetKey, std::pair<Health, bool>> told;
  std::set<TargetKey> keys;
  std::vector<AttemptId> over;
  const std::array<std::string_view, 7> answers = {
      "ok",
      "maintenance",
      "no",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
      "HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxx\r\n0\r\n\r\n",
      ""};

  for (int event = 0; event < 1000; ++event) {
    if (!w.open.empty() && chance.below(10) < 7) {
      auto picked = w.open.begin();
      std::advance(picked, chance.below(static_cast<unsigned>(w.open.size())));
      const AttemptId id = picked->first;
      switch (chance.below(8)) {
        case 0:
        case 1:
        case 2:
          w.connect(id);
          break;
        case 3:
        case 4:
        case 5: {
          const std::string_view answer = answers[chance.below(answers.size())];
          w.connect(id);
          if (w.open.contains(id))
            w.receive(id, answer.substr(0, chance.below(static_cast<unsigned>(answer.size()) + 1)));
          if (w.open.contains(id) && chance.one_in(2)) w.receive(id, answer);
          break;
        }
        case 6:
          w.end(id, static_cast<CloseReason>(chance.below(6)), "some fault");
          break;
        case 7:
          over.push_back(id);
          break;  // silence
      }
    } else if (chance.one_in(60)) {
      plan = random_plan(chance, stock);
      if (chance.one_in(2)) stock[chance.below(6)] = random_monitor(chance);
      w.configure(plan);
      std::erase_if(told, [&](const auto& entry) {
        return std::none_of(plan.targets.begin(), plan.targets.end(),
                            [&](const Target& t) { return t.key == entry.first; });
      });
    } else if (chance.one_in(80)) {
      w.now += 1s * chance.below(10000);  // we stood still
      w.step(Input::tick());
    } else if (chance.one_in(40)) {
      w.engine.resume(w.now, chance.below(30));
    } else if (!over.empty() && chance.one_in(10)) {
      if (!w.open.contains(over.back())) w.receive(over.back(), "late ok");
      over.pop_back();
    } else {
      w.run(1ms * chance.below(2000));
    }
    w.settle();
    for (const Change& change : w.changes) {
      auto& known = told.try_emplace(change.key, Health::checking, false).first->second;
      ASSERT_NE(known, std::pair(change.health, change.session_disabled)) << "a change that changes nothing";
      known = {change.health, change.session_disabled};
    }
    w.changes.clear();
    check(w, plan, told, limits);
    if (testing::Test::HasFatalFailure() || testing::Test::HasFailure()) {
      FAIL() << "at event " << event;
    }
  }
  w.configure({});
  EXPECT_TRUE(w.open.empty());
  EXPECT_EQ(w.engine.stats().probes, 0U);
}

TEST(EngineRandom, InvariantsHoldInAnyWorld) {
  for (unsigned seed = 1; seed <= 25 && !HasFailure(); ++seed) run_world(seed);
}

TEST(EngineRandom, TheSameSeedGivesTheSameHistory) {
  auto history = [](unsigned seed) {
    Chance chance(seed);
    std::vector<Monitor> stock;
    for (unsigned i = 0; i < 6; ++i) stock.push_back(random_monitor(chance));
    World w;
    w.configure(random_plan(chance, stock));
    std::string log;
    for (int i = 0; i < 300; ++i) {
      w.run(200ms);
      if (w.open.empty()) continue;
      const AttemptId id = w.open.begin()->first;
      chance.one_in(2) ? w.connect(id) : w.end(id, CloseReason::refused);
      for (const Change& c : w.changes) log += fmt::format("{} {} {};", c.key, text(c.health), c.reason);
      w.changes.clear();
    }
    return log;
  };
  EXPECT_EQ(history(3), history(3));
  EXPECT_FALSE(history(3).empty());
}

// Whatever a member does for long enough, everybody ends as that deserves.
TEST(EngineRandom, AfterTheTroubleTheVerdictIsRight) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    Chance chance(seed);
    World w;
    Plan plan = plan_of({http_monitor()});
    plan.targets.clear();
    for (std::uint32_t i = 0; i < 20; ++i) plan.targets.push_back({i, {Ipv4Address{0x0a000000 + i}, 80}, 0});
    w.configure(plan);
    auto serve = [&](bool trouble) {
      const std::map<AttemptId, World::Open> open = w.open;
      for (const auto& [id, o] : open) {
        const bool good = o.to.address.value % 2 == 0;
        if (!w.open.contains(id) || (trouble && chance.one_in(2))) continue;
        if (trouble && chance.one_in(3)) {
          w.end(id, static_cast<CloseReason>(chance.below(6)));
        } else {
          w.connect(id);
          w.receive(id, good ? kGood : kNotFound);
        }
      }
    };
    for (int i = 0; i < 200; ++i) serve(true), w.run(1ms * chance.below(1000));
    for (int i = 0; i < 400; ++i) serve(false), w.run(100ms);
    for (std::uint32_t i = 0; i < 20; ++i) {
      EXPECT_EQ(w.health(i), i % 2 == 0 ? Health::up : Health::down) << "seed " << seed << " member " << i;
    }
  }
}

}  // namespace
}  // namespace sluice::monitors
