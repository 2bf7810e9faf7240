// How specs become a snapshot; see builder.h.
#include "lb/snapshot/builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace sluice::lb {
namespace {

Protocol protocol_of(Mode mode) { return mode == Mode::udp ? Protocol::udp : Protocol::tcp; }

Status check_pool(const PoolSpec& pool) {
  const std::string place = "pool " + pool.name;
  std::set<Ipv4Endpoint> endpoints;
  for (const MemberSpec& member : pool.members) {
    const std::string member_place = fmt::format("{} member {}", place, member.endpoint.text());
    if (!endpoints.insert(member.endpoint).second) return fail(member_place, "is there twice");
    if (member.endpoint.port == 0) return fail(member_place, "port 0: give one of 1..65535");
    if (member.ratio < 1 || member.ratio > 65535) return fail(member_place, "ratio must be 1..65535");
    if (pool.balance == Balance::weighted_least_connections_member && member.connection_limit == 0) {
      return fail(member_place, "weighted-least-connections-member needs a connection limit on every member");
    }
  }
  if (pool.slow_ramp < Duration::zero()) return fail(place, "slow ramp time must not be negative");
  return {};
}

// A member that is in the pool no more is a newcomer should it come back; what flows it has, it keeps.
void forget_removed(const Pool& before, const Pool* after) {
  for (const auto& runtime : before.runtimes) {
    if (after != nullptr && after->index_of_id.contains(runtime->id)) continue;
    runtime->ready_since = kInstantMax;
    runtime->ramp_end = Instant::min();
    runtime->flows_on_down.store(FlowsOnDown::keep, std::memory_order_release);
  }
}

// Members that take new connections, as tiers: with priority groups, the highest groups until `min_active` members are
// found go together, and each further group is a tier to fall back on. Members without a verdict yet come last.
void make_tiers(Pool& pool) {
  std::map<std::uint32_t, std::vector<std::uint32_t>, std::greater<>> groups;
  std::vector<std::uint32_t> checking;
  for (std::uint32_t i = 0; i < pool.members.size(); ++i) {
    if (!pool.members[i].takes_new) continue;
    if (pool.spec.members[i].is_known_fit()) {
      groups[pool.spec.min_active_members == 0 ? 0 : pool.spec.members[i].priority_group].push_back(i);
    } else {
      checking.push_back(i);
    }
  }
  for (auto& [priority, members] : groups) {
    if (pool.tiers.empty() || pool.tiers.back().members.size() >= pool.spec.min_active_members ||
        pool.tiers.size() > 1) {
      pool.tiers.emplace_back();
    }
    auto& tier = pool.tiers.back().members;
    tier.insert(tier.end(), members.begin(), members.end());
  }
  if (!checking.empty()) pool.tiers.emplace_back().members = std::move(checking);
}

FlowsOnDown flows_on_down(ServiceDownAction action) {
  switch (action) {
    case ServiceDownAction::none:
      return FlowsOnDown::keep;
    case ServiceDownAction::reject:
      return FlowsOnDown::reject;
    case ServiceDownAction::drop:
      return FlowsOnDown::drop;
    case ServiceDownAction::reselect:
      return FlowsOnDown::reselect;
  }
  return FlowsOnDown::keep;
}

}  // namespace

Status Builder::check() const {
  std::size_t locals = self_ips_.size() + virtual_addresses_.size() + virtual_servers_.size();
  for (const SnatPool& pool : snat_pools_) locals += pool.addresses.size();
  if (locals > kLocalAddressesMax) {
    return fail("configuration",
                fmt::format("{} self IPs, virtual addresses, virtual servers and SNAT addresses in all: "
                            "at most {}",
                            locals, kLocalAddressesMax));
  }
  std::set<std::string> pools, snat_pools, virtual_servers;
  std::set<Ipv4Address> addresses, self_ips;
  std::set<std::tuple<Ipv4Endpoint, Protocol>> destinations;
  for (const SelfIp& self_ip : self_ips_) {
    if (!self_ips.insert(self_ip.address.address).second)
      return fail("self IP " + self_ip.address.text(), "is there twice");
  }
  for (const SnatPool& pool : snat_pools_) {
    if (!snat_pools.insert(pool.name).second) return fail("SNAT pool " + pool.name, "is there twice");
    if (pool.addresses.empty()) return fail("SNAT pool " + pool.name, "has no address");
  }
  for (const VirtualAddressSpec& va : virtual_addresses_) {
    if (!addresses.insert(va.address).second) return fail("virtual address " + va.address.text(), "is there twice");
  }
  for (const PoolSpec& pool : pools_) {
    if (!pools.insert(pool.name).second) return fail("pool " + pool.name, "is there twice");
    if (auto status = check_pool(pool); !status) return status;
  }
  for (const VirtualServerSpec& vs : virtual_servers_) {
    const std::string place = "virtual server " + vs.name;
    if (!virtual_servers.insert(vs.name).second) return fail(place, "is there twice");
    if (!destinations.insert({vs.destination, protocol_of(vs.mode)}).second) {
      return fail(place, fmt::format("another virtual server has the destination {} already", vs.destination.text()));
    }
    if (!vs.pool.empty() && !pools.contains(vs.pool))
      return fail(place, fmt::format("there is no pool \"{}\"", vs.pool));
    for (const std::string& pool : vs.http_pools) {
      if (!pools.contains(pool)) return fail(place, fmt::format("a route's pool \"{}\" does not exist", pool));
    }
    if (vs.snat == SnatKind::pool && !snat_pools.contains(vs.snat_pool)) {
      return fail(place, fmt::format("there is no SNAT pool \"{}\"", vs.snat_pool));
    }
  }
  return {};
}

void Builder::fill_members(Instant now, Pool& pool, bool& sweep) {
  const PoolSpec& spec = pool.spec;
  for (const MemberSpec& member : spec.members) pool.runtimes.push_back(registry_.member(spec.name, member.endpoint));

  // Somebody has been in service for the whole ramp time: newcomers have whom to take their share from gently.
  const bool others_in_service = std::ranges::any_of(pool.runtimes, [&](const auto& r) {
    return r->ready_since != kInstantMax && r->ready_since + spec.slow_ramp <= now;
  });

  for (std::uint32_t i = 0; i < spec.members.size(); ++i) {
    const MemberSpec& from = spec.members[i];
    MemberRuntime& runtime = *pool.runtimes[i];
    const bool fit = from.verdict.status != MonitorStatus::down;
    const bool disabled = from.state == MemberState::disabled || from.verdict.session_disabled;
    Member& to = pool.members.emplace_back();
    to.runtime = &runtime;
    to.endpoint = from.endpoint;
    to.ratio = from.ratio;
    to.connection_limit = from.connection_limit;
    to.takes_persistent = fit && from.state != MemberState::forced_offline;
    to.takes_new = to.takes_persistent && !disabled;
    if (!to.takes_new || !from.is_known_fit()) {
      runtime.ready_since = kInstantMax;
      runtime.ramp_end = Instant::min();
    } else if (runtime.ready_since == kInstantMax) {
      runtime.ready_since = now;
      runtime.ramp_end = others_in_service ? now + spec.slow_ramp : Instant::min();
    } else if (runtime.ramp_end != Instant::min()) {
      runtime.ramp_end = runtime.ready_since + spec.slow_ramp;
    }
    to.ramp_start = runtime.ready_since;
    to.ramp_end = runtime.ramp_end;

    const FlowsOnDown action = fit ? FlowsOnDown::keep : flows_on_down(spec.service_down);
    if (runtime.flows_on_down.exchange(action, std::memory_order_acq_rel) != action && action != FlowsOnDown::keep) {
      sweep = true;
    }
    pool.index_of_id.emplace(runtime.id, i);
  }
}

std::shared_ptr<const Pool> Builder::make_pool(Instant now, PoolSpec spec, const PoolsByName& previous, bool& sweep) {
  if (const auto before = previous.find(spec.name); before != previous.end() && before->second->spec == spec) {
    return before->second;
  }
  auto pool = std::make_shared<Pool>();
  pool->spec = std::move(spec);
  pool->runtime = registry_.pool(pool->spec.name);
  fill_members(now, *pool, sweep);
  make_tiers(*pool);
  for (Tier& tier : pool->tiers) tier.balance_state = factory_(*pool, tier);
  return pool;
}

Result<std::shared_ptr<const Snapshot>> Builder::build(Instant now, const Snapshot* previous) {
  const Status checked = check();
  Builder taken(*this);
  clear();
  if (!checked) return tl::unexpected(checked.error());
  return taken.assemble(now, previous);
}

void Builder::clear() {
  self_ips_.clear();
  snat_pools_.clear();
  virtual_addresses_.clear();
  pools_.clear();
  virtual_servers_.clear();
}

std::shared_ptr<const Snapshot> Builder::assemble(Instant now, const Snapshot* previous) {
  PoolsByName old_pools, pools;
  if (previous != nullptr) {
    for (const auto& pool : previous->pools()) old_pools.emplace(pool->spec.name, pool);
  }
  auto snapshot = std::make_shared<Snapshot>();
  bool sweep = false;
  for (PoolSpec& spec : pools_) {
    const std::string name = spec.name;
    const auto& pool = snapshot->pools_.emplace_back(make_pool(now, std::move(spec), old_pools, sweep));
    pools.emplace(name, pool);
  }
  for (const auto& [name, before] : old_pools) {
    const auto after = pools.find(name);
    if (after == pools.end() || after->second != before)
      forget_removed(*before, after == pools.end() ? nullptr : after->second.get());
  }
  snapshot->generation_ = previous == nullptr ? 1 : previous->generation() + 1;
  snapshot->sweep_generation_ = (previous == nullptr ? 0 : previous->sweep_generation()) + (sweep ? 1 : 0);
  snapshot->self_ips_ = std::move(self_ips_);
  snapshot->snat_pools_ = std::move(snat_pools_);
  for (const VirtualServerSpec& spec : virtual_servers_) add_to(*snapshot, spec, pools);
  add_addresses(*snapshot);
  snapshot->index();
  return snapshot;
}

void Builder::add_to(Snapshot& snapshot, const VirtualServerSpec& spec, const PoolsByName& pools) {
  VirtualServer& vs = snapshot.virtual_servers_.emplace_back();
  vs.name = spec.name;
  vs.partition = spec.partition;
  vs.destination = spec.destination;
  vs.protocol = protocol_of(spec.mode);
  vs.mode = spec.mode;
  vs.enabled = spec.enabled;
  vs.snat = spec.snat;
  vs.persist = spec.persist;
  vs.persist_timeout = spec.persist_timeout;
  vs.connection_limit = spec.connection_limit;
  vs.idle = spec.idle;
  if (!spec.pool.empty()) vs.pool = pools.at(spec.pool).get();
  if (spec.snat == SnatKind::pool) {
    vs.snat_pool = &*std::ranges::find(snapshot.snat_pools_, spec.snat_pool, &SnatPool::name);
  }
  if (spec.http) {
    vs.http = spec.http.get();
    registry_.retain(spec.http);
    snapshot.retained_.push_back(spec.http);
    for (const std::string& pool : spec.http_pools) vs.http_pools.push_back(pools.at(pool).get());
  }
  vs.answers_itself = spec.answers_itself;
  vs.runtime = registry_.virtual_server(spec.name);
  if (spec.snat == SnatKind::none) vs.runtime->owned_by_client = true;
  auto& idle = vs.runtime->idle;
  idle.established = spec.idle.established;
  idle.half_open = spec.idle.half_open;
  idle.closing = spec.idle.closing;
  idle.time_wait = spec.idle.time_wait;
  idle.udp = spec.idle.udp;
}

// One virtual address for each destination, with the user's wishes where there are some.
void Builder::add_addresses(Snapshot& snapshot) {
  std::map<Ipv4Address, VirtualAddress> addresses;
  for (const auto& spec : virtual_addresses_) addresses[spec.address] = {spec.address, spec.icmp_echo, spec.arp, false};
  for (const VirtualServer& vs : snapshot.virtual_servers_) {
    VirtualAddress& va = addresses[vs.destination.address];
    va.address = vs.destination.address;
    va.reachable = va.reachable || can_serve(vs);
  }
  for (const auto& [address, va] : addresses) snapshot.virtual_addresses_.push_back(va);
}

}  // namespace sluice::lb
