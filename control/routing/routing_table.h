// RoutingTable: every route that anyone wants, the preferred one of each prefix, and what the engine's FIB must hold.
//
// Sources are connected subnets, static routes, BGP and our own addresses (self IPs, virtual addresses). Per prefix the
// source with the lowest administrative distance that can be resolved wins. Gateways are resolved on this thread, so
// that a FIB knows only final next hops: the longest match among connected and static routes gives the port, or another
// gateway to resolve in turn. BGP routes never resolve BGP next hops: the order connected < static < BGP cannot
// feed back into itself, so there is exactly one right answer at any time, whatever the order of events.
//
//   RoutingTable table;
//   table.set_interface(0, "int_vlan", true);
//   table.add_connected(*Ipv4Interface::parse("172.16.40.202/24"), 0, now);
//   table.set_bgp(block, gateways, Source::ibgp, now);
//   for (RouteUpdate& update : table.take_updates(4096)) ...   // → every worker's FIB
//
// Called by: control/io/bgp_transport (BGP), control/daemon (the rest). Runs on: control thread.
// Follows: RFC 4271 9.1.2.1, 5.1.3; administrative distances as Cisco and F5 imish. Tested by: tests/control/routing/*
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "control/routing/next_hop_resolver.h"
#include "dataplane/base/address.h"
#include "dataplane/base/time.h"

namespace sluice::routing {

using InterfaceId = std::uint16_t;  // the engine's port number

// In order of preference within one prefix.
enum class Source : std::uint8_t { local, virtual_address, connected, fixed, ebgp, ibgp };
inline constexpr std::size_t kSourceCount = 6;

constexpr unsigned administrative_distance(Source source) {
  constexpr std::array<unsigned, kSourceCount> kDistance{0, 0, 0, 1, 20, 200};
  return kDistance[static_cast<std::size_t>(source)];
}
// The letter of `show ip route`: K is what BIG-IP shows for a virtual address ("redistribute kernel").
constexpr char code_of(Source source) { return "CKCSBB"[static_cast<std::size_t>(source)]; }

struct ResolvedNextHop {
  InterfaceId interface = 0;
  Ipv4Address gateway;  // zero: the destination itself is on the interface's subnet
  friend auto operator<=>(const ResolvedNextHop&, const ResolvedNextHop&) = default;
};
using ResolvedNextHops = std::vector<ResolvedNextHop>;  // sorted, distinct, at most kNextHopsMax

enum class RouteAction : std::uint8_t {
  forward,    // to next_hops: one, or several (ECMP)
  local,      // one of our own addresses
  blackhole,  // drop
  remove,     // the prefix has no route any more
};

// One change for every worker's FIB. Replaces whatever the FIB has for the prefix.
struct RouteUpdate {
  Ipv4Prefix prefix;
  RouteAction action = RouteAction::remove;
  std::shared_ptr<const ResolvedNextHops> next_hops;  // only with forward; shared by all prefixes that use it
};

// One line of `show ip route`.
struct RouteInfo {
  Ipv4Prefix prefix;
  Source source = Source::connected;
  unsigned distance = 0;
  unsigned metric = 0;
  bool selected = false;  // in the FIB
  bool blackhole = false;
  struct Hop {
    Ipv4Address gateway;    // as the source said it; zero: directly connected
    std::string interface;  // resolved; empty: unresolved
    bool recursive = false;
    Ipv4Address via;  // the resolved gateway if recursive
  };
  std::vector<Hop> hops;
  Duration age{};
};

inline constexpr std::size_t kNextHopsMax = 64;
inline constexpr std::size_t kRoutesMax = 4u << 20;  // per table: beyond it routes are refused and counted

class RoutingTable final : public NextHopResolver {
 public:
  RoutingTable();
  ~RoutingTable() override;

  // Interfaces. One that goes down takes its connected routes along, and all that resolve through them.
  void set_interface(InterfaceId id, std::string name, bool up);
  void remove_interface(InterfaceId id);

  // A self IP: its subnet becomes connected, its address local.
  void add_connected(Ipv4Interface address, InterfaceId interface, Instant now);
  void remove_connected(Ipv4Interface address, InterfaceId interface);

  // Replaces the static route to `prefix`. No gateways and !blackhole: removes it.
  void set_static(Ipv4Prefix prefix, std::span<const Ipv4Address> gateways, bool blackhole, Instant now);
  void set_virtual_address(Ipv4Address address, bool present, Instant now);

  // What BGP decided for `prefix`: its next hops (several: ECMP), none: no route. False: the table is full.
  // prefetch_bgp() some calls before it hides the time of memory in a table of a million.
  void prefetch_bgp(Ipv4Prefix prefix) const;
  bool set_bgp(Ipv4Prefix prefix, std::span<const Ipv4Address> next_hops, bool external, Instant now);

  // The next changes for the FIB, oldest first, at most `max`; a prefix that changed twice meanwhile appears once, with
  // its latest state.
  std::vector<RouteUpdate> take_updates(std::size_t max);
  bool has_updates() const;
  // Prefixes whose change waits to be taken.
  std::size_t pending() const;

  // Next hops whose answer to resolve_next_hop() may have changed since the last call.
  bool take_next_hops_changed();
  NextHopState resolve_next_hop(const IpAddress& next_hop) const override;

  // The route that a packet to `destination` takes; nullopt: none.
  std::optional<RouteUpdate> lookup(Ipv4Address destination) const;

  // Up to `max` lines of `show ip route`, in order of prefix, from the first prefix not below `from`.
  std::vector<RouteInfo> show(Instant now, bool selected_only = true, std::size_t max = kRoutesMax) const;
  std::optional<RouteInfo> show_lookup(Ipv4Address destination, Instant now) const;
  std::size_t size() const;  // prefixes with at least one route
  std::uint64_t refused() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::routing
