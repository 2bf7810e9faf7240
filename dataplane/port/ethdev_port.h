// EthdevPort: any DPDK device as a Port: probe, capabilities, queues, RSS, MTU, offloads, statistics.
//
// Called by: port/port.h's open_port, port/host_port. Runs on: control thread; its queues on workers.
// Follows: DPDK 22.11 rte_ethdev.h. Tested by: tests/dataplane/port/ethdev_port_test.cc,
// tests/dataplane/worker/veth_test.cc
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/port/device.h"
#include "dataplane/port/port.h"
#include "dataplane/port/quiet_interface.h"

namespace sluice::port {

class EthdevPort final : public Port {
 public:
  // `queues_max`: at most one a pool.
  static Result<std::unique_ptr<EthdevPort>> open(const PortOptions& options, Device device,
                                                  std::span<const packet::PacketPool> pools, packet::PortKind kind);
  ~EthdevPort() override;

  const packet::PortInfo& info() const override { return info_; }
  unsigned queue_count() const override { return static_cast<unsigned>(queues_.size()); }
  PortQueue& queue(unsigned index) override;
  Status start() override;
  bool is_link_up() const override;
  PortStatistics statistics() const override;
  std::string description() const override { return description_; }
  bool returns_buffers() const override { return device_.driver() != "net_af_xdp"; }
  std::vector<std::string> warnings() const override;

 private:
  class Queue;
  EthdevPort(const PortOptions& options, Device device);
  Status prepare(unsigned workers);
  Status prepare_interface(const std::string& interface);
  Status probe();
  Status configure(std::span<const packet::PacketPool> pools);
  Status set_up_queues(std::span<const packet::PacketPool> pools, unsigned count);
  Status set_mtu();
  void find_wake_fds();
  std::string place() const { return "port " + info_.name; }

  packet::PortInfo info_;
  Device device_;
  std::vector<std::uint8_t> rss_key_;
  std::uint16_t ethdev_ = 0xffff;  // DPDK's number of the device
  bool probed_ = false;
  bool started_ = false;
  std::unique_ptr<QuietInterface> quiet_;
  std::vector<std::unique_ptr<Queue>> queues_;
  std::vector<int> packet_sockets_;  // of af_packet, one a queue
  std::vector<int> xdp_before_;      // af_xdp sockets of ports that were opened earlier
  std::string description_;
};

}  // namespace sluice::port
