// Snapshot: everything a worker needs to know of the configuration, immutable, read without a lock.
//
// The control thread builds one (Builder), posts it to every worker, and frees the old one when all have taken the new
// one. Shared ownership is the control side's; workers hold one raw pointer and follow raw pointers.
//
// Called by: lb/datapath, control/daemon, control/admin. Runs on: control thread builds, workers read.
// Tested by: tests/lb/snapshot/snapshot_test.cc
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/base/address.h"
#include "dataplane/packet/port_info.h"
#include "lb/snapshot/pool.h"
#include "lb/snapshot/runtime.h"
#include "lb/snapshot/words.h"

namespace sluice::lb {

struct SelfIp {
  Ipv4Interface address;
  packet::PortId port = packet::kNoPort;
  friend bool operator==(const SelfIp&, const SelfIp&) = default;
};

struct SnatPool {
  std::string name;
  std::vector<Ipv4Address> addresses;  // never empty
  friend bool operator==(const SnatPool&, const SnatPool&) = default;
};

struct VirtualServer {
  std::string name;
  std::string partition;
  Ipv4Endpoint destination;  // port 0: any port
  Protocol protocol = Protocol::tcp;
  Mode mode = Mode::tcp;
  bool enabled = true;
  SnatKind snat = SnatKind::automap;
  PersistKind persist = PersistKind::none;
  Duration persist_timeout = 180s;
  std::uint32_t connection_limit = 0;
  IdleTimeouts idle;
  const Pool* pool = nullptr;           // null: none
  const SnatPool* snat_pool = nullptr;  // for SnatKind::pool
  const Retained* http = nullptr;       // mode http: an HttpProfile (lb/l7/profile.h); null: all defaults
  std::vector<const Pool*> http_pools;  // of the profile's routes, in their order
  bool answers_itself = false;          // mode http: every request is redirected, no member is needed
  std::shared_ptr<VirtualServerRuntime> runtime;
};

// It is enabled, and answers by itself or has a member (of its pool or of a route's) that takes new connections and is
// known to work: up, or without a monitor.
bool can_serve(const VirtualServer& server);

struct VirtualAddress {
  Ipv4Address address;
  IcmpEcho icmp_echo = IcmpEcho::enabled;
  bool arp = true;
  // Some virtual server on it can serve: what selective echo and selective route advertisement go by.
  bool reachable = false;
  friend bool operator==(const VirtualAddress&, const VirtualAddress&) = default;
};

// What one of our addresses is.
struct LocalAddress {
  Ipv4Address address;
  const SelfIp* self_ip = nullptr;
  const VirtualAddress* virtual_address = nullptr;
  bool snat = false;  // a SNAT pool's address
};

class Snapshot {
 public:
  std::uint64_t generation() const { return generation_; }
  // Counts up whenever some member's flows must be looked at (MemberRuntime::flows_on_down was set).
  std::uint64_t sweep_generation() const { return sweep_generation_; }

  // The virtual server for a packet to address:port; an exact port goes before a wildcard. Null: none.
  const VirtualServer* find_virtual_server(Ipv4Address address, std::uint16_t port, Protocol protocol) const;
  // What the address is to us; null: nothing.
  const LocalAddress* find_local(Ipv4Address address) const;
  // The self IP to speak with from `port` towards `next_hop`: that on its subnet, else the port's first; null: none.
  const SelfIp* self_ip_of_port(packet::PortId port, Ipv4Address next_hop) const;

  std::span<const VirtualServer> virtual_servers() const { return virtual_servers_; }
  std::span<const VirtualAddress> virtual_addresses() const { return virtual_addresses_; }
  std::span<const LocalAddress> local_addresses() const { return locals_; }
  std::span<const SelfIp> self_ips() const { return self_ips_; }
  std::span<const std::shared_ptr<const Pool>> pools() const { return pools_; }

 private:
  friend class Builder;
  void index();

  std::uint64_t generation_ = 0;
  std::uint64_t sweep_generation_ = 0;
  std::vector<VirtualServer> virtual_servers_;
  std::vector<VirtualAddress> virtual_addresses_;
  std::vector<SelfIp> self_ips_;
  std::vector<SnatPool> snat_pools_;
  std::vector<std::shared_ptr<const Pool>> pools_;
  std::vector<std::shared_ptr<const Retained>> retained_;  // what virtual_servers_ point to

  // Open addressing, a power of two in size, at most half full; an index + 1 in each slot, 0 is free.
  std::vector<std::uint32_t> virtual_server_index_;
  std::vector<std::uint32_t> local_index_;
  std::vector<LocalAddress> locals_;
};

}  // namespace sluice::lb
