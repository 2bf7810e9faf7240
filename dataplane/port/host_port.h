// The host port: a tap device that the engine owns, by which the kernel's TCP stack (BGP, probes) reaches the segment.
//
// The self IPs live on the tap as /32. `ip rule from <self ip> lookup <table>` and a default route through the tap in
// that table send what the control plane's sockets say into the engine; nothing else in the kernel's routing changes.
// The tap does no ARP: the kernel addresses every frame to the tap's own MAC, and expects frames to that MAC.
// So: frames from this port have destination MAC = info().mac; frames to it must have destination MAC = info().mac.
//
// All of it disappears with the tap (rules are deleted on close and, after a crash, at the next start).
//
// Called by: control/daemon. Runs on: control thread; its queues on workers. Follows: rtnetlink(7), ip-rule(8).
// Tested by: tests/dataplane/worker/veth_test.cc (needs root; own network namespaces)
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/base/address.h"
#include "dataplane/port/port.h"

namespace sluice::port {

struct HostPortOptions {
  std::string interface = "sluice0";  // the kernel's name of the tap, at most 15 characters
  packet::PortId id = packet::kNoPort;
  std::uint16_t mtu = 1500;            // the smallest MTU of the network ports
  std::uint32_t table = 7720;          // routing table of the self IPs
  std::uint32_t rule_priority = 7720;  // before the main table (32766)
};

class HostPort : public Port {
 public:
  // Makes the tap. Errors: no permission, name taken, no tun driver. Self IPs come by set_self_ips().
  static Result<std::unique_ptr<HostPort>> open(const HostPortOptions& options,
                                                std::span<const packet::PacketPool> pools);

  // Makes the kernel carry exactly these addresses: adds what is new, removes what is gone, leaves the rest alone.
  // After start(). On an error the addresses before the failing one have changed; call again to finish.
  virtual Status set_self_ips(std::span<const Ipv4Address> addresses) = 0;
  virtual const std::string& interface() const = 0;
};

}  // namespace sluice::port
