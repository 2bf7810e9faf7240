// Port: a device that frames come from and go to, cut into queues of which each worker polls its own.
//
// Three kinds: any DPDK device (port/ethdev_port.h), the kernel side (port/host_port.h), memory (port/memory_port.h).
// A worker knows only PortQueue: one virtual call a burst.
//
// Called by: worker (queues), control/daemon (opens, reads statistics). Runs on: see each member.
// Tested by: tests/dataplane/port/*, tests/dataplane/worker/*
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/base/result.h"
#include "dataplane/packet/packet.h"
#include "dataplane/packet/port_info.h"
#include "dataplane/packet/sink.h"

namespace sluice::port {

// One receive and one transmit queue, used by one worker alone.
class PortQueue {
 public:
  virtual ~PortQueue() = default;
  // Fills the empty batch with up to kBatchMax packets; each has rx_port() set. Never blocks.
  virtual void rx(packet::Batch& batch) = 0;
  // Takes over the first n of the packets and returns n; the rest stay the caller's. Never blocks.
  virtual std::uint32_t tx(std::span<packet::Packet> packets) = 0;
  // Descriptors that become readable when rx() would find something: an idle worker sleeps on them. None: it naps.
  virtual std::span<const int> wake_fds() const { return {}; }
  // Makes sure that work which arrives from now on wakes the sleeper; false: do not sleep, there is work already.
  virtual bool prepare_to_sleep() { return true; }
};

// What the device itself counted (xstats), beside the engine's own counters; names as DPDK gives them.
struct PortStatistics {
  std::uint64_t rx_packets = 0;
  std::uint64_t rx_bytes = 0;
  std::uint64_t tx_packets = 0;
  std::uint64_t tx_bytes = 0;
  std::uint64_t rx_missed = 0;  // arrived, found no free descriptor
  std::uint64_t rx_errors = 0;
  std::uint64_t tx_errors = 0;
  std::uint64_t rx_no_buffers = 0;  // arrived, found no free packet buffer
  std::vector<std::pair<std::string, std::uint64_t>> extended;
};

class Port {
 public:
  virtual ~Port() = default;
  // Fixed once open; id is the index the port was opened under.
  virtual const packet::PortInfo& info() const = 0;
  // 1..workers. Fewer than workers: the others transmit through the owner of queue (worker modulo queues).
  virtual unsigned queue_count() const = 0;
  virtual PortQueue& queue(unsigned index) = 0;
  // Control thread. The device was opened with receive buffers from pools[queue]; nothing flows before start().
  virtual Status start() = 0;
  virtual bool is_link_up() const = 0;
  virtual PortStatistics statistics() const = 0;
  // One line for the log: driver, queues, steering, offloads.
  virtual std::string description() const = 0;
  // False: the driver keeps the buffers of its receive ring when it closes (net_af_xdp does).
  virtual bool returns_buffers() const { return true; }
  // What the user should know though it is no error ("the interface carries an address: ...").
  virtual std::vector<std::string> warnings() const { return {}; }
};

// How to open a port that the configuration names.
struct PortOptions {
  std::string name;    // config::Port::name, "int_vlan"
  std::string device;  // config::Port::device
  packet::PortId id = packet::kNoPort;
  std::uint16_t mtu = 1500;
  std::vector<std::uint8_t> rss_key;  // empty: the driver's; else 40 (52 for some) bytes
};

// Opens any DPDK device; `pools` has one pool a worker, and the port gets as many queues as the device can, at most
// that many. Errors name the port: bad device string, unknown driver, interface that does not exist, no permission,
// MTU that does not fit.
Result<std::unique_ptr<Port>> open_port(const PortOptions& options, std::span<const packet::PacketPool> pools);

}  // namespace sluice::port
