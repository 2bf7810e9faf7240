// IpOutput: from a finished IPv4 packet to a frame in a port's transmit batch: FIB, neighbor, MTU, checksums.
//
// Two ways in. send() does everything, for packets that we originate (ICMP, RST, the kernel's, TCP's):
//
//   output.send(now, packet, {.l3_offset = 14, .l4 = L4Checksum::right});
//
// Forwarding asks first and rewrites afterwards, so that ICMP errors can quote the packet as the sender sent it:
//
//   const Hop hop = output.route(now, new_destination, flow_hash, flow.hop);   // flow.hop: a CachedHop, 8 bytes
//   if (hop.status != HopStatus::usable && …) …                               // no_route, blackhole, local, …
//   if (layers.l3_length > hop.mtu && layers.dont_fragment) …                 // ICMP fragmentation needed, drop
//   … rewrite addresses, ports, decrement_ttl …
//   output.transmit(now, packet, hop, {.l3_offset = layers.l3_offset, .l4 = L4Checksum::right});
//
// A CachedHop makes route() two loads and a compare while neither FIB nor neighbors changed.
//
// Called by: lb/datapath, tcp. Runs on: the worker that owns it. Follows: RFC 791, RFC 1812 §5.2-5.3, RFC 6864.
// Tested by: tests/dataplane/ip/output_test.cc. Cost: bench/micro/ip_bench.cc
#pragma once

#include "dataplane/ip/fib.h"
#include "dataplane/ip/fragments.h"
#include "dataplane/ip/icmp.h"
#include "dataplane/ip/local_addresses.h"
#include "dataplane/ip/neighbor.h"
#include "dataplane/packet/sink.h"
#include "dataplane/packet/tx_checksum.h"

namespace sluice::ip {

// What a flow remembers of its way out; all zero: nothing.
struct CachedHop {
  std::uint32_t epoch = 0;
  NeighborIndex neighbor = 0;
};

enum class HopStatus : std::uint8_t {
  usable,      // the neighbor's MAC is known
  unresolved,  // it is being asked for: transmit() lets the packet wait
  local,       // the destination is ours
  no_route,
  blackhole,
  table_full,  // no neighbor entry is free
  port_down,   // the route's port does not exist here
};

struct Hop {
  HopStatus status = HopStatus::no_route;
  packet::PortId port = packet::kNoPort;
  std::uint16_t mtu = 0;
  NeighborIndex neighbor = kNoNeighbor;

  bool can_transmit() const { return status == HopStatus::usable || status == HopStatus::unresolved; }
};

// The reason to drop a packet for that cannot be transmitted. Precondition: !can_transmit(), not local.
DropReason drop_reason_of(HopStatus status);

enum class L4Checksum : std::uint8_t {
  right,      // as it stands, e.g. mended by deltas; or there is none
  recompute,  // TCP or UDP: in full, by the port if it can, else here (partial checksums, new packets)
};

struct TransmitSpec {
  std::uint8_t l3_offset = wire::kEthernetLength;  // where IPv4 begins; what is in front is replaced
  L4Checksum l4 = L4Checksum::right;
  bool ipv4_checksum = false;  // true: the header checksum must be computed; false: it is right
};

class IpOutput {
 public:
  struct Context {
    std::span<const packet::PortInfo> ports;  // indexed by PortId
    const Fib& fib;
    NeighborTable& neighbors;
    const LocalAddresses& local;
    const packet::PacketPool& pool;
    packet::TxSink& sink;
    packet::Drops& drops;
    const ForwardingEpoch& epoch;
  };
  explicit IpOutput(const Context& context) : context_(context) { pieces_.reserve(64); }

  // The way to a destination; `cache` is read, and filled in when the way is usable.
  Hop route(Instant now, Ipv4Address destination, std::uint32_t flow_hash, CachedHop& cache) {
    if (remembers(cache)) [[likely]]
      return remembered(cache);
    return route_uncached(now, destination, flow_hash, cache);
  }
  Hop route(Instant now, Ipv4Address destination, std::uint32_t flow_hash) {
    CachedHop unused;
    return route_uncached(now, destination, flow_hash, unused);
  }

  // Takes the packet over and sends it (or lets it wait for ARP; fragments it when larger than the MTU and DF is
  // clear). Precondition: hop.can_transmit(); the frame has no padding.
  void transmit(Instant now, packet::Packet packet, const Hop& hop, const TransmitSpec& spec) {
    const bool as_it_is = spec.l3_offset == wire::kEthernetLength && spec.l4 == L4Checksum::right &&
                          !spec.ipv4_checksum && packet.length() <= wire::kEthernetLength + std::uint32_t{hop.mtu} &&
                          context_.neighbors.is_usable(hop.neighbor);
    if (!as_it_is) [[unlikely]]
      return transmit_slowly(now, packet, hop, spec);
    packet::clear_offload_flags(packet);
    context_.neighbors.use(now, hop.neighbor).write(packet.data());
    context_.sink.push(hop.port, packet);
  }

  // The same for most packets of flows: whole frames as they must leave, MAC addresses aside, whose remembered way is
  // still right and asks nothing. First whether it is one, for what is changed in a packet cannot be taken back.
  // Null: it is not, transmit() has something to decide.
  NeighborLink* way_at_once(const CachedHop& cache, std::uint16_t l3_length) const {
    if (!remembers(cache)) [[unlikely]]
      return nullptr;
    NeighborLink& way = context_.neighbors.link(cache.neighbor);
    return l3_length <= way.at_once_max ? &way : nullptr;
  }
  void pass(Instant now, packet::Packet packet, NeighborLink& way) {
    const packet::PortId port = way.port;
    way.used = now;
    way.rewrite.write(packet.data());
    packet::clear_offload_flags(packet);
    context_.sink.push(port, packet);
  }

  // Straight to a port, to a known MAC address: for the host port, where there is nothing to look up.
  void transmit_to(packet::Packet packet, packet::PortId port, const MacAddress& destination, const TransmitSpec& spec);

  // Takes over a packet whose destination decides everything: routes and transmits it, or drops it with its reason.
  // `flow_hash` picks among equal-cost ways. Too large with DF set: dropped as fragmentation_needed.
  // A destination that is ours is dropped as looped_to_self: ask LocalAddresses first where that can be.
  void send(Instant now, packet::Packet packet, const TransmitSpec& spec, std::uint32_t flow_hash = 0);

 private:
  bool remembers(const CachedHop& cache) const { return cache.epoch == context_.epoch.value(); }
  Hop remembered(const CachedHop& cache) const {
    const packet::PortId port = context_.neighbors.port_of(cache.neighbor);
    return {HopStatus::usable, port, context_.ports[port].mtu, cache.neighbor};
  }
  // transmit() of a packet that must be changed, cut, or wait.
  void transmit_slowly(Instant now, packet::Packet packet, Hop hop, TransmitSpec spec);
  Hop route_uncached(Instant now, Ipv4Address destination, std::uint32_t flow_hash, CachedHop& cache);
  // Moves the frame's start so that Ethernet's 14 bytes are just before IPv4.
  bool place_ethernet(packet::Packet packet, std::uint8_t l3_offset);
  void complete_checksums(packet::Packet packet, const packet::PortInfo& port, const TransmitSpec& spec, bool offload);
  void push(Instant now, packet::Packet frame, const Hop& hop);
  template <typename Push>
  void cut(packet::Packet packet, const packet::PortInfo& port, const TransmitSpec& spec, Push push_piece);

  Context context_;
  std::vector<packet::Packet> pieces_;
};

}  // namespace sluice::ip
