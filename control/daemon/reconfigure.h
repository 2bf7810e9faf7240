// The one way in which the running daemon changes: a new configuration, a modified state, a monitor's verdict.
//
// load -> diff -> steps that may fail (transaction.h) -> steps that cannot. What needs a restart stays as it is and is
// said so. The last good configuration keeps running whatever is asked.
//
// Called by: control/daemon/daemon, control/daemon/backend. Runs on: control thread.
// Tested by: tests/control/daemon/transaction_test.cc, tests/interop/daemon_smoke.py
#pragma once

#include <optional>
#include <string>

#include "control/admin/backend.h"
#include "control/daemon/balancing.h"
#include "control/daemon/bgp_control.h"
#include "control/daemon/config_source.h"
#include "control/daemon/health.h"
#include "control/daemon/overrides.h"
#include "control/daemon/routes.h"
#include "control/daemon/transaction.h"

namespace sluice::daemon {

class Reconfigure {
 public:
  struct Parts {
    ConfigSource& source;
    PacketEngine& engine;
    Balancing& balancing;
    Health& health;
    Routes& routes;
    BgpControl& bgp;
  };
  // `applied` runs after the running configuration changed.
  Reconfigure(Parts parts, std::function<void(const config::Config&)> applied);

  // Runs once, before any worker gets its first snapshot.
  void before_first_install(std::function<void(const lb::Snapshot&)> work) { before_install_ = std::move(work); }
  // The first configuration, checked by ConfigSource already.
  Errors start(config::Config config);
  // Reads file and manifests again, or takes `text`; `why` is for the log.
  tl::expected<admin::ApplyReport, Errors> apply(const std::optional<admin::ConfigText>& text, bool check_only,
                                                 const std::string& why);
  Status modify_member(const std::string& pool, Ipv4Endpoint member, config::MemberState state);
  Status modify_virtual(const std::string& name, bool enabled);
  // Monitors found something: the same configuration, a new snapshot.
  void verdicts_changed();
  // Nothing is announced any more, for the end.
  void withdraw_all();

  // In force now, overrides included.
  const config::Config& running() const { return running_; }
  const std::string& last_change() const { return last_change_; }
  const std::string& last_error() const { return last_error_; }

 private:
  Errors carry_out(const config::Config& next);
  void commit(const config::Config& next);
  Errors set_self_ips(const config::Config& config);
  Status modified();
  void note_complaints(const Errors& complaints);
  void note_bgp_errors(Errors errors);

  Parts parts_;
  std::function<void(const config::Config&)> applied_;
  std::function<void(const lb::Snapshot&)> before_install_;
  Overrides overrides_;
  config::Config base_;     // as loaded
  config::Config running_;  // with overrides
  std::shared_ptr<const lb::Snapshot> pending_;
  Errors complaints_, bgp_errors_;  // as last logged
  std::string last_change_, last_error_;
  bool started_ = false, ending_ = false;
};

}  // namespace sluice::daemon
