// What is taken for lost, and what is done about it: RACK-TLP, PRR, NewReno's duplicate ACKs, timeouts, window probes.
#include <algorithm>

#include "dataplane/tcp/segment.h"

namespace sluice::tcp {

namespace {
constexpr std::uint32_t kDuplicateThreshold = 3;  // RFC 5681, RFC 6675 DupThresh
constexpr std::uint8_t kRackWindowMultiplierMax = 16;
constexpr std::uint8_t kRackWindowPersist = 16;  // RFC 8985: recoveries for which a widened window stays
constexpr Duration kDelayedAckWorst = 200ms;     // RFC 8985 section 7.2: what a peer may wait before it acknowledges
}  // namespace

void Stack::mark_lost(Conn& conn, Chunk& chunk) {
  if (chunk.lost || chunk.sacked || !chunk.sent()) return;
  chunk.lost = true;
  conn.lost_bytes += chunk.span();
}

// ---- finding losses
// ----------------------------------------------------------------------------------------------------

// RFC 8985 section 6.2 step 4. Round trips in which the peer said "twice" widen the window; it narrows again after 16
// recoveries without.
void Stack::rack_update_window(Conn& conn, const AckProgress& progress) {
  if (progress.dsack && conn.snd_una >= conn.rack_dsack_round) {
    conn.rack_dsack_round = conn.snd_nxt;
    conn.rack_window_multiplier =
        static_cast<std::uint8_t>(std::min<unsigned>(conn.rack_window_multiplier + 1U, kRackWindowMultiplierMax));
    conn.rack_window_persist = kRackWindowPersist;
  }
}

Duration Stack::rack_window(const Conn& conn) const {
  if (!conn.reordering_seen &&
      (conn.in_recovery || conn.in_rto_recovery || conn.sacked_bytes >= kDuplicateThreshold * conn.snd_mss)) {
    return Duration::zero();
  }
  return std::min<Duration>(conn.rtt.minimum() / 4 * conn.rack_window_multiplier, conn.rtt.srtt());
}

// RFC 8985 section 6.2 step 5. True when something was newly taken for lost.
bool Stack::rack_detect(Instant now, Conn& conn) {
  if (conn.rack_sent_at == Instant{}) return false;
  const Duration patience = std::chrono::microseconds(conn.rack_rtt_us) + rack_window(conn);
  bool found = false;
  Duration wait = Duration::zero();
  for (Chunk* chunk = conn.send_queue.front(); chunk && chunk->sent(); chunk = chunk->next) {
    if (chunk->sacked || chunk->lost) continue;
    const bool sent_before =
        chunk->sent_at < conn.rack_sent_at || (chunk->sent_at == conn.rack_sent_at && chunk->end() < conn.rack_end);
    if (!sent_before) continue;
    const Duration remaining = chunk->sent_at + patience - now;
    if (remaining <= Duration::zero()) {
      mark_lost(conn, *chunk);
      found = true;
    } else {
      wait = std::max(wait, remaining);
    }
  }
  conn.reorder_at = wait > Duration::zero() ? now + wait : kInstantMax;
  return found;
}

void Stack::detect_losses(Instant now, Conn& conn, AckProgress& progress) {
  const bool was_in_recovery = conn.in_recovery || conn.in_rto_recovery;
  if (conn.tlp_out && conn.snd_una >= conn.tlp_end) check_tail_loss_probe(now, conn, progress);
  if (conn.sack_permitted) {
    rack_update_window(conn, progress);
    const bool interesting = conn.sacked_bytes > 0 || was_in_recovery || conn.reorder_at != kInstantMax;
    if (interesting && rack_detect(now, conn) && !was_in_recovery) enter_recovery(now, conn);
    return;
  }
  // RFC 6582 and RFC 5681 section 3.2: each duplicate ACK stands for a segment that has left the network.
  if (progress.is_duplicate) {
    if (conn.dup_acks < 255) ++conn.dup_acks;
    const std::uint32_t most = conn.flight() - std::min(conn.flight(), conn.lost_bytes + conn.snd_mss);
    conn.sacked_bytes = std::min(conn.sacked_bytes + conn.snd_mss, most);
    progress.delivered_bytes += conn.snd_mss;
    // RFC 6582 section 3.2 step 2: duplicates of what a recovery ended with are its own echo.
    if (conn.dup_acks == kDuplicateThreshold && !was_in_recovery && conn.snd_una > conn.recovery_point) {
      if (Chunk* first = conn.send_queue.front()) mark_lost(conn, *first);
      enter_recovery(now, conn);
    }
  } else if (progress.acked_bytes > 0) {
    conn.dup_acks = 0;
    // A partial acknowledgment: the next one is lost too (RFC 6582 section 3.2 step 5).
    if (conn.in_recovery && conn.snd_una < conn.recovery_point)
      if (Chunk* first = conn.send_queue.front()) mark_lost(conn, *first);
  }
}

// RFC 8985 section 7.4: what the answer to a probe says.
void Stack::check_tail_loss_probe(Instant now, Conn& conn, const AckProgress& progress) {
  if (!conn.tlp_is_retransmission) {
    conn.tlp_out = false;
  } else if (progress.dsack) {  // it came twice: nothing was lost
    conn.tlp_out = false;
    counters_.spurious_probes.add();
  } else if (conn.snd_una > conn.tlp_end) {  // it repaired a loss: the congestion window answers for it
    conn.tlp_out = false;
    if (conn.in_recovery || conn.in_rto_recovery) return;
    reduce_window(now, conn, conn.flight() + progress.acked_bytes, false);
    conn.congestion.cwnd = std::max(conn.congestion.ssthresh, std::uint32_t{conn.snd_mss});
  } else if (progress.is_bare && !progress.sack_news) {  // the original was acknowledged, now the probe is
    conn.tlp_out = false;
    counters_.spurious_probes.add();
  }
}

void Stack::on_reorder_timeout(Instant now, Conn& conn) {
  if (!rack_detect(now, conn)) return;
  // One may leave at once; the others follow as PRR lets them.
  if (conn.in_recovery || conn.in_rto_recovery) {
    conn.congestion.cwnd = std::max(conn.congestion.cwnd, conn.in_flight() + conn.snd_mss);
  } else {
    enter_recovery(now, conn);
    conn.congestion.cwnd = conn.in_flight() + conn.snd_mss;
  }
  want_output(conn);
}

// ---- recovery
// ----------------------------------------------------------------------------------------------------------

void Stack::enter_recovery(Instant now, Conn& conn) {
  counters_.fast_recoveries.add();
  conn.in_recovery = true;
  conn.recovery_point = conn.snd_nxt;
  conn.recover_flight = std::max(conn.flight(), std::uint32_t{conn.snd_mss});
  conn.prr_delivered = conn.prr_out = 0;
  reduce_window(now, conn, conn.flight(), false);
}

// The congestion control's answer to a loss, and what it takes to take it back.
void Stack::reduce_window(Instant now, Conn& conn, std::uint32_t in_flight, bool timeout) {
  CongestionState& congestion = conn.congestion;
  // What an earlier recovery sent again and is still under way would speak for this one: its ACK echoes an older
  // timestamp, its D-SACK is of bytes that this one did not send.
  bool repairs_under_way = false;
  for (const Chunk* chunk = conn.send_queue.front(); chunk && chunk->sent() && !repairs_under_way; chunk = chunk->next)
    repairs_under_way = chunk->transmissions > 1;
  conn.may_undo = !repairs_under_way;
  conn.undo_by_echo = conn.may_undo && conn.timestamps_on;
  conn.undo_sent = false;
  conn.undo_cwnd = congestion.cwnd;
  conn.undo_ssthresh = congestion.ssthresh;
  congestion.w_max_before = congestion.w_max;
  conn.undo_bytes = 0;
  conn.undo_ts = timestamp_now(now, conn);
  // FlightSize also counts what the peer holds behind the hole (RFC 5681 section 2), as much again as the window in a
  // long recovery. A window that comes of that is larger than the one that was too large.
  ops_of(congestion).on_loss(congestion, now, std::min(in_flight, congestion.cwnd), timeout);
}

// Were the segments sent again for nothing? The peer says so for each (D-SACK, RFC 3708), or the first ACK echoes a
// timestamp from before (Eifel, RFC 3522).
void Stack::consider_undo(Conn& conn, const AckProgress& progress) {
  if (!conn.may_undo) return;
  if (conn.undo_by_echo && progress.acked_bytes > 0) {
    conn.undo_by_echo = false;
    if (progress.has_echo && progress.echo != 0 && static_cast<std::int32_t>(progress.echo - conn.undo_ts) < 0 &&
        (conn.in_recovery || conn.in_rto_recovery))
      return undo_reduction(conn);
  }
  if (progress.dsack && conn.undo_sent && conn.undo_bytes == 0) undo_reduction(conn);
}

// RFC 4015 and RFC 9438 section 4.9.
void Stack::undo_reduction(Conn& conn) {
  counters_.recoveries_undone.add();
  CongestionState& congestion = conn.congestion;
  congestion.cwnd = std::max(congestion.cwnd, conn.undo_cwnd);
  congestion.ssthresh = std::max(congestion.ssthresh, conn.undo_ssthresh);
  congestion.w_max = congestion.w_max_before;
  note_stage_over(congestion);
  conn.may_undo = conn.undo_by_echo = false;
  if (!conn.in_recovery && !conn.in_rto_recovery) return;
  conn.in_recovery = conn.in_rto_recovery = false;
  conn.reordering_seen = true;
  conn.dup_acks = 0;
  for (Chunk* chunk = conn.send_queue.front(); chunk && chunk->sent(); chunk = chunk->next) chunk->lost = false;
  conn.lost_bytes = 0;
}

void Stack::leave_recovery(Conn& conn) {
  if (conn.in_recovery) conn.congestion.cwnd = std::max(conn.congestion.ssthresh, 2U * conn.snd_mss);  // RFC 6937
  conn.in_recovery = conn.in_rto_recovery = false;
  conn.dup_acks = 0;
  if (conn.rack_window_persist > 0 && --conn.rack_window_persist == 0) conn.rack_window_multiplier = 1;
}

void Stack::update_congestion(Instant now, Conn& conn, const AckProgress& progress) {
  if ((conn.in_recovery || conn.in_rto_recovery) && conn.snd_una >= conn.recovery_point) leave_recovery(conn);
  CongestionState& congestion = conn.congestion;
  if (conn.in_recovery) {
    // Proportional rate reduction, RFC 6937 section 3.1 with the slow start reduction bound.
    conn.prr_delivered += progress.delivered_bytes;
    const std::uint32_t pipe = conn.in_flight();
    std::int64_t send;
    if (pipe > congestion.ssthresh) {
      const std::uint64_t target =
          (std::uint64_t{conn.prr_delivered} * congestion.ssthresh + conn.recover_flight - 1) / conn.recover_flight;
      send = static_cast<std::int64_t>(target) - conn.prr_out;
    } else {
      const std::int64_t limit =
          std::max<std::int64_t>(std::int64_t{conn.prr_delivered} - conn.prr_out, progress.delivered_bytes) +
          conn.snd_mss;
      send = std::min<std::int64_t>(congestion.ssthresh - pipe, limit);
    }
    if (conn.prr_out == 0) send = std::max<std::int64_t>(send, conn.snd_mss);  // the fast retransmission itself
    congestion.cwnd = pipe + static_cast<std::uint32_t>(std::max<std::int64_t>(send, 0));
    return;
  }
  if (progress.acked_bytes == 0) return;
  if (!conn.in_rto_recovery && congestion.in_slow_start())
    hystart_on_ack(congestion, conn.snd_una, conn.snd_nxt, progress.repaired ? Duration::zero() : progress.rtt);
  if (!progress.window_was_used) return note_limited(congestion, now);
  ops_of(congestion).on_ack(congestion, now, progress.acked_bytes, conn.rtt.srtt());
}

// ---- timers
// ------------------------------------------------------------------------------------------------------------

// RFC 6298 section 5 and RFC 8985 section 7.2: what the one retransmission timer waits for. News from the peer and
// timeouts restart it; a segment that is sent only starts it when it does not run (5.1), or moves the probe, which may
// not come later than the timeout would.
void Stack::arm_retransmit(Instant now, Conn& conn, bool restart) {
  if (conn.flight() == 0) {
    if (conn.retransmit_kind != Conn::Retransmit::window_probe) conn.retransmit_at = kInstantMax;
    return;
  }
  Instant rto_at = now + conn.rtt.rto();
  if (!restart && conn.retransmit_at != kInstantMax) {
    if (conn.retransmit_kind == Conn::Retransmit::rto) {
      rto_at = conn.retransmit_at;
    } else if (conn.retransmit_kind == Conn::Retransmit::tlp) {
      rto_at = std::min(rto_at, std::max(conn.send_queue.front()->sent_at, conn.last_received) + conn.rtt.rto());
    }
  }
  const bool probe_fits = conn.sack_permitted && conn.synchronized() && !conn.in_recovery && !conn.in_rto_recovery &&
                          !conn.tlp_out && conn.sacked_bytes == 0 && conn.retries == 0 && conn.rtt.has_sample();
  if (probe_fits) {
    Duration pto = 2 * conn.rtt.srtt() + 2ms;
    if (conn.flight() <= conn.snd_mss) pto = 2 * conn.rtt.srtt() + kDelayedAckWorst;
    return set_retransmit(conn, std::min(now + pto, rto_at), Conn::Retransmit::tlp);
  }
  set_retransmit(conn, rto_at, Conn::Retransmit::rto);
}

void Stack::on_retransmit_deadline(Instant now, Conn& conn) {
  conn.retransmit_at = kInstantMax;
  switch (conn.retransmit_kind) {
    case Conn::Retransmit::rto:
      return on_retransmit_timeout(now, conn);
    case Conn::Retransmit::tlp:
      return on_tail_loss_probe(now, conn);
    case Conn::Retransmit::window_probe:
      return on_window_probe(now, conn);
  }
}

// RFC 6298 section 5.4 to 5.7, RFC 5681 section 3.1 (after a timeout).
void Stack::on_retransmit_timeout(Instant now, Conn& conn) {
  if (conn.flight() == 0) {  // memory was short when it was to be sent first
    if (conn.has_unsent()) want_output(conn);
    return;
  }
  counters_.timeouts.add();
  const bool opening = conn.state == State::syn_sent || conn.state == State::syn_received;
  // A peer that took back its window answers, but has no room: zero_window_timeout is for that.
  if (is_window_shut_for_too_long(now, conn)) {
    output_reset(now, conn);
    return finish(now, conn, CloseReason::zero_window_timeout);
  }
  const bool answers = conn.snd_wnd == 0 && conn.synchronized() && now - conn.last_received < 2 * conn.rtt.rto();
  if (conn.retries < 255) ++conn.retries;
  if (!answers && conn.retries > (opening ? conn.options->syn_retries_max : conn.options->retries_max)) {
    if (!opening) output_reset(now, conn);
    return finish(now, conn, opening ? CloseReason::connect_timeout : CloseReason::retransmit_timeout);
  }
  conn.rtt.back_off();
  if (!opening && (!conn.in_rto_recovery || conn.retries == 1)) reduce_window(now, conn, conn.flight(), true);
  // A peer that threw away what it had acknowledged selectively (RFC 2018 section 8): forget it all.
  if (Chunk* first = conn.send_queue.front(); first && first->sacked) {
    for (Chunk* chunk = first; chunk; chunk = chunk->next) chunk->sacked = false;
    conn.sacked_bytes = 0;
  }
  if (!conn.sack_permitted) conn.sacked_bytes = 0;
  for (Chunk* chunk = conn.send_queue.front(); chunk && chunk->sent(); chunk = chunk->next) mark_lost(conn, *chunk);
  conn.in_recovery = false;
  conn.in_rto_recovery = true;
  conn.tlp_out = false;
  conn.recovery_point = conn.snd_nxt;
  conn.congestion.cwnd = conn.snd_mss;
  conn.congestion.acked = 0;
  conn.reorder_at = kInstantMax;
  set_retransmit(conn, now + conn.rtt.rto(), Conn::Retransmit::rto);
  want_output(conn);
}

// RFC 8985 section 7.3: one segment more, new if there is one, so that the peer's answer shows what is missing.
void Stack::on_tail_loss_probe(Instant now, Conn& conn) {
  if (conn.flight() == 0) return;
  counters_.tail_loss_probes.add();
  conn.tlp_out = true;
  conn.tlp_is_retransmission = false;
  conn.may_undo = false;  // what is reported twice from now on may be the probe
  Chunk* const next = conn.first_unsent;
  const bool fits = next && std::min<std::uint32_t>(next->span(), conn.snd_mss) <= window_room(conn);
  if (fits && (next->length <= conn.snd_mss || split(conn, *next, conn.snd_mss))) {
    output_chunk(now, conn, *next);
  } else {
    Chunk* last = conn.first_unsent ? conn.first_unsent->previous : conn.send_queue.back();
    if (last) output_chunk(now, conn, *last);
    conn.tlp_is_retransmission = true;
  }
  conn.tlp_end = conn.snd_nxt;
  set_retransmit(conn, now + conn.rtt.rto(), Conn::Retransmit::rto);
}

void Stack::note_window_shut(Instant now, Conn& conn) const {
  if (conn.window_shut_at_ms == 0) conn.window_shut_at_ms = std::max(ms_since_start(now), 1U);
}

Duration Stack::window_shut_for(Instant now, const Conn& conn) const {
  if (conn.window_shut_at_ms == 0) return Duration::zero();
  return std::chrono::milliseconds(std::max(ms_since_start(now), 1U) - conn.window_shut_at_ms);
}

bool Stack::is_window_shut_for_too_long(Instant now, const Conn& conn) const {
  return conn.options->zero_window_timeout > 0s && window_shut_for(now, conn) >= conn.options->zero_window_timeout;
}

// RFC 9293 section 3.8.6.1. The probe is an old sequence number without bytes: every stack must answer it with an ACK
// that tells its window, and no byte is sent that the peer said it has no room for.
void Stack::on_window_probe(Instant now, Conn& conn) {
  if (conn.flight() > 0 || !conn.has_unsent()) return;
  if (is_window_shut_for_too_long(now, conn)) {
    output_reset(now, conn);
    return finish(now, conn, CloseReason::zero_window_timeout);
  }
  if (const std::uint32_t room = window_room(conn); room > 0) {
    // A little room that does not grow: the override of silly window avoidance, RFC 9293 section 3.8.6.2.1 (4).
    Chunk& next = *conn.first_unsent;
    if (next.length <= room || split(conn, next, std::min<std::uint32_t>(room, conn.snd_mss)))
      output_chunk(now, conn, next);
    if (conn.flight() == 0) set_retransmit(conn, now + conn.rtt.rto(), Conn::Retransmit::window_probe);
    return;
  }
  counters_.window_probes.add();
  output_ack(now, conn, conn.snd_una - 1);
  conn.rtt.back_off();
  set_retransmit(conn, now + conn.rtt.rto(), Conn::Retransmit::window_probe);
}

}  // namespace sluice::tcp
