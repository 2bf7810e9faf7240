// One attempt's exchange with a member: judging an answer that comes in pieces, at a cost that has a bound.
#include "monitors/conversation.h"

#include <fmt/format.h>

#include <algorithm>

#include "monitors/reason.h"
#include "monitors/types.h"

namespace sluice::monitors {
namespace {

// A server that dribbles its answer byte by byte must not make us match kAnswerMax times: after some pieces, only
// every so many bytes (and at the end) is the answer judged again.
constexpr std::uint32_t kPiecesJudgedAll = 64;
constexpr std::size_t kBytesBetweenJudgements = 64;
// An attempt ends here even if the timeout is hours: the kernel's own connect gives up about then.
constexpr Duration kAttemptMax = 120s;
// Longer than a neighbour takes to be found missing; short, because a silent member holds its socket for so long.
constexpr Duration kSilenceMax = 3s;

}  // namespace

void Conversation::begin(Instant now) {
  started_ = last_rx_ = now;
  connected_ = end_by_expiry_ = false;
  pieces_ = 0;
  judged_bytes_ = 0;
  answer_.clear();
}

void Conversation::end(std::size_t bytes_kept) {
  answer_.clear();
  if (answer_.capacity() > bytes_kept) std::string().swap(answer_);
}

Outcome Conversation::connected(const Spec& spec) {
  if (connected_) return Outcome::pending;
  connected_ = true;
  return spec.ops().talks(spec.monitor()) ? Outcome::talk : Outcome::success;
}

Outcome Conversation::received(Instant now, const Spec& spec, std::string_view bytes) {
  answer_.append(bytes.substr(0, kAnswerMax - answer_.size()));
  last_rx_ = now;
  ++pieces_;
  if (spec.monitor().type == MonitorType::gateway_icmp) return Outcome::success;  // also with an empty payload
  if (bytes.empty() && spec.monitor().type != MonitorType::udp) return Outcome::pending;
  const bool full = answer_.size() == kAnswerMax;
  if (pieces_ > kPiecesJudgedAll && !full && answer_.size() < judged_bytes_ + kBytesBetweenJudgements) {
    return Outcome::pending;
  }
  return judge(spec, full || ended_by_itself(spec));
}

Outcome Conversation::closed(const Spec& spec, CloseReason reason) {
  if (reason == CloseReason::local_error) return Outcome::local_error;
  // What came before the end may be enough; but a broken answer proves nothing by what it does not hold.
  const bool judge_it = reason == CloseReason::eof || (reason == CloseReason::reset && !spec.monitor().reverse);
  if (judge_it && !answer_.empty()) {
    const Outcome outcome = judge(spec, true);
    if (outcome != Outcome::failure || reason == CloseReason::eof) return outcome;
  }
  const bool soft = reason == CloseReason::eof || reason == CloseReason::timed_out;
  return soft ? Outcome::failure : Outcome::failure_at_once;
}

Outcome Conversation::tick(Instant now, const Spec& spec) {
  if (deadline(spec) > now) return Outcome::pending;
  if (!answer_.empty()) {
    end_by_expiry_ = expires(spec) <= now;
    return judge(spec, true);
  }
  if (connected_ && spec.ops().silence_is_success(spec.monitor())) return Outcome::success;
  end_by_expiry_ = true;
  return Outcome::failure;
}

Instant Conversation::expires(const Spec& spec) const {
  return started_ + std::min(spec.monitor().timeout, kAttemptMax);
}

Instant Conversation::deadline(const Spec& spec) const {
  if (!answer_.empty() && spec.needs_end()) return std::min(expires(spec), last_rx_ + kAnswerQuiet);
  if (connected_ && answer_.empty() && spec.ops().silence_is_success(spec.monitor())) {
    return started_ + std::min(spec.monitor().interval, kSilenceMax);
  }
  return expires(spec);
}

bool Conversation::ended_by_itself(const Spec& spec) const {
  return spec.ops().answer_complete(spec.monitor(), answer_);
}

Outcome Conversation::judge(const Spec& spec, bool complete) {
  judged_bytes_ = answer_.size();
  switch (spec.judge(answer_, complete)) {
    case Spec::Judgement::wait:
      return Outcome::pending;
    case Spec::Judgement::match:
      return Outcome::success;
    case Spec::Judgement::match_disabled:
      return Outcome::success_disabled;
    case Spec::Judgement::match_reverse:
      return Outcome::failure_at_once;
    case Spec::Judgement::no_match:
      return Outcome::failure;
  }
  __builtin_unreachable();
}

std::string Conversation::pending_words(Instant now, const Spec& spec) const {
  const std::string time = duration_text(now - started_);
  if (!connected_) return fmt::format("connect timed out after {}", time);
  if (answer_.empty()) {
    return spec.monitor().send.empty() ? fmt::format("connected, but nothing was received in {}", time)
                                       : fmt::format("no answer in {}", time);
  }
  return fmt::format("no match for \"{}\" after {} in {}", printable(spec.monitor().recv), time, answer_text(answer_));
}

std::string Conversation::words(Instant now, const Spec& spec, Outcome outcome, CloseReason reason,
                                std::string_view detail) const {
  const Monitor& m = spec.monitor();
  switch (outcome) {
    case Outcome::pending:
    case Outcome::talk:
      return pending_words(now, spec);
    case Outcome::success_disabled:
      return fmt::format("match for recv-disable \"{}\" in {}", printable(m.recv_disable), answer_text(answer_));
    case Outcome::success:
      if (answer_.empty()) return std::string(spec.ops().success_word);
      if (m.reverse) return fmt::format("no match for \"{}\" (reverse) in {}", printable(m.recv), answer_text(answer_));
      if (m.recv.empty()) return fmt::format("answered with {}", answer_text(answer_));
      return fmt::format("match for \"{}\" in {}", printable(m.recv), answer_text(answer_));
    case Outcome::failure:
    case Outcome::failure_at_once:
      break;
    case Outcome::local_error:
      return close_text(reason, detail, connected_);
  }
  if (end_by_expiry_) return pending_words(now, spec);
  if (answer_.empty() || (outcome == Outcome::failure_at_once && !m.reverse)) {
    return close_text(reason, detail, connected_);
  }
  if (outcome == Outcome::failure_at_once) {
    if (spec.judge(answer_, false) != Spec::Judgement::match_reverse) return close_text(reason, detail, connected_);
    return fmt::format("match for \"{}\" (reverse) in {}", printable(m.recv), answer_text(answer_));
  }
  return fmt::format("no match for \"{}\" in {}", printable(m.recv.empty() ? m.recv_disable : m.recv),
                     answer_text(answer_));
}

}  // namespace sluice::monitors
