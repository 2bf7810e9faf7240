// SpscRing: a bounded queue between exactly one producer and one consumer thread, without locks or allocation.
//
// Called by: worker (mailbox, hand-over), port/memory_port. Runs on: one thread pushes, one thread pops.
// Follows: Lamport's ring with cached indices. Tested by: tests/dataplane/base/spsc_ring_test.cc
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

namespace sluice {

template <typename T>
class SpscRing {
 public:
  // Room for at least `capacity` elements (rounded up to a power of two).
  explicit SpscRing(std::size_t capacity)
      : mask_(std::bit_ceil(std::max<std::size_t>(capacity, 2)) - 1), slots_(std::make_unique<T[]>(mask_ + 1)) {}
  SpscRing(const SpscRing&) = delete;
  SpscRing& operator=(const SpscRing&) = delete;

  std::size_t capacity() const { return mask_ + 1; }

  // Producer. False when full; `value` is untouched then.
  bool push(T&& value) {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    if (free_slots(tail, 1) == 0) return false;
    slots_[tail & mask_] = std::move(value);
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }
  bool push(const T& value) requires std::is_copy_constructible_v<T> { return push(T(value)); }

  // Producer. Pushes the first n of `values` that fit, and returns n.
  std::size_t push_burst(std::span<T> values) {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    const std::size_t n = std::min(values.size(), free_slots(tail, values.size()));
    for (std::size_t i = 0; i < n; ++i) slots_[(tail + i) & mask_] = std::move(values[i]);
    tail_.store(tail + n, std::memory_order_release);
    return n;
  }

  // Consumer.
  std::optional<T> pop() {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    if (waiting(head, 1) == 0) return std::nullopt;
    std::optional<T> value(std::move(slots_[head & mask_]));
    head_.store(head + 1, std::memory_order_release);
    return value;
  }

  // Consumer. Pops up to out.size() elements into `out`, and returns how many.
  std::size_t pop_burst(std::span<T> out) {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    const std::size_t n = std::min(out.size(), waiting(head, out.size()));
    for (std::size_t i = 0; i < n; ++i) out[i] = std::move(slots_[(head + i) & mask_]);
    head_.store(head + n, std::memory_order_release);
    return n;
  }

  // Any thread; exact only on the producer's or the consumer's while the other rests. Ordered after everything the
  // caller did before (sequentially consistent), so it can close the race of a consumer that goes to sleep.
  bool empty() const { return head_.load(std::memory_order_seq_cst) == tail_.load(std::memory_order_seq_cst); }
  std::size_t size() const { return tail_.load(std::memory_order_acquire) - head_.load(std::memory_order_acquire); }

 private:
  // Reads the other side's index only when the cached one does not show enough.
  std::size_t free_slots(std::size_t tail, std::size_t wanted) {
    if (capacity() - (tail - head_cache_) < wanted) head_cache_ = head_.load(std::memory_order_acquire);
    return capacity() - (tail - head_cache_);
  }
  std::size_t waiting(std::size_t head, std::size_t wanted) {
    if (tail_cache_ - head < wanted) tail_cache_ = tail_.load(std::memory_order_acquire);
    return tail_cache_ - head;
  }

  const std::size_t mask_;
  const std::unique_ptr<T[]> slots_;
  alignas(64) std::atomic<std::size_t> head_{0};  // the consumer writes this line
  std::size_t tail_cache_ = 0;
  alignas(64) std::atomic<std::size_t> tail_{0};  // the producer writes this line
  std::size_t head_cache_ = 0;
};

}  // namespace sluice
