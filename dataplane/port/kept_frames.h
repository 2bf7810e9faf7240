// Frames that reach a kernel interface between two engines: kept by a packet socket, given to the next engine first.
//
//   old process:  const auto fd = keep_frames("eth1");         // from now on, up to 64 MiB; survives exec
//   new process:  GatedPort port(std::move(opened), *fd, pool);  // nothing flows until open_gate(): then what was
//   kept,
//                                                               // then what the device has received meanwhile
//
// The socket is told to take no more as soon as the device itself receives, so that hardly a frame comes twice.
// Called by: control/daemon (packet_engine). Runs on: queues on their workers, the rest on the control thread.
// Follows: packet(7). Tested by: tests/dataplane/port/kept_frames_test.cc, tests/lab/restart_test.py
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/base/counter.h"
#include "dataplane/packet/packet.h"
#include "dataplane/packet/sink.h"
#include "dataplane/port/port.h"

namespace sluice::port {

// A descriptor that keeps what arrives on the interface from now on. Errors name the interface.
Result<int> keep_frames(const std::string& interface);

class GatedPort final : public Port {
 public:
  // Takes `inner` and `kept` (-1: nothing was kept) over; frames are copied into buffers of `pool`, that of worker 0.
  GatedPort(std::unique_ptr<Port> inner, int kept, packet::PacketPool pool);
  ~GatedPort() override;

  const packet::PortInfo& info() const override { return inner_->info(); }
  unsigned queue_count() const override { return inner_->queue_count(); }
  PortQueue& queue(unsigned index) override;
  Status start() override { return inner_->start(); }
  bool is_link_up() const override { return inner_->is_link_up(); }
  PortStatistics statistics() const override { return inner_->statistics(); }
  std::string description() const override { return inner_->description(); }
  bool returns_buffers() const override { return inner_->returns_buffers(); }
  std::vector<std::string> warnings() const override { return inner_->warnings(); }

  void open_gate() { open_.store(true, std::memory_order_release); }
  // Any thread. Frames that were kept and have been given to worker 0; those that were too long; all have been given.
  std::uint64_t kept() const { return kept_frames_.get(); }
  std::uint64_t too_long() const { return too_long_.get(); }
  bool is_drained() const { return drained_.load(std::memory_order_acquire); }

 private:
  class Queue;
  void receive_kept(packet::Batch& batch);

  std::unique_ptr<Port> inner_;
  int kept_;
  const packet::PacketPool pool_;
  std::atomic<bool> open_{false};
  std::atomic<bool> drained_{false};
  Counter kept_frames_, too_long_;
  std::vector<std::unique_ptr<Queue>> queues_;
};

}  // namespace sluice::port
