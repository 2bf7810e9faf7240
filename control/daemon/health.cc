// Health of pool members; see health.h.
#include "control/daemon/health.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <unordered_map>

#include "control/config/words.h"

namespace sluice::daemon {
namespace {

constexpr Duration kBurst = 10ms;       // verdicts this close together make one new snapshot
constexpr unsigned kLinesABurst = 100;  // of the log

lb::MonitorStatus status_of(monitors::Health health) {
  switch (health) {
    case monitors::Health::unchecked:
      return lb::MonitorStatus::unchecked;
    case monitors::Health::checking:
      return lb::MonitorStatus::checking;
    case monitors::Health::up:
      return lb::MonitorStatus::up;
    case monitors::Health::down:
      return lb::MonitorStatus::down;
  }
  return lb::MonitorStatus::unchecked;
}

std::chrono::sys_seconds wall_clock() {
  return std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
}

std::string destination_of(const monitors::Monitor& monitor) {
  if (!monitor.destination_address && !monitor.destination_port) return "";
  return (monitor.destination_address ? monitor.destination_address->text() : "*") + ":" +
         (monitor.destination_port ? std::to_string(*monitor.destination_port) : "*");
}

admin::MonitorStatus describe(const monitors::Monitor& monitor) {
  admin::MonitorStatus out;
  out.name = monitor.name;
  out.type = config::name_of(monitor.type);
  out.send = monitor.send_written;
  out.recv = monitor.recv;
  out.recv_disable = monitor.recv_disable;
  out.destination = destination_of(monitor);
  out.interval_s = to_seconds(monitor.interval);
  out.timeout_s = to_seconds(monitor.timeout);
  out.up_interval_s = monitor.up_interval ? to_seconds(*monitor.up_interval) : 0;
  out.time_until_up_s = to_seconds(monitor.time_until_up);
  out.reverse = monitor.reverse;
  out.manual_resume = monitor.manual_resume;
  return out;
}

}  // namespace

monitors::TargetKey TargetKeys::key_of(const MemberName& member) {
  const auto [it, added] = keys_.emplace(member, next_);
  if (added) names_.emplace(next_++, member);
  return it->second;
}

std::optional<monitors::TargetKey> TargetKeys::find(const MemberName& member) const {
  const auto it = keys_.find(member);
  return it == keys_.end() ? std::nullopt : std::optional(it->second);
}

const MemberName* TargetKeys::name_of(monitors::TargetKey key) const {
  const auto it = names_.find(key);
  return it == names_.end() ? nullptr : &it->second;
}

void TargetKeys::keep_only(const monitors::Plan& plan) {
  std::map<monitors::TargetKey, MemberName> kept;
  for (const monitors::Target& target : plan.targets) {
    if (const MemberName* name = name_of(target.key)) kept.emplace(target.key, *name);
  }
  names_ = std::move(kept);
  std::erase_if(keys_, [&](const auto& entry) { return !names_.contains(entry.second); });
}

monitors::Plan make_plan(const config::Config& config, TargetKeys& keys) {
  monitors::Plan plan;
  plan.monitors = config.monitors;
  std::unordered_map<std::string, std::uint32_t> index;
  for (std::uint32_t i = 0; i < plan.monitors.size(); ++i) index.emplace(plan.monitors[i].name, i);
  for (const config::Pool& pool : config.pools) {
    monitors::Group group;
    for (const std::string& name : pool.monitors) {
      const auto it = index.find(name);
      const bool repeated =
          it != index.end() && std::count(group.monitors.begin(), group.monitors.end(), it->second) > 0;
      if (it != index.end() && !repeated) group.monitors.push_back(it->second);
    }
    group.at_least = std::min(pool.monitors_min, static_cast<std::uint32_t>(group.monitors.size()));
    const auto number = static_cast<std::uint32_t>(plan.groups.size());
    plan.groups.push_back(std::move(group));
    for (const config::Member& member : pool.members) {
      plan.targets.push_back({keys.key_of({pool.name, member.endpoint}), member.endpoint, number});
    }
  }
  return plan;
}

Health::Health(io::Loop& loop, std::function<std::optional<Ipv4Address>(Ipv4Address)> source_for,
               std::function<void()> on_change)
    : on_change_(std::move(on_change)),
      settled_(loop, [this] { tell(); }),
      probes_(loop, engine_, {.source_for = std::move(source_for)},
              [this](const monitors::Change& change) { on_verdict(change); }) {}

Errors Health::configure(const config::Config& config) {
  engine_.set_wall_clock(io::now(), wall_clock());
  const monitors::Plan plan = make_plan(config, keys_);
  Errors errors = probes_.configure(plan);
  if (errors.empty()) keys_.keep_only(plan);
  return errors;
}

void Health::on_verdict(const monitors::Change& change) {
  const MemberName* name = keys_.name_of(change.key);
  if (name != nullptr && ++burst_ <= kLinesABurst) {
    const auto level = change.health == monitors::Health::down ? spdlog::level::warn : spdlog::level::info;
    spdlog::log(level, "pool {} member {}: monitor status {}{}: {}", name->pool, name->endpoint.text(),
                monitors::text(change.health), change.session_disabled ? " (session disabled)" : "", change.reason);
  }
  // Keeps the engine's wall clock near the machine's, for the times in reasons.
  engine_.set_wall_clock(io::now(), wall_clock());
  if (settled_.at() == kInstantMax) settled_.set(std::max(io::now() + kBurst, next_tell_));
}

// With ten thousand members a new snapshot takes a while, and at the start each of them changes.
void Health::tell() {
  if (burst_ > kLinesABurst) spdlog::warn("and {} more pool members changed", burst_ - kLinesABurst);
  burst_ = 0;
  const Instant begin = io::now();
  on_change_();
  const Instant end = io::now();
  next_tell_ = end + 4 * (end - begin);
}

lb::MonitorVerdict Health::verdict(const std::string& pool, Ipv4Endpoint endpoint) const {
  const auto key = keys_.find({pool, endpoint});
  const auto status = key ? engine_.status(*key) : std::nullopt;
  if (!status) return {};
  if (status->health == monitors::Health::checking && assumed_up_.contains({pool, endpoint})) {
    return {lb::MonitorStatus::up, false, "up before the restart"};
  }
  return {status_of(status->health), status->session_disabled, status->reason};
}

void Health::assume_up(std::vector<MemberName> members) {
  assumed_up_ = {std::make_move_iterator(members.begin()), std::make_move_iterator(members.end())};
}

std::vector<MemberName> Health::known_up(const config::Config& config) const {
  std::vector<MemberName> out;
  for (const config::Pool& pool : config.pools) {
    for (const config::Member& member : pool.members) {
      if (verdict(pool.name, member.endpoint).status == lb::MonitorStatus::up)
        out.push_back({pool.name, member.endpoint});
    }
  }
  return out;
}

bool Health::is_checking(const config::Config& config) const {
  for (const config::Pool& pool : config.pools) {
    for (const config::Member& member : pool.members) {
      if (verdict(pool.name, member.endpoint).status == lb::MonitorStatus::checking) return true;
    }
  }
  return false;
}

double Health::since_s(const std::string& pool, Ipv4Endpoint endpoint) const {
  const auto key = keys_.find({pool, endpoint});
  const auto status = key ? engine_.status(*key) : std::nullopt;
  return status ? std::max(0.0, to_seconds(io::now() - status->since)) : 0;
}

void Health::resume(const std::string& pool, Ipv4Endpoint endpoint) {
  if (const auto key = keys_.find({pool, endpoint})) probes_.resume(*key);
}

std::vector<admin::MonitorStatus> Health::status(const config::Config& config) const {
  std::vector<admin::MonitorStatus> out;
  std::unordered_map<std::string_view, std::size_t> index;
  for (const monitors::Monitor& monitor : config.monitors) {
    index.emplace(monitor.name, out.size());
    out.push_back(describe(monitor));
  }
  engine_.for_each_probe([&](const monitors::ProbeStatus& probe) {
    const auto it = index.find(probe.monitor);
    const MemberName* name = keys_.name_of(probe.target);
    if (it == index.end() || name == nullptr) return;
    std::string state(monitors::text(probe.health));
    if (probe.awaits_resume) state += " (awaits resume)";
    out[it->second].instances.push_back({name->pool, name->endpoint.text(), std::move(state), probe.reason,
                                         since_s(name->pool, name->endpoint), probe.attempts, probe.failures});
  });
  return out;
}

void Health::stop() { probes_.stop(); }

}  // namespace sluice::daemon
