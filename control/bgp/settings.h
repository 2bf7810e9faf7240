// What the user wants of BGP, as the speaker reads it: local facts, neighbours, listen ranges and policy.
//
// Called by: control/daemon (makes it from config::Bgp), speaker (diffs old and new). Runs on: control thread.
// Follows: RFC 4271 8.1 (session attributes). Tested by: tests/control/bgp/speaker*_test.cc
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/bgp/open.h"
#include "control/bgp/policy.h"
#include "control/routing/ip_prefix.h"
#include "dataplane/base/address.h"
#include "dataplane/base/time.h"
#include "dataplane/bfd/machine.h"

namespace sluice::bgp {

// A BFD session beside the BGP session.
struct BfdSettings {
  bfd::Settings timers;
  std::optional<bool> multihop;         // default: unless the neighbour is on a subnet of a self IP
  bool abort_graceful_restart = false;  // routes go at once when BFD fails, also while the C bit is clear
  friend bool operator==(const BfdSettings&, const BfdSettings&) = default;
};

// Everything that a neighbour of its own, a peer group or a listen range may set.
struct SessionSettings {
  std::uint32_t remote_as = 0;
  std::uint32_t local_as = 0;  // 0: the speaker's; otherwise shown to this neighbour instead
  std::uint16_t port = 179;
  std::optional<IpAddress> local_address;  // default: the self IP on the neighbour's subnet, else the first
  Duration hold_time = 90s;                // 0, or at least 3 s
  Duration keepalive = 30s;                // at most a third of what was negotiated
  Duration connect_retry = 5s;
  Duration idle_hold = 1s;  // before the next attempt after a failure; doubles up to idle_hold_max
  Duration idle_hold_max = 30s;
  bool passive = false;
  std::string password;       // TCP MD5 (RFC 2385); empty: none
  unsigned ttl_security = 0;  // hops (RFC 5082): 1 = directly connected only; 0: off
  unsigned multihop = 255;    // TTL of our segments when ttl_security is off
  bool graceful_restart = true;
  bool long_lived_graceful_restart = false;  // RFC 9494: keep stale routes for the neighbour's long-lived time
  bool add_path_receive = false;             // RFC 7911
  bool add_path_send = false;
  bool extended_messages = true;  // RFC 8654
  bool ipv6_unicast = false;
  bool extended_next_hop = false;  // RFC 8950: IPv4 routes with an IPv6 next hop
  unsigned allow_as_in = 0;        // how often our own AS may be in a received AS_PATH
  Role role = Role::none;
  bool role_strict = false;
  std::uint32_t prefixes_max = 1u << 21;  // of a family, received; beyond it: Cease 6/1
  unsigned prefixes_warn_percent = 75;
  Duration prefixes_restart = 0s;  // after Cease 6/1: stay down; otherwise come back after this time
  bool require_policy = false;     // RFC 8212: eBGP without policy accepts and announces nothing
  std::optional<BfdSettings> bfd;
  Policy import_policy;
  Policy export_policy;
  std::string description;
  friend bool operator==(const SessionSettings&, const SessionSettings&) = default;
};

struct NeighborSettings {
  IpAddress address;
  bool enabled = true;
  SessionSettings session;
  friend bool operator==(const NeighborSettings&, const NeighborSettings&) = default;
};

// Whoever connects from the prefix with the right AS becomes a neighbour: new nodes need no change here.
struct ListenRange {
  routing::IpPrefix prefix;
  SessionSettings session;  // passive is implied
  unsigned neighbors_max = 5000;
  Duration expiry = 300s;  // a neighbour that stays down this long is forgotten
  friend bool operator==(const ListenRange&, const ListenRange&) = default;
};

// A self IP: next hop of what we announce to neighbours on its subnet.
struct LocalAddress {
  IpAddress address;
  std::uint8_t length = 32;
  friend bool operator==(const LocalAddress&, const LocalAddress&) = default;
};

// The node that has a pod block's addresses: of equal paths the one through it wins (README.md, fact 8).
struct BlockOwner {
  routing::IpPrefix prefix;
  IpAddress node;
  friend bool operator==(const BlockOwner&, const BlockOwner&) = default;
};

struct SpeakerSettings {
  std::uint32_t local_as = 0;
  std::uint32_t router_id = 0;
  std::uint16_t listen_port = 179;
  Duration graceful_restart_time = 120s;  // what we tell: how long to keep our routes while we restart
  Duration stale_time_max = 600s;         // upper bound of what a neighbour may ask us to keep
  bool restarting = false;                // we come back from a restart: set the R bit, keep forwarding (RFC 4724 4.1)
  Duration restart_defer_max = 120s;      // wait at most this long for End-of-RIB before deciding then
  bool forwarding_preserved = true;       // routes of before are still in use: decide nothing until then
  bool hold_announcements = false;        // nor announce until Speaker::ready says that what we announce is known
  unsigned multipath_max = 8;             // 1: off
  bool multipath_relax = true;            // AS_PATHs need equal length only
  bool always_compare_med = false;
  std::vector<routing::IpPrefix> accept;  // learned routes must lie inside one of these; empty: any
  std::vector<routing::IpPrefix> refuse;  // and inside none of these
  std::vector<LocalAddress> self_ips;     // never learned from a neighbour, nor the virtual addresses announced
  std::vector<NeighborSettings> neighbors;
  std::vector<ListenRange> listen_ranges;
  std::vector<BlockOwner> owners;
  friend bool operator==(const SpeakerSettings&, const SpeakerSettings&) = default;
};

}  // namespace sluice::bgp
