// Address translation of one packet in place: addresses, ports, TTL, checksums by what is known to change.
//
// Called by: lb/l4. Runs on: workers. Follows: RFC 3022 §4, RFC 1624. Tested by: tests/lb/datapath/*
#pragma once

#include "dataplane/wire/parse.h"
#include "lb/l4/flow.h"

namespace sluice::lb {

// The addresses that a packet of direction `d` leaves with.
inline flow::FlowKey translated(const L4Flow& flow, Direction d) { return flow.keys[index_of(opposite(d))].reversed(); }

// Computes the deltas of both directions from the keys: what one takes away the other adds.
inline void prepare_deltas(L4Flow& flow) {
  const flow::FlowKey& from = flow.keys[0];
  const flow::FlowKey to = translated(flow, Direction::from_client);
  wire::ChecksumDelta addresses;
  addresses.replace32(from.source.value, to.source.value);
  addresses.replace32(from.destination.value, to.destination.value);
  wire::ChecksumDelta l4 = addresses;
  l4.replace16(from.src_port, to.src_port);
  l4.replace16(from.dst_port, to.dst_port);
  flow.l4_delta[0] = l4.raw();
  flow.l4_delta[1] = l4.reversed().raw();
  for (auto& [d, delta] : {std::pair{0u, addresses}, std::pair{1u, addresses.reversed()}}) {
    wire::ChecksumDelta with_ttl = delta;
    with_ttl.replace16(0x0100, 0);  // the TTL is the upper half of its word
    flow.ip_delta[d] = with_ttl.raw();
  }
}

// The same for what most packets are: TCP, not from our own host, its checksum to be mended. `ipv4` has no options.
[[gnu::always_inline]] inline void rewrite_plain(const L4Flow& flow, Direction d, std::uint8_t* ipv4) {
  std::uint8_t* const tcp = ipv4 + wire::kIpv4Length;
  flow.keys[index_of(opposite(d))].emit_reversed(ipv4, tcp);
  ipv4[wire::kIpv4Ttl] = static_cast<std::uint8_t>(ipv4[wire::kIpv4Ttl] - 1);
  wire::mend_checksum(ipv4 + wire::kIpv4Checksum, flow.ip_delta[index_of(d)]);
  wire::mend_checksum(tcp + wire::kTcpChecksum, flow.l4_delta[index_of(d)]);
}

// `ipv4` and `l4` point at the headers. keep_ttl: it comes from our own host. With mend_l4 false the L4 checksum is
// left for who recomputes it.
inline void rewrite(const L4Flow& flow, Direction d, std::uint8_t* ipv4, std::uint8_t* l4, bool keep_ttl,
                    bool mend_l4) {
  const flow::FlowKey& back = flow.keys[index_of(opposite(d))];  // source and destination the other way round
  back.emit_reversed(ipv4, l4);
  wire::mend_checksum(ipv4 + wire::kIpv4Checksum, flow.ip_delta[index_of(d)]);
  if (keep_ttl) [[unlikely]] {
    wire::ChecksumDelta ttl;
    ttl.replace16(0, 0x0100);
    wire::mend_checksum(ipv4 + wire::kIpv4Checksum, ttl.raw());
  } else {
    ipv4[wire::kIpv4Ttl] = static_cast<std::uint8_t>(ipv4[wire::kIpv4Ttl] - 1);
  }
  if (!mend_l4) return;
  const std::uint16_t delta = flow.l4_delta[index_of(d)];
  if (flow.is_tcp()) return wire::mend_checksum(l4 + wire::kTcpChecksum, delta);
  std::uint8_t* const field = l4 + wire::kUdpChecksum;
  if (wire::load_raw<std::uint16_t>(field) == 0) return;  // none
  wire::mend_checksum(field, delta);
  if (wire::load_raw<std::uint16_t>(field) == 0) wire::store_raw<std::uint16_t>(field, 0xffff);  // RFC 768
}

}  // namespace sluice::lb
