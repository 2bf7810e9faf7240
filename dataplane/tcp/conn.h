// Conn: one TCP endpoint of ours, the transmission control block; 480 bytes, so that with its place in the stack's
// tables it takes at most 512 when idle.
//
// Field names are RFC 9293's where it has one (snd_una, rcv_nxt …). Only tcp/ changes them; lb/l7 reads state and
// queues through Stack. A conn belongs to one worker for life.
//
// Called by: tcp, lb/l7. Runs on: workers. Follows: RFC 9293 section 3.3.1. Tested by: tests/dataplane/tcp/*
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "dataplane/base/address.h"
#include "dataplane/base/time.h"
#include "dataplane/base/timer_wheel.h"
#include "dataplane/tcp/chunk.h"
#include "dataplane/tcp/congestion/congestion.h"
#include "dataplane/tcp/options.h"
#include "dataplane/tcp/rtt.h"
#include "dataplane/tcp/seq.h"

namespace sluice::tcp {

enum class State : std::uint8_t {
  closed,
  syn_sent,
  syn_received,
  established,
  fin_wait_1,
  fin_wait_2,
  close_wait,
  closing,
  last_ack,
  time_wait,
};
std::string_view name_of(State state);

// Why a conn is no more; in `show errors` and the counters.
enum class CloseReason : std::uint8_t {
  none,
  finished,             // both sides sent FIN
  reset_by_peer,        // a valid RST came
  reset_by_us,          // abort()
  refused,              // RST in answer to our SYN
  connect_timeout,      // no answer to our SYN
  retransmit_timeout,   // retries_max retransmissions went unanswered
  idle_timeout,         // nothing came for idle_timeout
  zero_window_timeout,  // the peer's window stayed shut
  fin_wait_timeout,     // the peer did not close its side
  unreachable,          // a hard ICMP error while connecting
  no_memory,            // a worker's limit was reached
};
std::string_view name_of(CloseReason reason);

// What happened to a conn since it was last taken from the ready list; a bit set.
enum Event : std::uint8_t {
  kEstablished = 1,  // the handshake is complete
  kReadable = 2,     // in-order bytes wait in the receive queue
  kWritable = 4,     // room in the send queue again (it was full), or all is acknowledged
  kPeerClosed = 8,   // FIN received; all bytes before it are in the receive queue
  kClosed = 16,      // the conn is over; see close_reason. Release it.
};

// Both ends of a conn. "local" is us: for client-side conns the virtual server, for server-side ones the SNAT address.
struct Tuple {
  Ipv4Endpoint local;
  Ipv4Endpoint remote;
  friend bool operator==(const Tuple&, const Tuple&) = default;
};

constexpr std::uint32_t kNoSlot = 0xffffffff;

// Space for the network layer to remember the conn's next hop (see Network); cleared at creation.
struct PathCache {
  alignas(8) std::array<std::uint8_t, 24> bytes{};
};

// Its Timer fires at the earliest of its deadlines, or earlier: deadlines that move back leave it where it is.
struct Conn : Timer {
  // ---- identity
  Tuple tuple;
  void* owner = nullptr;  // the L7 session
  PathCache path;
  const Options* options = nullptr;
  std::uint32_t generation = 0;  // of its slot in the stack
  // Lists, by slot.
  std::uint32_t hash_next = kNoSlot;    // demux chain, or free ones
  std::uint32_t ready_next = kNoSlot;   // ready list
  std::uint32_t output_next = kNoSlot;  // output list

  // ---- state
  State state = State::closed;
  CloseReason close_reason = CloseReason::none;
  std::uint8_t events = 0;
  bool on_ready_list : 1 = false;
  bool on_output_list : 1 = false;
  bool linked : 1 = false;           // in the demux table
  bool passive : 1 = false;          // opened by the peer's SYN
  bool sack_permitted : 1 = false;   // negotiated
  bool timestamps_on : 1 = false;    // negotiated
  bool window_scale_on : 1 = false;  // negotiated
  bool fin_queued : 1 = false;       // close() was called; the FIN is in the send queue
  bool fin_received : 1 = false;     // rcv_nxt is beyond the peer's FIN
  bool ack_now : 1 = false;          // an ACK must leave before the turn ends
  bool owner_released : 1 = false;   // the session let go; the stack ends the conn by itself
  bool window_was_full : 1 = false;  // someone waits for kWritable
  bool in_recovery : 1 = false;      // fast recovery
  bool in_rto_recovery : 1 = false;  // after a retransmission timeout
  bool tlp_out : 1 = false;          // a tail loss probe is in flight
  bool tlp_is_retransmission : 1 = false;
  bool reordering_seen : 1 = false;  // RACK.reordering_seen
  bool may_undo : 1 = false;         // the last reduction of the window could still turn out to have been wrong
  bool undo_sent : 1 = false;        // … something was sent again since
  bool undo_by_echo : 1 = false;     // … and the next echoed timestamp may tell (Eifel)
  bool dsack_pending : 1 = false;    // the next ACK carries dsack_begin..dsack_end, RFC 2883
  enum class Retransmit : std::uint8_t { rto, tlp, window_probe } retransmit_kind = Retransmit::rto;

  // ---- send sequence space
  Seq iss;
  Seq snd_una;
  Seq snd_nxt;  // next sequence number to be sent for the first time
  Seq snd_end;  // end of what is queued (snd_nxt..snd_end is unsent)
  Seq snd_wl1;
  Seq snd_wl2;
  std::uint32_t snd_wnd = 0;
  std::uint32_t snd_wnd_max = 0;
  std::uint16_t snd_mss = 536;  // payload bytes in a full segment, options taken off
  std::uint8_t snd_wscale = 0;
  std::uint8_t dup_acks = 0;
  ChunkList send_queue;  // unacknowledged, then unsent; ordered by seq
  Chunk* first_unsent = nullptr;

  // ---- receive sequence space
  Seq irs;
  Seq rcv_nxt;
  Seq rcv_adv;  // right edge offered so far; never moves back
  Seq last_ack_sent;
  std::uint8_t rcv_wscale = 0;
  std::uint8_t unacked_segments = 0;  // full segments received since our last ACK
  std::uint8_t probes_sent = 0;       // keepalive probes unanswered
  std::uint8_t retries = 0;           // retransmission timeouts since the last progress
  ChunkList receive_queue;
  ChunkList reorder_queue;
  Seq dsack_begin;  // while dsack_pending
  Seq dsack_end;
  Seq latest_reorder;  // start of the block that grew last: goes first in our SACK option

  // ---- timestamps, RFC 7323
  std::uint32_t ts_recent = 0;
  std::uint32_t ts_offset = 0;       // ours start at a secret place
  std::uint32_t ts_recent_at_s = 0;  // stack seconds
  std::uint32_t bare_ack_at_ms = 0;  // stack milliseconds: the last ACK in answer to something out of the window

  // ---- the peer's window
  std::uint32_t window_shut_at_ms = 0;  // stack milliseconds, never 0: since when it is shut; 0: it is open

  // ---- round trip and congestion
  RttEstimator rtt;
  CongestionState congestion;
  std::uint32_t sacked_bytes = 0;
  std::uint32_t lost_bytes = 0;     // marked lost and not sent again
  Seq recovery_point;               // RFC 6675
  std::uint32_t prr_delivered = 0;  // RFC 6937
  std::uint32_t prr_out = 0;
  std::uint32_t recover_flight = 0;  // RecoverFS
  Instant rack_sent_at{};            // RACK.xmit_ts
  Seq rack_end;                      // RACK.end_seq
  std::uint32_t rack_rtt_us = 0;     // RACK.rtt
  Seq rack_fack;                     // highest sequence delivered
  std::uint8_t rack_window_multiplier = 1;
  std::uint8_t rack_window_persist = 0;
  Seq rack_dsack_round;
  Seq tlp_end;
  // What the last reduction took, for when it proves to have been for nothing.
  std::uint32_t undo_cwnd = 0;
  std::uint32_t undo_ssthresh = 0;
  std::uint32_t undo_bytes = 0;  // sent again since then, and not yet reported to have come twice
  std::uint32_t undo_ts = 0;     // our timestamp when it began

  // ---- deadlines; kInstantMax: not set
  Instant retransmit_at = kInstantMax;  // RTO, TLP or window probe, by `retransmit_kind`
  Instant delayed_ack_at = kInstantMax;
  Instant reorder_at = kInstantMax;  // RACK reordering timer
  Instant state_at = kInstantMax;    // connect, FIN-WAIT-2, TIME-WAIT
  Instant last_received{};           // idle and keepalive count from here
  Instant last_sent{};               // bytes, SYN or FIN

  std::uint32_t flight() const { return snd_nxt - snd_una; }  // bytes sent and not acknowledged
  // RFC 6675 pipe: what is believed to be in the network. Chunks sent again are back in it. Without SACK, duplicate
  // ACKs are only an estimate of what has left, and may say more than can be.
  std::uint32_t in_flight() const {
    const std::uint32_t out = sacked_bytes + lost_bytes;
    return flight() > out ? flight() - out : 0;
  }
  bool has_unsent() const { return first_unsent != nullptr; }
  bool synchronized() const { return state >= State::established; }
  // Does it end when nothing comes for long? In FIN-WAIT-2 only while someone still reads: it has a timeout of its own.
  bool may_idle() const {
    return state == State::established || state == State::close_wait || state == State::fin_wait_1 ||
           (state == State::fin_wait_2 && !owner_released);
  }
  Instant keepalive_at() const {
    return std::max(last_received, last_sent) + options->keepalive_interval * (1 + probes_sent);
  }
  // May the application still queue bytes?
  bool can_send() const { return !fin_queued && (state == State::established || state == State::close_wait); }
};
static_assert(sizeof(Conn) <= 480);

}  // namespace sluice::tcp
