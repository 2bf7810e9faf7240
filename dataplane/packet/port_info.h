// What the layers above need to know of a port: its number, MAC, MTU and what its hardware does. No DPDK type in it.
//
// Called by: ip, lb/datapath (read), port (fills it in). Runs on: control thread writes before start, workers read.
#pragma once

#include <cstdint>
#include <string>

#include "dataplane/base/address.h"

namespace sluice::packet {

using PortId = std::uint16_t;  // index into the worker's ports, 0..kPortsMax-1; the host port is one of them
inline constexpr PortId kNoPort = 0xffff;
inline constexpr PortId kPortsMax = 16;

enum class PortKind : std::uint8_t {
  network,  // a NIC or a vdev: frames from the segment
  host,     // the kernel side: TCP of the control plane (see port/host_port.h)
};

struct PortInfo {
  std::string name;  // as the configuration names it: "int_vlan"
  PortId id = kNoPort;
  PortKind kind = PortKind::network;
  MacAddress mac;
  std::uint16_t mtu = 1500;           // bytes of IP packet
  bool tx_ipv4_checksum = false;      // the port fills in the IPv4 header checksum
  bool tx_l4_checksum = false;        // the port completes TCP and UDP checksums (pseudo-header sum in the field)
  bool rx_checksum_flags = false;     // received packets say whether their checksums are good
  bool rx_partial_checksums = false;  // af_packet, af_xdp: peers on a veth leave only the pseudo-header sum: never
                                      // verify on receipt, always recompute in full on output
};

}  // namespace sluice::packet
