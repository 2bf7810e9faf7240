// Fib: longest-prefix match from an IPv4 address to a group of next hops; one per worker.
//
// A wrapper of DPDK's rte_fib (DIR24_8: one or two memory reads a lookup). Groups of equal-cost next hops are kept
// once, whatever number of prefixes use them, and a flow's hash picks one of a group. The default route lies beside the
// table, for changing it in the table would rewrite all 16 M entries and stop the worker for 10 ms. Every change bumps
// the ForwardingEpoch, so whoever remembers a lookup's result knows when to ask again.
//
// Called by: ip/output, lb/datapath (routes come as RouteUpdate from control/routing). Runs on: the worker that owns
// it. Follows: RFC 4632, RFC 1812 §5.2.4. Tested by: tests/dataplane/ip/fib_test.cc (against brute force)
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/base/address.h"
#include "dataplane/base/result.h"
#include "dataplane/packet/port_info.h"

struct rte_fib;

namespace sluice::ip {

// Changes whenever a remembered next hop may be wrong. Never 0, which a CachedHop that remembers nothing holds.
class ForwardingEpoch {
 public:
  std::uint32_t value() const { return value_; }
  void bump() {
    if (++value_ == 0) value_ = 1;
  }

 private:
  std::uint32_t value_ = 1;
};

enum class NextHopKind : std::uint8_t {
  none,       // no route
  via,        // through `port` to `gateway`
  connected,  // through `port` to the destination itself
  local,      // ours: a self IP or a virtual address
  blackhole,  // drop
};

struct NextHop {
  NextHopKind kind = NextHopKind::none;
  packet::PortId port = packet::kNoPort;  // via, connected
  Ipv4Address gateway;                    // via

  static NextHop via(packet::PortId port, Ipv4Address gateway) { return {NextHopKind::via, port, gateway}; }
  static NextHop connected(packet::PortId port) { return {NextHopKind::connected, port, {}}; }
  static NextHop local() { return {NextHopKind::local, packet::kNoPort, {}}; }
  static NextHop blackhole() { return {NextHopKind::blackhole, packet::kNoPort, {}}; }
  friend auto operator<=>(const NextHop&, const NextHop&) = default;
};

inline constexpr std::size_t kEcmpMax = 16;

// Several: equal cost, chosen by flow hash; then all are via or connected.
using NextHopGroup = std::vector<NextHop>;

struct RouteUpdate {
  Ipv4Prefix prefix;
  NextHopGroup next_hops;  // empty: remove the route
  friend bool operator==(const RouteUpdate&, const RouteUpdate&) = default;
};

struct FibLimits {
  std::uint32_t routes_max = 65536;
  std::uint32_t groups_max = 8191;  // if this and tbl8_max are at most 126, 16 MB of DPDK memory, else 32 MB
  std::uint32_t tbl8_max = 1024;    // /24s with longer prefixes inside; 256 (or 512) bytes each
};

class Fib {
 public:
  // `name` is unique in the process. Fails when DPDK's memory is short.
  static Result<std::unique_ptr<Fib>> create(const std::string& name, const FibLimits& limits, int socket,
                                             ForwardingEpoch& epoch);
  ~Fib();
  Fib(const Fib&) = delete;
  Fib& operator=(const Fib&) = delete;

  // Adds, replaces or removes one route. Fails, changing nothing, when a limit is reached, the group is ill-formed, or
  // the route to remove is not there.
  Status apply(const RouteUpdate& update);

  // kind none when there is no route. `flow_hash` should be the same for all packets of a flow.
  NextHop lookup(Ipv4Address destination, std::uint32_t flow_hash) const;
  // The same for several; sizes equal.
  void lookup_bulk(std::span<const Ipv4Address> destinations, std::span<const std::uint32_t> flow_hashes,
                   std::span<NextHop> out) const;

  std::size_t route_count() const { return routes_.size(); }
  std::size_t group_count() const { return group_ids_.size(); }
  // All routes in order of prefix; for tests and `show ip route`.
  std::vector<RouteUpdate> routes() const;

 private:
  using GroupId = std::uint32_t;  // 0: no route

  // What lookup reads: a group's hops, or only as many as fit a cache line and the count.
  struct Group {
    std::uint32_t uses = 0;
    std::uint32_t count = 0;
    std::array<NextHop, kEcmpMax> hops{};
  };

  Fib(rte_fib* fib, const FibLimits& limits, ForwardingEpoch& epoch);
  Result<GroupId> take_group(const NextHopGroup& hops);
  void release_group(GroupId id);
  Status set_table(Ipv4Prefix prefix, GroupId id);
  Status remove(Ipv4Prefix prefix);
  const NextHop& pick(GroupId id, std::uint32_t flow_hash) const {
    const Group& group = groups_[id];
    return group.hops[group.count == 1 ? 0 : std::uint64_t{flow_hash} * group.count >> 32];
  }

  rte_fib* fib_;
  const FibLimits limits_;
  ForwardingEpoch& epoch_;
  GroupId default_group_ = 0;
  std::vector<Group> groups_;  // by id
  std::vector<GroupId> free_groups_;
  std::map<NextHopGroup, GroupId> group_ids_;
  std::map<Ipv4Prefix, GroupId> routes_;
};

}  // namespace sluice::ip
