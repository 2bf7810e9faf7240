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

// The first segment, a SYN from the client.
void open_tcp(L4Flow& flow, const TcpSegment& syn);
// Any further one.
TcpVerdict track_tcp(L4Flow& flow, Direction direction, const TcpSegment& segment);

// How long the flow may be idle in its state.
Duration idle_timeout(const L4Flow& flow);

}  // namespace sluice::lb
