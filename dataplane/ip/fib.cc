// Fib on DPDK's rte_fib; see fib.h.
#include "dataplane/ip/fib.h"

#include <rte_errno.h>
#include <rte_fib.h>

#include <algorithm>
#include <cassert>
#include <limits>

namespace sluice::ip {
namespace {

// One bit of an entry says that it leads on to a tbl8; the rest is that table's number, or the group.
constexpr std::uint32_t kGroupsMax1Byte = (1 << 7) - 2;
constexpr std::uint32_t kGroupsMax2Bytes = (1 << 15) - 2;

Status check_group(const NextHopGroup& hops, Ipv4Prefix prefix) {
  const std::string place = "route " + prefix.text();
  if (hops.size() > kEcmpMax) return fail(place, "more than " + std::to_string(kEcmpMax) + " next hops");
  for (const NextHop& hop : hops) {
    const bool forwards = hop.kind == NextHopKind::via || hop.kind == NextHopKind::connected;
    if (hop.kind == NextHopKind::none) return fail(place, "a next hop of no kind");
    if (!forwards && hops.size() > 1) return fail(place, "local or blackhole beside other next hops");
    if (forwards && hop.port >= packet::kPortsMax) return fail(place, "a next hop without a port");
    if (hop.kind == NextHopKind::via && hop.gateway.is_zero()) return fail(place, "a gateway of 0.0.0.0");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Fib>> Fib::create(const std::string& name, const FibLimits& limits, int socket,
                                         ForwardingEpoch& epoch) {
  const std::string place = "routing table " + name;
  if (limits.groups_max == 0 || limits.groups_max > kGroupsMax2Bytes) {
    return fail(
        place, "groups_max " + std::to_string(limits.groups_max) + " is not in 1.." + std::to_string(kGroupsMax2Bytes));
  }
  if (limits.routes_max == 0 || limits.routes_max > 1u << 24 || limits.tbl8_max == 0 || limits.tbl8_max > 1u << 14) {
    return fail(place, "routes_max must be in 1..16777216, tbl8_max in 1..16384");
  }
  rte_fib_conf conf{};
  conf.type = RTE_FIB_DIR24_8;
  conf.default_nh = 0;
  conf.max_routes = static_cast<int>(limits.routes_max);
  conf.dir24_8.nh_sz =
      std::max(limits.groups_max, limits.tbl8_max) <= kGroupsMax1Byte ? RTE_FIB_DIR24_8_1B : RTE_FIB_DIR24_8_2B;
  conf.dir24_8.num_tbl8 = limits.tbl8_max;
  rte_fib* fib = rte_fib_create(name.c_str(), socket, &conf);
  if (fib == nullptr) {
    if (rte_errno == EEXIST) return fail(place, "a table of this name exists already");
    return fail(place, std::string("DPDK has no memory for it (") + rte_strerror(rte_errno) +
                           "): it takes up to 40 MB a worker; raise engine.memory_mb");
  }
  return std::unique_ptr<Fib>(new Fib(fib, limits, epoch));
}

Fib::Fib(rte_fib* fib, const FibLimits& limits, ForwardingEpoch& epoch)
    : fib_(fib), limits_(limits), epoch_(epoch), groups_(limits.groups_max + 1) {
  groups_[0].count = 1;  // no route: one hop of kind none
  for (GroupId id = limits.groups_max; id > 0; --id) free_groups_.push_back(id);
}

Fib::~Fib() { rte_fib_free(fib_); }

Result<Fib::GroupId> Fib::take_group(const NextHopGroup& hops) {
  NextHopGroup sorted = hops;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  auto found = group_ids_.find(sorted);
  if (found == group_ids_.end()) {
    if (free_groups_.empty()) {
      return fail("routing table", "all " + std::to_string(limits_.groups_max) + " next-hop groups are in use");
    }
    const GroupId id = free_groups_.back();
    free_groups_.pop_back();
    groups_[id].count = static_cast<std::uint32_t>(sorted.size());
    std::copy(sorted.begin(), sorted.end(), groups_[id].hops.begin());
    found = group_ids_.emplace(std::move(sorted), id).first;
  }
  ++groups_[found->second].uses;
  return found->second;
}

void Fib::release_group(GroupId id) {
  Group& group = groups_[id];
  if (id == 0 || --group.uses > 0) return;
  group_ids_.erase(NextHopGroup(group.hops.begin(), group.hops.begin() + group.count));
  group = Group{};
  free_groups_.push_back(id);
}

// Points the prefix at a group; 0 takes it out.
Status Fib::set_table(Ipv4Prefix prefix, GroupId id) {
  if (prefix.length == 0) {
    default_group_ = id;
    return {};
  }
  const int error = id == 0 ? rte_fib_delete(fib_, prefix.address.value, prefix.length)
                            : rte_fib_add(fib_, prefix.address.value, prefix.length, id);
  if (error == 0) return {};
  const std::string place = "route " + prefix.text();
  if (error == -ENOSPC && prefix.length > 24) {
    return fail(place, "all " + std::to_string(limits_.tbl8_max) + " tables for prefixes longer than /24 are in use");
  }
  return fail(place, std::string("the routing table refuses it: ") + rte_strerror(-error));
}

Status Fib::apply(const RouteUpdate& update) {
  const Ipv4Prefix prefix = update.prefix;
  if (prefix.length > 32 || Ipv4Prefix::of(prefix.address, prefix.length) != prefix) {
    return fail("route " + prefix.text(), "is no prefix: its host bits are not zero or its length is above 32");
  }
  if (update.next_hops.empty()) return remove(prefix);
  if (auto checked = check_group(update.next_hops, prefix); !checked) return checked;

  const auto existing = routes_.find(prefix);
  if (existing == routes_.end() && routes_.size() >= limits_.routes_max) {
    return fail("route " + prefix.text(),
                "the routing table holds its " + std::to_string(limits_.routes_max) + " routes already");
  }
  const auto group = take_group(update.next_hops);
  if (!group) return tl::unexpected(group.error());
  if (auto set = set_table(prefix, *group); !set) {
    release_group(*group);
    return set;
  }
  if (existing != routes_.end()) {
    release_group(existing->second);
    existing->second = *group;
  } else {
    routes_.emplace(prefix, *group);
  }
  epoch_.bump();
  return {};
}

Status Fib::remove(Ipv4Prefix prefix) {
  const auto existing = routes_.find(prefix);
  if (existing == routes_.end()) return fail("route " + prefix.text(), "is not in the routing table");
  if (auto set = set_table(prefix, 0); !set) return set;
  release_group(existing->second);
  routes_.erase(existing);
  epoch_.bump();
  return {};
}

NextHop Fib::lookup(Ipv4Address destination, std::uint32_t flow_hash) const {
  std::uint64_t id = 0;
  rte_fib_lookup_bulk(fib_, &destination.value, &id, 1);
  return pick(id != 0 ? static_cast<GroupId>(id) : default_group_, flow_hash);
}

void Fib::lookup_bulk(std::span<const Ipv4Address> destinations, std::span<const std::uint32_t> flow_hashes,
                      std::span<NextHop> out) const {
  assert(destinations.size() == out.size() && flow_hashes.size() == out.size());
  constexpr std::size_t kChunk = 64;
  std::array<std::uint32_t, kChunk> addresses;
  std::array<std::uint64_t, kChunk> ids;
  for (std::size_t begin = 0; begin < out.size(); begin += kChunk) {
    const std::size_t n = std::min(kChunk, out.size() - begin);
    for (std::size_t i = 0; i < n; ++i) addresses[i] = destinations[begin + i].value;
    rte_fib_lookup_bulk(fib_, addresses.data(), ids.data(), static_cast<int>(n));
    for (std::size_t i = 0; i < n; ++i) {
      out[begin + i] = pick(ids[i] != 0 ? static_cast<GroupId>(ids[i]) : default_group_, flow_hashes[begin + i]);
    }
  }
}

std::vector<RouteUpdate> Fib::routes() const {
  std::vector<RouteUpdate> all;
  all.reserve(routes_.size());
  for (const auto& [prefix, id] : routes_) {
    const Group& group = groups_[id];
    all.push_back({prefix, NextHopGroup(group.hops.begin(), group.hops.begin() + group.count)});
  }
  return all;
}

}  // namespace sluice::ip
