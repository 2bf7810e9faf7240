// The configuration as typed values: what the user wants, checked, with every default filled in.
//
// This is the vocabulary of the control side. YAML, Kubernetes manifests and the API produce it (parse), validate
// checks it whole, diff compares two, compile makes the engine's snapshot of it, bgp and monitors read their part.
// Plain values: copy, compare, print. Names are BIG-IP's where BIG-IP has one (../../ARCHITECTURE.md, "Words").
//
// Called by: everything in control/. Runs on: control thread. Tested by: tests/control/config/*
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/base/address.h"
#include "dataplane/base/time.h"
#include "lb/l7/http_options.h"
#include "lb/snapshot/words.h"
#include "monitors/monitor.h"

namespace sluice::config {

// ---- engine and ports
// ------------------------------------------------------------------------------------------------

// Which file and object made a value ("sluice.yaml", "nginx.yaml ConfigMap default/nginx-vs"), for messages.
// Two values that differ only in their origin are equal: moving an object to another file changes nothing.
struct Origin {
  std::string text;
  friend constexpr bool operator==(const Origin&, const Origin&) { return true; }
};

struct Engine {
  unsigned workers = 1;
  std::vector<unsigned> cores;        // one per worker; empty: the last cores of the machine's allowed set
  bool hugepages = false;             // false: DPDK runs on ordinary pages (--no-huge)
  unsigned memory_mb = 512;           // DPDK's memory
  unsigned packet_buffers = 32768;    // per worker
  unsigned flows_max = 262144;        // per worker, L4
  unsigned routes_max = 65536;        // in each worker's FIB
  unsigned conns_max = 65536;         // per worker, L7 (TCP endpoints of ours)
  bool busy_poll = false;             // true: workers never sleep
  std::vector<std::string> eal_args;  // passed on to DPDK as they are
  friend bool operator==(const Engine&, const Engine&) = default;
};

struct Port {
  std::string name;    // "int_vlan"
  std::string device;  // PCI address "0000:03:00.0", or a vdev "net_af_packet0,iface=eth1"
  std::uint16_t mtu = 1500;
  friend bool operator==(const Port&, const Port&) = default;
};

struct SelfIp {
  std::string name;       // default: the address
  Ipv4Interface address;  // 172.16.40.202/24
  std::string port;       // Port::name
  friend bool operator==(const SelfIp&, const SelfIp&) = default;
};

struct StaticRoute {
  Ipv4Prefix prefix;
  std::vector<Ipv4Address> gateways;  // several: ECMP
  bool blackhole = false;             // no gateways then
  friend bool operator==(const StaticRoute&, const StaticRoute&) = default;
};

// The words of lb/ and monitors/ are the configuration's words too.
using lb::AccessLog, lb::CookiePersistKind, lb::FallbackAction, lb::HeaderRuleAction, lb::HeaderRuleSide,
    lb::ProxyProtocolIn, lb::ProxyProtocolOut;
using lb::Balance, lb::IcmpEcho, lb::IdleTimeouts, lb::MemberState, lb::Mode, lb::PersistKind, lb::Protocol,
    lb::ServiceDownAction, lb::SnatKind;
using monitors::Monitor, monitors::MonitorType;

// ---- load balancing
// --------------------------------------------------------------------------------------------------

struct Member {
  Ipv4Endpoint endpoint;
  std::uint32_t ratio = 1;             // 1..65535
  std::uint32_t connection_limit = 0;  // 0: none
  std::uint32_t priority_group = 0;    // higher is preferred
  MemberState state = MemberState::enabled;
  friend bool operator==(const Member&, const Member&) = default;
};

struct Pool {
  std::string name;
  std::string partition = "Common";
  Balance balance = Balance::round_robin;
  std::vector<Member> members;
  std::vector<std::string> monitors;     // Monitor::name
  std::uint32_t monitors_min = 0;        // 0: all must pass; n: at least n of them
  std::uint32_t min_active_members = 0;  // priority group activation; 0: off
  Duration slow_ramp = 10s;
  ServiceDownAction service_down = ServiceDownAction::none;
  Origin origin;
  friend bool operator==(const Pool&, const Pool&) = default;
};

struct SnatPool {
  std::string name;
  std::vector<Ipv4Address> addresses;
  friend bool operator==(const SnatPool&, const SnatPool&) = default;
};

struct VirtualServer {
  std::string name;  // "default_nginx-vs"
  std::string partition = "Common";
  Ipv4Endpoint destination;
  Mode mode = Mode::tcp;
  std::string pool;  // Pool::name; empty: none
  bool enabled = true;
  SnatKind snat = SnatKind::automap;
  std::string snat_pool;
  PersistKind persist = PersistKind::none;
  Duration persist_timeout = 180s;
  std::uint32_t connection_limit = 0;  // 0: none
  IdleTimeouts idle;
  bool oneconnect = false;  // mode http: server connections are shared, every request is balanced
  lb::HttpOptions http;     // mode http; its oneconnect.enabled is set by compile
  Origin origin;
  friend bool operator==(const VirtualServer&, const VirtualServer&) = default;
};

// Route health injection and answering of a virtual address (one per distinct destination address).
enum class RouteAdvertisement : std::uint8_t { selective, any, all, always, never };

// What goes with an announcement of ours, beside the next hop.
struct Announcement {
  std::vector<std::string> communities;  // "64512:100", "no-export"
  std::optional<std::uint32_t> med;      // of an active/standby pair the lower one gets the traffic
  unsigned prepend = 0;                  // external neighbours: our AS this many more times
  std::uint32_t local_preference = 100;  // internal neighbours: the higher one gets the traffic
  bool graceful_shutdown = false;        // RFC 8326: drained, others are preferred
  friend bool operator==(const Announcement&, const Announcement&) = default;
};

struct VirtualAddress {
  Ipv4Address address;
  RouteAdvertisement route_advertisement = RouteAdvertisement::selective;
  IcmpEcho icmp_echo = IcmpEcho::enabled;
  bool arp = true;
  Announcement announcement;
  Duration hold_up{0};    // after a withdrawal: announced again when it has been fit for so long
  Duration hold_down{0};  // stays announced for so long after it ceased to be fit
  friend bool operator==(const VirtualAddress&, const VirtualAddress&) = default;
};

// ---- BGP
// -------------------------------------------------------------------------------------------------------------

// BFD with a neighbour (RFC 5880): how fast a dead path is noticed.
struct BgpBfd {
  Duration min_tx = 300ms;              // how often we send at most
  Duration min_rx = 300ms;              // how often the neighbour may send at most
  unsigned multiplier = 3;              // packets that may be missing before the session fails
  std::optional<bool> multihop;         // default: unless the neighbour is on the subnet of a self IP
  bool abort_graceful_restart = false;  // when BFD fails, its routes go even if it may only be restarting
  friend bool operator==(const BgpBfd&, const BgpBfd&) = default;
};

enum class AddPath : std::uint8_t { none, receive, send, both };                                          // RFC 7911
enum class BgpRole : std::uint8_t { none, provider, route_server, route_server_client, customer, peer };  // RFC 9234

// What a neighbour, a peer group or a listen range may say of a session. What is not said is the peer group's, else
// the speaker's default (control/bgp/settings.h).
struct BgpSession {
  std::optional<std::uint32_t> remote_as, local_as;
  std::optional<std::uint16_t> port;
  std::optional<Ipv4Address> local_address;  // default: the self IP on the neighbour's subnet, else the first
  std::optional<Duration> hold_time;         // 0 or >= 3 s
  std::optional<Duration> keepalive;         // default: a third of hold_time
  std::optional<Duration> connect_retry, idle_hold, idle_hold_max;
  std::optional<bool> passive;
  std::string password;                  // TCP MD5 (RFC 2385); empty: not said
  std::optional<BgpBfd> bfd;             // absent: no BFD
  std::optional<unsigned> ttl_security;  // hops (RFC 5082); 0: off
  std::optional<unsigned> multihop;      // TTL of our segments
  std::optional<bool> graceful_restart, long_lived_graceful_restart;
  std::optional<AddPath> add_path;
  std::optional<bool> ipv6_unicast, extended_next_hop, extended_messages;
  std::optional<unsigned> allow_as_in;
  std::optional<std::uint32_t> prefixes_max;
  std::optional<unsigned> prefixes_warn_percent;
  std::optional<Duration> prefixes_restart;  // 0: stays down
  std::optional<BgpRole> role;
  std::optional<bool> role_strict, require_policy;
  std::vector<std::string> import_rules, export_rules;  // bgp_policy.h; empty: not said
  friend bool operator==(const BgpSession&, const BgpSession&) = default;
};

struct BgpPeerGroup {
  std::string name;
  BgpSession session;
  friend bool operator==(const BgpPeerGroup&, const BgpPeerGroup&) = default;
};

struct BgpNeighbor {
  Ipv4Address address;
  std::string peer_group;  // BgpPeerGroup::name; empty: none
  std::string description;
  bool enabled = true;
  BgpSession session;
  friend bool operator==(const BgpNeighbor&, const BgpNeighbor&) = default;
};

// Files that bgpdump and its kin read (RFC 6396); empty: none.
struct BgpMrt {
  std::string updates;           // every message and state of every neighbour, appended; strftime's conversions
  Duration updates_interval{0};  // another file, or the same opened anew; 0: one file
  std::string rib;               // the table, written anew every rib_interval; strftime's conversions
  Duration rib_interval = 3600s;
  friend bool operator==(const BgpMrt&, const BgpMrt&) = default;
};

// A station that watches our neighbours (RFC 7854).
struct BgpBmp {
  std::optional<Ipv4Endpoint> station;  // reached by the kernel's routes; absent: none
  Duration statistics_interval = 60s;
  friend bool operator==(const BgpBmp&, const BgpBmp&) = default;
};

// Whoever connects from the prefix with the right AS becomes a neighbour.
struct BgpListenRange {
  Ipv4Prefix prefix;
  std::string peer_group, description;
  unsigned neighbors_max = 5000;
  Duration expiry = 300s;  // a neighbour that stays down this long is forgotten
  BgpSession session;
  friend bool operator==(const BgpListenRange&, const BgpListenRange&) = default;
};

struct BgpPrefixList {
  std::string name;
  std::vector<std::string> prefixes;  // "10.244.0.0/16 ge 24 le 32"
  friend bool operator==(const BgpPrefixList&, const BgpPrefixList&) = default;
};

// A covering prefix, announced while a virtual address inside it is.
struct BgpAggregate {
  Ipv4Prefix prefix;
  bool summary_only = false;  // the addresses inside are not announced beside it
  Announcement announcement;
  friend bool operator==(const BgpAggregate&, const BgpAggregate&) = default;
};

// The node that has the addresses of a block: of equal paths the one through it is taken.
struct BgpBlockOwner {
  Ipv4Prefix prefix;
  Ipv4Address node;
  friend bool operator==(const BgpBlockOwner&, const BgpBlockOwner&) = default;
};

struct Bgp {
  std::uint32_t local_as = 0;  // 0: no BGP
  Ipv4Address router_id;
  std::uint16_t listen_port = 179;
  Duration graceful_restart_time = 120s;
  Duration stale_time_max = 600s;  // at most so long a neighbour's routes are kept while it restarts
  unsigned multipath_max = 8;
  bool multipath_relax = true;
  bool always_compare_med = false;
  std::vector<Ipv4Prefix> accept;  // learned routes must lie inside one of these; empty: any but default and our own
  bool graceful_shutdown = false;  // RFC 8326, of everything announced
  Duration drain_time{0};          // at the end: announced so for this long before it is withdrawn
  std::vector<BgpPrefixList> prefix_lists;
  std::vector<BgpPeerGroup> peer_groups;
  std::vector<BgpNeighbor> neighbors;
  BgpMrt mrt;
  BgpBmp bmp;
  std::vector<BgpListenRange> listen_ranges;
  std::vector<BgpAggregate> aggregates;
  std::vector<BgpBlockOwner> block_owners;
  friend bool operator==(const Bgp&, const Bgp&) = default;
};

// ---- the whole
// -------------------------------------------------------------------------------------------------------

struct Admin {
  std::string socket = "/run/sluice/sluiced.sock";
  std::optional<Ipv4Endpoint> prometheus;  // off unless set
  friend bool operator==(const Admin&, const Admin&) = default;
};

enum class PoolMemberType : std::uint8_t { cluster, nodeport };

// How Kubernetes manifests become pools and virtual servers (the options of BIG-IP's controller).
struct Kubernetes {
  std::vector<std::string> namespaces;  // only objects of these; empty: of every namespace
  std::string partition;                // only ConfigMaps for this partition; empty: of every partition
  PoolMemberType pool_member_type = PoolMemberType::cluster;
  // Of the virtual servers made from ConfigMaps in mode http, which have no place for it themselves.
  bool oneconnect = false;
  lb::HttpOptions http;
  friend bool operator==(const Kubernetes&, const Kubernetes&) = default;
};

struct Config {
  Engine engine;
  std::vector<Port> ports;
  std::vector<SelfIp> self_ips;
  std::vector<StaticRoute> routes;
  std::vector<SnatPool> snat_pools;
  std::vector<Monitor> monitors;
  std::vector<Pool> pools;
  std::vector<VirtualServer> virtual_servers;
  std::vector<VirtualAddress> virtual_addresses;  // after normalise(): one for every destination in use, sorted
  Bgp bgp;
  Admin admin;
  std::string access_log = "/var/log/sluice/access.log";  // of mode http; absolute
  std::string manifests;  // directory of Kubernetes manifests, relative to the file; empty: none
  Kubernetes kubernetes;
  friend bool operator==(const Config&, const Config&) = default;
};

}  // namespace sluice::config
