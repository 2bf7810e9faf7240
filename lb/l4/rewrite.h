// Address translation of one packet in place: addresses, ports, TTL, checksums by what is known to change.
//
// Called by: lb/l4. Runs on: workers. Follows: RFC 3022 §4, RFC 1624. Tested by: tests/lb/datapath/*
#pragma once

#include "dataplane/wire/parse.h"
#include "lb/l4/flow.h"

namespace sluice::lb {

// The addresses that a packet of direction `d` leaves with.
inline flow::FlowKey translated(const L4Flow& flow, Direction d) { return flow.keys[index_of(opposite(d))].reversed(); }

// Computes the deltas of both directions from the keys.
inline void prepare_deltas(L4Flow& flow) {
  for (const Direction d : {Direction::from_client, Direction::from_server}) {
    const flow::FlowKey& from = flow.keys[index_of(d)];
    const flow::FlowKey to = translated(flow, d);
    wire::ChecksumDelta addresses;
    addresses.replace32(from.source.value, to.source.value);
    addresses.replace32(from.destination.value, to.destination.value);
    wire::ChecksumDelta l4 = addresses;
    l4.replace16(from.src_port, to.src_port);
    l4.replace16(from.dst_port, to.dst_port);
    addresses.replace16(0x0100, 0);  // the TTL is the upper half of its word
    flow.ip_delta[index_of(d)] = addresses.value();
    flow.l4_delta[index_of(d)] = l4.value();
  }
}

// `ipv4` and `l4` point at the headers. keep_ttl: it comes from our own host. With mend_l4 false the L4 checksum is
// left for who recomputes it.
inline void rewrite(const L4Flow& flow, Direction d, std::uint8_t* ipv4, std::uint8_t* l4, bool keep_ttl,
                    bool mend_l4) {
  const flow::FlowKey& back = flow.keys[index_of(opposite(d))];  // source and destination the other way round
  back.emit_reversed(ipv4, l4);
  wire::ChecksumDelta ip_delta(flow.ip_delta[index_of(d)]);
  if (keep_ttl) [[unlikely]] {
    ip_delta.replace16(0, 0x0100);
  } else {
    ipv4[wire::kIpv4Ttl] = static_cast<std::uint8_t>(ipv4[wire::kIpv4Ttl] - 1);
  }
  wire::store_be16(ipv4 + wire::kIpv4Checksum, ip_delta.apply(wire::load_be16(ipv4 + wire::kIpv4Checksum)));
  if (!mend_l4) return;
  const wire::ChecksumDelta l4_delta(flow.l4_delta[index_of(d)]);
  if (flow.is_tcp()) {
    std::uint8_t* field = l4 + wire::kTcpChecksum;
    wire::store_be16(field, l4_delta.apply(wire::load_be16(field)));
  } else {
    std::uint8_t* field = l4 + wire::kUdpChecksum;
    wire::store_be16(field, l4_delta.apply_udp(wire::load_be16(field)));
  }
}

}  // namespace sluice::lb
