// A world for the engine's tests: a virtual clock, and what is open between the engine and the members.
//
// Called by: tests/monitors. Runs on: test thread.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "monitors/engine.h"

namespace sluice::monitors {

struct World {
  struct Open {
    Transport transport;
    Ipv4Endpoint to;
    std::string sent;
    Instant at;
  };

  Engine engine;
  Instant now = instant_ns(1'000'000'000'000);
  std::map<AttemptId, Open> open;
  std::vector<Change> changes;
  unsigned opens = 0, closes = 0;
  std::size_t open_max = 0;

  explicit World(Limits limits = {}) : engine(limits) {}

  // Carries out what the engine asked for, and checks that it makes sense.
  void take(Outputs& out) {
    EXPECT_LE(out.commands.size(), Outputs::kCommandsMax);
    EXPECT_LE(out.changes.size(), Outputs::kChangesMax);
    for (const Command& c : out.commands) {
      switch (c.kind) {
        case Command::Kind::open: {
          ++opens;
          for (const auto& [id, o] : open) EXPECT_NE(id.slot, c.attempt.slot) << "slot in use";
          EXPECT_TRUE(open.emplace(c.attempt, Open{c.transport, c.to, "", now}).second);
          break;
        }
        case Command::Kind::send:
          EXPECT_TRUE(open.contains(c.attempt));
          open[c.attempt].sent += c.bytes;
          break;
        case Command::Kind::close:
          ++closes;
          EXPECT_EQ(open.erase(c.attempt), 1U) << "closed what was not open";
          break;
      }
    }
    open_max = std::max(open_max, open.size());
    for (Change& c : out.changes) changes.push_back(std::move(c));
    out.clear();
  }

  void step(const Input& input) {
    Outputs out;
    if (input.kind == Input::Kind::closed) open.erase(input.attempt);
    engine.step(now, input, out);
    take(out);
  }
  void configure(const Plan& plan) {
    const Errors errors = engine.configure(now, plan);
    for (const Error& e : errors) ADD_FAILURE() << e.text();
    settle();
  }
  // Ticks until nothing is due now.
  void settle() {
    for (int i = 0; i < 10000 && engine.next_deadline() <= now; ++i) step(Input::tick());
    EXPECT_GT(engine.next_deadline(), now) << "the engine never comes to rest";
  }
  void run(Duration time) {
    const Instant end = now + time;
    settle();
    while (engine.next_deadline() <= end) {
      now = std::max(now, engine.next_deadline());
      settle();
    }
    now = end;
  }
  // Runs until an attempt is open, at most `time`; the newest one.
  AttemptId await_open(Duration time = 100s) {
    const unsigned before = opens;
    const Instant end = now + time;
    while (opens == before && engine.next_deadline() <= end) {
      now = std::max(now, engine.next_deadline());
      step(Input::tick());
    }
    EXPECT_GT(opens, before) << "no attempt was opened";
    return newest();
  }
  AttemptId newest() const {
    AttemptId id;
    Instant at = instant_ns(0);
    for (const auto& [i, o] : open) {
      if (o.at >= at) id = i, at = o.at;
    }
    return id;
  }
  void connect(AttemptId id) { step(Input::connected(id)); }
  void receive(AttemptId id, std::string_view bytes) { step(Input::received(id, bytes)); }
  void end(AttemptId id, CloseReason reason, std::string_view detail = {}) { step(Input::closed(id, reason, detail)); }
  // One whole good or bad exchange of the next attempt.
  void answer(std::string_view bytes) {
    const AttemptId id = await_open();
    connect(id);
    if (open.contains(id)) receive(id, bytes);
  }
  void refuse() { end(await_open(), CloseReason::refused); }

  TargetStatus status(TargetKey key = 1) const { return engine.status(key).value(); }
  Health health(TargetKey key = 1) const { return status(key).health; }
  std::string reason(TargetKey key = 1) const { return status(key).reason; }
};

inline const Ipv4Endpoint kMember{Ipv4Address::from_octets(10, 244, 0, 76), 80};

inline Monitor http_monitor() {
  Monitor m;
  m.name = "http";
  m.send = "GET / HTTP/1.1\r\nConnection: close\r\nHost: 1.1.1.1\r\n\r\n";
  m.recv = "cka";
  return m;
}
inline Monitor monitor_of(MonitorType type) {
  Monitor m;
  m.name = "m";
  m.type = type;
  return m;
}
// One target (key 1) watched by all these monitors.
inline Plan plan_of(std::vector<Monitor> monitors, std::uint32_t at_least = 0) {
  Plan plan;
  Group group;
  group.at_least = at_least;
  for (std::uint32_t i = 0; i < monitors.size(); ++i) group.monitors.push_back(i);
  plan.monitors = std::move(monitors);
  plan.groups = {group};
  plan.targets = {{1, kMember, 0}};
  return plan;
}

inline constexpr std::string_view kGood = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello cka ok";
inline constexpr std::string_view kNotFound = "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found";

}  // namespace sluice::monitors
