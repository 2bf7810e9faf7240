// Transmitter: a worker's TxSink; batches per port, sent through its own queue or through the worker that owns one.
//
// A port may have fewer queues than there are workers (tap, pcap, one-queue NICs). A queue has one user, so a worker
// without its own sends through a ring to the queue's owner, who empties those rings at the end of its turn.
//
// Called by: worker/worker. Runs on: its worker. Tested by: tests/dataplane/worker/engine_test.cc
#pragma once

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "dataplane/base/spsc_ring.h"
#include "dataplane/packet/sink.h"
#include "dataplane/port/capture.h"
#include "dataplane/port/port.h"
#include "dataplane/worker/doorbell.h"

namespace sluice::worker {

inline constexpr std::size_t kForwardRingDepth = 1024;

// The way of one worker without a queue of its own to the queue's owner.
struct ForwardRing {
  explicit ForwardRing(Doorbell& owner) : ring(kForwardRingDepth), bell(owner) {}
  SpscRing<packet::Packet> ring;
  Doorbell& bell;
};

struct PortCounters {
  Counter rx_packets, rx_bytes, tx_packets, tx_bytes;
};

class Transmitter final : public packet::TxSink {
 public:
  explicit Transmitter(packet::Drops& drops) : drops_(drops) {}

  // Before start: one of the two for each port.
  void add_queue(packet::PortId port, packet::PortKind kind, port::PortQueue& queue);
  void add_forward(packet::PortId port, std::shared_ptr<ForwardRing> ring);
  // The owner's end of another worker's ring.
  void add_source(packet::PortId port, std::shared_ptr<ForwardRing> ring);

  void flush(packet::PortId port) override;
  // Sends all batches, and what other workers forwarded. Returns how many packets there were.
  std::uint32_t flush_all();
  bool has_forwarded() const;
  // Drops all that is still batched or in rings that this worker empties. Only when its thread and the others rest.
  void drop_all(DropReason reason);

  void set_capture(port::Capture* capture) { capture_ = capture; }
  PortCounters& counters(packet::PortId port) { return counters_[port]; }
  const PortCounters& counters(packet::PortId port) const { return counters_[port]; }

 private:
  struct Way {
    port::PortQueue* queue = nullptr;
    std::shared_ptr<ForwardRing> forward;
    std::vector<std::shared_ptr<ForwardRing>> sources;
    DropReason full = DropReason::tx_ring_full;
  };
  void send(packet::PortId port, std::span<packet::Packet> packets);
  void forward(packet::PortId port, std::span<packet::Packet> packets);
  std::uint32_t send_forwarded(packet::PortId port);

  packet::Drops& drops_;
  port::Capture* capture_ = nullptr;
  packet::PortId count_ = 0;
  std::array<Way, packet::kPortsMax> ways_;
  std::array<PortCounters, packet::kPortsMax> counters_;
};

}  // namespace sluice::worker
