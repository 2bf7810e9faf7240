// The routing table and its way to every worker's FIB.
//
// Called by: control/daemon. Runs on: control thread. Tested by: tests/lab
#pragma once

#include "control/config/model.h"
#include "control/daemon/packet_engine.h"
#include "control/routing/routing_table.h"

namespace sluice::daemon {

class Routes {
 public:
  explicit Routes(PacketEngine& engine);

  // Brings connected subnets, static routes and virtual addresses in line with `config`.
  void configure(Instant now, const config::Config& config);
  // Sends what changed to the workers, a bounded amount at a time (the rest follows from the loop).
  void push();
  bool has_more() const { return table_.has_updates(); }
  routing::RoutingTable& table() { return table_; }
  const routing::RoutingTable& table() const { return table_; }
  // The self IP that the control plane speaks with towards `destination`: that of the egress port.
  std::optional<Ipv4Address> source_for(Ipv4Address destination) const;
  void check_links();  // takes connected routes along when a port's link goes down

 private:
  PacketEngine& engine_;
  routing::RoutingTable table_;
  config::Config configured_;
  std::vector<bool> link_up_;
};

}  // namespace sluice::daemon
