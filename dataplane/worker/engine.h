// Engine: all workers and ports as one thing, for the control thread.
//
//   auto pools  = Engine::make_pools(options);                 // one pool a worker
//   auto port   = port::open_port(port_options, *pools);       // for each port
//   auto engine = Engine::start(options, pools, ports, factory);
//   engine->post(worker, std::make_unique<InstallSnapshot>(...));
//   every few ms: engine->collect();                           // runs done() of tasks that came back
//   engine->stop();                                            // drains; the pools end empty
//
// Called by: control/daemon, tests, bench. Runs on: the control thread. Tested by:
// tests/dataplane/worker/engine_test.cc
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/base/drop_reason.h"
#include "dataplane/base/result.h"
#include "dataplane/packet/sink.h"
#include "dataplane/port/capture.h"
#include "dataplane/port/port.h"
#include "dataplane/worker/application.h"
#include "dataplane/worker/handover.h"

namespace sluice::worker {

inline constexpr unsigned kWorkersMax = 16;

struct EngineOptions {
  unsigned workers = 1;             // 1..kWorkersMax
  std::vector<unsigned> cores;      // one a worker; empty: the last cores of the process's allowed set
  unsigned packet_buffers = 32768;  // a worker
  bool busy_poll = false;           // true: workers never sleep
};

// What a worker gives to its Application. Valid as long as the Application lives.
struct WorkerContext {
  unsigned index = 0;
  unsigned workers = 1;
  packet::TxSink& tx;
  packet::Drops& drops;
  packet::PacketPool pool;
  Handover& handover;
  std::span<const packet::PortInfo> ports;  // index = PortId
};

// Makes the Application of one worker, on the control thread, before that worker starts.
using ApplicationFactory = std::function<Result<std::unique_ptr<Application>>(const WorkerContext&)>;

struct PortCounts {
  std::uint64_t rx_packets = 0;
  std::uint64_t rx_bytes = 0;
  std::uint64_t tx_packets = 0;
  std::uint64_t tx_bytes = 0;
};

// All counts are since start.
struct WorkerStatistics {
  unsigned index = 0;
  unsigned core = 0;
  std::uint64_t rx_packets = 0;  // from ports; packets handed over are counted by their first worker
  std::uint64_t rx_bytes = 0;
  std::uint64_t tx_packets = 0;
  std::uint64_t tx_bytes = 0;
  std::uint64_t turns = 0;
  std::uint64_t busy_turns = 0;   // turns that found work
  std::uint64_t busy_cycles = 0;  // TSC cycles in them
  std::uint64_t idle_cycles = 0;  // in the others, asleep included
  std::uint64_t sleeps = 0;
  std::uint64_t tasks = 0;  // run
  std::uint64_t handover_in = 0;
  std::uint64_t handover_out = 0;  // = steer_miss: packets that arrived at the wrong worker
  std::uint64_t ring_drops = 0;    // steer_ring_full + tx_ring_full + host_port_full
  std::uint64_t drops = 0;         // sum of all reasons
  std::uint64_t consumed = 0;
  std::uint32_t pool_in_use = 0;  // packet buffers
  std::uint32_t pool_size = 0;
  std::vector<PortCounts> ports;  // index = PortId

  double busy_percent() const;       // 0..100, since start; of an interval: subtract two (see operator-)
  double cycles_per_packet() const;  // busy cycles per received packet
  // The counts between two readings (levels such as pool_in_use are the newer ones).
  friend WorkerStatistics operator-(const WorkerStatistics& newer, const WorkerStatistics& older);
};

class Engine {
 public:
  // One packet pool a worker. Memory is DPDK's: start_eal() first.
  static Result<std::vector<packet::PacketPool>> make_pools(const EngineOptions& options);

  // Starts the ports, then one pinned thread a worker. ports[i]->info().id must be i. On an error nothing is left
  // running, and ports and pools are closed.
  static Result<std::unique_ptr<Engine>> start(const EngineOptions& options, std::vector<packet::PacketPool> pools,
                                               std::vector<std::unique_ptr<port::Port>> ports,
                                               const ApplicationFactory& factory);
  virtual ~Engine() = default;  // stops first

  virtual unsigned workers() const = 0;
  virtual std::span<const packet::PortInfo> ports() const = 0;
  virtual port::Port& port(packet::PortId id) = 0;
  virtual Application& application(unsigned worker) = 0;  // touch it only in Tasks, or what it says is thread safe

  // Queues the task for one worker. When its mailbox is full (kMailboxDepth in flight) the task waits on the control
  // side, in order: post() never fails and never blocks. After stop() the task is only given back (done()).
  virtual void post(unsigned worker, std::unique_ptr<Task> task) = 0;
  // One task from make(worker) for each worker.
  virtual void post_all(const std::function<std::unique_ptr<Task>(unsigned worker)>& make) = 0;
  // Calls done() of tasks that came back and destroys them; feeds waiting tasks. Returns how many came back.
  virtual std::size_t collect() = 0;
  virtual std::size_t tasks_in_flight() const = 0;

  // Starts offering frames to the capture; nullptr ends it. Returns when no worker uses the former one any more (at
  // most a few turns). The capture stays the caller's.
  virtual void set_capture(port::Capture* capture) = 0;

  virtual std::vector<WorkerStatistics> statistics() const = 0;
  virtual const DropCounters& drops(unsigned worker) const = 0;

  // Stops receiving, lets every worker run its posted tasks and release what it holds (counted as shutting_down),
  // joins the threads, closes the ports, frees the pools. Returns an Error if a pool still missed buffers: a leak.
  virtual Status stop() = 0;
};

}  // namespace sluice::worker
