// The inside of Stack: a segment as read, and what an acknowledgment brought. Not for other folders.
//
// Called by: tcp/*.cc. Runs on: workers. Follows: RFC 9293 section 3.10.7, RFC 8985 section 6.
#pragma once

#include "dataplane/tcp/stack.h"

namespace sluice::tcp {

// A segment with its bytes: once read, packet.data() is the first payload byte.
struct Stack::Segment {
  wire::TcpHeader header;
  wire::TcpOptions options;
  packet::Packet packet;  // false once taken over or thrown away
  Seq seq;
  Seq ack;
  std::uint32_t length = 0;  // payload bytes
  bool fin = false;          // FIN counts (cleared when it lies beyond the window)

  bool has(std::uint8_t flag) const { return (header.flags & flag) != 0; }
  Seq end() const { return seq + length + (fin ? 1U : 0U) + (has(wire::kTcpSyn) ? 1U : 0U); }
};

struct Stack::AckProgress {
  std::uint32_t acked_bytes = 0;      // cumulatively, of the sequence space
  std::uint32_t delivered_bytes = 0;  // acknowledged or sacked for the first time
  bool sack_news = false;             // a block covered something new
  bool dsack = false;                 // RFC 2883
  bool is_duplicate = false;          // RFC 5681 section 2
  bool is_bare = false;               // acknowledges nothing new and brings nothing
  bool has_echo = false;              // of one of our timestamps
  std::uint32_t echo = 0;
  bool window_was_used = false;  // cwnd was what held us back
  bool repaired = false;         // something that was sent more than once is acknowledged: no round trip (Karn)
  Seq prior_una;
  Seq prior_fack;  // what had been delivered at most before
  Duration rtt{};  // of the most recently sent chunk delivered that was sent once; 0: none
};

// Bytes of options in every segment of an established conn.
constexpr std::uint8_t kTimestampOptionLength = 12;  // with its two NOPs

}  // namespace sluice::tcp
