// The transitions of a forwarded TCP flow; see tcp_state.h.
#include "lb/l4/tcp_state.h"

#include <algorithm>

namespace sluice::lb {
namespace {

using wire::seq_before;
using wire::seq_before_eq;

std::uint32_t offered_window(const L4Flow& flow, Direction d, const TcpSegment& segment) {
  return offered_window(flow, d, segment.window, segment.has(wire::kTcpSyn));
}

void note_scale(L4Flow& flow, Direction d, const TcpSegment& segment) {
  const auto options = wire::parse_tcp_options(segment.options);
  if (!options.window_scale) return;
  flow.flags |= L4Flow::kScale[index_of(d)];
  flow.scale[index_of(d)] = std::min<std::uint8_t>(*options.window_scale, 14);
}

// Some of it lies in what the receiver is ready for.
bool in_window(const TcpSide& receiver, const TcpSegment& segment) {
  return seq_before_eq(receiver.ack, segment.end()) && seq_before_eq(segment.sequence, receiver.ack + receiver.window);
}

TcpVerdict on_reset(L4Flow& flow, Direction d, const TcpSegment& segment) {
  const TcpSide& sender = flow.sides[index_of(d)];
  const TcpSide& receiver = flow.sides[index_of(opposite(d))];
  if (flow.state == FlowState::syn_sent) {
    if (d == Direction::from_server) {
      return segment.has(wire::kTcpAck) && segment.acknowledgment == receiver.end ? TcpVerdict::ends
                                                                                  : TcpVerdict::invalid;
    }
    // The answer to a challenge: it frees the member's old connection, and the client's SYN will come again.
    if (segment.sequence == receiver.ack && receiver.window != 0) return TcpVerdict::pass;
    return segment.sequence == sender.end ? TcpVerdict::ends : TcpVerdict::invalid;
  }
  const bool exact = segment.sequence == receiver.ack ||
                     (seq_before(receiver.ack, segment.sequence) && seq_before_eq(segment.sequence, sender.end));
  if (exact) return TcpVerdict::ends;
  return in_window(receiver, segment) ? TcpVerdict::pass : TcpVerdict::invalid;
}

TcpVerdict on_syn_from_client(L4Flow& flow, const TcpSegment& segment) {
  if (segment.has(wire::kTcpAck)) return TcpVerdict::invalid;
  const bool again = segment.end() == flow.sides[0].end;
  switch (flow.state) {
    case FlowState::syn_sent:
      return again ? TcpVerdict::pass : TcpVerdict::reopen;
    case FlowState::closing:
      return flow.has(L4Flow::kFin[0]) && flow.has(L4Flow::kFin[1]) ? TcpVerdict::reopen : TcpVerdict::pass;
    case FlowState::time_wait:
      return TcpVerdict::reopen;
    default:
      return TcpVerdict::pass;  // the member challenges it (RFC 5961 §4)
  }
}

TcpVerdict on_syn_from_server(L4Flow& flow, const TcpSegment& segment) {
  TcpSide& client = flow.sides[0];
  TcpSide& server = flow.sides[1];
  if (!segment.has(wire::kTcpAck)) return TcpVerdict::invalid;
  if (flow.state != FlowState::syn_sent) {
    return segment.end() == server.end || flow.state == FlowState::established ? TcpVerdict::pass : TcpVerdict::invalid;
  }
  if (segment.acknowledgment != client.end) return TcpVerdict::invalid;
  note_scale(flow, Direction::from_server, segment);
  if (!flow.has(L4Flow::kScale[0]) || !flow.has(L4Flow::kScale[1])) flow.scale[0] = flow.scale[1] = 0;
  server = {segment.end(), segment.acknowledgment, offered_window(flow, Direction::from_server, segment)};
  client.ack = server.end;  // what it must acknowledge next
  flow.state = FlowState::syn_received;
  return TcpVerdict::pass;
}

}  // namespace

TcpSegment TcpSegment::of(const std::uint8_t* frame, const wire::Layers& layers) {
  const std::uint8_t* tcp = frame + layers.l4_offset;
  const auto header_length = static_cast<std::size_t>(layers.payload_offset - layers.l4_offset);
  return {wire::load_be32(tcp + wire::kTcpSequence),
          wire::load_be32(tcp + wire::kTcpAcknowledgment),
          layers.payload_length(),
          wire::load_be16(tcp + wire::kTcpWindow),
          layers.tcp_flags,
          {tcp + wire::kTcpLength, header_length - wire::kTcpLength}};
}

void open_tcp(L4Flow& flow, const TcpSegment& syn) {
  flow.state = FlowState::syn_sent;
  note_scale(flow, Direction::from_client, syn);
  flow.sides[0] = {syn.end(), 0, offered_window(flow, Direction::from_client, syn)};
}

TcpVerdict track_tcp(L4Flow& flow, Direction d, const TcpSegment& segment) {
  if (segment.has(wire::kTcpRst)) return on_reset(flow, d, segment);
  if (segment.has(wire::kTcpSyn)) {
    return d == Direction::from_client ? on_syn_from_client(flow, segment) : on_syn_from_server(flow, segment);
  }
  TcpSide& sender = flow.sides[index_of(d)];
  TcpSide& receiver = flow.sides[index_of(opposite(d))];
  if (flow.state == FlowState::syn_sent) {
    // A member that still has an old connection from this port (TIME_WAIT, most often) challenges the SYN: the client
    // resets what the member believes in (RFC 9293 §3.5.2) and tries again. A client cannot acknowledge anything yet.
    if (d == Direction::from_client) return TcpVerdict::invalid;
    sender.ack = segment.acknowledgment;
    sender.window = kWindowMin;
    return TcpVerdict::pass;
  }
  if (flow.state == FlowState::syn_received && d == Direction::from_client) {
    if (segment.acknowledgment != receiver.end) return TcpVerdict::invalid;
    flow.state = FlowState::established;
  }
  if (!note_segment(flow, d, segment.sequence, segment.end(), segment.acknowledgment, segment.window)) {
    return TcpVerdict::pass;
  }
  if (segment.has(wire::kTcpFin) && flow.state >= FlowState::established) {
    flow.flags |= L4Flow::kFin[index_of(d)];
    if (flow.state == FlowState::established) flow.state = FlowState::closing;
  }
  const bool both_over = flow.has(L4Flow::kFin[0]) && flow.has(L4Flow::kFin[1]) &&
                         flow.sides[0].ack == flow.sides[1].end && flow.sides[1].ack == flow.sides[0].end;
  if (both_over) flow.state = FlowState::time_wait;
  return TcpVerdict::pass;
}

Duration idle_timeout(const L4Flow& flow) {
  const auto& idle = flow.virtual_server->idle;
  switch (flow.state) {
    case FlowState::syn_sent:
    case FlowState::syn_received:
      return idle.half_open.load(std::memory_order_relaxed);
    case FlowState::established:
      return idle.established.load(std::memory_order_relaxed);
    case FlowState::closing:
      return idle.closing.load(std::memory_order_relaxed);
    case FlowState::time_wait:
      return idle.time_wait.load(std::memory_order_relaxed);
    case FlowState::one_way:
    case FlowState::two_way:
      return idle.udp.load(std::memory_order_relaxed);
  }
  return idle.established.load(std::memory_order_relaxed);
}

}  // namespace sluice::lb
