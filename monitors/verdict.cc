// Up or down: the rules.
#include "monitors/verdict.h"

#include <algorithm>
#include <utility>

namespace sluice::monitors {

void Verdict::attempt_started(Instant now) {
  if (!first_unanswered_) first_unanswered_ = now;
}

void Verdict::attempt_void(std::optional<Instant> oldest_open) { first_unanswered_ = oldest_open; }

bool Verdict::success(Instant now, const Monitor& m, bool session_disabled, std::optional<Instant> oldest_open) {
  last_success_ = now;
  first_unanswered_ = oldest_open;
  if (health_ == Health::up) {
    words_.clear();
    return std::exchange(session_disabled_, session_disabled) != session_disabled;
  }
  pending_disabled_ = session_disabled;
  if (held_) return !std::exchange(awaits_resume_, true);
  if (!good_since_) good_since_ = now;
  return up_at(m) <= now && go_up();
}

bool Verdict::failure(const Monitor& m, std::string words, bool at_once) {
  words_ = std::move(words);
  good_since_.reset();
  const bool awaited = std::exchange(awaits_resume_, false);
  if (health_ == Health::down) {
    deadline_missed_ = deadline_missed_ && !at_once;
    return awaited;
  }
  return at_once && go_down(m, false);
}

bool Verdict::tick(Instant now, const Monitor& m, const std::string& pending) {
  const Instant up = up_at(m), down = down_at(m);
  if (up <= now && up <= down) return go_up();
  if (down > now) return false;
  if (words_.empty()) words_ = pending;
  if (health_ == Health::down) {  // was proving itself, or waited for resume: begin anew
    good_since_.reset();
    last_success_.reset();
    first_unanswered_.reset();
    return std::exchange(awaits_resume_, false);
  }
  return go_down(m, true);
}

bool Verdict::resume() {
  held_ = false;
  return awaits_resume_ && go_up();
}

Instant Verdict::deadline(const Monitor& m) const { return std::min(up_at(m), down_at(m)); }

// The timeout runs from the last success. But silence is only silence once we asked: an attempt that starts late
// (up-interval longer than the timeout, all attempts in use) has at least timeout - interval to be answered.
Instant Verdict::down_at(const Monitor& m) const {
  const bool has_something_to_lose = health_ != Health::down || good_since_ || awaits_resume_;
  if (!has_something_to_lose || !first_unanswered_) return kInstantMax;
  if (!last_success_) return *first_unanswered_ + m.timeout;
  return std::max(*last_success_ + m.timeout, *first_unanswered_ + m.timeout - m.interval);
}

bool Verdict::go_up() {
  health_ = Health::up;
  session_disabled_ = pending_disabled_;
  awaits_resume_ = deadline_missed_ = false;
  good_since_.reset();
  words_.clear();
  return true;
}

bool Verdict::go_down(const Monitor& m, bool deadline_missed) {
  health_ = Health::down;
  session_disabled_ = false;
  deadline_missed_ = deadline_missed;
  held_ = m.manual_resume;
  last_success_.reset();
  first_unanswered_.reset();
  good_since_.reset();
  return true;
}

}  // namespace sluice::monitors
