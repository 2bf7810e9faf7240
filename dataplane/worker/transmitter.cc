// Transmit batches of one worker; see transmitter.h.
#include "dataplane/worker/transmitter.h"

#include <algorithm>

namespace sluice::worker {

using packet::Batch;
using packet::Packet;
using packet::PortId;

void Transmitter::add_queue(PortId port, packet::PortKind kind, port::PortQueue& queue) {
  ways_[port].queue = &queue;
  if (kind == packet::PortKind::host) ways_[port].full = DropReason::host_port_full;
  count_ = std::max<PortId>(count_, port + 1);
}

void Transmitter::add_forward(PortId port, std::shared_ptr<ForwardRing> ring) {
  ways_[port].forward = std::move(ring);
  count_ = std::max<PortId>(count_, port + 1);
}

void Transmitter::add_source(PortId port, std::shared_ptr<ForwardRing> ring) {
  ways_[port].sources.push_back(std::move(ring));
}

void Transmitter::flush(PortId port) {
  Batch& batch = batches_[port];
  if (batch.count == 0) return;
  if (ways_[port].queue != nullptr) {
    send(port, batch.view());
  } else if (ways_[port].forward) {
    forward(port, batch.view());
  } else {  // no such port: the application's mistake, but a counted one
    for (Packet packet : batch.view()) drops_.drop(packet, DropReason::port_down);
  }
  batch.count = 0;
}

void Transmitter::send(PortId port, std::span<Packet> packets) {
  if (capture_ != nullptr) capture_->offer(port, port::Direction::out, packets);
  std::array<std::uint32_t, packet::kBatchMax> lengths;  // after tx() the packets are no longer ours to read
  for (std::size_t i = 0; i < packets.size(); ++i) lengths[i] = packets[i].length();
  const std::uint32_t sent = ways_[port].queue->tx(packets);
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < sent; ++i) bytes += lengths[i];
  counters_[port].tx_packets.add(sent);
  counters_[port].tx_bytes.add(bytes);
  for (Packet packet : packets.subspan(sent)) drops_.drop(packet, ways_[port].full);
}

void Transmitter::forward(PortId port, std::span<Packet> packets) {
  ForwardRing& way = *ways_[port].forward;
  const std::size_t taken = way.ring.push_burst(packets);
  way.bell.ring();
  for (Packet packet : packets.subspan(taken)) drops_.drop(packet, ways_[port].full);
}

std::uint32_t Transmitter::send_forwarded(PortId port) {
  std::uint32_t sum = 0;
  for (const auto& source : ways_[port].sources) {
    std::array<Packet, packet::kBatchMax> packets;
    const auto n = source->ring.pop_burst(packets);
    if (n != 0) send(port, std::span(packets).first(n));
    sum += static_cast<std::uint32_t>(n);
  }
  return sum;
}

std::uint32_t Transmitter::flush_all() {
  std::uint32_t sum = 0;
  for (PortId port = 0; port < count_; ++port) {
    sum += batches_[port].count;
    flush(port);
    if (!ways_[port].sources.empty()) sum += send_forwarded(port);
  }
  return sum;
}

bool Transmitter::has_forwarded() const {
  return std::ranges::any_of(ways_, [](const Way& way) {
    return std::ranges::any_of(way.sources, [](const auto& source) { return !source->ring.empty(); });
  });
}

void Transmitter::drop_all(DropReason reason) {
  for (PortId port = 0; port < packet::kPortsMax; ++port) {
    for (Packet packet : batches_[port].view()) drops_.drop(packet, reason);
    batches_[port].count = 0;
    for (const auto& source : ways_[port].sources) {
      while (const auto packet = source->ring.pop()) drops_.drop(*packet, reason);
    }
  }
}

}  // namespace sluice::worker
