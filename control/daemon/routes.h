// The routing table and its way to every worker's FIB.
//
// Called by: control/daemon. Runs on: control thread. Tested by: tests/lab
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "control/config/model.h"
#include "control/daemon/packet_engine.h"
#include "control/routing/routing_table.h"
#include "lb/snapshot/http_statistics.h"

namespace sluice::daemon {

struct RouteTimes;

class Routes {
 public:
  explicit Routes(PacketEngine& engine);

  // Brings connected subnets, static routes and virtual addresses in line with `config`.
  void configure(Instant now, const config::Config& config);
  // Sends what changed to the workers, a bounded amount at a time (the rest follows from the loop).
  void push();
  bool has_more() const { return table_.has_updates(); }
  // BGP has changed routes by what it read at `read`: pushes them, and measures until all workers have them.
  void learned(Instant read);
  // So many changes wait that no more should be learned for the moment: what is read then would be late.
  bool behind() const;
  // Called when changes stay behind: call push() again soon.
  void on_more(std::function<void()> hook) { on_more_ = std::move(hook); }
  // How long from BGP's reading of a change until the last worker's FIB had it; how long one task held up a worker.
  lb::Latency reach_time() const;
  lb::Latency task_time() const;
  routing::RoutingTable& table() { return table_; }
  const routing::RoutingTable& table() const { return table_; }
  // The self IP that the control plane speaks with towards `destination`: that of the egress port.
  std::optional<Ipv4Address> source_for(Ipv4Address destination) const;
  void check_links();  // takes connected routes along when a port's link goes down

 private:
  struct Mark {
    std::uint64_t up_to = 0;  // changes, counted from the start
    Instant read{};
  };
  Instant read_time(std::uint64_t count);

  PacketEngine& engine_;
  routing::RoutingTable table_;
  std::deque<Mark> marks_;   // what waits in the table, oldest first
  std::uint64_t taken_ = 0;  // changes, from the start
  std::function<void()> on_more_;
  std::shared_ptr<RouteTimes> times_;  // tasks under way outlive us
  config::Config configured_;
  std::vector<bool> link_up_;
};

}  // namespace sluice::daemon
