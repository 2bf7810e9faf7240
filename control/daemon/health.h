// Health of pool members: the monitors of the configuration as a plan for the engine, and its verdicts by member.
//
// Called by: control/daemon. Runs on: control thread. Tested by: tests/control/daemon/health_test.cc (the plan)
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "control/admin/status.h"
#include "control/config/model.h"
#include "control/io/loop.h"
#include "control/io/probe_io.h"
#include "lb/snapshot/status.h"
#include "monitors/engine.h"

namespace sluice::daemon {

struct MemberName {
  std::string pool;
  Ipv4Endpoint endpoint;
  friend auto operator<=>(const MemberName&, const MemberName&) = default;
};

// Numbers for members that stay the same from plan to plan and are never given out twice. Pure.
class TargetKeys {
 public:
  monitors::TargetKey key_of(const MemberName& member);
  std::optional<monitors::TargetKey> find(const MemberName& member) const;
  const MemberName* name_of(monitors::TargetKey key) const;
  void keep_only(const monitors::Plan& plan);

 private:
  std::map<MemberName, monitors::TargetKey> keys_;
  std::map<monitors::TargetKey, MemberName> names_;
  monitors::TargetKey next_ = 1;
};

// One group a pool, one target a member. Pure, but for new keys.
monitors::Plan make_plan(const config::Config& config, TargetKeys& keys);

class Health {
 public:
  // `on_change` runs once for a burst of verdicts, soon after the first of them.
  Health(io::Loop& loop, std::function<std::optional<Ipv4Address>(Ipv4Address)> source_for,
         std::function<void()> on_change);

  // Follows the configuration; verdicts of members that stay are kept. All or nothing.
  [[nodiscard]] Errors configure(const config::Config& config);
  lb::MonitorVerdict verdict(const std::string& pool, Ipv4Endpoint endpoint) const;
  // Members that were up before our restart count as up until their monitors have said something.
  void assume_up(std::vector<MemberName> members);
  // Known to be up now, by their monitors.
  std::vector<MemberName> known_up(const config::Config& config) const;
  // Some monitored member has no verdict yet, and none is assumed.
  bool is_checking(const config::Config& config) const;
  // How long the member has been in its state of health.
  double since_s(const std::string& pool, Ipv4Endpoint endpoint) const;
  // Ends the hold of manual-resume.
  void resume(const std::string& pool, Ipv4Endpoint endpoint);
  std::vector<admin::MonitorStatus> status(const config::Config& config) const;
  void stop();

 private:
  void on_verdict(const monitors::Change& change);
  void tell();

  monitors::Engine engine_;
  TargetKeys keys_;
  std::set<MemberName> assumed_up_;
  std::function<void()> on_change_;
  io::Alarm settled_;
  unsigned burst_ = 0;   // verdicts since the last telling
  Instant next_tell_{};  // not before: so that telling takes a fifth of this thread's time at most
  io::ProbeIo probes_;
};

}  // namespace sluice::daemon
