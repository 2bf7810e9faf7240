// The health-check engine: what happens in time. Attempts start, answers come, verdicts change, targets follow.
#include "monitors/engine.h"

#include <algorithm>
#include <cassert>

#include "monitors/engine_impl.h"
#include "monitors/types.h"

namespace sluice::monitors {
namespace {

// The most commands that one probe can ask for in one call: close all its attempts, open one.
constexpr std::size_t kCommandsPerProbe = kAttemptsPerProbe + 1;
// Answer buffers keep this much memory per free attempt.
constexpr std::size_t kAnswerKept = 1024;

bool has_room(const Outputs& outputs) { return outputs.commands.size() + kCommandsPerProbe <= Outputs::kCommandsMax; }

}  // namespace

Engine::Engine(Limits limits) : impl_(std::make_unique<Impl>(limits)) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

Errors Engine::configure(Instant now, const Plan& plan) { return impl_->configure(impl_->advance(now), plan); }

void Engine::set_wall_clock(Instant now, std::chrono::sys_seconds wall) {
  impl_->wall = wall;
  impl_->wall_at = now;
}

void Engine::step(Instant caller_now, const Input& input, Outputs& outputs) {
  assert(has_room(outputs));
  const Instant now = impl_->advance(caller_now);
  if (input.kind == Input::Kind::tick) {
    impl_->run_due(now, outputs);
  } else {
    impl_->input(now, input, outputs);
  }
  impl_->publish(outputs);
}

Instant Engine::next_deadline() const {
  const Impl& e = *impl_;
  const bool can_start = !e.waiting.empty() && e.stats.in_flight < e.limits.in_flight_max;
  if (!e.doomed.empty() || !e.dirty.empty() || can_start) return e.caller_time(e.last);
  const Instant first = e.deadlines.first();
  return first == kInstantMax ? kInstantMax : e.caller_time(first);
}

bool Engine::resume(Instant caller_now, TargetKey key) {
  Impl& e = *impl_;
  const Instant now = e.advance(caller_now);
  const auto found = e.target_index.find(key);
  if (found == e.target_index.end()) return false;
  const TargetState& target = e.targets[found->second];
  for (std::uint32_t i = 0; i < target.probes_count; ++i) {
    const std::uint32_t probe = e.target_probes[target.probes_first + i];
    if (e.probes[probe].verdict.resume()) e.probe_changed(now, probe);
    e.reschedule(probe);
  }
  return true;
}

// ---- time

// The caller's clock may not go back, and time in which nobody called us is nobody's fault.
Instant Engine::Impl::advance(Instant caller_now) {
  Instant now = caller_now - stall;
  if (has_last) now = std::max(now, last);
  const Instant first = deadlines.first();
  if (has_last && first != kInstantMax && now - kStallMax > std::max(first, last)) {
    const Instant resumed = std::max(first, last);
    stall += now - resumed;
    ++stats.stalls;
    now = resumed;
  }
  last = now;
  has_last = true;
  return now;
}

void Engine::Impl::run_due(Instant now, Outputs& outputs) {
  while (!doomed.empty() && has_room(outputs)) {
    outputs.commands.push_back({.kind = Command::Kind::close, .attempt = doomed.front()});
    doomed.pop_front();
  }
  start_waiting(now, outputs);
  while (deadlines.first() <= now && has_room(outputs)) tick_probe(now, deadlines.first_id(), outputs);
}

void Engine::Impl::start_waiting(Instant now, Outputs& outputs) {
  while (!waiting.empty() && stats.in_flight < limits.in_flight_max && has_room(outputs)) {
    const std::uint32_t probe = waiting.front();
    waiting.pop_front();
    probes[probe].waiting = false;
    start_attempt(now, probe, outputs);
    reschedule(probe);
  }
}

// ---- one probe

void Engine::Impl::tick_probe(Instant now, std::uint32_t index, Outputs& outputs) {
  Probe& probe = probes[index];
  for (std::uint8_t i = 0; i < probe.attempts_open;) {
    const std::uint32_t slot = probe.attempts[i];
    const Outcome outcome = attempts[slot].conversation.tick(now, *probe.spec);
    if (outcome == Outcome::pending) {
      ++i;
    } else {
      settle(now, slot, outcome, Input::tick(), outputs, true);
      i = 0;  // it took at least itself out
    }
  }
  const Monitor& m = probe.spec->monitor();
  if (probe.verdict.deadline(m) <= now) {
    const bool changed = probe.verdict.tick(now, m, pending_words(now, probe));
    if (changed) {
      if (probe.verdict.health() == Health::down) end_all_attempts(index, outputs);
      probe_changed(now, index);
    }
  }
  if (!probe.waiting && probe.next_start <= now) {
    if (may_start(probe)) {
      start_attempt(now, index, outputs);
    } else if (probe.attempts_open > 0) {
      probe.next_start = now + m.interval;  // one of its attempts still has hope; others have none at all
    } else {
      probe.waiting = true;
      waiting.push_back(index);
    }
  }
  reschedule(index);
}

// When attempts run short, those who have one open do not get another.
bool Engine::Impl::may_start(const Probe& probe) const {
  if (probe.attempts_open == kAttemptsPerProbe) return true;  // takes the place of its own youngest
  const std::uint32_t share = probe.attempts_open == 0 ? limits.in_flight_max : limits.in_flight_max / 4 * 3;
  return stats.in_flight < share && (probe.attempts_open > 0 || waiting.empty());
}

void Engine::Impl::start_attempt(Instant now, std::uint32_t index, Outputs& outputs) {
  Probe& probe = probes[index];
  if (probe.attempts_open == kAttemptsPerProbe) {
    end_attempt(probe.attempts[kAttemptsPerProbe - 1], true, outputs);
    ++stats.attempts_cut;
  }
  if (free_attempts.empty()) {
    free_attempts.push_back(static_cast<std::uint32_t>(attempts.size()));
    attempts.emplace_back();
  }
  const std::uint32_t slot = free_attempts.back();
  free_attempts.pop_back();
  Attempt& attempt = attempts[slot];
  if (++attempt.generation == 0) ++attempt.generation;
  attempt.probe = index;
  attempt.conversation.begin(now);
  probe.attempts[probe.attempts_open++] = slot;
  ++stats.in_flight, ++stats.attempts, ++probe.attempts_total;

  const Monitor& m = probe.spec->monitor();
  probe.verdict.attempt_started(now);
  if (probe.started) {
    probe.next_start = std::max(probe.next_start + m.interval, now + m.interval / 2);
  } else {
    // All that began together shall not stay together: the second start falls anywhere in the interval.
    probe.started = true;
    const std::uint64_t hash = std::hash<Ipv4Endpoint>{}(probe.endpoint) * 0x9e3779b97f4a7c15ULL >> 32;
    probe.next_start = now + m.interval / 10 + m.interval * 9 / 10 * static_cast<std::int64_t>(hash % 1024) / 1024;
  }
  outputs.commands.push_back({.kind = Command::Kind::open,
                              .attempt = {slot, attempt.generation},
                              .transport = probe.spec->ops().transport,
                              .to = probe.endpoint});
}

void Engine::Impl::input(Instant now, const Input& input, Outputs& outputs) {
  const std::uint32_t slot = input.attempt.slot;
  if (slot >= attempts.size() || attempts[slot].probe == kNone ||
      attempts[slot].generation != input.attempt.generation) {
    ++stats.inputs_ignored;
    return;
  }
  const std::uint32_t index = attempts[slot].probe;
  const Spec& spec = *probes[index].spec;
  Conversation& conversation = attempts[slot].conversation;
  Outcome outcome = Outcome::pending;
  switch (input.kind) {
    case Input::Kind::tick:
      return;
    case Input::Kind::connected:
      outcome = conversation.connected(spec);
      break;
    case Input::Kind::received:
      outcome = conversation.received(now, spec, input.bytes);
      break;
    case Input::Kind::closed:
      outcome = conversation.closed(spec, input.close_reason);
      break;
  }
  if (outcome == Outcome::talk) {
    // UDP and echo send even nothing: an empty datagram also asks.
    if (!spec.monitor().send.empty() || spec.ops().transport != Transport::tcp) {
      outputs.commands.push_back({.kind = Command::Kind::send, .attempt = input.attempt, .bytes = spec.monitor().send});
    }
  } else if (outcome != Outcome::pending) {
    settle(now, slot, outcome, input, outputs, input.kind != Input::Kind::closed);
  }
  reschedule(index);
}

// An attempt has an outcome: the probe's verdict follows, and the attempt ends. `close`: io still has it open.
void Engine::Impl::settle(Instant now, std::uint32_t slot, Outcome outcome, const Input& input, Outputs& outputs,
                          bool close) {
  const std::uint32_t index = attempts[slot].probe;
  Probe& probe = probes[index];
  const Monitor& m = probe.spec->monitor();
  const Conversation& talk = attempts[slot].conversation;
  const Health before = probe.verdict.health();
  const Instant started = talk.started();
  bool changed = false;
  if (outcome != Outcome::local_error) probe.fault.clear();
  switch (outcome) {
    case Outcome::pending:
    case Outcome::talk:
      return;
    case Outcome::success:
    case Outcome::success_disabled: {
      ++probe.successes, ++stats.successes;
      probe.last_success = caller_time(now);
      probe.latency = now - started;
      // Older attempts have nothing left to tell; younger ones go on.
      while (probe.attempts[0] != slot) end_attempt(probe.attempts[0], true, outputs);
      const bool disabled = outcome == Outcome::success_disabled;
      if (before != Health::up || probe.verdict.session_disabled() != disabled) {
        probe.words = talk.words(now, *probe.spec, outcome, input.close_reason, input.detail);
      }
      changed = probe.verdict.success(now, m, disabled, oldest_open(probe, slot));
      if (probe.verdict.health() == Health::up && m.up_interval)
        probe.next_start = std::max(started + *m.up_interval, now);
      break;
    }
    case Outcome::failure:
    case Outcome::failure_at_once:
      ++probe.failures, ++stats.failures;
      changed = probe.verdict.failure(m, talk.words(now, *probe.spec, outcome, input.close_reason, input.detail),
                                      outcome == Outcome::failure_at_once);
      break;
    case Outcome::local_error:
      ++stats.local_errors;
      probe.fault = talk.words(now, *probe.spec, outcome, input.close_reason, input.detail);
      probe.verdict.attempt_void(oldest_open(probe, slot));
      break;
  }
  end_attempt(slot, close, outputs);
  if (before != Health::down && probe.verdict.health() == Health::down) end_all_attempts(index, outputs);
  if (changed) probe_changed(now, index);
}

void Engine::Impl::end_attempt(std::uint32_t slot, bool close, Outputs& outputs) {
  Probe& probe = probes[attempts[slot].probe];
  if (close) outputs.commands.push_back({.kind = Command::Kind::close, .attempt = {slot, attempts[slot].generation}});
  const auto end = probe.attempts.begin() + probe.attempts_open;
  std::move(std::find(probe.attempts.begin(), end, slot) + 1, end, std::find(probe.attempts.begin(), end, slot));
  --probe.attempts_open;
  free_attempt(slot);
}

void Engine::Impl::free_attempt(std::uint32_t slot) {
  attempts[slot].conversation.end(kAnswerKept);
  attempts[slot].probe = kNone;
  free_attempts.push_back(slot);
  --stats.in_flight;
}

void Engine::Impl::end_all_attempts(std::uint32_t index, Outputs& outputs) {
  while (probes[index].attempts_open > 0) end_attempt(probes[index].attempts[0], true, outputs);
}

void Engine::Impl::reschedule(std::uint32_t index) { deadlines.set(index, probe_deadline(probes[index])); }

Instant Engine::Impl::probe_deadline(const Probe& probe) const {
  Instant at = probe.waiting ? kInstantMax : probe.next_start;
  at = std::min(at, probe.verdict.deadline(probe.spec->monitor()));
  for (std::uint8_t i = 0; i < probe.attempts_open; ++i) {
    at = std::min(at, attempts[probe.attempts[i]].conversation.deadline(*probe.spec));
  }
  return at;
}

std::optional<Instant> Engine::Impl::oldest_open(const Probe& probe, std::uint32_t except_slot) const {
  for (std::uint8_t i = 0; i < probe.attempts_open; ++i) {
    if (probe.attempts[i] != except_slot) return attempts[probe.attempts[i]].conversation.started();
  }
  return std::nullopt;
}

std::string Engine::Impl::pending_words(Instant now, const Probe& probe) const {
  if (probe.attempts_open == 0) return "no answer";
  return attempts[probe.attempts[0]].conversation.pending_words(now, *probe.spec);
}

void Engine::Impl::probe_changed(Instant now, std::uint32_t index) {
  Probe& probe = probes[index];
  const Monitor& m = probe.spec->monitor();
  if (probe.verdict.health() == Health::down) {
    if (!probe.verdict.awaits_resume()) {
      probe.down_at.reset();
      if (wall) probe.down_at = *wall + std::chrono::duration_cast<std::chrono::seconds>(caller_time(now) - wall_at);
    }
    probe.next_start = std::min(probe.next_start, now + m.interval);  // up-interval is for members that are up
  }
  for (std::uint32_t i = probe_targets_at[index]; i < probe_targets_at[index + 1]; ++i) {
    update_target(now, probe_targets[i]);
  }
}

// ---- targets

void Engine::Impl::update_target(Instant now, std::uint32_t index) {
  TargetState& target = targets[index];
  std::uint32_t up = 0, checking = 0;
  bool disabled = false;
  for (std::uint32_t i = 0; i < target.probes_count; ++i) {
    const Verdict& verdict = probes[target_probes[target.probes_first + i]].verdict;
    up += verdict.health() == Health::up;
    checking += verdict.health() == Health::checking;
    disabled |= verdict.session_disabled();
  }
  const std::uint32_t at_least = groups[target.group].at_least;
  const std::uint32_t needed = at_least == 0 ? target.probes_count : at_least;
  Health health = Health::down;
  if (target.probes_count == 0) {
    health = Health::unchecked;
  } else if (up >= needed) {
    health = Health::up;
  } else if (up + checking >= needed) {
    // Not decided yet. A monitor that is new to a member does not disturb its traffic: the last verdict stands.
    health = target.health == Health::unchecked ? Health::checking : target.health;
    disabled = target.session_disabled;
  }
  disabled = disabled && health == Health::up;
  if (health != target.health) target.since = caller_time(now);
  target.health = health;
  target.session_disabled = disabled;
  const bool news = health != target.published_health || disabled != target.published_session_disabled;
  if (news && !target.dirty) {
    target.dirty = true;
    dirty.push_back(index);
  }
}

void Engine::Impl::publish(Outputs& outputs) {
  while (!dirty.empty() && outputs.changes.size() < Outputs::kChangesMax) {
    TargetState& target = targets[dirty.front()];
    dirty.pop_front();
    target.dirty = false;
    if (target.health == target.published_health && target.session_disabled == target.published_session_disabled) {
      continue;  // changed its mind before anyone heard
    }
    target.published_health = target.health;
    target.published_session_disabled = target.session_disabled;
    outputs.changes.push_back({target.key, target.health, target.session_disabled, target_reason(target)});
  }
}

}  // namespace sluice::monitors
