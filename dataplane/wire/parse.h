// The packet path's one parse: a frame becomes Layers (offsets, 5-tuple, flags) or a DropReason.
//
//   Layers layers;
//   if (const auto reason = wire::parse(frame, options, layers)) return drops.drop(packet, *reason);
//   switch (layers.kind) { case PacketKind::arp: … }
//
// All headers must lie in the first segment: for a chained packet call packet::pull_up_headers first.
// Checksums of TCP, UDP and ICMP are not computed here (only what the port found is heeded): forwarding carries a wrong
// one to the receiver unmended, and what answers itself (ip/icmp, tcp) verifies. Everything else about a header is
// judged, so nobody behind checks again.
//
// Called by: lb/datapath, once per packet. Runs on: workers. Follows: RFC 791, RFC 1122 §3.2.1, RFC 1812 §5.2.2.
// Tested by: tests/dataplane/wire/parse_test.cc, tests/fuzz/frame_fuzz.cc. Cost: bench/micro/wire_bench.cc
#pragma once

#include <optional>

#include "dataplane/base/drop_reason.h"
#include "dataplane/wire/ethernet.h"
#include "dataplane/wire/icmp.h"
#include "dataplane/wire/ipv4.h"
#include "dataplane/wire/tcp.h"
#include "dataplane/wire/udp.h"

namespace sluice::wire {

enum class PacketKind : std::uint8_t {
  arp,       // l3_offset is where the ARP packet begins; parse_arp does the rest
  tcp,       // IPv4, not a fragment; likewise the next two
  udp,       //
  icmp,      // icmp_type and icmp_code are set
  fragment,  // IPv4 fragment, of any protocol; ports are set only in a first fragment that holds them
  other,     // IPv4, another protocol
};

struct Layers {
  PacketKind kind = PacketKind::other;
  std::uint8_t protocol = 0;
  std::uint8_t l3_offset = 0;       // bytes from the start of the frame, 14 or 18
  std::uint8_t l4_offset = 0;       // likewise; 0 for arp
  std::uint8_t payload_offset = 0;  // likewise: behind the TCP, UDP or 8-byte ICMP header; l4_offset for others
  std::uint8_t tcp_flags = 0;
  std::uint8_t icmp_type = 0;
  std::uint8_t icmp_code = 0;
  std::uint8_t ttl = 0;
  std::uint8_t tos = 0;  // DSCP and ECN
  bool dont_fragment = false;
  bool more_fragments = false;
  bool link_group = false;            // the frame was sent to a broadcast or multicast MAC address
  bool has_ports = false;             // src_port and dst_port are set
  std::uint16_t l3_length = 0;        // IPv4 total length; the frame may be longer (padding)
  std::uint16_t fragment_offset = 0;  // bytes
  std::uint16_t src_port = 0;         // TCP, UDP; ICMP echo: the identifier in both
  std::uint16_t dst_port = 0;
  Ipv4Address source;
  Ipv4Address destination;

  std::uint32_t frame_length() const { return std::uint32_t{l3_offset} + l3_length; }  // without padding
  std::uint16_t l3_header_length() const { return static_cast<std::uint16_t>(l4_offset - l3_offset); }
  std::uint16_t l4_length() const { return static_cast<std::uint16_t>(l3_length - l3_header_length()); }
  std::uint16_t payload_length() const { return static_cast<std::uint16_t>(l3_offset + l3_length - payload_offset); }
  bool is_fragment() const { return kind == PacketKind::fragment; }
};

struct ParseOptions {
  MacAddress own_mac;                // frames to other unicast addresses are frame_not_for_us
  bool verify_ipv4_checksum = true;  // false when the port says that it is good
  bool l4_checksum_bad = false;      // the port says that the TCP or UDP checksum is wrong
};

// `first_segment` = the frame's first bytes, all of them or at least min(frame_length, kHeadersMax);
// `frame_length` = bytes in all segments. Nullopt: `layers` is filled in; else `layers` is in an unspecified state.
std::optional<DropReason> parse(ConstBytes first_segment, std::uint32_t frame_length, const ParseOptions& options,
                                Layers& layers);

// The same for an IPv4 packet without its Ethernet header at `l3_offset` (reassembled packets, quoted ones).
std::optional<DropReason> parse_ipv4_layers(ConstBytes first_segment, std::uint32_t frame_length,
                                            std::uint8_t l3_offset, bool verify_ipv4_checksum, Layers& layers);

}  // namespace sluice::wire
