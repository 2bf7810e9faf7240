// Up or down: what the successes, failures and silences of one probe amount to over time.
//
// Called by: monitors/engine. Runs on: control thread. Follows: F5 BIG-IP (timeout, time-until-up, manual-resume).
// Tested by: tests/monitors/verdict_test.cc
#pragma once

#include <optional>
#include <string>

#include "dataplane/base/time.h"
#include "monitors/monitor.h"
#include "monitors/step.h"

namespace sluice::monitors {

// All methods that can change what is published return whether they did (health, session_disabled or awaits_resume).
class Verdict {
 public:
  // An attempt was opened: from the first one after a success, silence counts against the member.
  void attempt_started(Instant now);
  // The attempt came to nothing through a fault of ours. `oldest_open`: start of the oldest attempt still open.
  void attempt_void(std::optional<Instant> oldest_open);

  // `oldest_open`: start of the oldest attempt that is still open besides this one.
  bool success(Instant now, const Monitor& m, bool session_disabled, std::optional<Instant> oldest_open);
  // Not a success, in words. `at_once`: down without waiting for the timeout.
  bool failure(const Monitor& m, std::string words, bool at_once);
  // Goes up when time-until-up is over, or down when the time for a success is; call at deadline().
  // `pending`: what the oldest open attempt is waiting for, in words.
  bool tick(Instant now, const Monitor& m, const std::string& pending);
  bool resume();

  Instant deadline(const Monitor& m) const;
  bool deadline_missed_due(Instant now, const Monitor& m) const { return down_at(m) <= now; }

  Health health() const { return health_; }
  bool session_disabled() const { return session_disabled_; }
  bool awaits_resume() const { return awaits_resume_; }
  bool proving() const { return good_since_.has_value(); }  // time-until-up runs
  bool deadline_missed() const { return deadline_missed_; }
  // Of the last failure since the last success; of what brought it down, while down.
  const std::string& words() const { return words_; }

 private:
  Instant down_at(const Monitor& m) const;
  Instant up_at(const Monitor& m) const { return good_since_ ? *good_since_ + m.time_until_up : kInstantMax; }
  bool go_up();
  bool go_down(const Monitor& m, bool deadline_missed);

  Health health_ = Health::checking;
  bool session_disabled_ = false, pending_disabled_ = false;
  bool held_ = false;  // by manual-resume
  bool awaits_resume_ = false;
  bool deadline_missed_ = false;
  std::optional<Instant> last_success_;      // since the last time it went down
  std::optional<Instant> first_unanswered_;  // start of the first attempt since then that has not succeeded
  std::optional<Instant> good_since_;        // not up, but all has been well since
  std::string words_;
};

}  // namespace sluice::monitors
