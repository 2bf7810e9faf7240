// FlowTable: a fixed number of flows, each found by two keys (client side and server side), each aged lazily.
//
//   struct L4Flow : flow::Entry { … };                     // the owner's own fields, no constructor with side effects
//   FlowTable<L4Flow> table(262144, seed, now);
//   const auto hash = table.prefetch(key);                 // for each packet of a burst: stage 1
//   const auto candidate = table.prefetch_entry(hash);     // stage 2
//   if (auto hit = table.find(key, hash, candidate)) { hit->last_used = table.tick(now); … }
//   L4Flow* flow = table.allocate();                       // null when full: make room with oldest_embryonic()
//   table.insert(*flow, now, now + 10s);                   // false: one of its keys is taken
//   table.expire(now, 64, [&](L4Flow& f) -> Instant { … }); // a later deadline keeps it; <= now: erase it there
//
// A packet only writes `last_used` of its flow; the timer fires at the deadline known when it was set, and the owner
// answers with the real one. Embryonic flows (no answer seen yet) also stand in a queue, oldest first: when the table
// is full they make room, established flows never do.
//
// Called by: lb/l4. Runs on: the worker that owns it. Tested by: tests/dataplane/flow/flow_table_test.cc
// Cost: bench/micro/flow_bench.cc
#pragma once

#include <cassert>
#include <cstdint>
#include <limits>
#include <optional>

#include "dataplane/base/hash.h"
#include "dataplane/base/huge_array.h"
#include "dataplane/base/prefetch.h"
#include "dataplane/base/time.h"
#include "dataplane/base/timer_wheel.h"
#include "dataplane/flow/flow_index.h"
#include "dataplane/flow/flow_key.h"

namespace sluice::flow {

enum class Direction : std::uint8_t { from_client = 0, from_server = 1 };
constexpr Direction opposite(Direction d) {
  return d == Direction::from_client ? Direction::from_server : Direction::from_client;
}

struct Entry {
  FlowKey keys[2];              // by Direction, each as a packet in that direction carries it when it reaches us
  std::uint32_t last_used = 0;  // FlowTable::tick of the last packet
};

// Names a flow for good: a slot, and how often it was used. 0 names none.
using FlowId = std::uint64_t;

template <typename F>
class FlowTable {
 public:
  struct Hit {
    F* flow = nullptr;
    Direction direction = Direction::from_client;
    explicit operator bool() const { return flow != nullptr; }
    F* operator->() const { return flow; }
  };

  FlowTable(std::uint32_t capacity, const HashSeed& seed, Instant now)
      : capacity_(capacity),
        seed_(seed),
        index_(std::size_t{capacity} * 2),
        flows_(capacity),
        cold_(capacity),
        wheel_(now, kTimerResolution) {
    assert(capacity > 0 && capacity < kNone / 2);
    for (std::uint32_t i = 0; i < capacity; ++i) cold_[i].next = i + 1 < capacity ? i + 1 : kNone;
  }
  ~FlowTable() {
    for (std::uint32_t i = 0; i < capacity_; ++i) wheel_.cancel(cold_[i]);
  }
  FlowTable(const FlowTable&) = delete;
  FlowTable& operator=(const FlowTable&) = delete;

  std::uint32_t capacity() const { return capacity_; }
  std::uint32_t size() const { return size_; }
  std::uint32_t embryonic() const { return embryonic_; }

  // ---- lookup, in stages for a burst
  std::uint64_t hash(const FlowKey& key) const { return key.hash(seed_); }
  std::uint64_t prefetch(const FlowKey& key) const { return prefetch(key.words()); }
  std::uint64_t prefetch(FlowKey::Words key) const {
    const std::uint64_t hash = FlowKey::hash(seed_, key);
    index_.prefetch(hash);
    return hash;
  }
  // Where the flow probably is; kNoCandidate: not in its home bucket.
  static constexpr std::uint32_t kNoCandidate = FlowIndex::kNone;
  std::uint32_t prefetch_entry(std::uint64_t hash) const {
    const std::uint32_t candidate = index_.first_candidate(hash);
    if (candidate != kNoCandidate) prefetch_object(&flows_[candidate >> 1]);
    return candidate;
  }
  // Only whether it is the candidate.
  Hit find_candidate(const FlowKey& key, std::uint32_t candidate) const {
    if (candidate == kNoCandidate || flows_[candidate >> 1].keys[candidate & 1] != key) return {};
    return {&flows_[candidate >> 1], static_cast<Direction>(candidate & 1)};
  }
  // The table may have changed since: slots out of use have no keys.
  Hit find(const FlowKey& key, std::uint64_t hash, std::uint32_t candidate) const {
    if (candidate != kNoCandidate && flows_[candidate >> 1].keys[candidate & 1] == key) [[likely]] {
      return {&flows_[candidate >> 1], static_cast<Direction>(candidate & 1)};
    }
    return find(key, hash);
  }
  Hit find(const FlowKey& key, std::uint64_t hash) const {
    const std::uint32_t reference =
        index_.find(hash, [&](std::uint32_t r) { return flows_[r >> 1].keys[r & 1] == key; });
    if (reference == FlowIndex::kNone) return {};
    return {&flows_[reference >> 1], static_cast<Direction>(reference & 1)};
  }
  Hit find(const FlowKey& key) const { return find(key, key.hash(seed_)); }
  bool contains(const FlowKey& key) const { return static_cast<bool>(find(key)); }

  // ---- making and ending flows
  // A flow outside of the table, as a fresh F; null when every one is in use. End it by insert or by release.
  F* allocate() {
    if (free_ == kNone) return nullptr;
    const std::uint32_t i = free_;
    free_ = cold_[i].next;
    cold_[i].next = kNone;
    flows_[i] = F{};
    if (free_ != kNone) {  // the next one's turn comes soon, and after some churn it lies anywhere
      prefetch_object(&flows_[free_]);
      prefetch_object(&cold_[free_]);
    }
    return &flows_[i];
  }
  void release(F& flow) {  // allocated, not inserted
    const std::uint32_t i = index_of(flow);
    flow.keys[0] = flow.keys[1] = FlowKey{};
    cold_[i].next = free_;
    free_ = i;
  }
  // Puts an allocated flow in, embryonic. False (and it is still only allocated) when one of its keys is taken.
  bool insert(F& flow, Instant now, Instant deadline) {
    const std::uint64_t client = hash(flow.keys[0]);
    const std::uint64_t server = hash(flow.keys[1]);
    if (flow.keys[0] == flow.keys[1] || find(flow.keys[0], client) || find(flow.keys[1], server)) return false;
    insert_new(flow, client, server, now, deadline);
    return true;
  }
  // The same for who has looked already: its keys differ, have these hashes, and no flow has either of them.
  void insert_new(F& flow, std::uint64_t client, std::uint64_t server, Instant now, Instant deadline) {
    assert(client == hash(flow.keys[0]) && server == hash(flow.keys[1]) && flow.keys[0] != flow.keys[1]);
    assert(!contains(flow.keys[0]) && !contains(flow.keys[1]));
    const std::uint32_t i = index_of(flow);
    index_.insert(client, i << 1);
    index_.insert(server, i << 1 | 1);
    ++cold_[i].uses;
    cold_[i].in_table = true;
    cold_[i].created = now;
    ++size_;
    push_embryonic(i);
    wheel_.schedule(cold_[i], deadline);
  }
  void erase(F& flow) {
    const std::uint32_t i = index_of(flow);
    assert(cold_[i].in_table);
    index_.erase(flow.keys[0].hash(seed_), i << 1);
    index_.erase(flow.keys[1].hash(seed_), i << 1 | 1);
    wheel_.cancel(cold_[i]);
    if (cold_[i].embryonic) pop_embryonic(i);
    cold_[i].in_table = false;
    --size_;
    release(flow);
  }

  // The flow was answered: it no longer makes room for others.
  void establish(F& flow) {
    const std::uint32_t i = index_of(flow);
    if (cold_[i].embryonic) pop_embryonic(i);
  }
  bool is_embryonic(const F& flow) const { return cold_[index_of(flow)].embryonic; }
  F* oldest_embryonic() { return head_ == kNone ? nullptr : &flows_[head_]; }

  // ---- age
  // Time in steps of about a millisecond for last_used; wraps after 52 days, compare with since().
  static std::uint32_t tick(Instant now) { return static_cast<std::uint32_t>(to_ns(now) >> kTickShift); }
  // When a flow was last used, given that this was less than 26 days ago.
  static Instant last_used(const F& flow, Instant now) {
    const auto ago = static_cast<std::int32_t>(tick(now) - flow.last_used);
    return now - Duration(std::int64_t{ago} << kTickShift);
  }
  // Moves the deadline; needed only when it comes nearer than it was.
  void reschedule(F& flow, Instant deadline) { wheel_.schedule(cold_[index_of(flow)], deadline); }
  // Calls due(flow) for at most about `budget` flows whose timer fired. It answers with the deadline to wait for, or
  // has erased the flow itself and answers kInstantMax. Returns the number of calls.
  template <typename Due>
  std::size_t expire(Instant now, std::size_t budget, Due&& due) {
    return wheel_.expire(now, budget, [&](Timer& timer) {
      F& flow = flows_[index_of(timer)];
      const Instant deadline = due(flow);
      if (deadline != kInstantMax) wheel_.schedule(timer, deadline);
    });
  }
  Instant next_timer() const { return wheel_.next_deadline(); }

  // ---- by number, for listing and sweeping
  F* at(std::uint32_t slot) { return cold_[slot].in_table ? &flows_[slot] : nullptr; }
  Instant created(const F& flow) const { return cold_[index_of(flow)].created; }
  FlowId id_of(const F& flow) const {
    const std::uint32_t i = index_of(flow);
    return FlowId{cold_[i].uses} << 32 | i;
  }
  F* by_id(FlowId id) {
    const auto slot = static_cast<std::uint32_t>(id);
    if (slot >= capacity_ || cold_[slot].uses != id >> 32) return nullptr;
    return at(slot);
  }

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;
  static constexpr Duration kTimerResolution = 16ms;
  static constexpr unsigned kTickShift = 20;

  // What packets of an established flow do not touch.
  struct alignas(64) Cold : Timer {
    std::uint32_t next = kNone;  // embryonic queue, or list of free slots
    std::uint32_t previous = kNone;
    std::uint32_t uses = 0;
    Instant created{};
    bool in_table = false;
    bool embryonic = false;
  };

  std::uint32_t index_of(const F& flow) const { return static_cast<std::uint32_t>(&flow - flows_.data()); }
  std::uint32_t index_of(const Timer& timer) const {
    return static_cast<std::uint32_t>(&static_cast<const Cold&>(timer) - cold_.data());
  }
  void push_embryonic(std::uint32_t i) {
    cold_[i].embryonic = true;
    cold_[i].previous = tail_;
    cold_[i].next = kNone;
    (tail_ == kNone ? head_ : cold_[tail_].next) = i;
    tail_ = i;
    ++embryonic_;
  }
  void pop_embryonic(std::uint32_t i) {
    Cold& cold = cold_[i];
    (cold.previous == kNone ? head_ : cold_[cold.previous].next) = cold.next;
    (cold.next == kNone ? tail_ : cold_[cold.next].previous) = cold.previous;
    cold.previous = cold.next = kNone;
    cold.embryonic = false;
    --embryonic_;
  }

  std::uint32_t capacity_;
  HashSeed seed_;
  FlowIndex index_;
  HugeArray<F> flows_;
  HugeArray<Cold> cold_;
  TimerWheel wheel_;
  std::uint32_t free_ = 0;
  std::uint32_t head_ = kNone, tail_ = kNone;
  std::uint32_t size_ = 0;
  std::uint32_t embryonic_ = 0;
};

}  // namespace sluice::flow
