// Segments that arrive: the order of checks is that of RFC 9293 section 3.10.7, with RFC 5961 and RFC 7323 worked in.
#include <algorithm>
#include <bit>

#include "dataplane/packet/chain.h"
#include "dataplane/tcp/segment.h"

namespace sluice::tcp {

using wire::kTcpAck, wire::kTcpFin, wire::kTcpRst, wire::kTcpSyn;

namespace {
constexpr std::uint32_t kPawsAge_s = 24 * 86400;    // RFC 7323 section 5.5: ts_recent this old proves nothing
constexpr std::uint32_t kReorderChunksMin = 256;    // runs kept out of order, at least; see reorder_chunks_max
constexpr std::uint32_t kReorderRunBytes = 512;     // what a run out of order is expected to have
constexpr std::uint32_t kCoalesceBytesMax = 256;    // a run this small is copied behind the one before it
constexpr std::uint32_t kSegmentsPerAck = 2;        // RFC 1122 4.2.3.2
constexpr std::uint32_t kBareAckInterval_ms = 100;  // answers of one conn to what lies outside of its window

// Runs kept out of order; more are taken for lost. A window full of ordinary segments behind a hole has to fit, or each
// loss in a long flight costs all that follows it; one full of single bytes does not.
std::uint32_t reorder_chunks_max(const Conn& conn) {
  return std::clamp(conn.options->receive_buffer_bytes / kReorderRunBytes, kReorderChunksMin, 65535U);
}
}  // namespace

// ---- reading
// -----------------------------------------------------------------------------------------------------------

// Takes the headers off: from here on packet.data() is payload. The parse has checked the lengths.
bool Stack::read_segment(packet::Packet packet, const wire::Layers& layers, Segment& segment) {
  const std::uint8_t* tcp = packet.data() + layers.l4_offset;
  const auto header =
      wire::parse_tcp({tcp, std::min<std::size_t>(packet.segment_length() - layers.l4_offset, wire::kTcpLengthMax)});
  if (!header) {
    drops_.drop(packet, DropReason::tcp_malformed);
    return false;
  }
  segment.header = *header;
  segment.options = wire::parse_tcp_options(
      {tcp + wire::kTcpLength, static_cast<std::size_t>(header->header_length - wire::kTcpLength)});
  segment.seq = {header->sequence};
  segment.ack = {header->acknowledgment};
  segment.length = layers.payload_length();
  segment.fin = (header->flags & kTcpFin) != 0;
  packet::truncate(packet, layers.frame_length());
  packet.trim_front(layers.payload_offset);
  segment.packet = packet;
  counters_.segments_in.add();
  counters_.bytes_in.add(segment.length);
  return true;
}

void Stack::discard(Segment& segment) {
  if (!segment.packet) return;
  drops_.consume(segment.packet);
  segment.packet = {};
}

// ---- the entry
// ---------------------------------------------------------------------------------------------------------

void Stack::input(Instant now, Conn& conn, packet::Packet packet, const wire::Layers& layers) {
  Segment segment;
  if (!read_segment(packet, layers, segment)) return;
  if (conn.state == State::closed) {
    discard(segment);
    return;
  }
  if (conn.state == State::syn_received && !conn.passive && segment.has(kTcpSyn) && segment.has(kTcpAck) &&
      segment.seq == conn.irs) {
    // The peer's half of a simultaneous open (RFC 9293 figure 7): its SYN is known, its ACK is what counts.
    segment.header.flags &= static_cast<std::uint8_t>(~kTcpSyn);
    segment.seq += 1;
  }
  if (conn.state == State::syn_sent) {
    input_syn_sent(now, conn, segment);
    discard(segment);
  } else if (conn.state == State::syn_received && segment.has(kTcpSyn) && segment.seq == conn.irs) {
    // The peer's SYN again: it has not seen our SYN-ACK.
    if (Chunk* syn = conn.send_queue.front()) mark_lost(conn, *syn);
    discard(segment);
  } else if (check_sequence(now, conn, segment) && check_reset_and_syn(now, conn, segment) && segment.has(kTcpAck) &&
             input_ack(now, conn, segment)) {
    conn.last_received = now;
    conn.probes_sent = 0;
    input_data(now, conn, segment);
    discard(segment);
  } else {
    discard(segment);
  }
  if (conn.state != State::closed) {
    want_output(conn);
    arm(conn);
  }
}

// RFC 9293 section 3.10.7.3.
void Stack::input_syn_sent(Instant now, Conn& conn, Segment& segment) {
  const bool acks_syn = segment.has(kTcpAck) && segment.ack > conn.iss && segment.ack <= conn.snd_nxt;
  if (segment.has(kTcpAck) && !acks_syn) {
    counters_.bad_acks.add();
    if (!segment.has(kTcpRst)) reply_reset(now, conn.tuple, segment);
    return;
  }
  if (segment.has(kTcpRst)) {
    if (!acks_syn) return;
    counters_.resets_received.add();
    counters_.refused.add();
    return finish(now, conn, CloseReason::refused);
  }
  if (!segment.has(kTcpSyn)) return;
  conn.irs = segment.seq;
  conn.rcv_nxt = conn.rcv_adv = conn.last_ack_sent = segment.seq + 1;
  take_options(conn, segment);
  conn.last_received = now;
  conn.snd_wnd = conn.snd_wnd_max = segment.header.window;  // never scaled in a SYN
  conn.snd_wl1 = segment.seq;
  conn.snd_wl2 = segment.ack;
  if (!acks_syn) {  // simultaneous open: our SYN goes out again, with ACK
    enter(conn, State::syn_received);
    conn.passive = false;
    if (Chunk* syn = conn.send_queue.front()) mark_lost(conn, *syn);
    return;
  }
  AckProgress progress = progress_of(conn, segment);
  remove_acknowledged(now, conn, segment.ack, progress);
  sample_round_trip(now, conn, segment, progress);
  enter(conn, State::established);
  become_established(now, conn);
  conn.ack_now = true;
}

// What both SYNs agreed on, RFC 9293 section 3.7.1, RFC 7323 sections 2.2 and 3.2, RFC 2018 section 2.
void Stack::take_options(Conn& conn, const Segment& segment) {
  const Options& options = *conn.options;
  conn.timestamps_on = options.timestamps && segment.options.timestamps.has_value();
  conn.sack_permitted = options.sack && segment.options.sack_permitted;
  conn.window_scale_on = options.window_scale && segment.options.window_scale.has_value();
  conn.snd_wscale = conn.window_scale_on ? std::min<std::uint8_t>(*segment.options.window_scale, 14) : 0;
  conn.rcv_wscale = conn.window_scale_on ? scale_for(options) : 0;
  if (conn.timestamps_on) {
    conn.ts_recent = segment.options.timestamps->value;
    conn.ts_recent_at_s = s_since_start(conn.last_received);
  }
  const std::uint16_t theirs = std::max<std::uint16_t>(segment.options.mss.value_or(536), 64);
  set_mss(conn, std::min(theirs, options.mss_max));
}

// `mss` as in the option: options in each segment are taken off it.
void Stack::set_mss(Conn& conn, std::uint16_t mss) {
  conn.snd_mss = static_cast<std::uint16_t>(mss - (conn.timestamps_on ? kTimestampOptionLength : 0));
  conn.congestion.mss = conn.snd_mss;
}

std::uint8_t Stack::scale_for(const Options& options) {
  const int bits = std::bit_width(options.receive_buffer_bytes >> 16);
  return static_cast<std::uint8_t>(std::min(bits, 14));
}

void Stack::become_established(Instant now, Conn& conn) {
  counters_.established.add();
  conn.congestion.cwnd = initial_window(conn.snd_mss);
  if (conn.retries > 0) {  // a SYN was lost: RFC 5681 section 3.1, RFC 6298 (5.7)
    conn.congestion.cwnd = conn.snd_mss;
    conn.rtt.syn_was_lost();
  }
  hystart_begin(conn.congestion, conn.snd_nxt);
  conn.retries = 0;
  conn.rtt.clear_back_off();
  conn.state_at = kInstantMax;
  conn.last_received = now;
  if (conn.fin_queued) enter(conn, State::fin_wait_1);
  notify(conn, kEstablished | kWritable);
}

// ---- a listener's segments
// ---------------------------------------------------------------------------------------------

// RFC 9293 section 3.10.7.2.
Conn* Stack::accept(Instant now, const Tuple& tuple, packet::Packet packet, const wire::Layers& layers,
                    const Options& options, void* owner) {
  Segment segment;
  if (!read_segment(packet, layers, segment)) return nullptr;
  Conn* conn = nullptr;
  if (segment.has(kTcpRst)) {
    // nothing to reset
  } else if (segment.has(kTcpAck)) {
    conn = segment.has(kTcpSyn) ? nullptr : accept_cookie(now, tuple, segment, options, owner);
    if (conn) {
      input_data(now, *conn, segment);  // the client's first bytes may come with its ACK, or its ACK was lost
      want_output(*conn);
      arm(*conn);
    } else if (segment.length == 0 || !cookies_are_about(now)) {
      reply_reset(now, tuple, segment);
    }
    // Else its bytes may follow those that come with a cookie, which were lost or are late: both will be sent again,
    // and a RST would end a conn that the client has every right to.
  } else if (segment.has(kTcpSyn)) {
    conn = accept_syn(now, tuple, segment, options, owner);
  }
  discard(segment);
  return conn;
}

Conn* Stack::accept_syn(Instant now, const Tuple& tuple, const Segment& segment, const Options& options, void* owner) {
  // Half-open conns may never take the last slots: beyond the limit the client's own ACK brings the state back.
  const bool room = half_open_ < limits_.half_open_max && (slots_free() > slots_kept() || evict_time_wait());
  Conn* conn = room ? allocate(now, tuple, options, owner) : nullptr;
  Chunk* syn = conn ? chunks_.allocate() : nullptr;
  if (!syn) {
    if (conn) destroy(*conn);
    send_cookie(now, tuple, segment, options);
    return nullptr;
  }
  counters_.accepts.add();
  conn->passive = true;
  enter(*conn, State::syn_received);
  conn->irs = segment.seq;
  conn->rcv_nxt = conn->rcv_adv = conn->last_ack_sent =
      segment.seq + 1;  // bytes in a SYN are not taken: they come again
  take_options(*conn, segment);
  conn->snd_wnd = conn->snd_wnd_max = segment.header.window;
  conn->snd_wl1 = segment.seq;
  conn->congestion.cwnd = conn->snd_mss;
  conn->state_at = now + options.connect_timeout;
  note_half_open(*conn);
  syn->syn = true;
  queue_chunk(*conn, syn);
  want_output(*conn);
  arm(*conn);
  return conn;
}

void Stack::refuse(Instant now, const Tuple& tuple, packet::Packet packet, const wire::Layers& layers) {
  Segment segment;
  if (!read_segment(packet, layers, segment)) return;
  if (!segment.has(kTcpRst)) reply_reset(now, tuple, segment);
  discard(segment);
}

// RFC 6191, and RFC 9293 section 3.10.7.4: a SYN may open the tuple anew when its timestamp, or without timestamps its
// sequence number, is beyond all that the old conn can have seen; or when timestamps come into use only now.
bool Stack::recycle(Instant now, Conn& conn, packet::Packet packet, const wire::Layers& layers) {
  if (conn.state != State::time_wait || (layers.tcp_flags & (kTcpSyn | kTcpAck | kTcpRst)) != kTcpSyn) return false;
  const std::uint8_t* tcp = packet.data() + layers.l4_offset;
  const auto options = wire::parse_tcp_options(
      {tcp + wire::kTcpLength, static_cast<std::size_t>(layers.payload_offset - layers.l4_offset - wire::kTcpLength)});
  const Seq sequence{wire::load_be32(tcp + wire::kTcpSequence)};
  bool newer = sequence > conn.rcv_nxt;
  if (conn.timestamps_on && options.timestamps) {
    const auto step = static_cast<std::int32_t>(options.timestamps->value - conn.ts_recent);
    newer = step > 0 || (step == 0 && newer);
  } else if (!conn.timestamps_on && options.timestamps && conn.options->timestamps) {
    newer = true;
  }
  if (!newer) return false;
  successor_ = conn.tuple;
  successor_begin_ = conn.snd_nxt + 1;
  has_successor_ = true;
  finish(now, conn, CloseReason::finished);
  return true;
}

// ---- checks 1 to 4
// -----------------------------------------------------------------------------------------------------

std::uint32_t Stack::ms_since_start(Instant now) const {
  return static_cast<std::uint32_t>((now - start_).count() / 1'000'000);
}

std::uint32_t Stack::s_since_start(Instant now) const {
  return static_cast<std::uint32_t>((now - start_).count() / 1'000'000'000);
}

// One conn answers what lies outside of its window only so often, so that two ends that disagree do not acknowledge
// each other for ever.
bool Stack::may_answer(Instant now, Conn& conn) {
  const std::uint32_t present = ms_since_start(now) + kBareAckInterval_ms;  // never 0
  if (conn.bare_ack_at_ms != 0 && present - conn.bare_ack_at_ms < kBareAckInterval_ms) return false;
  conn.bare_ack_at_ms = present;
  return true;
}

// RFC 5961 section 7: all conns together send about challenge_acks_per_s. How many exactly differs from second to
// second, because a limit that can be counted tells an attacker of conns that are not his (CVE-2016-5696).
void Stack::challenge_ack(Instant now, Conn& conn) {
  if (!may_answer(now, conn)) return;
  if (const std::uint32_t second = s_since_start(now) + 1; second != challenge_second_) {
    challenge_second_ = second;
    const std::uint64_t noise = hash_u64x2(seed_, second, 0x5961);
    challenges_left_ = limits_.challenge_acks_per_s - limits_.challenge_acks_per_s / 2 +
                       static_cast<std::uint32_t>(noise % (std::uint64_t{limits_.challenge_acks_per_s} + 1));
  }
  if (challenges_left_ == 0) return;
  --challenges_left_;
  counters_.challenge_acks.add();
  conn.ack_now = true;
  want_output(conn);
}

// First check: PAWS (RFC 7323 section 5.3) and the window (RFC 9293 table 6). An unacceptable segment is answered with
// an ACK.
bool Stack::check_sequence(Instant now, Conn& conn, Segment& segment) {
  const bool ts_recent_is_old = s_since_start(now) - conn.ts_recent_at_s >= kPawsAge_s;
  if (conn.timestamps_on && !segment.has(kTcpRst) && !segment.has(kTcpSyn)) {
    if (!segment.options.timestamps) {
      counters_.paws_rejected.add();
      return false;  // RFC 7323 section 3.2: silently
    }
    const std::uint32_t value = segment.options.timestamps->value;
    if (static_cast<std::int32_t>(value - conn.ts_recent) < 0 && !ts_recent_is_old) {
      counters_.paws_rejected.add();
      conn.ack_now = conn.ack_now || segment.length > 0 || may_answer(now, conn);
      return false;
    }
  }
  const std::uint32_t window = receive_window(conn);
  const std::uint32_t span = segment.end() - segment.seq;
  const Seq edge = conn.rcv_nxt + window;
  bool acceptable;
  if (span == 0) {
    acceptable = window == 0 ? segment.seq == conn.rcv_nxt : in_range(segment.seq, conn.rcv_nxt, edge);
    // A bare ACK right at the edge of a window that we filled: every stack sends it.
    acceptable = acceptable || (segment.seq == edge && !segment.has(kTcpRst));
  } else {
    acceptable =
        window != 0 && (in_range(segment.seq, conn.rcv_nxt, edge) || in_range(segment.end() - 1, conn.rcv_nxt, edge) ||
                        (segment.seq < conn.rcv_nxt && segment.end() > edge));
    // A probe of our closed window: its acknowledgment counts, its bytes do not. A FIN alone needs no room.
    if (window == 0 && segment.seq == conn.rcv_nxt) {
      acceptable = true;
      conn.ack_now = true;
      if (segment.length > 0) {
        segment.length = 0;
        segment.fin = false;
        discard(segment);
      }
    }
  }
  if (acceptable) {
    // RFC 7323 section 4.3 (2): only a segment that spans the last ACK sent moves ts_recent.
    if (conn.timestamps_on && segment.options.timestamps && segment.seq <= conn.last_ack_sent &&
        (ts_recent_is_old || static_cast<std::int32_t>(segment.options.timestamps->value - conn.ts_recent) >= 0)) {
      conn.ts_recent = segment.options.timestamps->value;
      conn.ts_recent_at_s = s_since_start(now);
    }
    return true;
  }
  if (segment.has(kTcpRst)) return false;
  counters_.out_of_window.add();
  if (segment.end() <= conn.rcv_nxt && segment.length > 0) {
    counters_.duplicate_segments.add();
    note_duplicate(conn, segment.seq, segment.seq + segment.length);
    conn.ack_now = true;  // the peer may have missed our ACK
    // An old duplicate may still carry the newest acknowledgment (RFC 9293 section 3.10.7.4, "segments with higher
    // ...").
    if (segment.has(kTcpAck) && !segment.has(kTcpSyn)) {
      segment.length = 0;
      segment.fin = false;
      return true;
    }
  }
  if (conn.state == State::time_wait && segment.has(kTcpFin)) {
    conn.ack_now = true;
    conn.state_at = now + conn.options->time_wait;
    return false;
  }
  conn.ack_now = conn.ack_now || segment.length > 0 || may_answer(now, conn);
  return false;
}

// Second and fourth check: RFC 5961 sections 3 and 4.
bool Stack::check_reset_and_syn(Instant now, Conn& conn, Segment& segment) {
  if (segment.has(kTcpRst)) {
    if (segment.seq != conn.rcv_nxt) {
      challenge_ack(now, conn);
      return false;
    }
    counters_.resets_received.add();
    if (conn.state == State::time_wait) {
      finish(now, conn, CloseReason::finished);  // not RFC 1337's hazard: the sequence is exact
    } else {
      finish(now, conn,
             conn.state == State::syn_received && !conn.passive ? CloseReason::refused : CloseReason::reset_by_peer);
    }
    return false;
  }
  if (segment.has(kTcpSyn)) {
    challenge_ack(now, conn);
    return false;
  }
  return true;
}

// ---- checks 7 and 8: bytes and FIN
// -------------------------------------------------------------------------------------

std::uint32_t Stack::receive_window(const Conn& conn) const {
  const std::uint32_t used = conn.receive_queue.bytes();
  const std::uint32_t most = buffer_of(conn.options->receive_buffer_bytes);
  const std::uint32_t free = used >= most ? 0 : most - used;
  const std::uint32_t offered = conn.rcv_adv > conn.rcv_nxt ? conn.rcv_adv - conn.rcv_nxt : 0;
  return std::max(free, offered);  // what was offered stays offered
}

void Stack::note_duplicate(Conn& conn, Seq begin, Seq end) {
  if (!conn.sack_permitted || begin == end) return;  // a FIN alone has no bytes to report
  conn.dsack_pending = true;                         // RFC 2883: the next ACK says what came twice
  conn.dsack_begin = begin;
  conn.dsack_end = end;
}

// Cuts what lies before rcv_nxt and behind the window. False when nothing is left.
bool Stack::trim_to_window(Conn& conn, Segment& segment) {
  if (segment.seq < conn.rcv_nxt) {
    const std::uint32_t old = conn.rcv_nxt - segment.seq;
    note_duplicate(conn, segment.seq, segment.seq + std::min(old, segment.length));
    conn.ack_now = true;
    if (old > segment.length || (old == segment.length && !segment.fin)) return false;
    packet::trim_front(segment.packet, old);
    segment.seq = conn.rcv_nxt;
    segment.length -= old;
  }
  const Seq edge = conn.rcv_nxt + receive_window(conn);
  if (segment.seq + segment.length > edge) {
    const std::uint32_t beyond = segment.seq + segment.length - edge;
    if (beyond >= segment.length) return false;
    segment.length -= beyond;
    segment.fin = false;
    packet::truncate(segment.packet, segment.length);
    conn.ack_now = true;
  }
  return segment.length > 0 || segment.fin;
}

void Stack::input_data(Instant now, Conn& conn, Segment& segment) {
  if (segment.length == 0 && !segment.fin) return;
  if (conn.state == State::time_wait && segment.fin) {
    conn.ack_now = true;
    conn.state_at = now + conn.options->time_wait;
    return;
  }
  if (conn.state != State::established && conn.state != State::fin_wait_1 && conn.state != State::fin_wait_2) return;
  if (!segment.packet || !trim_to_window(conn, segment)) return;
  if (conn.owner_released && segment.length > 0) {  // nobody will read it: RFC 9293 section 3.10.7.4, seventh check
    output_reset(now, conn);
    return finish(now, conn, CloseReason::reset_by_us);
  }
  Chunk* chunk = new_chunk();
  if (!chunk) return;
  chunk->seq = segment.seq;
  chunk->length = segment.length;
  chunk->fin = segment.fin;
  if (segment.length > 0) {
    chunk->packet = segment.packet;
    segment.packet = {};
  }
  if (segment.seq != conn.rcv_nxt) {
    counters_.out_of_order.add();
    conn.ack_now = true;  // RFC 5681 section 4.2: a duplicate ACK at once
    return queue_out_of_order(conn, chunk);
  }
  const bool filled_gap = !conn.reorder_queue.empty();
  take_in_order(now, conn, chunk);
  while (Chunk* next = conn.reorder_queue.front()) {
    if (next->seq > conn.rcv_nxt) break;
    conn.reorder_queue.erase(next);
    take_in_order(now, conn, next);
  }
  if (filled_gap || ++conn.unacked_segments >= kSegmentsPerAck || !conn.options->delayed_ack) {
    conn.ack_now = true;
  } else if (conn.delayed_ack_at == kInstantMax) {
    conn.delayed_ack_at = now + conn.options->delayed_ack_max;
  }
}

// The chunk begins at or (after a gap was filled by a longer segment) before rcv_nxt.
void Stack::take_in_order(Instant now, Conn& conn, Chunk* chunk) {
  if (conn.fin_received) return free_chunk(chunk);  // bytes behind a FIN do not exist
  if (chunk->seq < conn.rcv_nxt) {
    const std::uint32_t old = conn.rcv_nxt - chunk->seq;
    if (old >= chunk->length && !(chunk->fin && old == chunk->length)) return free_chunk(chunk);
    if (chunk->packet) packet::trim_front(chunk->packet, old);
    chunk->length -= old;
    chunk->seq = conn.rcv_nxt;
  }
  const bool fin = chunk->fin;
  chunk->fin = false;
  conn.rcv_nxt += chunk->length;
  if (chunk->length == 0) {
    free_chunk(chunk);
  } else {
    if (!coalesce(conn, chunk)) conn.receive_queue.push_back(chunk);
    notify(conn, kReadable);
  }
  if (fin) input_fin(now, conn);
}

// Small runs are copied together, so that a peer who sends byte by byte cannot hold a buffer for each byte.
bool Stack::coalesce(Conn& conn, Chunk* chunk) {
  Chunk* tail = conn.receive_queue.back();
  if (!tail || chunk->length > kCoalesceBytesMax || !chunk->packet.is_contiguous()) return false;
  if (!tail->packet.is_contiguous() || packet::is_shared(tail->packet) || tail->length > 4 * kCoalesceBytesMax)
    return false;
  std::uint8_t* room = tail->packet.append(static_cast<std::uint16_t>(chunk->length));
  if (!room) return false;
  std::copy_n(chunk->packet.data(), chunk->length, room);
  tail->length += chunk->length;
  conn.receive_queue.adjust(static_cast<std::int32_t>(chunk->length));
  free_chunk(chunk);
  return true;
}

// Ordered by sequence, no two overlapping: where bytes come twice, the first to come are kept (so two versions of the
// same bytes can never be mixed), and what would need a second chunk behind an existing one is left for the peer to
// send again.
void Stack::queue_out_of_order(Conn& conn, Chunk* chunk) {
  Chunk* before = conn.reorder_queue.back();
  while (before && before->seq > chunk->seq) before = before->previous;
  if (before && before->end() > chunk->seq) {
    const std::uint32_t overlap = before->end() - chunk->seq;
    note_duplicate(conn, chunk->seq, chunk->seq + std::min(overlap, chunk->length));
    conn.latest_reorder = before->seq;  // RFC 2883 section 4: the block that has it is told next
    if (overlap >= chunk->span()) return free_chunk(chunk);
    if (overlap > chunk->length || before->fin) return free_chunk(chunk);
    if (chunk->packet) packet::trim_front(chunk->packet, overlap);
    chunk->seq += overlap;
    chunk->length -= overlap;
  }
  const Chunk* after = before ? before->next : conn.reorder_queue.front();
  if (after && chunk->end() > after->seq) {
    const std::uint32_t keep = after->seq - chunk->seq;
    if (keep == 0 || chunk->length == 0) return free_chunk(chunk);
    chunk->fin = false;
    if (keep < chunk->length) packet::truncate(chunk->packet, keep);
    chunk->length = std::min(chunk->length, keep);
  }
  if (chunk->length == 0 && !chunk->fin) return free_chunk(chunk);
  if (chunk->length == 0 && chunk->packet) {
    drops_.consume(chunk->packet);
    chunk->packet = {};
  }
  if (conn.reorder_queue.size() >= reorder_chunks_max(conn)) {
    counters_.no_chunk.add();
    return free_chunk(chunk);
  }
  conn.latest_reorder = chunk->seq;
  conn.reorder_queue.insert_after(before, chunk);
}

// Eighth check. All before it is in the receive queue.
void Stack::input_fin(Instant now, Conn& conn) {
  conn.rcv_nxt += 1;
  conn.fin_received = true;
  conn.ack_now = true;
  while (Chunk* chunk = conn.reorder_queue.pop_front()) free_chunk(chunk);
  switch (conn.state) {
    case State::established:
      enter(conn, State::close_wait);
      if (conn.owner_released) {  // it was let go for the peer to close first
        conn.state_at = kInstantMax;
        close(now, conn);
      }
      break;
    case State::fin_wait_1:
      enter(conn, State::closing);
      break;  // our FIN is still unacknowledged: ack.cc has run before
    case State::fin_wait_2:
      enter_time_wait(now, conn);
      break;
    default:
      break;
  }
  notify(conn, kPeerClosed);
}

void Stack::enter_time_wait(Instant now, Conn& conn) {
  enter(conn, State::time_wait);
  conn.retransmit_at = conn.reorder_at = kInstantMax;
  conn.state_at = now + conn.options->time_wait;
  note_time_wait(conn);
  notify(conn, kWritable);
}

}  // namespace sluice::tcp
