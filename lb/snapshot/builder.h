// Builder: makes a Snapshot out of specs, and uses the previous snapshot's pools again where nothing changed in them.
//
// It also keeps what follows from change over time: since when a member takes its part (slow ramp), and that a
// member's flows must be looked at because it went down under a service-down action.
//
//   Builder builder(registry, balance::state_factory(workers));
//   builder.add_self_ip(...); builder.add_snat_pool(...); builder.add_virtual_address(...);
//   builder.add_pool(...);    builder.add_virtual_server(...);
//   Result<std::shared_ptr<const Snapshot>> next = builder.build(now, current.get());
//
// Called by: control/config/compile. Runs on: control thread. Tested by: tests/lb/snapshot/builder_test.cc
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/base/result.h"
#include "lb/snapshot/snapshot.h"

namespace sluice::lb {

struct VirtualServerSpec {
  std::string name;
  std::string partition = "Common";
  Ipv4Endpoint destination;
  Mode mode = Mode::tcp;
  bool enabled = true;
  std::string pool;  // empty: none
  SnatKind snat = SnatKind::automap;
  std::string snat_pool;
  PersistKind persist = PersistKind::none;
  Duration persist_timeout = 180s;
  std::uint32_t connection_limit = 0;
  IdleTimeouts idle;
  std::shared_ptr<const Retained> http;  // mode http: an HttpProfile (lb/l7/profile.h); null: all defaults
  std::vector<std::string> http_pools;   // names of its routes' pools, in their order
  bool answers_itself = false;           // mode http: redirects everything
};

struct VirtualAddressSpec {
  Ipv4Address address;
  IcmpEcho icmp_echo = IcmpEcho::enabled;
  bool arp = true;
};

// Makes the balancing state of one tier (lb/balance::make_state; a function so that snapshot does not know balance).
using BalanceStateFactory = std::function<std::unique_ptr<BalanceState>(const Pool&, const Tier&)>;

inline constexpr std::size_t kLocalAddressesMax = 16384;  // = ip::LocalAddresses::kMax

class Builder {
 public:
  Builder(Registry& registry, BalanceStateFactory factory) : registry_(registry), factory_(std::move(factory)) {}

  void add_self_ip(SelfIp self_ip) { self_ips_.push_back(self_ip); }
  void add_snat_pool(SnatPool pool) { snat_pools_.push_back(std::move(pool)); }
  void add_virtual_address(VirtualAddressSpec spec) { virtual_addresses_.push_back(spec); }
  void add_pool(PoolSpec spec) { pools_.push_back(std::move(spec)); }
  void add_virtual_server(VirtualServerSpec spec) { virtual_servers_.push_back(std::move(spec)); }

  // Empties the builder. Fails, naming the object, when a name is missing or twice there, two virtual servers share a
  // destination, or a value is out of range. `previous` may be null.
  Result<std::shared_ptr<const Snapshot>> build(Instant now, const Snapshot* previous);

 private:
  using PoolsByName = std::map<std::string, std::shared_ptr<const Pool>>;

  Status check() const;
  void clear();
  std::shared_ptr<const Snapshot> assemble(Instant now, const Snapshot* previous);
  std::shared_ptr<const Pool> make_pool(Instant now, PoolSpec spec, const PoolsByName& previous, bool& sweep);
  void fill_members(Instant now, Pool& pool, bool& sweep);
  void add_to(Snapshot& snapshot, const VirtualServerSpec& spec, const PoolsByName& pools);
  void add_addresses(Snapshot& snapshot);

  Registry& registry_;
  BalanceStateFactory factory_;
  std::vector<SelfIp> self_ips_;
  std::vector<SnatPool> snat_pools_;
  std::vector<VirtualAddressSpec> virtual_addresses_;
  std::vector<PoolSpec> pools_;
  std::vector<VirtualServerSpec> virtual_servers_;
};

}  // namespace sluice::lb
