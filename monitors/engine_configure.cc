// The health-check engine: following a plan. What stays keeps its state; all or nothing.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "monitors/engine_impl.h"
#include "monitors/types.h"
#include "monitors/validate.h"

namespace sluice::monitors {
namespace {

// New probes start one after the other at this pace, so that a whole cluster's worth does not fall on one moment; a
// single new member is probed within kFirstMin.
constexpr Duration kFirstEach = 250us;
constexpr Duration kFirstMin = 100ms;

Ipv4Endpoint probed_endpoint(const Monitor& m, Ipv4Endpoint target) {
  Ipv4Endpoint endpoint{m.destination_address.value_or(target.address), m.destination_port.value_or(target.port)};
  if (!ops_of(m.type).has_port) endpoint.port = 0;
  return endpoint;
}

}  // namespace

Errors Engine::Impl::check(const Plan& plan) const {
  Errors errors;
  auto group_place = [](std::size_t i) { return fmt::format("group {}", i); };
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    const Group& group = plan.groups[i];
    std::unordered_set<std::uint32_t> seen;
    for (std::uint32_t monitor : group.monitors) {
      if (monitor >= plan.monitors.size()) errors.push_back({group_place(i), fmt::format("no monitor {}", monitor)});
      if (!seen.insert(monitor).second) errors.push_back({group_place(i), fmt::format("monitor {} twice", monitor)});
    }
    if (group.at_least > group.monitors.size()) {
      errors.push_back({group_place(i), fmt::format("at least {} of {} monitors can never pass", group.at_least,
                                                    group.monitors.size())});
    }
  }
  if (!errors.empty()) return errors;

  std::unordered_set<TargetKey> keys;
  keys.reserve(plan.targets.size());
  for (const Target& target : plan.targets) {
    const auto place = [&] { return fmt::format("target {}", target.endpoint.text()); };
    if (target.group >= plan.groups.size()) {
      errors.push_back({place(), fmt::format("no group {}", target.group)});
      continue;
    }
    if (!keys.insert(target.key).second) errors.push_back({place(), fmt::format("key {} is taken", target.key)});
    for (std::uint32_t index : plan.groups[target.group].monitors) {
      const Monitor& m = plan.monitors[index];
      if (ops_of(m.type).has_port && probed_endpoint(m, target.endpoint).port == 0) {
        errors.push_back({place(), fmt::format("monitor {} needs a port: set its destination", m.name)});
      }
    }
  }
  return errors;
}

// The spec of each of the plan's monitors: the one in use if it is equal, else a new one.
std::vector<std::shared_ptr<const Spec>> Engine::Impl::specs_of(const Plan& plan, Errors& errors) const {
  std::unordered_multimap<std::size_t, std::shared_ptr<const Spec>> known;
  const Spec* previous = nullptr;
  std::unordered_set<const Spec*> in_use;
  for (const Probe& probe : probes) {
    if (!probe.spec || probe.spec.get() == previous) continue;
    previous = probe.spec.get();
    if (in_use.insert(previous).second) known.emplace(hash_value(previous->monitor()), probe.spec);
  }
  std::vector<std::shared_ptr<const Spec>> specs;
  specs.reserve(plan.monitors.size());
  for (const Monitor& monitor : plan.monitors) {
    const Monitor nameless = without_name(monitor);
    const std::size_t hash = hash_value(nameless);
    auto [from, to] = known.equal_range(hash);
    while (from != to && !(from->second->monitor() == nameless)) ++from;
    if (from != to && !monitor.name.empty()) {
      specs.push_back(from->second);
      continue;
    }
    const std::size_t errors_before = errors.size();
    for (Error& error : validate(monitor)) {
      errors.push_back({fmt::format("monitor {}: {}", monitor.name, error.place), std::move(error.message)});
    }
    if (errors.size() > errors_before) {
      specs.push_back(nullptr);
      continue;
    }
    specs.push_back(*Spec::compile(monitor));  // validate() has compiled it already
    known.emplace(hash, specs.back());
  }
  return specs;
}

Errors Engine::Impl::configure(Instant now, const Plan& plan) {
  Errors errors = check(plan);
  const auto plan_specs = specs_of(plan, errors);
  if (!errors.empty()) return errors;

  std::unordered_set<ProbeKey, ProbeKeyHash> wanted;
  for (const Target& target : plan.targets) {
    for (std::uint32_t index : plan.groups[target.group].monitors) {
      wanted.insert({plan_specs[index].get(), probed_endpoint(plan.monitors[index], target.endpoint)});
    }
  }
  if (wanted.size() > limits.probes_max) {
    errors.push_back({"monitors", fmt::format("{} probes (members × monitors) are too many: at most {}", wanted.size(),
                                              limits.probes_max)});
    return errors;
  }

  ++epoch;
  new_probes.clear();
  add_targets(now, plan, plan_specs);
  drop_stale_probes();
  link_probes_to_targets();
  start_new_probes(now);
  for (std::uint32_t i = 0; i < targets.size(); ++i) update_target(now, i);
  stats.targets = static_cast<std::uint32_t>(targets.size());
  stats.probes = static_cast<std::uint32_t>(probe_index.size());
  return {};
}

void Engine::Impl::add_targets(Instant now, const Plan& plan,
                               const std::vector<std::shared_ptr<const Spec>>& plan_specs) {
  const std::vector<TargetState> old_targets = std::move(targets);
  const std::unordered_map<TargetKey, std::uint32_t> old_index = std::move(target_index);
  targets.clear(), target_probes.clear(), target_index.clear(), monitor_names.clear(), dirty.clear();
  for (const Monitor& monitor : plan.monitors) monitor_names.push_back(monitor.name);
  groups = plan.groups;
  targets.reserve(plan.targets.size());
  target_index.reserve(plan.targets.size());
  for (const Target& wanted : plan.targets) {
    TargetState target;
    const auto old = old_index.find(wanted.key);
    if (old != old_index.end() && old_targets[old->second].endpoint == wanted.endpoint) {
      target = old_targets[old->second];
    } else {
      if (old != old_index.end()) {  // the caller still thinks of the old endpoint's state
        target.published_health = old_targets[old->second].published_health;
        target.published_session_disabled = old_targets[old->second].published_session_disabled;
      }
      target.since = caller_time(now);
    }
    target.key = wanted.key;
    target.endpoint = wanted.endpoint;
    target.group = wanted.group;
    target.dirty = false;
    target.probes_first = static_cast<std::uint32_t>(target_probes.size());
    target.probes_count = static_cast<std::uint32_t>(groups[wanted.group].monitors.size());
    for (std::uint32_t index : groups[wanted.group].monitors) {
      target_probes.push_back(
          find_or_add_probe(plan_specs[index], probed_endpoint(plan.monitors[index], wanted.endpoint)));
    }
    target_index.emplace(target.key, static_cast<std::uint32_t>(targets.size()));
    targets.push_back(target);
  }
}

std::uint32_t Engine::Impl::find_or_add_probe(const std::shared_ptr<const Spec>& spec, Ipv4Endpoint endpoint) {
  const auto [place, is_new] = probe_index.try_emplace({spec.get(), endpoint}, kNone);
  if (is_new) {
    if (free_probes.empty()) {
      free_probes.push_back(static_cast<std::uint32_t>(probes.size()));
      probes.emplace_back();
    }
    place->second = free_probes.back();
    free_probes.pop_back();
    probes[place->second] = Probe{};
    probes[place->second].spec = spec;
    probes[place->second].endpoint = endpoint;
    new_probes.push_back(place->second);
  }
  probes[place->second].epoch = epoch;
  return place->second;
}

void Engine::Impl::drop_stale_probes() {
  for (std::uint32_t i = 0; i < probes.size(); ++i) {
    Probe& probe = probes[i];
    if (!probe.spec || probe.epoch == epoch) continue;
    for (std::uint8_t a = 0; a < probe.attempts_open; ++a) {
      const std::uint32_t slot = probe.attempts[a];
      doomed.push_back({slot, attempts[slot].generation});
      free_attempt(slot);
    }
    probe_index.erase({probe.spec.get(), probe.endpoint});
    deadlines.erase(i);
    probe = Probe{};
    free_probes.push_back(i);
  }
  std::erase_if(waiting, [this](std::uint32_t i) { return !probes[i].waiting; });
}

void Engine::Impl::link_probes_to_targets() {
  probe_targets_at.assign(probes.size() + 1, 0);
  for (std::uint32_t probe : target_probes) ++probe_targets_at[probe + 1];
  for (std::size_t i = 1; i < probe_targets_at.size(); ++i) probe_targets_at[i] += probe_targets_at[i - 1];
  probe_targets.resize(target_probes.size());
  std::vector<std::uint32_t> next(probe_targets_at.begin(), probe_targets_at.end() - 1);
  for (std::uint32_t t = 0; t < targets.size(); ++t) {
    for (std::uint32_t i = 0; i < targets[t].probes_count; ++i) {
      probe_targets[next[target_probes[targets[t].probes_first + i]]++] = t;
    }
  }
}

void Engine::Impl::start_new_probes(Instant now) {
  const Duration window = std::max(kFirstMin, kFirstEach * static_cast<std::int64_t>(new_probes.size()));
  for (std::uint32_t index : new_probes) {
    Probe& probe = probes[index];
    const std::uint64_t hash = ProbeKeyHash{}({nullptr, probe.endpoint}) + hash_value(probe.spec->monitor());
    const auto fraction = static_cast<std::int64_t>((hash * 0x9e3779b97f4a7c15ULL >> 40) % 4096);
    probe.next_start = now + std::min(window, probe.spec->monitor().interval) / 4096 * fraction;
    reschedule(index);
  }
}

}  // namespace sluice::monitors
