// L4Flow: one forwarded connection, two cache lines; and its FlowState as `show flows` prints it.
//
// The keys are the addresses as they arrive on either side, so each direction's rewrite is the other key reversed.
//
// Called by: lb/l4. Runs on: the worker that owns it. Tested by: tests/lb/l4/*
#pragma once

#include "dataplane/flow/flow_table.h"
#include "dataplane/ip/output.h"
#include "lb/l4/flow_view.h"
#include "lb/snapshot/runtime.h"

namespace sluice::lb {

using flow::Direction;

// What one end of a TCP connection has sent, as far as we saw.
struct TcpSide {
  std::uint32_t end = 0;     // behind the last byte sent
  std::uint32_t ack = 0;     // the highest acknowledgment sent
  std::uint32_t window = 0;  // the largest receive window offered, scaled
};

struct alignas(64) L4Flow : flow::Entry {
  // What changes in the checksums on the way through, by Direction, for mend_checksum(); the header's includes one off
  // the TTL.
  std::uint16_t ip_delta[2]{};
  std::uint16_t l4_delta[2]{};
  FlowState state = FlowState::syn_sent;
  std::uint8_t flags = 0;
  std::uint8_t scale[2]{};  // TCP window scale, by Direction; valid once both have offered one
  MemberRuntime* member = nullptr;
  VirtualServerRuntime* virtual_server = nullptr;
  TcpSide sides[2];       // by the Direction of the one who sends
  ip::CachedHop hops[2];  // the way out for packets of that Direction
  std::uint32_t packets[2]{};
  std::uint64_t bytes[2]{};

  static constexpr std::uint8_t kFin[2] = {1, 2};    // this side has sent its FIN
  static constexpr std::uint8_t kScale[2] = {4, 8};  // this side's SYN offered window scale
  static constexpr std::uint8_t kSilenced = 16;      // its member is down and its packets are dropped
  static constexpr std::uint8_t kLingers = 32;       // it is over (TIME_WAIT) and counts as a connection of nobody

  bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
  // TCP, past its handshake, no end in sight, and its packets pass.
  bool is_established() const { return state == FlowState::established && !has(kSilenced); }
  bool is_tcp() const { return state <= FlowState::time_wait; }
  std::uint8_t protocol() const { return keys[0].protocol; }
};
static_assert(sizeof(L4Flow) == 128);

// Picks among equal-cost ways: the same for all packets of a flow, and known before it has its server side.
inline std::uint32_t route_hash(const flow::FlowKey& client) {
  return (client.source.value * 0x9e3779b9u ^ std::uint32_t{client.src_port} << 16 ^ client.dst_port) * 0x85ebca6bu;
}

using L4FlowTable = flow::FlowTable<L4Flow>;

constexpr unsigned index_of(Direction d) { return static_cast<unsigned>(d); }

}  // namespace sluice::lb
