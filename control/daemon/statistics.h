// What the daemon tells about itself: counters of the workers and states of the machines as admin's status values.
//
// Called by: control/daemon/backend. Runs on: control thread. Tested by: tests/lab (values), tests/golden (rendering)
#pragma once

#include <set>
#include <vector>

#include "control/admin/status.h"
#include "control/config/model.h"
#include "control/daemon/balancing.h"
#include "control/daemon/health.h"
#include "control/daemon/packet_engine.h"
#include "control/daemon/rates.h"
#include "control/daemon/route_health.h"
#include "control/daemon/routes.h"

namespace sluice::daemon {

// A histogram's sum for people and Prometheus (statistics_l7.cc).
admin::LatencyStatus to_status(const lb::Latency& latency);

class Statistics {
 public:
  Statistics(PacketEngine& engine, Balancing& balancing, Health& health, Routes& routes)
      : engine_(engine), balancing_(balancing), health_(health), routes_(routes) {}

  // Takes a sample for the rates; every kSampleInterval.
  void sample(Instant now);

  // ---- load balancing (statistics_lb.cc); `config` is the running one
  std::vector<admin::VirtualStatus> virtuals(const config::Config& config) const;
  std::vector<admin::VirtualAddressStatus> virtual_addresses(const config::Config& config, const RouteHealth& health,
                                                             bool bgp) const;
  std::vector<admin::PoolStatus> pools(const config::Config& config) const;
  std::vector<admin::NodeStatus> nodes(const config::Config& config) const;

  // ---- mode http (statistics_l7.cc)
  std::vector<admin::TcpWorkerStatus> tcp() const;

  // ---- engine (statistics_engine.cc)
  std::vector<admin::WorkerStatus> workers() const;
  std::vector<admin::PortStatus> ports(const config::Config& config) const;
  admin::DropsStatus drops() const;
  std::vector<admin::RouteStatus> routes() const;
  std::string port_name(packet::PortId id) const;

 private:
  using TrafficRates = Rates<5>;  // bytes in, out; packets in, out; connections
  admin::Traffic traffic_of(const lb::ConnectionCount& connections, const lb::Traffic& traffic, const void* key) const;
  lb::ObjectStatus status_of(const lb::Pool& pool, std::size_t member) const;
  lb::ObjectStatus status_of(const lb::Pool& pool) const;
  lb::ObjectStatus status_of(const lb::VirtualServer& server) const;           // by the best of its pools
  static std::set<const lb::Pool*> pools_of(const lb::VirtualServer& server);  // its own and its routes'
  admin::HttpStatus http_of(const lb::VirtualServer& server) const;
  admin::MemberStatus member_of(const lb::Pool& pool, std::size_t member) const;
  std::uint64_t drop_count(DropReason reason) const;

  PacketEngine& engine_;
  Balancing& balancing_;
  Health& health_;
  Routes& routes_;
  TrafficRates traffic_rates_;
  Rates<1> http_rates_;    // requests, by the virtual server's runtime id
  Rates<3> worker_rates_;  // rx, tx, drops
  Rates<4> port_rates_;    // rx, tx packets; rx, tx bytes
  Rates<1> drop_rates_;
  std::vector<worker::WorkerStatistics> worker_samples_, worker_samples_before_;
};

inline constexpr Duration kSampleInterval = 2s;

}  // namespace sluice::daemon
