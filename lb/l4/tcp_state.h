// TCP state of a forwarded flow: what a segment does to it, and whether it may pass.
//
// A middle box need not judge data: the ends do. But what changes the flow must be believable, or anybody could end a
// stranger's connection: a RST ends it only with a sequence number between what the other end acknowledged and what
// this end sent (RFC 5961 §3.2 asks for the exact one; those inside the window are passed on for the end to challenge,
// others are dropped), and a FIN counts only inside the window.
//
// Called by: lb/l4/l4. Runs on: workers. Follows: RFC 9293 §3.10, RFC 5961, RFC 7323 (window scale).
// Tested by: tests/lb/l4/tcp_state_test.cc
#pragma once

#include <algorithm>
#include <cstdint>

#include "dataplane/wire/parse.h"
#include "lb/l4/flow.h"

namespace sluice::lb {

struct TcpSegment {
  std::uint32_t sequence = 0;
  std::uint32_t acknowledgment = 0;
  std::uint32_t payload = 0;  // bytes
  std::uint16_t window = 0;
  std::uint8_t flags = 0;
  wire::ConstBytes options;

  // `frame`: from its first byte.
  static TcpSegment of(const std::uint8_t* frame, const wire::Layers& layers);
  bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
  // Behind its last byte, SYN and FIN counted.
  std::uint32_t end() const {
    return sequence + payload + (has(wire::kTcpSyn) ? 1u : 0u) + (has(wire::kTcpFin) ? 1u : 0u);
  }
};

enum class TcpVerdict : std::uint8_t {
  pass,
  invalid,  // drop it as tcp_invalid_state
  ends,     // pass it on, then the flow is over
  reopen,   // a new connection from the same port: end this flow and treat the segment as a first one
};

// The least window that is believed in: until its scale is known one may be larger than it looks.
inline constexpr std::uint32_t kWindowMin = 65535;

// The receive window that a segment offers, scaled.
inline std::uint32_t offered_window(const L4Flow& flow, Direction d, std::uint16_t window, bool syn) {
  // The window of a SYN is never scaled (RFC 7323 §2.2).
  const unsigned shift = syn ? 0 : flow.scale[index_of(d)];
  return std::max(std::uint32_t{window} << shift, kWindowMin);
}

// What a segment says of its sender, if some of it lies in what the receiver is ready for; `end`: behind its last byte.
// False: it does not, and its receiver judges it.
inline bool note_segment(L4Flow& flow, Direction d, std::uint32_t sequence, std::uint32_t end,
                         std::uint32_t acknowledgment, std::uint16_t window) {
  TcpSide& sender = flow.sides[index_of(d)];
  const TcpSide& receiver = flow.sides[index_of(opposite(d))];
  if (!wire::seq_before_eq(receiver.ack, end) || !wire::seq_before_eq(sequence, receiver.ack + receiver.window)) {
    return false;
  }
  if (wire::seq_before(sender.end, end)) sender.end = end;
  if (wire::seq_before(sender.ack, acknowledgment) && wire::seq_before_eq(acknowledgment, receiver.end)) {
    sender.ack = acknowledgment;
  }
  // Never below kWindowMin to begin with (open_tcp, on_syn_from_server).
  const std::uint32_t offered = std::uint32_t{window} << flow.scale[index_of(d)];
  if (sender.window < offered) sender.window = offered;
  return true;
}

// Whether a segment can change nothing but numbers: data and ACKs of an established connection, most of all traffic.
inline bool is_plain(const L4Flow& flow, std::uint8_t tcp_flags) {
  return flow.state == FlowState::established && (tcp_flags & (wire::kTcpSyn | wire::kTcpFin | wire::kTcpRst)) == 0;
}
// Tracks such a one: track_tcp() in short, and it passes.
inline void track_plain(L4Flow& flow, Direction d, const std::uint8_t* tcp, std::uint32_t payload) {
  const std::uint32_t sequence = wire::load_be32(tcp + wire::kTcpSequence);
  note_segment(flow, d, sequence, sequence + payload, wire::load_be32(tcp + wire::kTcpAcknowledgment),
               wire::load_be16(tcp + wire::kTcpWindow));
}

// The first segment, a SYN from the client.
void open_tcp(L4Flow& flow, const TcpSegment& syn);
// Any further one.
TcpVerdict track_tcp(L4Flow& flow, Direction direction, const TcpSegment& segment);

// How long the flow may be idle in its state.
Duration idle_timeout(const L4Flow& flow);

}  // namespace sluice::lb
