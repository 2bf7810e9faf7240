// Load balancing as the workers see it: compiles configuration and verdicts to a snapshot, installs it, remembers it.
//
// Called by: control/daemon. Runs on: control thread. Tested by: tests/control/daemon/*, tests/lab
#pragma once

#include <functional>
#include <memory>
#include <set>

#include "control/config/model.h"
#include "control/daemon/health.h"
#include "control/daemon/packet_engine.h"
#include "lb/snapshot/snapshot.h"

namespace sluice::daemon {

class Balancing {
 public:
  Balancing(PacketEngine& engine, const Health& health);

  // What the workers should see of `config` now. Changes nothing that a worker sees.
  Result<std::shared_ptr<const lb::Snapshot>> compile(Instant now, const config::Config& config);
  // Gives it to every worker; the former one is freed when the last of them has let go of it. Virtual addresses that
  // are new or newly reachable are announced by gratuitous ARP.
  void install(std::shared_ptr<const lb::Snapshot> next);
  const lb::Snapshot* current() const { return current_.get(); }
  const lb::Registry& registry() const { return registry_; }
  // Frees what no snapshot and no flow uses any more; now and then.
  void collect() { registry_.collect(); }

 private:
  PacketEngine& engine_;
  const Health& health_;
  lb::Registry registry_;
  std::shared_ptr<const lb::Snapshot> current_;
  std::set<Ipv4Address> arp_announced_;
};

}  // namespace sluice::daemon
