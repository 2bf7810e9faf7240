// The packet engine of this process: DPDK, the configured ports, the host port, and a Datapath on every worker.
//
// Called by: control/daemon. Runs on: control thread. Tested by: tests/lab, tests/interop
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "control/config/model.h"
#include "dataplane/port/host_port.h"
#include "dataplane/port/kept_frames.h"
#include "dataplane/worker/engine.h"
#include "lb/datapath/datapath.h"

namespace sluice::daemon {

class PacketEngine {
 public:
  // Brings everything up, or nothing; errors name the port or the step. Logs what came up.
  // `kept`: descriptors of frames (port::keep_frames) by port, taken over; null: no restart. With it, nothing is
  // received before open_gates().
  static Result<std::unique_ptr<PacketEngine>> start(const config::Config& config, bool busy_poll,
                                                     const std::string& host_interface,
                                                     const std::map<std::string, int>* kept = nullptr);
  ~PacketEngine();
  PacketEngine(const PacketEngine&) = delete;
  PacketEngine& operator=(const PacketEngine&) = delete;

  worker::Engine& engine() { return *engine_; }
  unsigned workers() const { return engine_->workers(); }
  lb::Datapath& datapath(unsigned worker) { return *datapaths_[worker]; }
  port::HostPort& host_port() { return *host_port_; }
  // kNoPort: no port of that name.
  packet::PortId port_id(const std::string& name) const;
  std::span<const packet::PortInfo> ports() const { return engine_->ports(); }

  // Posts make(worker, datapath)'s task to every worker.
  void post_all(const std::function<std::unique_ptr<worker::Task>(unsigned, lb::Datapath&)>& make);
  void open_gates();
  std::span<port::GatedPort* const> gated_ports() const { return gated_; }
  // Drains and ends the workers, removes the host port. An Error: packet buffers are missing (a leak).
  Status stop();

 private:
  PacketEngine() = default;
  std::unique_ptr<worker::Engine> engine_;
  std::vector<lb::Datapath*> datapaths_;  // owned by the engine's workers
  port::HostPort* host_port_ = nullptr;   // owned by the engine
  std::vector<port::GatedPort*> gated_;   // owned by the engine
  bool stopped_ = false;
};

}  // namespace sluice::daemon
