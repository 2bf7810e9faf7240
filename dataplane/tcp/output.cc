// Segments that leave: what may be sent now, how a chunk becomes a segment without copying its bytes, and bare ACKs and
// RSTs.
//
// A chunk's headers are written into the headroom in front of its bytes whenever nobody else reads that packet; while
// the NIC still holds an earlier transmission, or the bytes are part of a shared packet, the headers get a small packet
// of their own and the bytes are chained behind it by reference.
#include <algorithm>

#include "dataplane/packet/chain.h"
#include "dataplane/tcp/segment.h"

namespace sluice::tcp {

using wire::kTcpAck, wire::kTcpFin, wire::kTcpPsh, wire::kTcpRst, wire::kTcpSyn;

namespace {
constexpr std::uint16_t kHeaderRoom = 60 + 20 + 18;  // TCP with options, IPv4, Ethernet with a tag
}

// ---- what may leave
// ----------------------------------------------------------------------------------------------------

void Stack::output(Instant now, Conn& conn) {
  if (conn.synchronized() && conn.flight() == 0 && conn.has_unsent()) {
    note_limited(conn.congestion, now);
    if (now - conn.last_sent > conn.rtt.rto()) restart_after_idle(conn.congestion);
  }
  bool sent = output_lost(now, conn);
  if (conn.state != State::syn_sent && conn.state != State::syn_received) {
    while (output_new(now, conn)) sent = true;
    if (conn.has_unsent() && conn.flight() == 0) wait_for_window(now, conn);
  } else if (conn.first_unsent && conn.first_unsent->syn) {
    sent = output_chunk(now, conn, *conn.first_unsent) || sent;
  }
  if (sent && conn.retransmit_at == kInstantMax) arm_retransmit(now, conn, false);
  if (conn.ack_now && conn.state != State::syn_sent) output_ack(now, conn, acceptable_sequence(conn));
  arm(conn);
}

bool Stack::may_send(const Conn& conn, const Chunk& chunk) const {
  const std::uint32_t pipe = conn.in_flight();
  return pipe == 0 || pipe + chunk.span() <= conn.congestion.cwnd;
}

// Of a segment without bytes, such that the peer takes it: one that took back its window would find what we have sent
// beyond it out of its window, and with it every acknowledgment.
Seq Stack::acceptable_sequence(const Conn& conn) {
  if (!conn.synchronized()) return conn.snd_nxt;
  return min(conn.snd_nxt, conn.snd_una + conn.snd_wnd);
}

// Again, what is taken for lost; oldest first.
bool Stack::output_lost(Instant now, Conn& conn) {
  bool sent = false;
  for (Chunk* chunk = conn.send_queue.front(); chunk && chunk->sent() && conn.lost_bytes > 0; chunk = chunk->next) {
    if (!chunk->lost) continue;
    if (!may_send(conn, *chunk) || !output_chunk(now, conn, *chunk)) break;
    sent = true;
  }
  return sent;
}

// The next chunk that was never sent. False when the windows are full or there is none.
bool Stack::output_new(Instant now, Conn& conn) {
  Chunk* chunk = conn.first_unsent;
  if (!chunk) return false;
  const std::uint32_t room = window_room(conn);
  if (chunk->length == 0 && room == 0) return false;  // a FIN has its place in the window too
  if (chunk->length > room) {
    // Silly window avoidance, RFC 9293 section 3.8.6.2.1: a full segment, or half the largest window ever offered.
    const std::uint32_t enough = std::min<std::uint32_t>(conn.snd_mss, std::max(conn.snd_wnd_max / 2, 1U));
    if (room < enough) return false;
    if (room < conn.snd_mss && !split(conn, *chunk, room)) return false;
  }
  if (chunk->length > conn.snd_mss && !split(conn, *chunk, conn.snd_mss)) return false;
  if (chunk->fin && chunk->span() > room && !split_fin(conn, *chunk)) return false;  // the FIN has to wait
  if (!may_send(conn, *chunk)) return false;
  // RFC 9293 section 3.7.4, by all that waits: several small runs are no reason to wait once they fill a segment.
  if (conn.options->nagle && conn.snd_end - chunk->seq < conn.snd_mss && conn.flight() > 0 && !conn.fin_queued)
    return false;
  return output_chunk(now, conn, *chunk);
}

// Bytes that the peer has room for behind those sent.
std::uint32_t Stack::window_room(const Conn& conn) const {
  const Seq edge = conn.snd_una + conn.snd_wnd;
  return edge > conn.snd_nxt ? edge - conn.snd_nxt : 0;
}

// Nothing is in flight and the peer has no room: nothing but our probe will ever make it speak again.
void Stack::wait_for_window(Instant now, Conn& conn) {
  if (conn.retransmit_at != kInstantMax && conn.retransmit_kind == Conn::Retransmit::window_probe) return;
  if (conn.snd_wnd == 0) note_window_shut(now, conn);
  set_retransmit(conn, now + conn.rtt.rto(), Conn::Retransmit::window_probe);
}

// ---- a chunk as a segment
// ----------------------------------------------------------------------------------------------

// Makes data() of the chunk's packet its first byte again.
bool Stack::strip_headers(Chunk& chunk) {
  const std::uint32_t front = std::uint32_t{chunk.header_length} + chunk.acked_front;
  if (front == 0) return true;
  if (packet::is_shared(chunk.packet)) {
    const packet::Packet bytes = packet::share(chunk.packet, pool_);
    if (!bytes) return false;
    drops_.count_generated();
    drops_.consume(chunk.packet);
    chunk.packet = bytes;
  }
  packet::trim_front(chunk.packet, front);
  chunk.header_length = 0;
  chunk.acked_front = 0;
  return true;
}

// A packet to write the chunk's headers in front of; the network takes it over, the chunk keeps its own reference.
packet::Packet Stack::packet_for(Chunk& chunk) {
  if (!chunk.packet) return new_packet();
  if (!strip_headers(chunk)) return {};
  if (packet::may_prepend(chunk.packet, kHeaderRoom)) {
    packet::add_reference(chunk.packet);
    drops_.count_generated();
    return chunk.packet;
  }
  const packet::Packet head = pool_.allocate();
  if (!head) return {};
  const packet::Packet bytes = packet::share(chunk.packet, pool_);
  if (bytes && packet::append_chain(head, bytes)) {
    drops_.count_generated();
    return head;
  }
  if (bytes) packet::discard(bytes);
  packet::discard(head);
  return {};
}

packet::Packet Stack::new_packet() {
  const packet::Packet packet = pool_.allocate();
  if (packet) drops_.count_generated();
  return packet;
}

bool Stack::output_chunk(Instant now, Conn& conn, Chunk& chunk) {
  if (chunk.length > conn.snd_mss && !split(conn, chunk, conn.snd_mss)) return false;
  const packet::Packet packet = packet_for(chunk);
  if (!packet) {
    counters_.no_packet.add();  // the retransmission timer tries again
    if (conn.retransmit_at == kInstantMax) set_retransmit(conn, now + conn.rtt.rto(), Conn::Retransmit::rto);
    return false;
  }
  const bool in_place = chunk.packet && packet.mbuf() == chunk.packet.mbuf();
  std::uint8_t flags = kTcpAck;
  if (chunk.syn) flags = conn.state == State::syn_sent ? kTcpSyn : kTcpSyn | kTcpAck;
  if (chunk.fin) flags |= kTcpFin;
  if (chunk.push && chunk.length > 0) flags |= kTcpPsh;

  const bool again = chunk.sent();
  if (chunk.lost) {
    chunk.lost = false;
    conn.lost_bytes -= chunk.span();
  }
  if (chunk.transmissions < 255) ++chunk.transmissions;
  chunk.sent_at = now;
  if (&chunk == conn.first_unsent) {
    conn.first_unsent = chunk.next;
    conn.snd_nxt = chunk.end();
  }
  if (again) {
    counters_.retransmitted_segments.add();
    if (conn.may_undo && (conn.in_recovery || conn.in_rto_recovery)) {
      conn.undo_bytes += chunk.length;
      conn.undo_sent = true;
    }
  }
  if (conn.in_recovery) conn.prr_out += chunk.span();
  counters_.bytes_out.add(chunk.length);
  emit(now, conn, packet, chunk.seq, flags);
  // Whatever stands in front of the bytes now, down to the Ethernet header, comes off before they are sent again.
  if (in_place) chunk.header_length = static_cast<std::uint8_t>(chunk.packet.length() - chunk.length);
  if (conn.retransmit_at == kInstantMax || conn.retransmit_kind == Conn::Retransmit::window_probe || !again)
    arm_retransmit(now, conn, conn.retransmit_kind == Conn::Retransmit::window_probe);
  return true;
}

// The first `length` bytes stay in `chunk`, the rest becomes a chunk behind it; both refer to the same buffers.
bool Stack::split(Conn& conn, Chunk& chunk, std::uint32_t length) {
  assert(length > 0 && length < chunk.length);
  if (!strip_headers(chunk)) return false;
  Chunk* rest = new_chunk();
  if (!rest) return false;
  const packet::Packet tail = packet::share(chunk.packet, pool_);
  const packet::Packet head = tail ? packet::share(chunk.packet, pool_) : packet::Packet{};
  if (!head) {
    if (tail) packet::discard(tail);
    chunks_.release(rest);
    counters_.no_packet.add();
    return false;
  }
  Chunk* const next = chunk.next;
  Chunk* const previous = chunk.previous;
  *rest = chunk;
  rest->next = next;
  rest->previous = previous;
  drops_.count_generated(2);
  drops_.consume(chunk.packet);
  packet::trim_front(tail, length);
  packet::truncate(head, length);
  rest->packet = tail;
  rest->seq = chunk.seq + length;
  rest->length = chunk.length - length;
  rest->syn = false;
  chunk.packet = head;
  conn.send_queue.adjust(-static_cast<std::int32_t>(rest->length));
  chunk.length = length;
  chunk.fin = false;
  conn.send_queue.insert_after(&chunk, rest);
  return true;
}

// The FIN of a chunk with bytes becomes a chunk of its own behind it.
bool Stack::split_fin(Conn& conn, Chunk& chunk) {
  Chunk* const fin = new_chunk();
  if (!fin) return false;
  fin->fin = true;
  fin->seq = chunk.seq + chunk.length;
  chunk.fin = false;
  conn.send_queue.insert_after(&chunk, fin);
  return true;
}

// Segments larger than the path now takes were dropped on it: they go again, in pieces.
void Stack::lower_mss(Conn& conn, std::uint16_t mss) {
  const auto payload = static_cast<std::uint16_t>(mss - (conn.timestamps_on ? kTimestampOptionLength : 0));
  if (payload >= conn.snd_mss) return;
  set_mss(conn, mss);
  for (Chunk* chunk = conn.send_queue.front(); chunk && chunk->sent(); chunk = chunk->next)
    if (chunk->length > conn.snd_mss) mark_lost(conn, *chunk);
}

// ---- headers
// -----------------------------------------------------------------------------------------------------------

std::uint32_t Stack::timestamp_now(Instant now, const Conn& conn) const { return ms_since_start(now) + conn.ts_offset; }

wire::TcpOptions Stack::options_for(Instant now, const Conn& conn, bool syn) const {
  wire::TcpOptions options;
  const bool offer = syn && conn.state == State::syn_sent;  // in a SYN-ACK only what the peer offered
  if (syn) {
    options.mss = conn.options->mss_max;
    if (offer ? conn.options->window_scale : conn.window_scale_on) options.window_scale = conn.rcv_wscale;
    options.sack_permitted = offer ? conn.options->sack : conn.sack_permitted;
  }
  if (offer ? conn.options->timestamps : conn.timestamps_on)
    options.timestamps = wire::TcpTimestamps{timestamp_now(now, conn), offer ? 0 : conn.ts_recent};
  return options;
}

// RFC 2018 section 4: the block that changed last comes first; a D-SACK (RFC 2883) before it.
void Stack::add_sack(Conn& conn, wire::TcpOptions& options) const {
  const unsigned most = options.timestamps ? 3 : 4;
  const auto add = [&](Seq begin, Seq end) {
    if (options.sack_count < most) options.sack[options.sack_count++] = {begin.value, end.value};
  };
  if (conn.dsack_pending) {
    add(conn.dsack_begin, conn.dsack_end);
    conn.dsack_pending = false;
  }
  Seq latest_begin, latest_end;
  bool latest_found = false;
  for (int pass = 0; pass < 2; ++pass) {
    for (const Chunk* chunk = conn.reorder_queue.front(); chunk;) {
      const Seq begin = chunk->seq;
      Seq end = chunk->seq + chunk->length;
      bool holds_latest = chunk->seq == conn.latest_reorder;
      while ((chunk = chunk->next) && chunk->seq == end) {
        holds_latest = holds_latest || chunk->seq == conn.latest_reorder;
        end += chunk->length;
      }
      if (begin == end) continue;  // a FIN alone
      if (pass == 0 && holds_latest) {
        latest_begin = begin;
        latest_end = end;
        latest_found = true;
        break;
      }
      if (pass == 1 && !(latest_found && begin == latest_begin)) add(begin, end);
    }
    if (pass == 0 && latest_found) add(latest_begin, latest_end);
  }
}

// The window field; remembers the right edge, which never moves back (RFC 9293 section 3.8.6).
std::uint16_t Stack::offered_window(Conn& conn, bool syn) {
  const std::uint32_t window = receive_window(conn);
  const std::uint32_t offered = conn.rcv_adv > conn.rcv_nxt ? conn.rcv_adv - conn.rcv_nxt : 0;
  // Receiver's silly window avoidance: the edge moves by a segment or half the buffer, or not at all.
  const std::uint32_t step = std::min<std::uint32_t>(conn.options->mss_max, conn.options->receive_buffer_bytes / 2);
  const std::uint32_t wanted = window >= offered + step ? window : offered;
  const unsigned scale = syn ? 0 : conn.rcv_wscale;
  const std::uint32_t unit = 1U << scale;
  const std::uint32_t field = std::min<std::uint32_t>((wanted + unit - 1) >> scale, 65535);
  conn.rcv_adv = max(conn.rcv_adv, conn.rcv_nxt + (field << scale));
  return static_cast<std::uint16_t>(field);
}

// Writes the TCP header in front of `packet` and hands it down.
bool Stack::emit(Instant now, Conn& conn, packet::Packet packet, Seq sequence, std::uint8_t flags) {
  const bool syn = (flags & kTcpSyn) != 0;
  wire::TcpOptions options = options_for(now, conn, syn);
  const auto payload = packet.length();
  bool owes_sack = false;
  if (conn.sack_permitted && !syn && (conn.dsack_pending || !conn.reorder_queue.empty())) {
    // A full segment has no room for it: then an ACK of its own says what came.
    owes_sack = payload > 0 && payload + 40 > conn.snd_mss;
    if (!owes_sack) add_sack(conn, options);
  }
  const auto header_length = static_cast<std::uint8_t>(wire::kTcpLength + wire::tcp_options_length(options));
  std::uint8_t* tcp = packet.prepend(header_length);
  if (!tcp) {
    drops_.drop(packet, DropReason::packet_too_large);
    return false;
  }
  wire::TcpHeader header{.src_port = conn.tuple.local.port,
                         .dst_port = conn.tuple.remote.port,
                         .sequence = sequence.value,
                         .acknowledgment = (flags & kTcpAck) != 0 ? conn.rcv_nxt.value : 0,
                         .header_length = header_length,
                         .flags = flags,
                         .window = 0};
  header.window = (flags & kTcpRst) != 0 ? std::uint16_t{0} : offered_window(conn, syn);
  wire::emit_tcp(tcp, header);
  wire::emit_tcp_options(tcp + wire::kTcpLength, options);
  if ((flags & kTcpAck) != 0) {  // every ACK that leaves settles what was owed
    conn.ack_now = conn.ack_now && owes_sack;
    conn.delayed_ack_at = kInstantMax;
    conn.unacked_segments = 0;
    conn.last_ack_sent = conn.rcv_nxt;
  }
  if (payload > 0 || (flags & (kTcpSyn | kTcpFin)) != 0) conn.last_sent = now;
  counters_.segments_out.add();
  network_.output(now, conn, packet);
  return true;
}

void Stack::output_ack(Instant now, Conn& conn, Seq sequence) {
  const packet::Packet packet = new_packet();
  if (!packet) {
    counters_.no_packet.add();
    return;
  }
  emit(now, conn, packet, sequence, kTcpAck);
}

void Stack::output_reset(Instant now, Conn& conn) {
  const packet::Packet packet = new_packet();
  if (!packet) {
    counters_.no_packet.add();
    return;
  }
  counters_.resets_sent.add();
  emit(now, conn, packet, conn.snd_nxt, kTcpRst | kTcpAck);
}

// RFC 9293 section 3.10.7.1: a reset that the sender of `segment` will believe.
void Stack::reply_reset(Instant now, const Tuple& tuple, const Segment& segment) {
  if (!resets_.take(now)) return;
  const packet::Packet packet = new_packet();
  if (!packet) {
    counters_.no_packet.add();
    return;
  }
  wire::TcpHeader header{.src_port = tuple.local.port, .dst_port = tuple.remote.port, .flags = kTcpRst};
  if (segment.has(kTcpAck)) {
    header.sequence = segment.ack.value;
  } else {
    header.acknowledgment = segment.end().value;
    header.flags = kTcpRst | kTcpAck;
  }
  wire::emit_tcp(packet.append(wire::kTcpLength), header);
  counters_.resets_sent.add();
  network_.output_reply(now, tuple, packet);
}

}  // namespace sluice::tcp
