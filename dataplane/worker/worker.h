// Worker: one pinned thread that takes turns: mailbox, receive, timers, transmit; and sleeps when there is nothing.
//
// Nothing a worker owns is touched by another thread while it runs, but for counters (read) and the rings made for it.
// Idle back-off: spin for as long as that pays (SpinBudget), then sleep in poll(2) on the queues' descriptors and the
// doorbell until the next timer; queues without a descriptor make it nap instead. --busy-poll turns sleeping off.
//
// Called by: worker/engine; tests/sim calls duty_cycle() itself. Runs on: its own thread. Follows: design.md, "Workers"
// Tested by: tests/dataplane/worker/*
#pragma once

#include <poll.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "dataplane/base/result.h"
#include "dataplane/packet/sink.h"
#include "dataplane/worker/busy_meter.h"
#include "dataplane/worker/doorbell.h"
#include "dataplane/worker/engine.h"
#include "dataplane/worker/handover_rings.h"
#include "dataplane/worker/mailbox.h"
#include "dataplane/worker/spin_budget.h"
#include "dataplane/worker/transmitter.h"

namespace sluice::worker {

class Worker {
 public:
  Worker(unsigned index, unsigned core, packet::PacketPool pool, bool busy_poll);
  ~Worker();  // the thread has been joined
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // ---- control thread, before start ----
  void add_rx(packet::PortId port, port::PortQueue& queue) { rx_.push_back({port, &queue}); }
  void set_application(std::unique_ptr<Application> application) { application_ = std::move(application); }

  // ---- control thread ----
  // Returns once the thread runs, pinned and known to DPDK; an Error when that failed (no such core).
  Status start();
  void request_stop();
  void join();
  // After join(): drops what is left in this worker's rings and batches as shutting_down.
  void drop_leftovers();
  // Returns when the worker has seen it.
  void set_capture(port::Capture* capture);
  WorkerStatistics statistics(std::size_t ports) const;

  // One turn. Returns whether it found work. Public for the simulator, which has its own clock and no threads.
  bool duty_cycle(Instant now);

  unsigned index() const { return index_; }
  Mailbox& mailbox() { return mailbox_; }
  Doorbell& doorbell() { return doorbell_; }
  Transmitter& transmitter() { return transmitter_; }
  HandoverRings& handover() { return handover_; }
  packet::Drops& drops() { return drops_; }
  const packet::Drops& drops() const { return drops_; }
  Application& application() { return *application_; }
  packet::PacketPool pool() const { return pool_; }

 private:
  struct RxQueue {
    packet::PortId port;
    port::PortQueue* queue;
  };
  void run();
  Status prepare_thread();
  bool take_handover(Instant now);
  bool receive(const RxQueue& rx, Instant now);
  void check_capture();
  void note_work(Instant now);
  void idle(Instant now);
  bool may_sleep();
  void sleep(Instant now);
  void shut_down();

  const unsigned index_;
  const unsigned core_;
  const packet::PacketPool pool_;
  const bool busy_poll_;
  packet::Drops drops_;
  Transmitter transmitter_;
  HandoverRings handover_;
  Mailbox mailbox_;
  Doorbell doorbell_;
  std::unique_ptr<Application> application_;
  std::vector<RxQueue> rx_;

  std::vector<pollfd> poll_fds_;  // the doorbell first
  bool naps_ = false;             // some queue has no descriptor to sleep on
  Instant idle_since_ = kInstantMax;
  Instant last_work_{};
  bool slept_ = false;  // since then
  port::Capture* capture_ = nullptr;

  std::atomic<port::Capture*> capture_wanted_{nullptr};
  std::atomic<port::Capture*> capture_seen_{nullptr};
  std::atomic<bool> stop_{false};
  BusyMeter meter_;
  SpinBudget spin_;
  Counter sleeps_, tasks_;
  std::thread thread_;
};

// CLOCK_MONOTONIC: what worker and control thread both call now.
Instant monotonic_now();

}  // namespace sluice::worker
