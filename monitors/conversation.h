// One attempt's exchange with a member: connected, sent, what has come back so far, and what that amounts to.
//
// Called by: monitors/engine. Runs on: control thread. Follows: F5 BIG-IP (recv, recv-disable, reverse).
// Tested by: tests/monitors/conversation_test.cc
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "dataplane/base/time.h"
#include "monitors/spec.h"
#include "monitors/step.h"

namespace sluice::monitors {

enum class Outcome : std::uint8_t {
  pending,
  talk,              // connected: send Monitor::send now
  success,           //
  success_disabled,  // success, but the member's session is to be disabled
  failure,           // no success; does not bring it down by itself
  failure_at_once,   // brings it down
  local_error,       // a fault of ours
};

class Conversation {
 public:
  void begin(Instant now);
  Outcome connected(const Spec& spec);
  Outcome received(Instant now, const Spec& spec, std::string_view bytes);
  Outcome closed(const Spec& spec, CloseReason reason);
  // At deadline(): the answer has ended by quiet, or the attempt's time is over.
  Outcome tick(Instant now, const Spec& spec);

  Instant started() const { return started_; }
  Instant deadline(const Spec& spec) const;
  // Why the outcome was what it was, or what it is waiting for; `reason` and `detail` if closed() brought it.
  std::string words(Instant now, const Spec& spec, Outcome outcome, CloseReason reason, std::string_view detail) const;
  std::string pending_words(Instant now, const Spec& spec) const;
  // Gives back memory beyond `bytes`.
  void end(std::size_t bytes_kept);

 private:
  bool ended_by_itself(const Spec& spec) const;
  Outcome judge(const Spec& spec, bool complete);
  Instant expires(const Spec& spec) const;

  Instant started_, last_rx_;
  bool connected_ = false;
  bool end_by_expiry_ = false;
  std::uint32_t pieces_ = 0;
  std::size_t judged_bytes_ = 0;  // of answer_, when last judged
  std::string answer_;            // <= kAnswerMax
};

}  // namespace sluice::monitors
