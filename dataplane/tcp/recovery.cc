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
  // Tail loss probe answered, RFC 8985 section 7.4.
  if (conn.tlp_out && conn.snd_una >= conn.tlp_end) {
    conn.tlp_out = false;
    if (conn.tlp_is_retransmission && !progress.dsack && conn.snd_una > conn.tlp_end) {
      if (!was_in_recovery) {  // the probe repaired a loss: the congestion window answers for it
        ops_of(conn.congestion).on_loss(conn.congestion, now, conn.flight());
        conn.congestion.cwnd = std::max(conn.congestion.ssthresh, std::uint32_t{conn.snd_mss});
      }
    } else if (progress.dsack) {
      counters_.spurious_probes.add();
    }
  }
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
    if (conn.dup_acks == kDuplicateThreshold && !was_in_recovery) {
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

void Stack::on_reorder_timeout(Instant now, Conn& conn) {
  if (!rack_detect(now, conn)) return;
  if (!conn.in_recovery && !conn.in_rto_recovery) enter_recovery(now, conn);
  // At least the first of them may leave at once.
  conn.congestion.cwnd = std::max(conn.congestion.cwnd, conn.in_flight() + conn.snd_mss);
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
  ops_of(conn.congestion).on_loss(conn.congestion, now, conn.flight());
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
  if (progress.acked_bytes == 0 || !progress.window_was_used) return;
  ops_of(congestion).on_ack(congestion, now, progress.acked_bytes, conn.rtt.srtt());
}

// ---- timers
// ------------------------------------------------------------------------------------------------------------

// RFC 6298 section 5 and RFC 8985 section 7.2: what the one retransmission timer waits for.
void Stack::arm_retransmit(Instant now, Conn& conn) {
  if (conn.flight() == 0) {
    if (conn.retransmit_kind != Conn::Retransmit::window_probe) conn.retransmit_at = kInstantMax;
    return;
  }
  const Instant rto_at = now + conn.rtt.rto();
  const bool probe_fits = conn.sack_permitted && conn.synchronized() && !conn.in_recovery && !conn.in_rto_recovery &&
                          !conn.tlp_out && conn.sacked_bytes == 0 && conn.retries == 0 && conn.rtt.has_sample();
  if (probe_fits) {
    Duration pto = 2 * conn.rtt.srtt() + 2ms;
    if (conn.flight() <= conn.snd_mss) pto = 2 * conn.rtt.srtt() + kDelayedAckWorst;
    if (now + pto < rto_at) return set_retransmit(conn, now + pto, Conn::Retransmit::tlp);
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
  if (conn.flight() == 0) return;
  counters_.timeouts.add();
  const bool opening = conn.state == State::syn_sent || conn.state == State::syn_received;
  if (conn.retries++ >= (opening ? conn.options->syn_retries_max : conn.options->retries_max)) {
    if (!opening) output_reset(now, conn);
    return finish(now, conn, opening ? CloseReason::connect_timeout : CloseReason::retransmit_timeout);
  }
  conn.rtt.back_off();
  if (!opening && (!conn.in_rto_recovery || conn.retries == 1))
    ops_of(conn.congestion).on_loss(conn.congestion, now, conn.flight());
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
  if (conn.first_unsent && conn.first_unsent->end() <= conn.snd_una + conn.snd_wnd &&
      conn.first_unsent->length <= conn.snd_mss) {
    output_chunk(now, conn, *conn.first_unsent);
  } else {
    Chunk* last = conn.first_unsent ? conn.first_unsent->previous : conn.send_queue.back();
    if (last) output_chunk(now, conn, *last);
    conn.tlp_is_retransmission = true;
  }
  conn.tlp_end = conn.snd_nxt;
  set_retransmit(conn, now + conn.rtt.rto(), Conn::Retransmit::rto);
}

// RFC 9293 section 3.8.6.1. The probe is an old sequence number without bytes: every stack must answer it with an ACK
// that tells its window, and no byte is sent that the peer said it has no room for.
void Stack::on_window_probe(Instant now, Conn& conn) {
  if (conn.flight() > 0 || !conn.has_unsent()) return;
  if (conn.window_shut_since != Instant{} && conn.options->zero_window_timeout > 0s &&
      now - conn.window_shut_since >= conn.options->zero_window_timeout) {
    output_reset(now, conn);
    return finish(now, conn, CloseReason::zero_window_timeout);
  }
  counters_.window_probes.add();
  output_ack(now, conn, conn.snd_una - 1);
  conn.rtt.back_off();
  set_retransmit(conn, now + conn.rtt.rto(), Conn::Retransmit::window_probe);
}

}  // namespace sluice::tcp
