// What runs on a worker, and how the control thread asks it for something.
//
// The worker knows nothing of load balancing: it hands bursts to an Application (lb::Datapath; in tests anything) and
// runs Tasks that the control thread posted. This is the only way in: state of a worker is touched by that worker
// alone.
//
// Called by: worker/worker (calls Application), control/daemon (posts Tasks). Runs on: see each member.
// Tested by: tests/dataplane/worker/*
#pragma once

#include "dataplane/base/time.h"
#include "dataplane/packet/packet.h"
#include "dataplane/packet/port_info.h"

namespace sluice::worker {

class Application {
 public:
  virtual ~Application() = default;
  // Takes over every packet of the burst. Runs on the worker.
  virtual void on_burst(Instant now, packet::PortId rx_port, packet::Batch& batch) = 0;
  // Packets that another worker received and handed over because this one owns their flow. Runs on the worker.
  virtual void on_handover(Instant now, packet::Batch& batch) = 0;
  // Once a turn: expire what is due, a bounded amount of it. Runs on the worker.
  virtual void on_timers(Instant now) = 0;
  // The earliest time at which on_timers has work; the worker may sleep until then when idle.
  virtual Instant next_timer() const = 0;
  // The worker stops: drop every packet that is held back (fragments, packets that wait for ARP) as shutting_down.
  // Nothing is called afterwards. Runs on the worker.
  virtual void on_stop(Instant now) { static_cast<void>(now); }
};

// Work for a worker: made on the control thread, run at the top of one of the worker's turns, then given back to the
// control thread, which calls done() and deletes it. So a worker never allocates, frees or waits; and when done() runs,
// whatever the task replaced (a snapshot, say) is no longer in use by that worker.
class Task {
 public:
  virtual ~Task() = default;
  virtual void run(Instant now) noexcept = 0;  // on the worker; bounded
  virtual void done() {}                       // on the control thread, afterwards
};

}  // namespace sluice::worker
