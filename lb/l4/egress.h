// Egress: the ends of a packet that lb decides on: out by a route, to the kernel's side, or refused with an answer.
//
// Called by: lb/l4, lb/datapath. Runs on: the worker that owns it. Follows: RFC 9293 §3.5.2 (resets), RFC 1122 §3.2.2.
// Tested by: tests/lb/datapath/*
#pragma once

#include <span>

#include "dataplane/base/token_bucket.h"
#include "dataplane/ip/output.h"
#include "lb/l4/counters.h"

namespace sluice::lb {

// A TCP segment of our own making: RST, without payload.
struct Reset {
  Ipv4Endpoint from, to;
  std::uint32_t sequence = 0;
  std::uint32_t acknowledgment = 0;
  bool ack = false;
};
// The reset that answers a segment that belongs to nothing (RFC 9293 §3.5.2); nullopt for a reset.
std::optional<Reset> reset_for(const std::uint8_t* frame, const wire::Layers& layers);

class Egress {
 public:
  struct Context {
    std::span<const packet::PortInfo> ports;
    packet::PortId host_port = packet::kNoPort;
    ip::IpOutput& output;
    const ip::LocalAddresses& local;
    ip::Icmp& icmp;
    const packet::PacketPool& pool;
    packet::Drops& drops;
    DatapathCounters& counters;
  };
  explicit Egress(const Context& context) : context_(context) {
    for (const packet::PortInfo& port : context.ports) partial_[port.id] = port.rx_partial_checksums;
  }

  // Whether the L4 checksum of a packet from this port, with this in its field, may be mended or must be made anew.
  ip::L4Checksum l4_checksum_of(packet::PortId rx_port, std::uint8_t protocol, const std::uint8_t* l4) const {
    if (!has_partial_checksums(rx_port)) [[likely]]
      return ip::L4Checksum::right;
    if (protocol == wire::kProtocolTcp) return ip::L4Checksum::recompute;
    // UDP without a checksum has none to complete.
    const bool none = protocol != wire::kProtocolUdp || wire::load_be16(l4 + wire::kUdpChecksum) == 0;
    return none ? ip::L4Checksum::right : ip::L4Checksum::recompute;
  }

  // Whether peers on this port leave checksums to be completed.
  bool has_partial_checksums(packet::PortId rx_port) const { return rx_port < packet::kPortsMax && partial_[rx_port]; }

  // To the kernel's side as it is; dropped as no_virtual_server when there is none.
  void to_host(packet::Packet packet, const ip::TransmitSpec& spec);
  // Wherever its destination is: a self IP is the kernel's, anything else is routed.
  void originate(Instant now, packet::Packet packet, const ip::TransmitSpec& spec);

  // Drops the packet under `reason` and says so to its sender: RST for TCP, port unreachable for UDP.
  void reject(Instant now, packet::Packet packet, const wire::Layers& layers, DropReason reason);
  // Drops the packet under `reason` with an ICMP error.
  void refuse(Instant now, packet::Packet packet, const wire::Layers& layers, DropReason reason,
              const ip::IcmpError& error);
  // The error alone; the packet stays the caller's, as it was received.
  void send_error(Instant now, packet::Packet packet, const wire::Layers& layers, const ip::IcmpError& error);
  void send_reset(Instant now, const Reset& reset);

 private:
  Context context_;
  std::array<bool, packet::kPortsMax> partial_{};
  TokenBucket resets_{10000, 2000};
};

}  // namespace sluice::lb
