// Conns of a worker: their slots, the table that finds them, ready and output lists, timers, and the application's
// calls.
#include "dataplane/tcp/stack.h"

#include <bit>

#include "dataplane/packet/chain.h"
#include "dataplane/tcp/segment.h"

namespace sluice::tcp {

std::string_view name_of(State state) {
  constexpr std::array<std::string_view, 10> kNames{"CLOSED",     "SYN-SENT",   "SYN-RECEIVED", "ESTABLISHED",
                                                    "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT",   "CLOSING",
                                                    "LAST-ACK",   "TIME-WAIT"};
  return kNames[static_cast<std::size_t>(state)];
}

std::string_view name_of(CloseReason reason) {
  constexpr std::array<std::string_view, 12> kNames{"none",
                                                    "finished",
                                                    "reset by peer",
                                                    "reset by us",
                                                    "refused",
                                                    "connect timed out",
                                                    "no answer to retransmissions",
                                                    "idle timeout",
                                                    "zero window timeout",
                                                    "FIN wait timeout",
                                                    "unreachable",
                                                    "no memory"};
  return kNames[static_cast<std::size_t>(reason)];
}

Stack::Stack(Instant now, const Limits& limits, const HashSeed& seed, Network& network, const packet::PacketPool& pool,
             packet::Drops& drops)
    : limits_(limits),
      seed_(seed),
      start_(now),
      network_(network),
      pool_(pool),
      drops_(drops),
      wheel_(now, 1ms),
      chunks_(limits.chunks_max + std::min(limits.half_open_max, limits.conns_max)),
      conns_(std::allocator<Conn>().allocate(limits.conns_max), FreeConns{limits.conns_max}),
      waiting_(limits.conns_max),
      opening_(std::size_t{4} * std::min(limits.half_open_max, limits.conns_max) + 4),
      buckets_(std::bit_ceil(std::size_t{limits.conns_max}), kNoSlot),
      resets_(limits.resets_per_s, std::max(limits.resets_per_s / 10, 1U)) {}

Stack::~Stack() {
  for (std::uint32_t i = 0; i < slots_used_; ++i) {
    free_queues(conn_at(i));
    wheel_.cancel(conn_at(i));
    std::destroy_at(&conn_at(i));
  }
}

// ---- slots and the table
// ---------------------------------------------------------------------------------------------

std::size_t Stack::bucket_of(const Tuple& tuple) const {
  return hash_tuple(seed_, tuple.local.address, tuple.remote.address, tuple.local.port, tuple.remote.port, 6) &
         (buckets_.size() - 1);
}

Conn* Stack::find(const Tuple& tuple) const {
  if (conns_in_use_ == 0) return nullptr;  // a worker that only forwards reads none of this memory
  Conn* conn = conn_or_null(buckets_[bucket_of(tuple)]);
  while (conn && conn->tuple != tuple) conn = conn_or_null(conn->hash_next);
  return conn;
}

void Stack::link(Conn& conn) {
  std::uint32_t& head = buckets_[bucket_of(conn.tuple)];
  conn.hash_next = head;
  head = slot_of(conn);
  conn.linked = true;
}

void Stack::unlink(Conn& conn) {
  if (!conn.linked) return;
  std::uint32_t* place = &buckets_[bucket_of(conn.tuple)];
  while (*place != slot_of(conn)) place = &conn_at(*place).hash_next;
  *place = conn.hash_next;
  conn.hash_next = kNoSlot;
  conn.linked = false;
}

Conn* Stack::allocate(Instant now, const Tuple& tuple, const Options& options, void* owner) {
  if (free_conns_ == kNoSlot && slots_used_ == limits_.conns_max) evict_time_wait();
  Conn* conn = conn_or_null(free_conns_);
  if (conn) {
    free_conns_ = conn->hash_next;
  } else if (slots_used_ < limits_.conns_max) {
    conn = std::construct_at(&conn_at(slots_used_++));
  } else {
    counters_.no_conn_slot.add();
    return nullptr;
  }
  // The slot that comes next is cold, too: its lines arrive while this conn is being made.
  if (const Conn* next = conn_or_null(free_conns_)) {
    prefetch(*next);
  } else if (slots_used_ == limits_.conns_max && waiting_count_ > 0) {
    prefetch(conn_at(waiting_[waiting_first_].slot));
  }
  const std::uint32_t generation = conn->generation + 1;
  std::destroy_at(conn);
  std::construct_at(conn);
  conn->generation = generation;
  conn->tuple = tuple;
  conn->options = &options;
  conn->owner = owner;
  conn->last_received = conn->last_sent = now;
  conn->ts_offset = timestamp_offset(tuple);
  Seq iss = initial_sequence(now, tuple);
  if (has_successor_ && successor_ == tuple) iss = max(iss, successor_begin_);
  has_successor_ = false;
  set_initial_sequence(*conn, iss);
  conn->congestion.algorithm = options.congestion;
  link(*conn);
  ++conns_in_use_;
  return conn;
}

// Whatever is compared with sequence numbers of ours begins there too: zero would lie ahead of half of them.
void Stack::set_initial_sequence(Conn& conn, Seq iss) {
  conn.iss = conn.snd_una = conn.snd_nxt = conn.snd_end = iss;
  conn.recovery_point = conn.rack_end = conn.rack_fack = conn.rack_dsack_round = conn.tlp_end = iss;
}

void Stack::note_time_wait(const Conn& conn) {
  if (waiting_count_ == waiting_.size()) {  // its oldest entry can no longer be evicted, only expire
    waiting_first_ = (waiting_first_ + 1) % waiting_.size();
    --waiting_count_;
  }
  waiting_[(waiting_first_ + waiting_count_++) % waiting_.size()] = {slot_of(conn), conn.generation};
}

// The oldest conn in TIME-WAIT gives its slot to a new one (RFC 1122 section 4.2.2.13 would have it wait; a server that
// refuses clients for that is worse, and RFC 6191 timestamps guard the tuple).
bool Stack::evict_time_wait() {
  while (waiting_count_ > 0) {
    const Waiting waiting = waiting_[waiting_first_];
    waiting_first_ = (waiting_first_ + 1) % waiting_.size();
    --waiting_count_;
    Conn& conn = conn_at(waiting.slot);
    if (conn.generation != waiting.generation || conn.state != State::time_wait || !conn.owner_released ||
        conn.on_ready_list || conn.on_output_list) {
      continue;
    }
    enter(conn, State::closed);
    destroy(conn);
    counters_.time_waits_evicted.add();
    return true;
  }
  return false;
}

// Joins the ring of half-open conns. What has gone on since leaves it here: so the ring, four times as long as there
// may be half-open conns, always has room for a new one.
void Stack::note_half_open(const Conn& conn) {
  const auto is_stale = [&](const Waiting& waiting) {
    const Conn& other = conn_at(waiting.slot);
    return other.generation != waiting.generation || other.state != State::syn_received;
  };
  while (opening_count_ > 0 && is_stale(opening_[opening_first_])) {
    opening_first_ = (opening_first_ + 1) % opening_.size();
    --opening_count_;
  }
  while (opening_count_ == opening_.size()) {  // a live one at the front moves to the back
    const Waiting waiting = opening_[opening_first_];
    opening_first_ = (opening_first_ + 1) % opening_.size();
    if (is_stale(waiting)) {
      --opening_count_;
    } else {
      opening_[(opening_first_ + opening_count_ - 1) % opening_.size()] = waiting;
    }
  }
  opening_[(opening_first_ + opening_count_++) % opening_.size()] = {slot_of(conn), conn.generation};
}

// After a conn that has earned its slot took one: while few are left, the oldest half-open conn ends. Its slot is free
// as soon as its owner has let go of it.
void Stack::keep_slots_free(Instant now) {
  if (half_open_ == 0 || slots_free() >= slots_kept()) return;
  while (opening_count_ > 0) {
    const Waiting waiting = opening_[opening_first_];
    opening_first_ = (opening_first_ + 1) % opening_.size();
    --opening_count_;
    Conn& conn = conn_at(waiting.slot);
    if (conn.generation != waiting.generation || conn.state != State::syn_received) continue;
    counters_.half_open_evicted.add();
    return finish(now, conn, CloseReason::no_memory);
  }
}

// The slot is free once it is on no list and nobody owns it.
void Stack::destroy(Conn& conn) {
  wheel_.cancel(conn);
  free_queues(conn);
  unlink(conn);
  conn.owner = nullptr;
  conn.hash_next = free_conns_;
  free_conns_ = slot_of(conn);
  --conns_in_use_;
}

// Nullptr, and counted, when all that there may be are in use.
Chunk* Stack::new_chunk() {
  Chunk* const chunk = chunks_counted() < limits_.chunks_max ? chunks_.allocate() : nullptr;
  if (!chunk) counters_.no_chunk.add();
  return chunk;
}

void Stack::free_chunk(Chunk* chunk) {
  if (chunk->packet) {
    drops_.consume(chunk->packet);
    chunk->packet = {};
  }
  chunks_.release(chunk);
}

void Stack::free_queues(Conn& conn) {
  for (ChunkList* list : {&conn.send_queue, &conn.receive_queue, &conn.reorder_queue})
    while (Chunk* chunk = list->pop_front()) free_chunk(chunk);
  conn.first_unsent = nullptr;
}

// ---- lists and timers
// ------------------------------------------------------------------------------------------------

void Stack::notify(Conn& conn, std::uint8_t events) {
  if (conn.owner_released) return;
  conn.events |= events;
  if (conn.on_ready_list) return;
  conn.on_ready_list = true;
  conn.ready_next = kNoSlot;
  if (ready_tail_)
    ready_tail_->ready_next = slot_of(conn);
  else
    ready_head_ = &conn;
  ready_tail_ = &conn;
}

Conn* Stack::take_ready() {
  while (Conn* conn = ready_head_) {
    ready_head_ = conn_or_null(conn->ready_next);
    if (!ready_head_) ready_tail_ = nullptr;
    conn->on_ready_list = false;
    if (!conn->owner_released) return conn;
    if (conn->state == State::closed) want_output(*conn);  // flush() passed it by while it was on this list
  }
  return nullptr;
}

void Stack::want_output(Conn& conn) {
  if (conn.on_output_list) return;
  conn.on_output_list = true;
  conn.output_next = output_head_ ? slot_of(*output_head_) : kNoSlot;
  output_head_ = &conn;
}

void Stack::flush(Instant now) {
  while (Conn* conn = output_head_) {
    output_head_ = conn_or_null(conn->output_next);
    conn->on_output_list = false;
    if (conn->state != State::closed) output(now, *conn);
    if (conn->state == State::closed && conn->owner_released && !conn->on_ready_list) destroy(*conn);
  }
}

// Schedules the conn's one timer at its earliest deadline. A later deadline leaves the timer as it is: it fires, finds
// nothing due and is scheduled anew, which is far cheaper than moving it with every segment.
void Stack::arm(Conn& conn) {
  Instant at = std::min({conn.retransmit_at, conn.delayed_ack_at, conn.reorder_at, conn.state_at});
  if (conn.may_idle()) {
    if (conn.options->idle_timeout > 0s) at = std::min(at, conn.last_received + conn.options->idle_timeout);
    if (conn.options->keepalive_interval > 0s && conn.flight() == 0) at = std::min(at, conn.keepalive_at());
  }
  if (at == kInstantMax || wheel_.fires_by(conn, at)) return;
  wheel_.schedule(conn, at);
}

void Stack::set_retransmit(Conn& conn, Instant at, Conn::Retransmit kind) {
  conn.retransmit_at = at;
  conn.retransmit_kind = kind;
}

void Stack::on_timers(Instant now, std::size_t work_max) {
  wheel_.expire(now, work_max, [&](Timer& timer) {
    Conn& conn = static_cast<Conn&>(timer);
    if (conn.state == State::closed) return;
    if (now >= conn.state_at) {
      on_state_timeout(now, conn);
      if (conn.state != State::closed) arm(conn);
      return;
    }
    if (now >= conn.delayed_ack_at) {
      conn.delayed_ack_at = kInstantMax;
      conn.ack_now = true;
      counters_.delayed_acks.add();
      want_output(conn);
    }
    if (now >= conn.reorder_at) {
      conn.reorder_at = kInstantMax;
      on_reorder_timeout(now, conn);
    }
    if (now >= conn.retransmit_at) on_retransmit_deadline(now, conn);
    if (conn.state != State::closed) on_idle(now, conn);
    if (conn.state != State::closed) arm(conn);
  });
}

void Stack::on_state_timeout(Instant now, Conn& conn) {
  conn.state_at = kInstantMax;
  switch (conn.state) {
    case State::syn_sent:
      return finish(now, conn, CloseReason::connect_timeout);
    case State::syn_received:
      return finish(now, conn, CloseReason::connect_timeout);
    case State::time_wait:
      return finish(now, conn, CloseReason::finished);
    case State::established:  // released, and the peer did not close first
      return close(now, conn);
    default:
      output_reset(now, conn);
      return finish(now, conn, CloseReason::fin_wait_timeout);
  }
}

// Keepalive probes and the idle timeout: RFC 9293 section 3.8.4.
void Stack::on_idle(Instant now, Conn& conn) {
  if (!conn.may_idle()) return;
  const Options& options = *conn.options;
  if (options.idle_timeout > 0s && now - conn.last_received >= options.idle_timeout) {
    output_reset(now, conn);
    return finish(now, conn, CloseReason::idle_timeout);
  }
  if (options.keepalive_interval > 0s && conn.flight() == 0 && now >= conn.keepalive_at()) {
    if (conn.probes_sent >= options.keepalive_probes_max) {
      output_reset(now, conn);
      return finish(now, conn, CloseReason::idle_timeout);
    }
    ++conn.probes_sent;
    counters_.keepalives.add();
    output_ack(now, conn, conn.snd_una - 1);
  }
}

// Nobody reads any more, so the peer has only so long for its FIN.
void Stack::wait_for_fin(Instant now, Conn& conn) {
  if (conn.options->fin_wait_timeout == 0s) return;
  conn.state_at = now + conn.options->fin_wait_timeout;
  arm(conn);
}

// ---- states
// ----------------------------------------------------------------------------------------------------------

void Stack::enter(Conn& conn, State state) {
  if (conn.state == State::syn_received) --half_open_;
  if (state == State::syn_received) ++half_open_;
  conn.state = state;
}

// The conn is over: it leaves the table at once, so that its tuple can be used again.
void Stack::finish(Instant, Conn& conn, CloseReason reason) {
  if (conn.state == State::closed) return;
  enter(conn, State::closed);
  conn.close_reason = reason;
  unlink(conn);
  wheel_.cancel(conn);
  while (Chunk* chunk = conn.send_queue.pop_front()) free_chunk(chunk);
  while (Chunk* chunk = conn.reorder_queue.pop_front()) free_chunk(chunk);
  conn.first_unsent = nullptr;
  notify(conn, kClosed);
  if (conn.owner_released) want_output(conn);  // flush() frees it
}

// ---- the application's calls
// -----------------------------------------------------------------------------------------

Conn* Stack::connect(Instant now, const Tuple& tuple, const Options& options, void* owner) {
  Seq beyond;
  Conn* const old = find(tuple);
  if (old) {
    if (!is_reusable(*old)) return nullptr;
    beyond = old->snd_nxt + 1;
    enter(*old, State::closed);
    destroy(*old);
  }
  Conn* conn = allocate(now, tuple, options, owner);
  if (!conn) return nullptr;
  if (old && conn->iss <= beyond) set_initial_sequence(*conn, beyond);
  Chunk* syn = new_chunk();
  if (!syn) {
    destroy(*conn);
    return nullptr;
  }
  counters_.connects.add();
  enter(*conn, State::syn_sent);
  conn->rcv_wscale = scale_for(options);
  conn->snd_wnd = 1;  // the SYN
  conn->congestion.cwnd = options.mss_max;
  conn->state_at = now + options.connect_timeout;
  syn->syn = true;
  queue_chunk(*conn, syn);
  want_output(*conn);
  arm(*conn);
  keep_slots_free(now);
  return conn;
}

bool Stack::send(Instant, Conn& conn, packet::Packet payload) {
  if (!conn.can_send()) return false;
  const std::uint32_t length = payload.length();
  assert(length > 0);
  Chunk* chunk = new_chunk();
  if (!chunk) return false;
  chunk->packet = payload;
  chunk->length = length;
  chunk->push = true;
  queue_chunk(conn, chunk);
  want_output(conn);
  return true;
}

bool Stack::send_bytes(Instant now, Conn& conn, std::span<const std::uint8_t> bytes) {
  Chunk* last = conn.send_queue.back();
  if (conn.can_send() && last && !last->sent() && last->packet && !last->syn &&
      last->length + bytes.size() <= conn.snd_mss && last->packet.is_contiguous() && !packet::is_shared(last->packet)) {
    if (std::uint8_t* room = last->packet.append(static_cast<std::uint16_t>(bytes.size()))) {
      std::copy_n(bytes.data(), bytes.size(), room);
      const auto added = static_cast<std::uint32_t>(bytes.size());
      last->length += added;
      conn.snd_end += added;
      conn.send_queue.adjust(static_cast<std::int32_t>(added));
      want_output(conn);
      return true;
    }
  }
  const packet::Packet packet = packet::from_bytes(pool_, bytes);
  if (!packet) {
    counters_.no_packet.add();
    return false;
  }
  drops_.count_generated();
  if (send(now, conn, packet)) return true;
  drops_.consume(packet);
  return false;
}

// Behind what is queued already. Longer than a segment: output splits it when its turn comes.
void Stack::queue_chunk(Conn& conn, Chunk* chunk) {
  chunk->seq = conn.snd_end;
  conn.snd_end += chunk->span();
  conn.send_queue.push_back(chunk);
  if (!conn.first_unsent) conn.first_unsent = chunk;
}

std::uint32_t Stack::send_room(Conn& conn) const {
  const std::uint32_t used = conn.send_queue.bytes();
  const std::uint32_t most = buffer_of(conn.options->send_buffer_bytes);
  const std::uint32_t room = used >= most ? 0 : most - used;
  if (room == 0) conn.window_was_full = true;
  return room;
}

packet::Packet Stack::receive(Conn& conn) {
  Chunk* chunk = conn.receive_queue.pop_front();
  if (!chunk) return {};
  const packet::Packet packet = chunk->packet;
  chunk->packet = {};
  chunks_.release(chunk);
  window_opened(conn);
  return packet;
}

void Stack::consume(Conn& conn, std::uint32_t n) {
  while (n > 0) {
    Chunk* chunk = conn.receive_queue.front();
    assert(chunk);
    if (chunk->length <= n) {
      n -= chunk->length;
      conn.receive_queue.erase(chunk);
      free_chunk(chunk);
      continue;
    }
    packet::trim_front(chunk->packet, n);
    chunk->seq += n;
    chunk->length -= n;
    conn.receive_queue.adjust(-static_cast<std::int32_t>(n));
    n = 0;
  }
  window_opened(conn);
}

// The application took bytes: say so when the window we offered has become small and would now grow by two segments or
// half the buffer (RFC 9293 section 3.8.6.2.2, receiver's silly window avoidance).
void Stack::window_opened(Conn& conn) {
  if (conn.state != State::established && conn.state != State::fin_wait_1 && conn.state != State::fin_wait_2) return;
  const std::uint32_t offered = conn.rcv_adv > conn.rcv_nxt ? conn.rcv_adv - conn.rcv_nxt : 0;
  const std::uint32_t window = receive_window(conn);
  const std::uint32_t step =
      std::min<std::uint32_t>(2U * conn.options->mss_max, conn.options->receive_buffer_bytes / 2);
  if (window < offered + step) return;
  // While the peer has room for a flight the next ACK is soon enough.
  if (offered >= std::min<std::uint32_t>(conn.options->receive_buffer_bytes / 2, 16U * conn.options->mss_max)) return;
  conn.ack_now = true;
  want_output(conn);
}

void Stack::close(Instant now, Conn& conn) {
  switch (conn.state) {
    case State::syn_sent:
      return finish(now, conn, CloseReason::finished);
    case State::syn_received:
    case State::established:
    case State::close_wait:
      break;
    default:
      return;  // closing already
  }
  if (conn.fin_queued) return;
  if (Chunk* last = conn.send_queue.back(); last && !last->sent() && last->length > 0) {
    last->fin = true;  // leaves with the last bytes
    conn.snd_end += 1;
  } else {
    Chunk* fin = new_chunk();
    if (!fin) return abort(now, conn, CloseReason::no_memory);
    fin->fin = true;
    queue_chunk(conn, fin);
  }
  conn.fin_queued = true;
  if (conn.state != State::syn_received)
    enter(conn, conn.state == State::established ? State::fin_wait_1 : State::last_ack);
  want_output(conn);
}

void Stack::abort(Instant now, Conn& conn, CloseReason reason) {
  if (conn.state == State::closed) return;
  if (conn.state != State::syn_sent && conn.state != State::time_wait) output_reset(now, conn);
  finish(now, conn, reason);
}

void Stack::forget(Instant now, Conn& conn) { finish(now, conn, CloseReason::reset_by_us); }

void Stack::release(Instant now, Conn& conn, Duration peer_first) {
  conn.owner = nullptr;
  conn.owner_released = true;
  conn.events = 0;
  if (conn.state == State::closed) {
    want_output(conn);  // flush() frees it
    return;
  }
  // Unread bytes would be lost: RFC 9293 section 3.10.4 with RFC 2525 section 2.17 asks for a RST then.
  if (!conn.receive_queue.empty()) return abort(now, conn);
  if (peer_first > Duration::zero() && conn.state == State::established) {
    conn.state_at = now + peer_first;
    return arm(conn);
  }
  if (conn.state == State::fin_wait_2) wait_for_fin(now, conn);
  close(now, conn);
}

}  // namespace sluice::tcp
