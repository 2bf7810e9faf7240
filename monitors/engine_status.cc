// The health-check engine: telling about it. States with their reasons, for changes, `show member` and `show monitor`.
#include <fmt/format.h>

#include "monitors/engine_impl.h"
#include "monitors/reason.h"

namespace sluice::monitors {
namespace {

// A reason names so many monitors at most.
constexpr unsigned kReasonsMax = 3;

std::string down_reason(const Probe& probe) {
  const Verdict& verdict = probe.verdict;
  const std::string at = probe.down_at ? fmt::format(" @{}.", wall_text(*probe.down_at)) : "";
  if (!verdict.deadline_missed()) return fmt::format("{}.{}", verdict.words(), at);
  return fmt::format("No successful responses received before deadline.{}{}{}", at, verdict.words().empty() ? "" : " ",
                     verdict.words());
}

}  // namespace

std::string Engine::Impl::probe_reason(const Probe& probe) const {
  const Verdict& verdict = probe.verdict;
  switch (verdict.health()) {
    case Health::unchecked:
      return "";
    case Health::up:
      return probe.words;
    case Health::checking:
      if (!probe.fault.empty()) return probe.fault;
      if (verdict.proving()) return "answers well, time-until-up is running";
      return verdict.words().empty() ? "no verdict yet" : verdict.words();
    case Health::down:
      break;
  }
  std::string reason = down_reason(probe);
  if (verdict.awaits_resume())
    reason += "; answers well again, manual-resume holds it down";
  else if (verdict.proving())
    reason += "; answers well again, time-until-up is running";
  else if (!probe.fault.empty())
    reason += "; " + probe.fault;
  return reason;
}

std::string_view Engine::Impl::monitor_name(const TargetState& target, std::uint32_t index) const {
  return monitor_names[groups[target.group].monitors[index]];
}

// Of the monitors that made it so: those that pass if it is up, those that do not pass if it is not.
std::string Engine::Impl::target_reason(const TargetState& target) const {
  if (target.probes_count == 0) return "no monitor is assigned";
  std::string reason;
  unsigned named = 0, left_out = 0, passed = 0, checking = 0;
  for (std::uint32_t i = 0; i < target.probes_count; ++i) {
    const Health health = probes[target_probes[target.probes_first + i]].verdict.health();
    passed += health == Health::up;
    checking += health == Health::checking;
  }
  const std::uint32_t at_least = groups[target.group].at_least;
  const std::uint32_t needed = at_least == 0 ? target.probes_count : at_least;
  const bool stands = target.health != Health::checking && passed < needed && passed + checking >= needed;
  const bool up = target.health == Health::up && !stands;
  for (std::uint32_t i = 0; i < target.probes_count; ++i) {
    const Probe& probe = probes[target_probes[target.probes_first + i]];
    const bool passes = probe.verdict.health() == Health::up;
    if (passes != up) continue;
    if (named == kReasonsMax) {
      ++left_out;
      continue;
    }
    reason += fmt::format("{}{}: {}", named++ == 0 ? "" : "; ", monitor_name(target, i), probe_reason(probe));
  }
  if (left_out > 0) reason += fmt::format("; and {} more", left_out);
  if (stands) reason = "the last verdict stands until the new monitors have theirs. " + reason;
  if (at_least != 0 && target.probes_count > 1) {
    reason = fmt::format("{} of {} monitors pass, {} needed. {}", passed, target.probes_count, at_least, reason);
  }
  return reason;
}

std::optional<TargetStatus> Engine::status(TargetKey key) const {
  const Impl& e = *impl_;
  const auto found = e.target_index.find(key);
  if (found == e.target_index.end()) return std::nullopt;
  const TargetState& target = e.targets[found->second];
  return TargetStatus{target.health, target.session_disabled, e.target_reason(target), target.since};
}

void Engine::for_each_probe(const std::function<void(const ProbeStatus&)>& visit) const {
  const Impl& e = *impl_;
  for (const TargetState& target : e.targets) {
    for (std::uint32_t i = 0; i < target.probes_count; ++i) {
      const Probe& probe = e.probes[e.target_probes[target.probes_first + i]];
      visit({.target = target.key,
             .target_endpoint = target.endpoint,
             .monitor = e.monitor_name(target, i),
             .endpoint = probe.endpoint,
             .health = probe.verdict.health(),
             .session_disabled = probe.verdict.session_disabled(),
             .awaits_resume = probe.verdict.awaits_resume(),
             .reason = e.probe_reason(probe),
             .last_success = probe.last_success,
             .latency = probe.latency,
             .attempts = probe.attempts_total,
             .successes = probe.successes,
             .failures = probe.failures});
    }
  }
}

Stats Engine::stats() const {
  Stats stats = impl_->stats;
  stats.waiting = static_cast<std::uint32_t>(impl_->waiting.size());
  return stats;
}

}  // namespace sluice::monitors
