// Every reason for which the engine drops a packet, with its name and its meaning: the one list of them.
//
// A packet that enters the engine leaves it through a port, or is counted here exactly once: sum of reasons = drops.
// Called by: every layer of the packet path. Runs on: workers (count), control thread (read).
// Tested by: tests/dataplane/base/counter_test.cc
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "dataplane/base/counter.h"

namespace sluice {

// X(name, meaning)
#define SLUICE_DROP_REASONS(X)                                                                                  \
  X(frame_too_short, "the frame ends inside its Ethernet header")                                               \
  X(frame_not_for_us, "the destination MAC is neither ours nor a group address we listen to")                   \
  X(ethertype_unknown, "the EtherType is none that Sluice handles (ARP, IPv4)")                                 \
  X(vlan_unknown, "the frame carries an 802.1Q tag of a VLAN; only priority tags (VLAN 0) are taken")           \
  X(arp_malformed, "the ARP packet is too short or not for Ethernet and IPv4")                                  \
  X(arp_not_for_us, "an ARP request for an address that is not ours")                                           \
  X(ipv4_too_short, "the packet ends inside its IPv4 header")                                                   \
  X(ipv4_bad_version, "the version field is not 4")                                                             \
  X(ipv4_bad_header_length, "IHL is below 5 or beyond the packet")                                              \
  X(ipv4_bad_total_length, "the total length is shorter than the header or longer than the frame")              \
  X(ipv4_bad_checksum, "the IPv4 header checksum is wrong")                                                     \
  X(ipv4_bad_source, "the source is a multicast, broadcast, loopback or zero address, or our own")              \
  X(ipv4_options_source_route, "a source route option is present; such packets are not forwarded")              \
  X(ipv4_options_malformed, "an IPv4 option is cut or its length is wrong")                                     \
  X(ipv4_not_for_us, "the destination is no virtual address or self IP, and Sluice is no router for strangers") \
  X(ttl_exceeded, "the TTL ran out here")                                                                       \
  X(fragment_malformed, "the fragment is empty, overlaps, or reaches beyond 65,535 bytes")                      \
  X(fragment_timeout, "the other fragments of the packet did not come in time")                                 \
  X(fragment_table_full, "too many packets are being reassembled")                                              \
  X(fragmentation_needed, "the packet is larger than the egress MTU and says do not fragment")                  \
  X(icmp_malformed, "the ICMP message is too short or its checksum is wrong")                                   \
  X(icmp_rate_limited, "an ICMP message that the rate limit held back")                                         \
  X(icmp_unhandled, "an ICMP message of a type that is not answered")                                           \
  X(icmp_no_flow, "an ICMP error that quotes no flow of ours")                                                  \
  X(tcp_malformed, "the segment is too short or its data offset is wrong")                                      \
  X(tcp_bad_checksum, "the TCP checksum is wrong")                                                              \
  X(tcp_bad_flags, "a combination of TCP flags that no stack sends")                                            \
  X(tcp_no_flow, "a segment without SYN that belongs to no flow")                                               \
  X(tcp_invalid_state, "a segment that the flow's TCP state does not allow")                                    \
  X(udp_malformed, "the datagram is too short or its length field is wrong")                                    \
  X(udp_bad_checksum, "the UDP checksum is wrong")                                                              \
  X(protocol_unknown, "the IP protocol is none that the destination serves")                                    \
  X(bfd_bad_ttl, "a single-hop BFD packet whose TTL is not 255")                                                \
  X(bfd_bad_length, "the BFD packet's length field is too small or beyond the datagram")                        \
  X(bfd_bad_version, "the BFD version is not 1")                                                                \
  X(bfd_zero_multiplier, "the BFD packet's detect multiplier is 0")                                             \
  X(bfd_multipoint, "the BFD packet's multipoint bit is set")                                                   \
  X(bfd_zero_discriminator, "the BFD packet's own discriminator is 0")                                          \
  X(bfd_bad_state, "the BFD packet knows no discriminator of ours, yet says Init or Up")                        \
  X(bfd_authentication, "the BFD packet is authenticated, and no session of ours is")                           \
  X(bfd_no_session, "no BFD session has this discriminator or these addresses")                                 \
  X(bfd_wrong_address, "the BFD packet comes from another address than its session's neighbor")                 \
  X(bfd_admin_down, "the BFD session is administratively down here")                                            \
  X(no_route, "the routing table has no route to the destination")                                              \
  X(route_blackhole, "the route to the destination says blackhole")                                             \
  X(looped_to_self, "a packet of ours whose destination is ours too")                                           \
  X(neighbor_unresolved, "the next hop did not answer ARP")                                                     \
  X(neighbor_queue_full, "too many packets already wait for the next hop's ARP answer")                         \
  X(neighbor_table_full, "the neighbor table has no free entry")                                                \
  X(no_virtual_server, "no virtual server on this address, port and protocol")                                  \
  X(virtual_server_disabled, "the virtual server is disabled")                                                  \
  X(no_available_member, "no member of the pool is available")                                                  \
  X(connection_limit, "the virtual server or every member is at its connection limit")                          \
  X(member_gone, "the flow's member is down or gone and the pool's service-down action says drop")              \
  X(snat_port_exhausted, "no SNAT port is free towards this member")                                            \
  X(flow_table_full, "the flow table has no free entry")                                                        \
  X(steer_ring_full, "the ring to the worker that owns the flow is full")                                       \
  X(host_port_full, "the kernel's side of the host port does not keep up")                                      \
  X(tx_ring_full, "the transmit queue is full")                                                                 \
  X(packet_pool_empty, "no packet buffer is free")                                                              \
  X(packet_too_large, "the packet does not fit the buffers or the egress port")                                 \
  X(port_down, "the egress port is down")                                                                       \
  X(shutting_down, "the engine is shutting down")

enum class DropReason : std::uint8_t {
#define SLUICE_DROP_ENUM(name, meaning) name,
  SLUICE_DROP_REASONS(SLUICE_DROP_ENUM)
#undef SLUICE_DROP_ENUM
      kCount
};

inline constexpr std::size_t kDropReasonCount = static_cast<std::size_t>(DropReason::kCount);

struct DropReasonText {
  std::string_view name;     // "neighbor_unresolved", as `sluicectl show drops` and Prometheus print it
  std::string_view meaning;  // one sentence
};

inline constexpr std::array<DropReasonText, kDropReasonCount> kDropReasonTexts{{
#define SLUICE_DROP_TEXT(name, meaning) {#name, meaning},
    SLUICE_DROP_REASONS(SLUICE_DROP_TEXT)
#undef SLUICE_DROP_TEXT
}};

constexpr std::string_view name_of(DropReason reason) {
  return kDropReasonTexts[static_cast<std::size_t>(reason)].name;
}

// One per worker.
class DropCounters {
 public:
  void add(DropReason reason, std::uint64_t n = 1) { counters_[static_cast<std::size_t>(reason)].add(n); }
  std::uint64_t get(DropReason reason) const { return counters_[static_cast<std::size_t>(reason)].get(); }
  std::uint64_t total() const {
    std::uint64_t sum = 0;
    for (const auto& counter : counters_) sum += counter.get();
    return sum;
  }

 private:
  std::array<Counter, kDropReasonCount> counters_;
};

}  // namespace sluice
