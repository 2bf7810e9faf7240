// Where a packet ends: TxSink takes those that leave through a port, Drops those that do not, PacketPool gives new
// ones.
//
// Called by: ip, tcp, lb/datapath. Runs on: workers; one object of each per worker. Tested by:
// tests/dataplane/packet/chain_test.cc
#pragma once

#include <array>
#include <span>
#include <string>

#include "dataplane/base/drop_reason.h"
#include "dataplane/packet/packet.h"

struct rte_mempool;

namespace sluice::packet {

// Transmit batches, one per port; the worker flushes them at the end of each turn, and when one is full.
class TxSink {
 public:
  virtual ~TxSink() = default;

  // Takes the packet over. It is a whole frame, checksums done (or requested of the port, see PortInfo).
  void push(PortId port, Packet packet) {
    Batch& batch = batches_[port];
    if (batch.full()) flush(port);
    batch.push(packet);
  }

  // Sends what the batch holds and empties it; what the port does not take is dropped as tx_ring_full.
  virtual void flush(PortId port) = 0;

 protected:
  std::array<Batch, kPortsMax> batches_;
};

// The end of packets that do not leave: frees, and counts the reason.
class Drops {
 public:
  void drop(Packet packet, DropReason reason) {
    counters_.add(reason);
    rte_pktmbuf_free(packet.mbuf());
  }
  // Not a drop: the packet did its work here (an ARP answer learned, a ping answered from another buffer).
  void consume(Packet packet) {
    consumed_.add();
    rte_pktmbuf_free(packet.mbuf());
  }
  // Packets that became part of another one (fragments of a reassembled packet): counted, not freed.
  void count_consumed(std::uint64_t n) { consumed_.add(n); }
  // Packets that began here instead of being received: rx + generated = tx + drops + consumed (+ those that wait).
  void count_generated(std::uint64_t n = 1) { generated_.add(n); }
  std::uint64_t generated() const { return generated_.get(); }
  const DropCounters& counters() const { return counters_; }
  DropCounters& counters() { return counters_; }
  std::uint64_t consumed() const { return consumed_.get(); }

 private:
  DropCounters counters_;
  Counter consumed_;
  Counter generated_;
};

// A pool of packet buffers. Bufs are 2,048 bytes of data behind 128 of headroom.
class PacketPool {
 public:
  // `count` buffers on NUMA node `socket` (-1: any), `cache` of them kept per core. Fails when memory is short.
  static Result<PacketPool> create(const std::string& name, std::uint32_t count, std::uint32_t cache, int socket);
  explicit PacketPool(rte_mempool* pool) : pool_(pool) {}

  // An empty packet, or a false one when the pool is empty (count it as packet_pool_empty).
  Packet allocate() const { return Packet(rte_pktmbuf_alloc(pool_)); }
  std::uint32_t in_use() const;
  std::uint32_t size() const;
  rte_mempool* mempool() const { return pool_; }
  // Gives the memory back; only when in_use() is 0.
  void destroy();

 private:
  rte_mempool* pool_;
};

}  // namespace sluice::packet
