// Facts about the speaker for people: `show ip bgp`, `show ip bgp summary` and `show ip bgp neighbors` as plain values.
//
// Called by: control/admin (prints them as text and JSON). Made by: speaker. Runs on: control thread.
// Tested by: tests/control/bgp/speaker*_test.cc
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/bgp/wire.h"
#include "control/routing/ip_prefix.h"
#include "dataplane/base/address.h"
#include "dataplane/base/time.h"

namespace sluice::bgp {

struct MessageCounts {
  std::uint64_t open = 0, update = 0, notification = 0, keepalive = 0, route_refresh = 0;
  std::uint64_t total() const { return open + update + notification + keepalive + route_refresh; }
};

// "advertised and received", capability by capability.
struct CapabilityFact {
  std::string name;  // "Route refresh (new)", "Address family IPv4 Unicast", …
  bool advertised = false;
  bool received = false;
};

struct PeerFacts {
  IpAddress address;
  std::string description;
  std::uint32_t remote_as = 0, local_as = 0;
  bool internal = false;  // iBGP
  bool dynamic = false;   // came by a listen range
  bool enabled = true, passive = false, password_set = false;
  State state = State::idle;
  std::string state_reason;  // why it is not Established: "connect refused, next attempt in 4 s"
  Duration in_state{};       // uptime while Established
  std::optional<std::uint32_t> remote_router_id;
  std::uint32_t local_router_id = 0;
  Duration hold_time{}, keepalive{};  // negotiated; configured while not Established
  Duration configured_hold_time{}, configured_keepalive{}, connect_retry{};
  std::optional<Duration> since_read, since_write;
  std::vector<CapabilityFact> capabilities;
  MessageCounts in, out;
  std::uint64_t bytes_in = 0, bytes_out = 0, output_queue_bytes = 0;
  std::uint64_t table_version = 0, neighbor_version = 0;
  // graceful restart (RFC 4724)
  bool restart_advertised = false, restart_received = false, restarting = false, forwarding_preserved = false;
  Duration remote_restart_time{};
  std::optional<Duration> restart_remaining;  // while its routes are stale
  bool end_of_rib_sent = false, end_of_rib_received = false;
  // prefixes
  std::uint32_t accepted_prefixes = 0, stale_prefixes = 0, announced_prefixes = 0;
  std::uint64_t rejected_prefixes = 0;     // by policy, since the session came up
  std::uint64_t treated_as_withdraw = 0;   // RFC 7606, since start
  std::uint64_t discarded_attributes = 0;  // RFC 7606, since start
  std::string last_update_error;           // what RFC 7606 was applied to last, in words
  std::uint32_t connections_established = 0, connections_dropped = 0;
  std::string last_reset;  // "Cease/Peer Unconfigured received: \"maintenance\"", "hold timer expired"; empty: never
  std::optional<Duration> since_last_reset;
  std::optional<IpAddress> local_address;
  std::uint16_t local_port = 0, remote_port = 0;
  std::optional<IpAddress> next_hop;              // what we put in our announcements
  std::optional<routing::IpPrefix> listen_range;  // by which it came
  std::size_t import_rules = 0, export_rules = 0;
  bool import_lacking = false, export_lacking = false;  // RFC 8212: without one nothing is accepted, announced
};

// One path of `show ip bgp` / `show ip bgp PREFIX`.
struct PathFacts {
  routing::IpPrefix prefix;
  bool valid = false;  // its next hop is reachable
  bool best = false, multipath = false, stale = false, internal = false, local = false;
  bool rejected = false;  // received_from() only: not taken, and `why`
  std::uint32_t path_id = 0;
  IpAddress next_hop;
  std::optional<std::uint32_t> med, local_pref;
  std::string as_path;      // "64513 64514 {64515}"
  char origin = '?';        // i e ?
  std::string communities;  // "64512:100 graceful-shutdown 64512:1:2 rt:64512:3"
  std::optional<std::uint32_t> originator_id;
  std::vector<std::uint32_t> cluster_list;
  IpAddress peer;  // zero: our own
  std::uint32_t peer_router_id = 0;
  Duration age{};
  std::string why;  // "best: only path"; "not best: longer AS_PATH (9.1.2.2 a)"; "not valid: next hop unreachable"
};

struct PeerSummary {
  IpAddress address;
  std::uint32_t remote_as = 0;
  std::uint64_t messages_in = 0, messages_out = 0, neighbor_version = 0;
  std::uint64_t output_queue_bytes = 0;
  Duration in_state{};
  State state = State::idle;
  bool enabled = true;
  std::uint32_t accepted_prefixes = 0;
  bool dynamic = false;
};

struct SummaryFacts {
  std::uint32_t router_id = 0, local_as = 0;
  std::uint64_t table_version = 0;
  std::size_t prefixes = 0, paths = 0, attribute_sets = 0;
  std::vector<PeerSummary> peers;
};

// As people read them on BIG-IP's imish.
std::string text_of(const PeerFacts& facts);
std::string text_of(const SummaryFacts& facts);
std::string table_text(const std::vector<PathFacts>& paths, std::uint32_t router_id, std::uint64_t table_version);
std::string detail_text(const std::vector<PathFacts>& paths);

}  // namespace sluice::bgp
