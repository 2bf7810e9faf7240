// The health-check engine: a pure machine that decides when to probe whom, judges the answers, and says who is up.
//
//   Engine engine(Limits{});
//   if (Errors errors = engine.configure(now, plan); !errors.empty()) …    // nothing changed; else a diff was applied
//   engine.set_wall_clock(now, wall);                                      // only for the "@2026/11/22 17:36:01" in
//   reasons
//
//   Outputs out;
//   engine.step(now, Input::tick(), out);          // at next_deadline(), and after configure() and resume()
//   for (Command& c : out.commands) …              // open / send / close: control/io/probe_io does them, in order
//   for (Change& c : out.changes) …                // members that went up or down
//   out.clear();
//   engine.step(now, Input::connected(id), out);   // what the network did; outputs as above
//   engine.step(now, Input::received(id, bytes), out);
//   engine.step(now, Input::closed(id, CloseReason::refused), out);
//
// One probe runs per (monitor, endpoint), shared by all targets that need it; monitors that differ only in name are
// the same. Each interval a probe opens an attempt; an attempt lives until it is judged or until `timeout`, so attempts
// of a slow member overlap (at most kAttemptsPerProbe; then the youngest gives way). Rules, as BIG-IP has them:
//   - up on the first success, or once all has been well for time-until-up;
//   - down at once when refused, reset or unreachable, and when a `reverse` monitor's recv matched;
//   - else down when no success came for `timeout` since the last success (since the first attempt, if there was none);
//   - recv matched: up. recv not, but recv-disable matched in the complete answer: up with its session disabled;
//   - only the first kAnswerMax bytes of an answer count; an answer of unknown length is complete after kAnswerQuiet;
//   - udp without recv: silence is success (few services answer a stranger), only an ICMP error is not;
//   - manual-resume: once down, stays down until resume();
//   - a fault of ours (CloseReason::local_error) is counted, never a verdict;
//   - a target keeps its last verdict while a monitor that is new to it is still checking.
// If a tick comes more than kStallMax late (the control thread stood still), the lost time is taken out of all
// deadlines: a pause of ours brings nobody down.
//
// Called by: control/io/probe_io (drives it), control/daemon (configures and reads it). Runs on: control thread.
// Follows: F5 BIG-IP monitors. Tested by: tests/monitors/engine_test.cc, tests/monitors/engine_random_test.cc
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "dataplane/base/result.h"
#include "dataplane/base/time.h"
#include "monitors/plan.h"
#include "monitors/step.h"

namespace sluice::monitors {

inline constexpr Duration kStallMax = 1s;
inline constexpr unsigned kAttemptsPerProbe = 4;

struct Limits {
  std::uint32_t in_flight_max = 8192;  // attempts open at once; more wait their turn, first come, first served
  std::uint32_t probes_max = 65536;    // configure() refuses a plan that needs more
};

struct TargetStatus {
  Health health = Health::checking;
  bool session_disabled = false;
  std::string reason;  // of every monitor that did not pass, or of the last change
  Instant since;       // of the last change of health
};

// One line of "show monitor": one monitor of one target.
struct ProbeStatus {
  TargetKey target = 0;
  Ipv4Endpoint target_endpoint;
  std::string_view monitor;  // its name
  Ipv4Endpoint endpoint;     // probed: the target's, or the monitor's destination
  Health health = Health::checking;
  bool session_disabled = false;
  bool awaits_resume = false;           // answers well again, held down by manual-resume
  std::string reason;                   // of the last verdict or failure
  std::optional<Instant> last_success;  // none yet
  Duration latency{};                   // of the last success: attempt opened to answer judged
  std::uint64_t attempts = 0, successes = 0, failures = 0;
};

struct Stats {
  std::uint32_t probes = 0, targets = 0;
  std::uint32_t in_flight = 0;  // attempts open now
  std::uint32_t waiting = 0;    // probes due, waiting for a free attempt
  std::uint64_t attempts = 0, successes = 0, failures = 0;
  std::uint64_t local_errors = 0;    // attempts that failed by a fault of ours
  std::uint64_t attempts_cut = 0;    // the youngest of too many open attempts, ended to make room
  std::uint64_t stalls = 0;          // ticks that came more than kStallMax late
  std::uint64_t inputs_ignored = 0;  // for attempts that were over
};

class Engine {
 public:
  explicit Engine(Limits limits = {});
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  // Follows the new plan: pairs (monitor, endpoint) that stay keep all their state, attempts in flight included; new
  // ones start within their jitter; attempts of removed ones are closed by the next ticks. All or nothing.
  [[nodiscard]] Errors configure(Instant now, const Plan& plan);

  void set_wall_clock(Instant now, std::chrono::sys_seconds wall);

  // Appends to `outputs` (at most Outputs::kCommandsMax / kChangesMax in all; pass it empty).
  void step(Instant now, const Input& input, Outputs& outputs);

  // When the next tick is wanted; kInstantMax: nothing to do. May be in the past: at once.
  Instant next_deadline() const;

  // Ends manual-resume's hold of every monitor of this target. False: no such target.
  bool resume(Instant now, TargetKey key);

  std::optional<TargetStatus> status(TargetKey key) const;
  void for_each_probe(const std::function<void(const ProbeStatus&)>& visit) const;  // in the plan's order
  Stats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::monitors
