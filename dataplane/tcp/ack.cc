// Acknowledgments that arrive: which bytes they free, what SACK tells, round trips, the send window, and state changes.
#include <algorithm>

#include "dataplane/packet/chain.h"
#include "dataplane/tcp/segment.h"

namespace sluice::tcp {

Stack::AckProgress Stack::progress_of(const Conn& conn, const Segment& segment) {
  AckProgress progress;
  progress.prior_una = conn.snd_una;
  progress.prior_fack = conn.rack_fack;
  if (conn.timestamps_on && segment.options.timestamps) {
    progress.has_echo = true;
    progress.echo = segment.options.timestamps->echo;
  }
  return progress;
}

// RFC 9293 section 3.10.7.4, fifth check. False: the segment is not to be processed further.
bool Stack::input_ack(Instant now, Conn& conn, const Segment& segment) {
  if (conn.state == State::syn_received) {
    if (segment.ack <= conn.snd_una || segment.ack > conn.snd_nxt) {
      counters_.bad_acks.add();
      reply_reset(now, conn.tuple, segment);
      return false;
    }
    conn.snd_wnd = std::uint32_t{segment.header.window} << conn.snd_wscale;
    conn.snd_wnd_max = std::max(conn.snd_wnd_max, conn.snd_wnd);
    conn.snd_wl1 = segment.seq;
    conn.snd_wl2 = segment.ack;
    AckProgress progress = progress_of(conn, segment);
    remove_acknowledged(now, conn, segment.ack, progress);
    sample_round_trip(now, conn, segment, progress);
    enter(conn, State::established);
    become_established(now, conn);
    arm_retransmit(now, conn, true);
    return true;
  }
  // RFC 5961 section 5: neither unsent bytes nor ones acknowledged long ago may be acknowledged.
  if (segment.ack > conn.snd_nxt || segment.ack < conn.snd_una - std::max(conn.snd_wnd_max, std::uint32_t{65535})) {
    counters_.bad_acks.add();
    challenge_ack(now, conn);
    return false;
  }
  AckProgress progress = progress_of(conn, segment);
  progress.window_was_used = conn.in_flight() + conn.snd_mss >= conn.congestion.cwnd ||
                             (conn.congestion.in_slow_start() && 2 * conn.in_flight() >= conn.congestion.cwnd);
  const bool window_moved = (std::uint32_t{segment.header.window} << conn.snd_wscale) != conn.snd_wnd;
  // RFC 5681 section 2.
  progress.is_duplicate =
      segment.ack == conn.snd_una && conn.flight() > 0 && segment.length == 0 && !segment.fin && !window_moved;
  progress.is_bare = segment.ack == conn.snd_una && segment.length == 0 && !segment.fin;
  const bool could_send = conn.window_was_full && send_room(conn) == 0;

  if (segment.ack > conn.snd_una) remove_acknowledged(now, conn, segment.ack, progress);
  if (conn.sack_permitted && segment.options.sack_count > 0) apply_sack(now, conn, segment, progress);
  update_send_window(now, conn, segment);
  if (progress.acked_bytes > 0) conn.retries = 0;
  sample_round_trip(now, conn, segment, progress);
  consider_undo(conn, progress);
  if (conn.flight() > 0 || progress.acked_bytes > 0 || conn.tlp_out) {
    detect_losses(now, conn, progress);
    update_congestion(now, conn, progress);
  }
  if (progress.acked_bytes > 0 || progress.sack_news) arm_retransmit(now, conn, true);

  if (conn.window_was_full && (!could_send || send_room(conn) > 0) &&
      conn.send_queue.bytes() <= buffer_of(conn.options->send_buffer_bytes) / 2) {
    conn.window_was_full = false;
    notify(conn, kWritable);
  }
  // Is our FIN acknowledged? It is the last of the send queue.
  if (conn.fin_queued && conn.send_queue.empty()) {
    switch (conn.state) {
      case State::fin_wait_1:
        enter(conn, State::fin_wait_2);
        if (conn.owner_released) wait_for_fin(now, conn);
        break;
      case State::closing:
        enter_time_wait(now, conn);
        break;
      case State::last_ack:
        finish(now, conn, CloseReason::finished);
        return false;
      default:
        break;
    }
  }
  return true;
}

// RFC 9293 section 3.10.7.4: only newer segments move the window. SND.WND is in bytes.
void Stack::update_send_window(Instant now, Conn& conn, const Segment& segment) {
  if (segment.ack < conn.snd_una) return;
  const bool newer = conn.snd_wl1 < segment.seq || (conn.snd_wl1 == segment.seq && conn.snd_wl2 <= segment.ack);
  if (!newer) return;
  const std::uint32_t window = std::uint32_t{segment.header.window} << conn.snd_wscale;
  conn.snd_wl1 = segment.seq;
  conn.snd_wl2 = segment.ack;
  conn.snd_wnd_max = std::max(conn.snd_wnd_max, window);
  conn.snd_wnd = window;
  if (window > 0) {
    conn.window_shut_at_ms = 0;
    if (conn.retransmit_kind == Conn::Retransmit::window_probe && conn.retransmit_at != kInstantMax) {
      conn.retransmit_at = kInstantMax;
      conn.retries = 0;
      conn.rtt.clear_back_off();
    }
  } else {
    note_window_shut(now, conn);
  }
}

// RFC 6298 section 3. An ACK that a repair set free also covers segments that waited behind the hole: their age is no
// round trip, and which transmission it answers is open (Karn), unless it echoes a timestamp (RFC 7323 section 4).
// Only a sample ends the back-off.
void Stack::sample_round_trip(Instant now, Conn& conn, const Segment& segment, const AckProgress& progress) {
  if (progress.rtt > Duration::zero() && !progress.repaired)
    return conn.rtt.sample(progress.rtt, conn.options->rto_min);
  if (progress.acked_bytes == 0 || !conn.timestamps_on || !segment.options.timestamps) return;
  const auto age_ms = static_cast<std::int32_t>(timestamp_now(now, conn) - segment.options.timestamps->echo);
  if (age_ms < 0 || age_ms > 60'000) return;
  conn.rtt.sample(std::chrono::milliseconds(age_ms + 1), conn.options->rto_min);
}

// The bookkeeping of a chunk that has reached the peer: RACK (RFC 8985 section 6.2 steps 1 to 3) and round trip.
void Stack::note_delivered(Conn& conn, const Chunk& chunk, Instant now, AckProgress& progress) {
  progress.delivered_bytes += chunk.span();
  const Duration rtt = now - chunk.sent_at;
  if (chunk.transmissions > 1) progress.repaired = true;
  if (chunk.transmissions == 1) {
    // Karn: only what was sent once. The newest of them is the sample; older ones waited for a delayed ACK.
    if (progress.rtt == Duration::zero() || rtt < progress.rtt) progress.rtt = std::max<Duration>(rtt, 1us);
    if (chunk.end() < progress.prior_fack) conn.reordering_seen = true;
  } else if ((conn.rtt.has_sample() && rtt < conn.rtt.minimum()) ||
             (progress.has_echo && chunk.end() <= conn.snd_una &&
              static_cast<std::int32_t>(progress.echo - timestamp_now(chunk.sent_at, conn)) < 0)) {
    // The answer is to an earlier transmission: says nothing of this one. (Behind a hole every ACK echoes what came
    // before the hole, so there the echo tells nothing.)
    return;
  }
  if (chunk.end() > conn.rack_fack) conn.rack_fack = chunk.end();
  if (chunk.sent_at > conn.rack_sent_at || (chunk.sent_at == conn.rack_sent_at && chunk.end() > conn.rack_end)) {
    conn.rack_sent_at = chunk.sent_at;
    conn.rack_end = chunk.end();
    conn.rack_rtt_us = static_cast<std::uint32_t>(std::min<std::int64_t>(rtt.count() / 1000, UINT32_MAX));
  }
}

void Stack::remove_acknowledged(Instant now, Conn& conn, Seq ack, AckProgress& progress) {
  progress.acked_bytes = ack - conn.snd_una;
  conn.snd_una = ack;
  while (Chunk* chunk = conn.send_queue.front()) {
    if (chunk->seq >= ack) break;
    if (chunk->end() > ack) {  // part of it
      const std::uint32_t done = ack - chunk->seq;
      if (!chunk->sacked) progress.delivered_bytes += done;
      if (chunk->sacked) conn.sacked_bytes -= done;
      if (chunk->lost) conn.lost_bytes -= done;
      chunk->acked_front += static_cast<std::uint16_t>(done);
      chunk->seq += done;
      chunk->length -= done;
      conn.send_queue.adjust(-static_cast<std::int32_t>(done));
      break;
    }
    if (chunk->sacked) {
      conn.sacked_bytes -= chunk->span();
    } else {
      if (chunk->lost) conn.lost_bytes -= chunk->span();
      note_delivered(conn, *chunk, now, progress);
    }
    conn.send_queue.erase(chunk);
    free_chunk(chunk);
  }
  if (!conn.sack_permitted) {  // what duplicate ACKs stood for is now counted for real
    const std::uint32_t counted = std::min(conn.sacked_bytes, progress.acked_bytes);
    conn.sacked_bytes -= counted;
    progress.delivered_bytes -= std::min(progress.delivered_bytes, counted);  // RFC 6937 section 3
    conn.sacked_bytes = std::min(conn.sacked_bytes, conn.flight());
  }
}

// RFC 2018 section 4 and RFC 6675 section 4 (Update); RFC 2883 for a first block that repeats.
void Stack::apply_sack(Instant now, Conn& conn, const Segment& segment, AckProgress& progress) {
  const auto& blocks = segment.options.sack;
  const unsigned count = segment.options.sack_count;
  if (count > 0) {
    const Seq begin{blocks[0].begin};
    const Seq end{blocks[0].end};
    const bool inside_second = count > 1 && Seq{blocks[1].begin} <= begin && end <= Seq{blocks[1].end};
    if (begin < end && (end <= segment.ack || inside_second)) {
      progress.dsack = true;
      counters_.dsacks.add();
      if (conn.may_undo) conn.undo_bytes -= std::min(conn.undo_bytes, end - begin);
    }
  }
  for (unsigned i = 0; i < count; ++i) {
    const Seq begin{blocks[i].begin};
    const Seq end{blocks[i].end};
    if (!(begin < end) || begin < conn.snd_una || end > conn.snd_nxt) continue;  // old, or nonsense
    for (Chunk* chunk = conn.send_queue.front(); chunk && chunk->sent() && chunk->seq < end; chunk = chunk->next) {
      if (chunk->sacked || chunk->seq < begin || chunk->end() > end || chunk->span() == 0) continue;
      if (chunk->lost) {
        conn.lost_bytes -= chunk->span();
        chunk->lost = false;
      }
      chunk->sacked = true;
      conn.sacked_bytes += chunk->span();
      progress.sack_news = true;
      note_delivered(conn, *chunk, now, progress);
    }
  }
}

// RFC 5927 section 7.2: believed only when it quotes a segment in flight.
void Stack::on_icmp_error(Instant now, Conn& conn, std::uint32_t sequence, std::uint16_t mtu, bool hard) {
  const Seq quoted{sequence};
  if (conn.state == State::closed || !in_range(quoted, conn.snd_una, conn.snd_nxt)) return;
  if (mtu != 0) {
    const std::uint16_t mss = static_cast<std::uint16_t>(std::max<std::uint16_t>(mtu, 296) - 40);
    lower_mss(conn, mss);
    want_output(conn);
  } else if (hard && (conn.state == State::syn_sent || (conn.state == State::syn_received && !conn.passive))) {
    finish(now, conn, CloseReason::unreachable);  // RFC 5461: elsewhere all ICMP errors are soft
  }
}

}  // namespace sluice::tcp
