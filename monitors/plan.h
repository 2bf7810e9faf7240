// What the engine is asked to watch: monitors, the groups ("all of these", "at least 2 of these") and the targets.
//
// Called by: control/daemon (makes it from config), monitors/engine (follows it). Runs on: control thread.
// Follows: F5 BIG-IP ("min N of"). Tested by: tests/monitors/engine_test.cc
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/base/address.h"
#include "monitors/monitor.h"

namespace sluice::monitors {

// The caller's own number of a member: unique in a plan, and the same for the same member from plan to plan.
using TargetKey = std::uint64_t;

// What a pool demands of each of its members. A group without monitors makes its targets `unchecked`.
struct Group {
  std::vector<std::uint32_t> monitors;  // indexes into Plan::monitors, no duplicates
  std::uint32_t at_least = 0;           // 0: all must pass; n: at least n of them (1 <= n <= monitors.size())
  friend bool operator==(const Group&, const Group&) = default;
};

struct Target {
  TargetKey key = 0;
  Ipv4Endpoint endpoint;
  std::uint32_t group = 0;  // index into Plan::groups
  friend bool operator==(const Target&, const Target&) = default;
};

struct Plan {
  std::vector<Monitor> monitors;
  std::vector<Group> groups;    // usually one a pool
  std::vector<Target> targets;  // usually one a pool member
  friend bool operator==(const Plan&, const Plan&) = default;
};

}  // namespace sluice::monitors
