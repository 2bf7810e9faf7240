// Stack: all TCP endpoints of one worker. Segments, time and the application's calls go in; segments and events come
// out.
//
// It opens no socket and reads no clock. The datapath finds the conn of a segment (find) and gives it over (input), or
// asks for a new one (accept, connect). Whatever happens to a conn is noted in conn.events and the conn joins the ready
// list; the application (lb/l7) empties that list after each burst, reads receive queues, sends, closes; flush() then
// lets the conns that have something to say say it, once a turn each.
//
//   if (Conn* conn = stack.find(tuple)) stack.input(now, *conn, segment, layers);
//   else if (syn) stack.accept(now, tuple, segment, options, owner);
//   while (Conn* conn = stack.take_ready()) session(conn).on_event(now, *conn);
//   stack.flush(now);
//
// RFC 9293 (base), 5681/6582/9438/9406 (congestion), 6298 (RTO), 7323 (timestamps, PAWS, window scale),
// 2018/6675/6937/8985/2883 (SACK, recovery, PRR, RACK-TLP, D-SACK), 5961 (blind attacks), 6528 (ISN), 4987 (SYN
// cookies), 6191 (TIME_WAIT reuse), 5927 (ICMP), 6928 (IW10). Not: urgent data (delivered in band), ECN, TCP fast open,
// MPTCP, AO/MD5 (the kernel's, for BGP).
//
// Called by: lb/datapath, lb/l7. Runs on: the worker that owns it. Tested by: tests/dataplane/tcp/*, tests/sim
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "dataplane/base/counter.h"
#include "dataplane/base/hash.h"
#include "dataplane/base/prefetch.h"
#include "dataplane/base/timer_wheel.h"
#include "dataplane/base/token_bucket.h"
#include "dataplane/packet/sink.h"
#include "dataplane/tcp/chunk.h"
#include "dataplane/tcp/conn.h"
#include "dataplane/tcp/options.h"
#include "dataplane/wire/parse.h"

namespace sluice::tcp {

// What lies below: adds the IPv4 header (TTL 255), finishes checksums, routes. Takes the packet over.
class Network {
 public:
  virtual ~Network() = default;
  // `segment` begins with the TCP header, its checksum field zero, and has 34 bytes of headroom or more.
  virtual void output(Instant now, Conn& conn, packet::Packet segment) = 0;
  // The same without a conn: a RST or a SYN cookie, in answer to something from tuple.remote.
  virtual void output_reply(Instant now, const Tuple& tuple, packet::Packet segment) = 0;
};

// What a worker's stack may take, and what happens when it is taken:
//  - half-open conns beyond half_open_max, and any that would take one of the last slots: the SYN is answered with a
//    cookie and nothing is remembered. As soon as there is room again, SYNs make conns again.
//  - conns_max: the oldest conn in TIME-WAIT gives up its slot; a completed handshake also ends the oldest half-open
//    conns, so that those never keep out who has answered. With nothing left to give, a SYN still gets its cookie, and
//    who returns it is reset; connect() fails.
//  - chunks_max, all but the SYNs of half-open conns: beyond a quarter of it, each conn may queue less and less in each
//    direction, down to kShortBuffer at half: windows close and senders wait. Its owner should end who holds most
//    before all are taken (is_nearly_out): then bytes that arrive are not taken (the peer sends them again), send()
//    fails, close() resets.
struct Limits {
  std::uint32_t conns_max = 65536;
  std::uint32_t chunks_max = 131072;
  std::uint32_t half_open_max = 4096;
  std::uint32_t challenge_acks_per_s = 1000;  // RFC 5961 section 7; about so many, see challenge_ack()
  std::uint32_t resets_per_s = 10000;         // RSTs to segments without a conn
};

struct Counters {
  Counter segments_in, segments_out, bytes_in, bytes_out;
  Counter connects, accepts, established, resets_sent, resets_received, refused;
  Counter retransmitted_segments, fast_recoveries, timeouts, tail_loss_probes, spurious_probes, window_probes, dsacks;
  Counter out_of_order, duplicate_segments, paws_rejected, out_of_window, challenge_acks, bad_acks;
  Counter cookies_sent, cookies_accepted, cookies_rejected;
  Counter no_conn_slot, no_chunk, no_packet, keepalives, delayed_acks, time_waits_evicted, half_open_evicted;
  Counter recoveries_undone;
};

class Stack {
 public:
  // `options` given to accept and connect must outlive their conns (they live in the snapshot or the session).
  Stack(Instant now, const Limits& limits, const HashSeed& seed, Network& network, const packet::PacketPool& pool,
        packet::Drops& drops);
  ~Stack();
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  // ---- segments. The packet is a whole frame whose headers `layers` describes, its checksum found good.
  Conn* find(const Tuple& tuple) const;
  // Asks for what find() and input() of this tuple will read, a burst ahead: first the place in the table, then (its
  // line is there) the first conn of that place, most often the right one.
  void prefetch_place(const Tuple& tuple) const { prefetch_line(&buckets_[bucket_of(tuple)]); }
  Conn* prefetch_conn(const Tuple& tuple) const {
    Conn* const conn = conn_or_null(buckets_[bucket_of(tuple)]);
    if (conn != nullptr) prefetch(*conn);
    return conn;
  }
  static void prefetch(const Conn& conn) { prefetch_object(&conn); }
  void input(Instant now, Conn& conn, packet::Packet packet, const wire::Layers& layers);
  // A segment to a listening endpoint with no conn: a SYN makes a conn (or a cookie), an ACK that returns a cookie
  // makes an established one, all else is answered with RST. Returns the new conn if there is one; `owner` is set in
  // it.
  Conn* accept(Instant now, const Tuple& tuple, packet::Packet packet, const wire::Layers& layers,
               const Options& options, void* owner);
  // A SYN for a tuple whose conn is in TIME-WAIT: true when it may open the tuple anew (RFC 6191); the old conn is then
  // over, and the caller goes on with accept(). Does not take the packet.
  bool recycle(Instant now, Conn& conn, packet::Packet packet, const wire::Layers& layers);
  // A segment that nobody listens for: RST, rate limited (RFC 9293 3.10.7.1).
  void refuse(Instant now, const Tuple& tuple, packet::Packet packet, const wire::Layers& layers);
  // An ICMP error quoted `sequence` of this conn: hard errors end it while connecting, frag needed lowers the MSS.
  // mtu: 0 for errors other than frag needed (RFC 5927: believed only if the sequence is in flight).
  void on_icmp_error(Instant now, Conn& conn, std::uint32_t sequence, std::uint16_t mtu, bool hard);

  // ---- the application
  // Whether connect() may open this conn's tuple anew: it is in TIME-WAIT, and timestamps tell the two apart (RFC
  // 6191).
  bool is_reusable(const Conn& conn) const {
    return conn.state == State::time_wait && conn.owner_released && conn.timestamps_on && !conn.on_ready_list &&
           !conn.on_output_list;
  }
  // Starts a handshake from tuple.local to tuple.remote; nullptr when the tuple is taken or no slot is free.
  Conn* connect(Instant now, const Tuple& tuple, const Options& options, void* owner);
  // Queues the packet's bytes (data() is the first one) to be sent; takes it over. They stay in this packet. False when
  // the conn cannot send (closed, or memory is short): the packet is then still the caller's.
  bool send(Instant now, Conn& conn, packet::Packet payload);
  // Copies bytes to be sent behind the last ones that have not left yet, where their packet has room, else into a new
  // packet; for what the application writes itself. False as send().
  bool send_bytes(Instant now, Conn& conn, std::span<const std::uint8_t> bytes);
  // Bytes that may still be queued before the send buffer is full. Ask for kWritable by finding 0 here.
  std::uint32_t send_room(Conn& conn) const;
  // Takes the first run of in-order bytes out of the receive queue: an empty packet when there is none. The window
  // opens by as much.
  packet::Packet receive(Conn& conn);
  // The first run of bytes without taking it; consume() takes n bytes off the front of it.
  Chunk* peek(Conn& conn) const { return conn.receive_queue.front(); }
  void consume(Conn& conn, std::uint32_t n);
  // No more bytes from us: FIN once what is queued has been sent.
  void close(Instant now, Conn& conn);
  // RST, at once. The conn becomes closed; release() it.
  void abort(Instant now, Conn& conn, CloseReason reason = CloseReason::reset_by_us);
  // The conn is over without a word to its peer. release() it.
  void forget(Instant now, Conn& conn);
  // The owner lets go: a closed conn is freed, another ends by itself (unread bytes are thrown away, no more events).
  // With peer_first, the peer is given so long to send its FIN before ours: TIME-WAIT then falls to it.
  void release(Instant now, Conn& conn, Duration peer_first = Duration::zero());

  // How long the peer's window has been shut, to a millisecond; zero: it is open.
  Duration window_shut_for(Instant now, const Conn& conn) const;

  Conn* take_ready();  // the next conn with events; its events are then the caller's to clear
  void flush(Instant now);
  void on_timers(Instant now, std::size_t work_max);
  Instant next_timer() const { return wheel_.next_deadline(); }

  const Counters& counters() const { return counters_; }
  std::uint32_t conns_in_use() const { return conns_in_use_; }
  std::uint32_t half_open() const { return half_open_; }
  std::uint32_t chunks_in_use() const { return chunks_.in_use(); }
  bool is_nearly_out() const { return chunks_counted() > limits_.chunks_max - limits_.chunks_max / 8; }
  // Visits conns from slot `from`, at most `count` slots; returns the next slot, 0 at the end. For show and shutdown.
  template <typename Fn>
  std::uint32_t visit(std::uint32_t from, std::uint32_t count, Fn fn) {
    const std::uint32_t end = from + std::min(count, slots_used_ - std::min(from, slots_used_));
    for (std::uint32_t i = from; i < end; ++i)
      if (conn_at(i).state != State::closed) fn(conn_at(i));
    return end < slots_used_ ? end : 0;
  }

 private:
  static constexpr std::uint32_t kShortBuffer = 16 * 1024;
  // Without what half-open conns hold: one each, for which there is room of its own.
  std::uint32_t chunks_counted() const { return chunks_.in_use() - std::min(half_open_, chunks_.in_use()); }
  // What a conn may queue now, of `most`: see Limits.
  std::uint32_t buffer_of(std::uint32_t most) const {
    const std::uint32_t used = chunks_counted(), quarter = limits_.chunks_max / 4;
    if (used <= quarter || most <= kShortBuffer) [[likely]]
      return most;
    if (used >= 2 * quarter) return kShortBuffer;
    const std::uint64_t more = std::uint64_t{most - kShortBuffer} * (2 * quarter - used) / quarter;
    return kShortBuffer + static_cast<std::uint32_t>(more);
  }

  Conn& conn_at(std::uint32_t slot) const { return conns_.get()[slot]; }
  Conn* conn_or_null(std::uint32_t slot) const { return slot == kNoSlot ? nullptr : conns_.get() + slot; }
  std::uint32_t slot_of(const Conn& conn) const { return static_cast<std::uint32_t>(&conn - conns_.get()); }

  struct Segment;      // a parsed segment, segment.h
  struct AckProgress;  // what an ACK brought, ack.cc

  // conns (stack.cc)
  Conn* allocate(Instant now, const Tuple& tuple, const Options& options, void* owner);
  bool evict_time_wait();
  void note_half_open(const Conn& conn);
  void keep_slots_free(Instant now);
  std::uint32_t slots_free() const { return limits_.conns_max - conns_in_use_; }
  // Slots that half-open conns leave alone: more than one burst can complete.
  std::uint32_t slots_kept() const { return std::min(limits_.conns_max / 4, 64U); }
  static void set_initial_sequence(Conn& conn, Seq iss);
  void note_time_wait(const Conn& conn);
  void destroy(Conn& conn);
  void free_queues(Conn& conn);
  void free_chunk(Chunk* chunk);
  Chunk* new_chunk();
  void link(Conn& conn);
  void unlink(Conn& conn);
  std::size_t bucket_of(const Tuple& tuple) const;
  void notify(Conn& conn, std::uint8_t events);
  void want_output(Conn& conn);
  void enter(Conn& conn, State state);
  void finish(Instant now, Conn& conn, CloseReason reason);
  void arm(Conn& conn);
  void set_retransmit(Conn& conn, Instant at, Conn::Retransmit kind);
  void on_state_timeout(Instant now, Conn& conn);
  void on_idle(Instant now, Conn& conn);
  void wait_for_fin(Instant now, Conn& conn);
  void window_opened(Conn& conn);
  static std::uint8_t scale_for(const Options& options);

  // input.cc
  bool read_segment(packet::Packet packet, const wire::Layers& layers, Segment& segment);
  void input_syn_sent(Instant now, Conn& conn, Segment& segment);
  bool check_sequence(Instant now, Conn& conn, Segment& segment);
  bool check_reset_and_syn(Instant now, Conn& conn, Segment& segment);
  void take_options(Conn& conn, const Segment& segment);
  void become_established(Instant now, Conn& conn);
  void input_data(Instant now, Conn& conn, Segment& segment);
  void input_fin(Instant now, Conn& conn);
  void take_in_order(Instant now, Conn& conn, Chunk* chunk);
  bool coalesce(Conn& conn, Chunk* chunk);
  void queue_out_of_order(Conn& conn, Chunk* chunk);
  void note_duplicate(Conn& conn, Seq begin, Seq end);
  void enter_time_wait(Instant now, Conn& conn);
  void set_mss(Conn& conn, std::uint16_t mss);
  Conn* accept_syn(Instant now, const Tuple& tuple, const Segment& segment, const Options& options, void* owner);
  bool trim_to_window(Conn& conn, Segment& segment);
  void challenge_ack(Instant now, Conn& conn);
  bool may_answer(Instant now, Conn& conn);
  std::uint32_t ms_since_start(Instant now) const;
  std::uint32_t s_since_start(Instant now) const;
  void discard(Segment& segment);
  std::uint32_t receive_window(const Conn& conn) const;

  // ack.cc
  bool input_ack(Instant now, Conn& conn, const Segment& segment);
  static AckProgress progress_of(const Conn& conn, const Segment& segment);
  void update_send_window(Instant now, Conn& conn, const Segment& segment);
  void remove_acknowledged(Instant now, Conn& conn, Seq ack, AckProgress& progress);
  void apply_sack(Instant now, Conn& conn, const Segment& segment, AckProgress& progress);
  void note_delivered(Conn& conn, const Chunk& chunk, Instant now, AckProgress& progress);
  void sample_round_trip(Instant now, Conn& conn, const Segment& segment, const AckProgress& progress);

  // recovery.cc
  void detect_losses(Instant now, Conn& conn, AckProgress& progress);
  bool rack_detect(Instant now, Conn& conn);
  void rack_update_window(Conn& conn, const AckProgress& progress);
  Duration rack_window(const Conn& conn) const;
  void mark_lost(Conn& conn, Chunk& chunk);
  void enter_recovery(Instant now, Conn& conn);
  void reduce_window(Instant now, Conn& conn, std::uint32_t in_flight, bool timeout);
  void check_tail_loss_probe(Instant now, Conn& conn, const AckProgress& progress);
  void consider_undo(Conn& conn, const AckProgress& progress);
  void undo_reduction(Conn& conn);
  void leave_recovery(Conn& conn);
  void update_congestion(Instant now, Conn& conn, const AckProgress& progress);
  void on_retransmit_deadline(Instant now, Conn& conn);
  void on_reorder_timeout(Instant now, Conn& conn);
  void on_retransmit_timeout(Instant now, Conn& conn);
  void on_tail_loss_probe(Instant now, Conn& conn);
  void on_window_probe(Instant now, Conn& conn);
  void note_window_shut(Instant now, Conn& conn) const;
  bool is_window_shut_for_too_long(Instant now, const Conn& conn) const;
  void arm_retransmit(Instant now, Conn& conn, bool restart);

  // output.cc
  void output(Instant now, Conn& conn);
  bool output_chunk(Instant now, Conn& conn, Chunk& chunk);
  bool output_new(Instant now, Conn& conn);
  bool output_lost(Instant now, Conn& conn);
  void wait_for_window(Instant now, Conn& conn);
  std::uint32_t window_room(const Conn& conn) const;
  bool may_send(const Conn& conn, const Chunk& chunk) const;
  void output_ack(Instant now, Conn& conn, Seq sequence);
  void output_reset(Instant now, Conn& conn);
  bool emit(Instant now, Conn& conn, packet::Packet packet, Seq sequence, std::uint8_t flags);
  wire::TcpOptions options_for(Instant now, const Conn& conn, bool syn) const;
  void add_sack(Conn& conn, wire::TcpOptions& options) const;
  packet::Packet packet_for(Chunk& chunk);
  packet::Packet new_packet();
  bool strip_headers(Chunk& chunk);
  bool split(Conn& conn, Chunk& chunk, std::uint32_t length);
  bool split_fin(Conn& conn, Chunk& chunk);
  static Seq acceptable_sequence(const Conn& conn);
  void queue_chunk(Conn& conn, Chunk* chunk);
  std::uint16_t offered_window(Conn& conn, bool syn);
  std::uint32_t timestamp_now(Instant now, const Conn& conn) const;
  void lower_mss(Conn& conn, std::uint16_t mss);

  // syn_cookie.cc
  void send_cookie(Instant now, const Tuple& tuple, const Segment& segment, const Options& options);
  bool cookies_are_about(Instant now) const;
  Conn* accept_cookie(Instant now, const Tuple& tuple, const Segment& segment, const Options& options, void* owner);
  std::uint32_t cookie(const Tuple& tuple, Seq theirs, std::uint32_t tick, std::uint32_t index) const;
  std::uint32_t timestamp_offset(const Tuple& tuple) const;
  Seq initial_sequence(Instant now, const Tuple& tuple) const;
  void reply_reset(Instant now, const Tuple& tuple, const Segment& segment);

  const Limits limits_;
  const HashSeed seed_;
  const Instant start_;
  Network& network_;
  const packet::PacketPool& pool_;
  packet::Drops& drops_;
  TimerWheel wheel_;
  ChunkPool chunks_;
  // Slots are constructed when they are first used, so that memory is touched only as conns are open.
  struct FreeConns {
    std::size_t count;
    void operator()(Conn* conns) const { std::allocator<Conn>().deallocate(conns, count); }
  };
  std::unique_ptr<Conn, FreeConns> conns_;
  // Conns in TIME-WAIT, oldest first (with ones that are over): the first to go when a slot is needed.
  struct Waiting {
    std::uint32_t slot;
    std::uint32_t generation;
  };
  std::vector<Waiting> waiting_;
  std::size_t waiting_first_ = 0;
  std::size_t waiting_count_ = 0;
  // Passive conns in SYN-RECEIVED, oldest first (with ones that have gone on), a ring.
  std::vector<Waiting> opening_;
  std::size_t opening_first_ = 0;
  std::size_t opening_count_ = 0;
  // recycle() ended this tuple's conn: the next one begins beyond all that it sent (RFC 1122 section 4.2.2.13).
  Tuple successor_{};
  Seq successor_begin_;
  bool has_successor_ = false;
  std::vector<std::uint32_t> buckets_;  // slots
  std::uint32_t free_conns_ = kNoSlot;  // through hash_next
  std::uint32_t slots_used_ = 0;
  std::uint32_t conns_in_use_ = 0;
  std::uint32_t half_open_ = 0;
  Conn* ready_head_ = nullptr;
  Conn* ready_tail_ = nullptr;
  Conn* output_head_ = nullptr;
  Instant last_cookie_{};  // zero: none was sent
  std::uint32_t challenge_second_ = 0;
  std::uint32_t challenges_left_ = 0;
  TokenBucket resets_;
  Counters counters_;
};

}  // namespace sluice::tcp
