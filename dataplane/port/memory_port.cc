// A port in memory; see memory_port.h.
#include "dataplane/port/memory_port.h"

#include <atomic>

#include "dataplane/base/counter.h"
#include "dataplane/base/spsc_ring.h"

namespace sluice::port {

using packet::Batch;
using packet::Packet;

class MemoryPort::Queue : public PortQueue {
 public:
  Queue(packet::PortId id, std::uint32_t depth) : id_(id), in_(depth), out_(depth) {}

  void rx(Batch& batch) override {
    batch.count = static_cast<std::uint32_t>(in_.pop_burst(batch.packets));
    std::uint64_t bytes = 0;
    for (Packet packet : batch.view()) {
      packet.set_rx_port(id_);
      bytes += packet.length();
    }
    rx_packets_.add(batch.count);
    rx_bytes_.add(bytes);
  }
  std::uint32_t tx(std::span<Packet> packets) override {
    std::uint64_t bytes = 0;
    const auto n = std::min(packets.size(), out_.capacity() - out_.size());
    for (Packet packet : packets.first(n)) bytes += packet.length();
    const auto sent = static_cast<std::uint32_t>(out_.push_burst(packets.first(n)));
    tx_packets_.add(sent);
    tx_bytes_.add(bytes);
    return sent;
  }
  bool prepare_to_sleep() override { return in_.empty(); }

  packet::PortId id_;
  SpscRing<Packet> in_;   // far side to engine
  SpscRing<Packet> out_;  // engine to far side
  Counter rx_packets_, rx_bytes_, tx_packets_, tx_bytes_, missed_;
};

MemoryPort::MemoryPort(const Options& options) : info_(options.info) {
  for (unsigned i = 0; i < options.queues; ++i) queues_.push_back(std::make_unique<Queue>(info_.id, options.depth));
}

MemoryPort::~MemoryPort() { drain(); }

PortQueue& MemoryPort::queue(unsigned index) { return *queues_[index]; }

std::string MemoryPort::description() const { return "memory, " + std::to_string(queues_.size()) + " queue(s)"; }

PortStatistics MemoryPort::statistics() const {
  PortStatistics sum;
  for (const auto& queue : queues_) {
    sum.rx_packets += queue->rx_packets_.get();
    sum.rx_bytes += queue->rx_bytes_.get();
    sum.tx_packets += queue->tx_packets_.get();
    sum.tx_bytes += queue->tx_bytes_.get();
    sum.rx_missed += queue->missed_.get();
  }
  return sum;
}

std::uint32_t MemoryPort::inject(unsigned queue, std::span<Packet> packets) {
  const auto taken = queues_[queue]->in_.push_burst(packets);
  queues_[queue]->missed_.add(packets.size() - taken);
  return static_cast<std::uint32_t>(taken);
}

void MemoryPort::take(unsigned queue, Batch& batch) {
  batch.count = static_cast<std::uint32_t>(queues_[queue]->out_.pop_burst(batch.packets));
}

std::uint32_t MemoryPort::drain() {
  std::uint32_t freed = 0;
  for (const auto& queue : queues_) {
    for (auto* ring : {&queue->in_, &queue->out_}) {
      while (const auto packet = ring->pop()) {
        rte_pktmbuf_free(packet->mbuf());
        ++freed;
      }
    }
  }
  return freed;
}

}  // namespace sluice::port
