// A port in memory, for tests, the simulator and bench: what one side pushes, the other takes; no kernel, no NIC.
//
// To the worker it is a port like any other. The far side (test, generator) injects frames and takes what came out.
// Each queue has two bounded rings; each ring has one producer and one consumer.
//
// Called by: tests, tests/sim, bench/path. Runs on: near side: a worker; far side: any one thread a queue.
// Tested by: tests/dataplane/port/memory_port_test.cc
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dataplane/port/port.h"

namespace sluice::port {

class MemoryPort : public Port {
 public:
  struct Options {
    packet::PortInfo info;  // id, name, mac, mtu and offloads as the port shall show them
    unsigned queues = 1;
    std::uint32_t depth = 1024;  // packets each way and queue; rounded up to a power of two
  };
  explicit MemoryPort(const Options& options);
  ~MemoryPort() override;  // frees what the rings still hold

  const packet::PortInfo& info() const override { return info_; }
  unsigned queue_count() const override { return static_cast<unsigned>(queues_.size()); }
  PortQueue& queue(unsigned index) override;
  Status start() override { return {}; }
  bool is_link_up() const override { return link_up_; }
  PortStatistics statistics() const override;
  std::string description() const override;

  // ---- far side ----
  // Hands packets to the engine; returns how many there was room for (the rest stay the caller's).
  std::uint32_t inject(unsigned queue, std::span<packet::Packet> packets);
  // Takes what the engine has sent, up to a batch, appended to an empty batch.
  void take(unsigned queue, packet::Batch& batch);
  // Frees all that waits on both sides; only while no worker polls. Returns how many.
  std::uint32_t drain();
  void set_link_up(bool up) { link_up_ = up; }

 private:
  class Queue;
  packet::PortInfo info_;
  std::vector<std::unique_ptr<Queue>> queues_;
  bool link_up_ = true;
};

}  // namespace sluice::port
