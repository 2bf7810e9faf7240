// Corrects two choices of DPDK's af_packet driver that no argument of it can change, and notes its descriptors.
//
// The driver joins its sockets to a fanout group with PACKET_FANOUT_FLAG_DEFRAG: the kernel then reassembles IP
// fragments, and the result, longer than a ring frame, arrives cut off. And it receives frames that this host sends
// out by the interface. So while a PacketSocketScope lives, this file's setsockopt() (which comes before libc's when
// the driver is loaded) takes the flag away and sets PACKET_IGNORE_OUTGOING.
//
// Called by: port/ethdev_port. Runs on: control thread, one scope at a time. Follows: packet(7).
// Tested by: tests/dataplane/worker/veth_test.cc (fragments arrive as they were sent)
#pragma once

#include <vector>

namespace sluice::port {

class PacketSocketScope {
 public:
  PacketSocketScope();
  ~PacketSocketScope();
  PacketSocketScope(const PacketSocketScope&) = delete;
  PacketSocketScope& operator=(const PacketSocketScope&) = delete;

  // The sockets that joined a fanout group meanwhile, in the order of the driver's queues.
  const std::vector<int>& sockets() const { return sockets_; }
  void add(int fd) { sockets_.push_back(fd); }

 private:
  std::vector<int> sockets_;
};

}  // namespace sluice::port
