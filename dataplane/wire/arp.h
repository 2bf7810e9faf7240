// The ARP packet for Ethernet and IPv4: 28 bytes behind the Ethernet header.
//
// Called by: ip/neighbor. Runs on: workers. Follows: RFC 826, RFC 5227 (probe, announcement).
// Tested by: tests/dataplane/wire/headers_test.cc
#pragma once

#include <optional>

#include "dataplane/wire/bytes.h"

namespace sluice::wire {

inline constexpr std::size_t kArpLength = 28;

enum class ArpOperation : std::uint16_t { request = 1, reply = 2 };

struct ArpPacket {
  ArpOperation operation = ArpOperation::request;
  MacAddress sender_mac;
  Ipv4Address sender_ip;
  MacAddress target_mac;
  Ipv4Address target_ip;

  bool is_gratuitous() const { return sender_ip == target_ip; }  // RFC 5227: an announcement
  bool is_probe() const { return sender_ip.is_zero(); }
  friend bool operator==(const ArpPacket&, const ArpPacket&) = default;
};

// Nothing when too short, not Ethernet and IPv4, neither request nor reply, or with an impossible sender (a group MAC
// address, or a multicast, loopback or broadcast IP address).
std::optional<ArpPacket> parse_arp(ConstBytes bytes);
// Writes 28 bytes.
void emit_arp(std::uint8_t* p, const ArpPacket& arp);

}  // namespace sluice::wire
