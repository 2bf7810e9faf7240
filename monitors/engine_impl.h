// The inside of the engine: its tables of probes, attempts and targets. Split over engine.cc (what happens in time),
// engine_configure.cc (following a plan) and engine_status.cc (telling about it).
//
// Called by: monitors/engine*.cc only. Runs on: control thread. Follows: -. Tested by: tests/monitors/engine_test.cc
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "monitors/conversation.h"
#include "monitors/deadline_heap.h"
#include "monitors/engine.h"
#include "monitors/spec.h"
#include "monitors/verdict.h"

namespace sluice::monitors {

inline constexpr std::uint32_t kNone = ~std::uint32_t{0};

struct ProbeKey {
  const Spec* spec = nullptr;
  Ipv4Endpoint endpoint;
  friend bool operator==(const ProbeKey&, const ProbeKey&) = default;
};
struct ProbeKeyHash {
  std::size_t operator()(const ProbeKey& key) const {
    const auto spec = std::hash<const Spec*>{}(key.spec);
    return (spec ^ std::hash<Ipv4Endpoint>{}(key.endpoint)) * 0x9e3779b97f4a7c15ULL >> 8;
  }
};

// One monitor of one endpoint.
struct Probe {
  std::shared_ptr<const Spec> spec;  // null: a free place in the table
  Ipv4Endpoint endpoint;
  Verdict verdict;
  std::array<std::uint32_t, kAttemptsPerProbe> attempts{};  // slots, oldest first
  std::uint8_t attempts_open = 0;
  bool waiting = false;  // for a free attempt
  bool started = false;
  Instant next_start;
  std::uint32_t epoch = 0;  // of the last plan that wanted it

  std::string words;                                // of the last change to up
  std::string fault;                                // ours, if the last attempt failed by one
  std::optional<Instant> last_success;              // caller's time
  std::optional<std::chrono::sys_seconds> down_at;  // wall time of the last change to down, if known
  Duration latency{};
  std::uint64_t attempts_total = 0, successes = 0, failures = 0;
};

struct Attempt {
  std::uint32_t generation = 0;
  std::uint32_t probe = kNone;  // kNone: free
  Conversation conversation;
};

struct TargetState {
  TargetKey key = 0;
  Ipv4Endpoint endpoint;
  std::uint32_t group = 0;
  std::uint32_t probes_first = 0;  // in target_probes
  std::uint32_t probes_count = 0;
  Health health = Health::checking;
  bool session_disabled = false;
  bool dirty = false;
  Health published_health = Health::checking;
  bool published_session_disabled = false;
  Instant since;  // caller's time
};

struct Engine::Impl {
  explicit Impl(Limits l) : limits(l) {}

  // time: `now` below is the engine's own, which stands still when the control thread did
  Instant advance(Instant caller_now);
  Instant caller_time(Instant now) const { return now + stall; }

  // engine.cc: one probe
  void run_due(Instant now, Outputs& outputs);
  void tick_probe(Instant now, std::uint32_t probe, Outputs& outputs);
  void start_attempt(Instant now, std::uint32_t probe, Outputs& outputs);
  bool may_start(const Probe& probe) const;
  void start_waiting(Instant now, Outputs& outputs);
  void input(Instant now, const Input& input, Outputs& outputs);
  void settle(Instant now, std::uint32_t slot, Outcome outcome, const Input& input, Outputs& outputs, bool close);
  void end_attempt(std::uint32_t slot, bool close, Outputs& outputs);
  void free_attempt(std::uint32_t slot);
  void end_all_attempts(std::uint32_t probe, Outputs& outputs);
  void reschedule(std::uint32_t probe);
  Instant probe_deadline(const Probe& probe) const;
  void probe_changed(Instant now, std::uint32_t probe);
  std::optional<Instant> oldest_open(const Probe& probe, std::uint32_t except_slot = kNone) const;
  std::string pending_words(Instant now, const Probe& probe) const;

  // engine.cc: targets
  void update_target(Instant now, std::uint32_t target);
  void publish(Outputs& outputs);

  // engine_configure.cc
  Errors check(const Plan& plan) const;
  std::vector<std::shared_ptr<const Spec>> specs_of(const Plan& plan, Errors& errors) const;
  Errors configure(Instant now, const Plan& plan);
  void add_targets(Instant now, const Plan& plan, const std::vector<std::shared_ptr<const Spec>>& plan_specs);
  std::uint32_t find_or_add_probe(const std::shared_ptr<const Spec>& spec, Ipv4Endpoint endpoint);
  void drop_stale_probes();
  void start_new_probes(Instant now);
  void link_probes_to_targets();

  // engine_status.cc
  std::string probe_reason(const Probe& probe) const;
  std::string target_reason(const TargetState& target) const;
  std::string_view monitor_name(const TargetState& target, std::uint32_t index) const;

  const Limits limits;

  // the plan
  std::vector<std::string> monitor_names;
  std::vector<Group> groups;
  std::vector<TargetState> targets;             // in the plan's order
  std::vector<std::uint32_t> target_probes;     // probes of each target, one run after the other
  std::vector<std::uint32_t> probe_targets;     // and the other way round:
  std::vector<std::uint32_t> probe_targets_at;  // targets of probe p are [probe_targets_at[p], …[p + 1])
  std::unordered_map<TargetKey, std::uint32_t> target_index;

  // probes
  std::vector<Probe> probes;
  std::vector<std::uint32_t> free_probes, new_probes;
  std::unordered_map<ProbeKey, std::uint32_t, ProbeKeyHash> probe_index;
  std::uint32_t epoch = 0;
  DeadlineHeap deadlines;             // by probe
  std::deque<std::uint32_t> waiting;  // due probes without a free attempt; each at most once
  std::deque<std::uint32_t> dirty;    // targets whose change is not out yet; each at most once
  std::deque<AttemptId> doomed;       // attempts of removed probes that are to be closed

  // attempts
  std::vector<Attempt> attempts;
  std::vector<std::uint32_t> free_attempts;

  // time
  Instant last;  // the engine's time at the last call
  Duration stall{};
  bool has_last = false;
  std::optional<std::chrono::sys_seconds> wall;  // at wall_at, caller's time
  Instant wall_at;

  Stats stats;
};

}  // namespace sluice::monitors
