// MpscRing: a bounded queue from any number of producer threads to one consumer, without locks or allocation.
//
// push() on a full ring fails at once, pop() on an empty one too: nobody waits. SpscRing is cheaper where one producer
// is enough; rte_ring would do for pointers, but base knows no DPDK and this one carries values.
//
// Called by: worker, control/daemon (events of several workers). Runs on: see each function. Follows: Vyukov's bounded
// queue. Tested by: tests/dataplane/base/mpsc_ring_test.cc
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

namespace sluice {

template <typename T>
class MpscRing {
 public:
  explicit MpscRing(std::size_t capacity)
      : mask_(std::bit_ceil(capacity < 2 ? 2 : capacity) - 1), cells_(std::make_unique<Cell[]>(mask_ + 1)) {
    for (std::size_t i = 0; i <= mask_; ++i) cells_[i].turn.store(i, std::memory_order_relaxed);
  }

  // Any thread. False when full; the value is then untouched.
  bool push(T&& value) {
    std::size_t tail = tail_.load(std::memory_order_relaxed);
    while (true) {
      Cell& cell = cells_[tail & mask_];
      const std::size_t turn = cell.turn.load(std::memory_order_acquire);
      const auto ahead = static_cast<std::ptrdiff_t>(turn - tail);
      if (ahead < 0) return false;
      if (ahead > 0) {
        tail = tail_.load(std::memory_order_relaxed);
      } else if (tail_.compare_exchange_weak(tail, tail + 1, std::memory_order_relaxed)) {
        cell.value = std::move(value);
        cell.turn.store(tail + 1, std::memory_order_release);
        return true;
      }
    }
  }
  bool push(const T& value) { return push(T(value)); }

  // The consumer. Also nothing while the producer of the oldest value is between its two steps.
  std::optional<T> pop() {
    Cell& cell = cells_[head_ & mask_];
    if (cell.turn.load(std::memory_order_acquire) != head_ + 1) return std::nullopt;
    std::optional<T> value(std::move(cell.value));
    cell.turn.store(head_ + mask_ + 1, std::memory_order_release);
    ++head_;
    return value;
  }

  std::size_t capacity() const { return mask_ + 1; }

 private:
  struct Cell {
    std::atomic<std::size_t> turn;
    T value{};
  };
  const std::size_t mask_;
  const std::unique_ptr<Cell[]> cells_;
  alignas(64) std::size_t head_ = 0;  // consumer only
  alignas(64) std::atomic<std::size_t> tail_{0};
};

}  // namespace sluice
