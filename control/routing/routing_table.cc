// RoutingTable: sources per prefix, groups of gateways resolved together, changes for the FIB.
#include "control/routing/routing_table.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "control/routing/prefix_index.h"

namespace sluice::routing {
namespace {

constexpr unsigned kDepthMax = 8;                    // of gateways behind gateways
constexpr std::uint32_t kGroupMax = (1u << 28) - 1;  // far more than routes
constexpr unsigned kResolveSteps = 512;              // of one gateway: ECMP behind ECMP multiplies

bool resolves_others(Source source) { return source == Source::connected || source == Source::fixed; }

}  // namespace

// How a gateway is reached: the final next hops, and how many gateways lie in between.
struct Resolution {
  ResolvedNextHops hops;
  unsigned depth = 0;
  bool reachable = false;
  bool connected = false;
};

struct RoutingTable::Impl {
  // What a route says of its way: shared by all routes that say the same, resolved once for all of them.
  struct GroupKey {
    Source source = Source::connected;
    std::vector<Ipv4Address> gateways;
    InterfaceId interface = 0;  // of connected
    bool blackhole = false;
    friend auto operator<=>(const GroupKey&, const GroupKey&) = default;
  };
  struct Group {
    const GroupKey* key = nullptr;
    std::uint32_t users = 0;
    bool usable = false;
    RouteAction action = RouteAction::remove;
    std::shared_ptr<const ResolvedNextHops> hops;
    unsigned depth = 0;
  };
  struct Interface {
    std::string name;
    bool up = false;
  };
  struct Net {
    std::uint32_t first = 0;  // of its routes, best source first
  };
  struct Route {
    std::uint32_t group : 28 = 0;
    std::uint32_t source_number : 4 = 0;
    std::uint32_t next = 0;
    std::uint32_t since_s = 0;
    Source source() const { return static_cast<Source>(source_number); }
  };
  static_assert(sizeof(Route) == 12 && kSourceCount < 16);

  std::map<InterfaceId, Interface> interfaces;
  PrefixIndex<Net> nets;
  Slab<Route> routes;
  std::map<GroupKey, std::uint32_t> group_ids;
  std::vector<Group> groups{{}};  // [0] unused
  std::vector<std::uint32_t> free_groups;
  std::uint32_t last_bgp = 0;        // see bgp_group()
  std::vector<std::uint32_t> queue;  // changed prefixes by number, oldest first from queue_at
  std::vector<bool> queued;          // by number; one that is queued is not erased
  std::size_t queue_at = 0;
  std::uint64_t lengths = 0;  // bit n: some connected or static route has length n
  std::array<std::uint32_t, 33> length_users{};
  std::multimap<Ipv4Prefix, InterfaceId> connected;  // one an address: two self IPs may share a subnet
  mutable unsigned resolve_budget = 0;
  bool stale_groups = false;  // connected or static routes changed: groups must be resolved again
  bool rescan = false;        // some group's resolution changed: all its prefixes must be reported
  std::uint32_t rescan_at = 0;
  std::vector<bool> changed_groups;
  bool next_hops_changed = false;
  std::uint64_t refused = 0;
  Instant epoch{};
  bool epoch_set = false;

  std::uint32_t seconds(Instant now) {
    if (!epoch_set) {
      epoch = now;
      epoch_set = true;
    }
    return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(now - epoch).count());
  }

  // ---- groups

  std::uint32_t intern(GroupKey key) {
    const auto [at, fresh] = group_ids.try_emplace(std::move(key), 0);
    if (fresh) {
      if (free_groups.empty()) {
        at->second = static_cast<std::uint32_t>(groups.size());
        groups.emplace_back();
      } else {
        at->second = free_groups.back();
        free_groups.pop_back();
      }
      auto& group = groups[at->second];
      group = {};
      group.key = &at->first;
      resolve_group(group);
    }
    ++groups[at->second].users;
    return at->second;
  }

  void release(std::uint32_t id) {
    auto& group = groups[id];
    if (--group.users != 0) return;
    const auto at = group_ids.find(*group.key);
    group = {};
    group_ids.erase(at);
    free_groups.push_back(id);
  }

  // True: the outcome is another than before.
  bool resolve_group(Group& group) {
    const auto& key = *group.key;
    auto action = RouteAction::forward;
    Resolution total;
    if (key.source == Source::local || key.source == Source::virtual_address) {
      action = RouteAction::local;
      total.reachable = true;
    } else if (key.blackhole) {
      action = RouteAction::blackhole;
      total.reachable = true;
    } else if (key.source == Source::connected) {
      total.reachable = up(key.interface);
      total.hops.push_back({key.interface, {}});
    } else {
      for (const auto gateway : key.gateways) {
        const auto one = resolve(gateway, 1);
        if (!one.reachable) continue;
        total.reachable = true;
        total.depth = std::max(total.depth, one.depth);
        total.hops.insert(total.hops.end(), one.hops.begin(), one.hops.end());
      }
      tidy(total.hops);
      // Every way ends in a blackhole: so does this.
      if (total.reachable && total.hops.empty()) action = RouteAction::blackhole;
    }
    const bool same_hops = group.hops ? *group.hops == total.hops : total.hops.empty();
    if (group.usable == total.reachable && group.action == action && same_hops) return false;
    group.usable = total.reachable;
    group.action = action;
    group.depth = total.depth;
    if (!same_hops || !group.hops) group.hops = std::make_shared<const ResolvedNextHops>(std::move(total.hops));
    return true;
  }

  static void tidy(ResolvedNextHops& hops) {
    std::sort(hops.begin(), hops.end());
    hops.erase(std::unique(hops.begin(), hops.end()), hops.end());
    if (hops.size() > kNextHopsMax) hops.resize(kNextHopsMax);
  }

  bool up(InterfaceId id) const {
    const auto at = interfaces.find(id);
    return at != interfaces.end() && at->second.up;
  }

  // The route that resolves `gateway`: the longest match among connected (whose interface is up) and static routes.
  const Route* resolving_route(Ipv4Address gateway) const {
    for (int length = 32; length >= 0; --length) {
      if ((lengths >> length & 1) == 0) continue;
      const auto net = nets.find(Ipv4Prefix::of(gateway, static_cast<unsigned>(length)));
      if (net == 0) continue;
      for (auto id = nets[net].first; id != 0; id = routes[id].next) {
        const auto& route = routes[id];
        if (!resolves_others(route.source())) continue;
        if (route.source() == Source::connected && !up(groups[route.group].key->interface)) continue;
        return &route;
      }
    }
    return nullptr;
  }

  Resolution resolve(Ipv4Address gateway, unsigned depth) const {
    Resolution out;
    if (depth == 1) resolve_budget = kResolveSteps;
    const auto* route = depth > kDepthMax || resolve_budget == 0 ? nullptr : resolving_route(gateway);
    if (route == nullptr) return out;
    --resolve_budget;
    const auto& key = *groups[route->group].key;
    if (key.source == Source::connected) {
      out.reachable = out.connected = true;
      out.depth = depth - 1;
      out.hops.push_back({key.interface, gateway});
      return out;
    }
    if (key.blackhole) {
      out.reachable = true;
      out.depth = depth;
      return out;
    }
    for (const auto next : key.gateways) {
      const auto one = resolve(next, depth + 1);  // a loop ends at kDepthMax
      if (!one.reachable) continue;
      out.reachable = true;
      out.depth = std::max(out.depth, one.depth);
      out.hops.insert(out.hops.end(), one.hops.begin(), one.hops.end());
      if (out.hops.size() > kNextHopsMax) tidy(out.hops);
    }
    return out;
  }

  // ---- routes

  void enqueue(std::uint32_t net) {
    if (net >= queued.size()) queued.resize(std::max<std::size_t>(net + 1, 2 * queued.size()));
    if (queued[net]) return;
    queued[net] = true;
    queue.push_back(net);
  }

  void count_length(Ipv4Prefix prefix, Source source, int step) {
    if (!resolves_others(source)) return;
    auto& users = length_users[prefix.length];
    users += static_cast<std::uint32_t>(step);
    lengths = users != 0 ? lengths | std::uint64_t{1} << prefix.length : lengths & ~(std::uint64_t{1} << prefix.length);
    stale_groups = true;
  }

  bool put(Ipv4Prefix prefix, GroupKey key, Instant now) {
    const auto source = key.source;
    auto net = nets.find(prefix);
    if (net == 0) {
      if (nets.size() >= kRoutesMax) {
        ++refused;
        return false;
      }
      net = nets.find_or_insert(prefix);
    }
    put_at(net, source, intern(std::move(key)), now);
    return true;
  }

  // Takes over one use of the group.
  void put_at(std::uint32_t net, Source source, std::uint32_t group, Instant now) {
    auto* link = &nets[net].first;
    while (*link != 0 && routes[*link].source() < source) link = &routes[*link].next;
    if (*link != 0 && routes[*link].source() == source) {
      auto& route = routes[*link];
      if (route.group == group) return release(group);
      const std::uint32_t old = route.group;
      route.group = group & kGroupMax;
      release(old);
      route.since_s = seconds(now);
      if (resolves_others(source)) stale_groups = true;
    } else {
      const auto id = routes.create();
      routes[id].group = group & kGroupMax;
      routes[id].source_number = static_cast<unsigned>(source) & 15;
      routes[id].next = *link;
      routes[id].since_s = seconds(now);
      *link = id;
      if (resolves_others(source)) count_length(nets.prefix(net).v4(), source, 1);
    }
    enqueue(net);
  }

  bool drop(Ipv4Prefix prefix, Source source) {
    const auto net = nets.find(prefix);
    return net != 0 && drop_at(net, source);
  }
  bool drop_at(std::uint32_t net, Source source) {
    auto* link = &nets[net].first;
    while (*link != 0 && routes[*link].source() != source) link = &routes[*link].next;
    if (*link == 0) return false;
    const auto id = *link;
    *link = routes[id].next;
    release(routes[id].group);
    routes.destroy(id);
    if (resolves_others(source)) count_length(nets.prefix(net).v4(), source, -1);
    enqueue(net);
    return true;
  }

  // One BGP source replaces the other.
  bool put_bgp(Ipv4Prefix prefix, std::span<const Ipv4Address> hops, bool external, Instant now) {
    const auto source = external ? Source::ebgp : Source::ibgp;
    auto net = nets.find(prefix);
    if (net != 0) drop_at(net, external ? Source::ibgp : Source::ebgp);
    if (hops.empty()) {
      if (net != 0) drop_at(net, source);
      return true;
    }
    if (net == 0) {
      if (nets.size() >= kRoutesMax) {
        ++refused;
        return false;
      }
      net = nets.insert(prefix);
    }
    put_at(net, source, bgp_group(source, hops), now);
    return true;
  }

  // A neighbour's routes come one behind the other with the same next hops: the group of the last one is tried first.
  std::uint32_t bgp_group(Source source, std::span<const Ipv4Address> hops) {
    const auto& last = groups[last_bgp];
    if (last.users != 0 && last.key->source == source && std::ranges::equal(last.key->gateways, hops)) {
      ++groups[last_bgp].users;
      return last_bgp;
    }
    GroupKey key{source, {hops.begin(), hops.end()}, 0, false};
    std::sort(key.gateways.begin(), key.gateways.end());
    key.gateways.erase(std::unique(key.gateways.begin(), key.gateways.end()), key.gateways.end());
    last_bgp = intern(std::move(key));
    return last_bgp;
  }

  const Route* selected(std::uint32_t net) const {
    for (auto id = nets[net].first; id != 0; id = routes[id].next) {
      if (groups[routes[id].group].usable) return &routes[id];
    }
    return nullptr;
  }

  RouteUpdate state_of(Ipv4Prefix prefix, const Route* route) const {
    RouteUpdate update{prefix, RouteAction::remove, nullptr};
    if (route == nullptr) return update;
    const auto& group = groups[route->group];
    update.action = group.action;
    if (group.action == RouteAction::forward) update.next_hops = group.hops;
    return update;
  }

  // ---- resolution after a change of connected or static routes

  void refresh() {
    if (!std::exchange(stale_groups, false)) return;
    next_hops_changed = true;
    changed_groups.resize(groups.size());
    for (std::size_t i = 1; i < groups.size(); ++i) {
      if (groups[i].users == 0 || !resolve_group(groups[i])) continue;
      changed_groups[i] = true;
      rescan = true;
      rescan_at = 0;
    }
  }

  // Finds the prefixes whose group changed, a slice at a time.
  void rescan_slice(std::size_t max) {
    for (std::size_t n = 0; rescan && n < max; ++n) {
      rescan_at = nets.next(rescan_at);
      if (rescan_at == 0) {
        rescan = false;
        changed_groups.clear();
        return;
      }
      for (auto id = nets[rescan_at].first; id != 0; id = routes[id].next) {
        const auto group = routes[id].group;
        if (group < changed_groups.size() && changed_groups[group]) enqueue(rescan_at);
      }
    }
  }

  RouteInfo info(Ipv4Prefix prefix, const Route& route, bool is_selected, Instant now) const {
    const auto& group = groups[route.group];
    const auto& key = *group.key;
    RouteInfo out;
    out.prefix = prefix;
    out.source = route.source();
    out.distance = administrative_distance(route.source());
    out.selected = is_selected;
    out.blackhole = group.action == RouteAction::blackhole;
    out.age = now - epoch - std::chrono::seconds(route.since_s);
    const auto name = [this](InterfaceId id) {
      const auto at = interfaces.find(id);
      return at == interfaces.end() ? std::string() : at->second.name;
    };
    if (key.source == Source::connected) out.hops.push_back({{}, name(key.interface), false, {}});
    for (const auto gateway : key.gateways) {
      const auto one = resolve(gateway, 1);
      RouteInfo::Hop hop{gateway, {}, false, {}};
      if (!one.hops.empty()) {
        hop.interface = name(one.hops[0].interface);
        hop.recursive = one.depth > 0;
        if (hop.recursive) hop.via = one.hops[0].gateway;
      }
      out.hops.push_back(std::move(hop));
    }
    return out;
  }
};

RoutingTable::RoutingTable() : impl_(std::make_unique<Impl>()) {}
RoutingTable::~RoutingTable() = default;

void RoutingTable::set_interface(InterfaceId id, std::string name, bool up) {
  auto& interface = impl_->interfaces[id];
  if (interface.up != up) impl_->stale_groups = true;
  interface = {std::move(name), up};
}

void RoutingTable::remove_interface(InterfaceId id) {
  if (impl_->interfaces.erase(id) != 0) impl_->stale_groups = true;
}

void RoutingTable::add_connected(Ipv4Interface address, InterfaceId interface, Instant now) {
  impl_->put(Ipv4Prefix::of(address.address, 32), {Source::local, {}, interface, false}, now);
  if (address.length == 32) return;
  impl_->connected.emplace(address.subnet(), interface);
  impl_->put(address.subnet(), {Source::connected, {}, interface, false}, now);
}

void RoutingTable::remove_connected(Ipv4Interface address, InterfaceId interface) {
  impl_->drop(Ipv4Prefix::of(address.address, 32), Source::local);
  if (address.length == 32) return;
  const auto subnet = address.subnet();
  const auto [first, last] = impl_->connected.equal_range(subnet);
  const auto mine = std::find_if(first, last, [interface](const auto& c) { return c.second == interface; });
  if (mine == last) return;
  impl_->connected.erase(mine);
  const auto other = impl_->connected.find(subnet);
  if (other == impl_->connected.end()) {
    impl_->drop(subnet, Source::connected);
  } else {
    impl_->put(subnet, {Source::connected, {}, other->second, false}, impl_->epoch);
  }
}

void RoutingTable::set_static(Ipv4Prefix prefix, std::span<const Ipv4Address> gateways, bool blackhole, Instant now) {
  if (gateways.empty() && !blackhole) {
    impl_->drop(prefix, Source::fixed);
    return;
  }
  Impl::GroupKey key{Source::fixed, {gateways.begin(), gateways.end()}, 0, blackhole};
  std::sort(key.gateways.begin(), key.gateways.end());
  key.gateways.erase(std::unique(key.gateways.begin(), key.gateways.end()), key.gateways.end());
  impl_->put(prefix, std::move(key), now);
}

void RoutingTable::set_virtual_address(Ipv4Address address, bool present, Instant now) {
  const auto prefix = Ipv4Prefix::of(address, 32);
  if (present) {
    impl_->put(prefix, {Source::virtual_address, {}, 0, false}, now);
  } else {
    impl_->drop(prefix, Source::virtual_address);
  }
}

void RoutingTable::prefetch_bgp(Ipv4Prefix prefix) const { impl_->nets.prefetch(prefix); }

bool RoutingTable::set_bgp(Ipv4Prefix prefix, std::span<const Ipv4Address> next_hops, bool external, Instant now) {
  return impl_->put_bgp(prefix, next_hops, external, now);
}

std::vector<RouteUpdate> RoutingTable::take_updates(std::size_t max) {
  auto& impl = *impl_;
  impl.refresh();
  if (impl.rescan) impl.rescan_slice(std::max<std::size_t>(max, 1024));
  std::vector<RouteUpdate> out;
  out.reserve(std::min(max, impl.queue.size() - impl.queue_at));
  while (out.size() < max && impl.queue_at < impl.queue.size()) {
    const auto net = impl.queue[impl.queue_at++];
    impl.queued[net] = false;
    out.push_back(impl.state_of(impl.nets.prefix(net).v4(), impl.selected(net)));
    if (impl.nets[net].first == 0) impl.nets.erase(net);
  }
  if (impl.queue_at == impl.queue.size()) {
    impl.queue.clear();
    impl.queue_at = 0;
  } else if (impl.queue_at > 65536) {
    impl.queue.erase(impl.queue.begin(), impl.queue.begin() + static_cast<std::ptrdiff_t>(impl.queue_at));
    impl.queue_at = 0;
  }
  return out;
}

bool RoutingTable::has_updates() const {
  return impl_->queue_at < impl_->queue.size() || impl_->rescan || impl_->stale_groups;
}

std::size_t RoutingTable::pending() const { return impl_->queue.size() - impl_->queue_at; }

bool RoutingTable::take_next_hops_changed() {
  impl_->refresh();
  return std::exchange(impl_->next_hops_changed, false);
}

NextHopState RoutingTable::resolve_next_hop(const IpAddress& next_hop) const {
  if (!next_hop.is_v4()) return {};
  const auto r = impl_->resolve(next_hop.v4(), 1);
  return {r.reachable, r.connected, r.depth};
}

std::optional<RouteUpdate> RoutingTable::lookup(Ipv4Address destination) const {
  impl_->refresh();
  for (int length = 32; length >= 0; --length) {
    const auto prefix = Ipv4Prefix::of(destination, static_cast<unsigned>(length));
    const auto net = impl_->nets.find(prefix);
    if (net == 0) continue;
    if (const auto* route = impl_->selected(net)) return impl_->state_of(prefix, route);
  }
  return std::nullopt;
}

std::vector<RouteInfo> RoutingTable::show(Instant now, bool selected_only, std::size_t max) const {
  auto& impl = *impl_;
  impl.refresh();
  std::vector<Ipv4Prefix> prefixes;
  prefixes.reserve(impl.nets.size());
  for (auto net = impl.nets.next(0); net != 0; net = impl.nets.next(net))
    prefixes.push_back(impl.nets.prefix(net).v4());
  if (prefixes.size() > max) {
    std::nth_element(prefixes.begin(), prefixes.begin() + static_cast<std::ptrdiff_t>(max), prefixes.end());
    prefixes.resize(max);
  }
  std::sort(prefixes.begin(), prefixes.end());
  std::vector<RouteInfo> out;
  for (const auto prefix : prefixes) {
    const auto net = impl.nets.find(prefix);
    const auto* best = impl.selected(net);
    for (auto id = impl.nets[net].first; id != 0 && out.size() < max; id = impl.routes[id].next) {
      const auto& route = impl.routes[id];
      if (selected_only && &route != best) continue;
      out.push_back(impl.info(prefix, route, &route == best, now));
    }
  }
  return out;
}

std::optional<RouteInfo> RoutingTable::show_lookup(Ipv4Address destination, Instant now) const {
  impl_->refresh();
  for (int length = 32; length >= 0; --length) {
    const auto prefix = Ipv4Prefix::of(destination, static_cast<unsigned>(length));
    const auto net = impl_->nets.find(prefix);
    if (net == 0) continue;
    if (const auto* route = impl_->selected(net)) return impl_->info(prefix, *route, true, now);
  }
  return std::nullopt;
}

std::size_t RoutingTable::size() const { return impl_->nets.size(); }
std::uint64_t RoutingTable::refused() const { return impl_->refused; }

}  // namespace sluice::routing
