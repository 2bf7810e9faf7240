// TimerWheel: up to millions of timers, each linked in place; O(1) to schedule and to cancel.
//
//   struct Flow { Timer timer; … };                 // or: struct Flow : Timer
//   TimerWheel wheel(now, 1ms);
//   wheel.schedule(flow.timer, now + 300s);
//   wheel.expire(now, 64, [&](Timer& timer) { … });  // at most 64 steps of work; the rest waits for the next turn
//
// Seven levels of 64 slots: a slot of level k spans 64^k ticks. A timer sits on the level of the highest digit (base
// 64) in which its tick differs from the present one, and moves down when the wheel reaches its slot. Moving counts as
// work, so no turn is long even when a million timers share a slot. A timer never fires early, and at most one tick
// late.
//
// Called by: lb/flow aging, ip/neighbor, ip/fragments, tcp. Runs on: the worker that owns it. Follows: Varghese and
// Lauck, "Hashed and hierarchical timing wheels". Tested by: tests/dataplane/base/timer_wheel_test.cc
#pragma once

#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>

#include "dataplane/base/time.h"

namespace sluice {

namespace detail {
struct TimerLink {
  TimerLink* previous = nullptr;
  TimerLink* next = nullptr;
};
}  // namespace detail

// 24 bytes. Never copied or moved while scheduled; cancel it before it goes.
class Timer : private detail::TimerLink {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { assert(!is_scheduled()); }

  bool is_scheduled() const { return next != nullptr; }

 private:
  friend class TimerWheel;
  std::uint64_t tick_ = 0;
};

class TimerWheel {
 public:
  // `start`: the present; `resolution`: the length of a tick.
  TimerWheel(Instant start, Duration resolution) : start_(start), resolution_(resolution) {
    for (auto& slot : slots_) slot.previous = slot.next = &slot;
  }
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;
  // Whoever owns the timers lets go of them first or at least never touches them again.
  ~TimerWheel() {
    for (auto& slot : slots_) {
      while (slot.next != &slot) unlink(*slot.next);
    }
  }

  // (Re)schedules. A deadline in the past fires at the next expire().
  void schedule(Timer& timer, Instant deadline) {
    cancel(timer);
    timer.tick_ = tick_at_or_after(deadline);
    if (timer.tick_ < current_) timer.tick_ = current_;
    insert(timer);
    ++count_;
  }

  // Nothing happens if it is not scheduled.
  void cancel(Timer& timer) {
    if (!timer.is_scheduled()) return;
    unlink(timer);
    --count_;
  }

  // Whether it fires no later than schedule(timer, deadline) would have it.
  bool fires_by(const Timer& timer, Instant deadline) const {
    // tick_ <= ceil(distance / resolution_), without dividing.
    return timer.is_scheduled() && resolution_ * (static_cast<std::int64_t>(timer.tick_) - 1) < deadline - start_;
  }

  // Calls fn(Timer&) for timers that are due, at most `work_max` steps of work in all. The timer is no longer scheduled
  // when fn runs; fn may schedule and cancel any timer. Returns how many fired.
  template <typename Fn>
  std::size_t expire(Instant now, std::size_t work_max, Fn fn) {
    const std::uint64_t target = tick_at_or_before(now);
    std::size_t fired = 0;
    while (work_max > 0 && count_ > 0) {
      const Position position = first();
      if (position.tick > target) break;
      current_ = position.tick;
      Timer& timer = static_cast<Timer&>(*slots_[position.slot].next);
      unlink(timer);
      --work_max;
      if (position.slot >= kSlots) {
        moving_ = position.slot;
        insert(timer);  // one level or more down
        continue;
      }
      --count_;
      ++fired;
      fn(timer);
    }
    if (current_ < target && (count_ == 0 || first().tick > target)) current_ = target;
    return fired;
  }

  // When expire() has work next: exact within 64 ticks, else never later than the first deadline. kInstantMax: never.
  Instant next_deadline() const {
    if (count_ == 0) return kInstantMax;
    return start_ + resolution_ * static_cast<std::int64_t>(first().tick);
  }

  std::size_t size() const { return count_; }

 private:
  static constexpr unsigned kBits = 6;
  static constexpr unsigned kSlots = 1u << kBits;
  static constexpr unsigned kLevels = 7;
  static constexpr std::uint64_t kTickMax = (std::uint64_t{1} << (kBits * kLevels)) - 1;

  struct Position {
    unsigned slot;       // level * kSlots + digit
    std::uint64_t tick;  // when it must be looked at
  };

  // The earliest slot that holds something: the lowest occupied level has it, see the essay above. Precondition:
  // count_ > 0. A level's slot of the present digit is first on that level: it is a slot in the middle of being moved.
  Position first() const {
    // A slot being moved down outranks the lower levels, which it is still filling.
    if (moving_ != 0 && moving_ % kSlots == digit(current_, moving_ / kSlots) && is_occupied(moving_)) {
      return {moving_, current_};
    }
    unsigned level = 0;
    while (occupied_[level] == 0) ++level;
    const auto slot = static_cast<unsigned>(std::countr_zero(occupied_[level]));
    const unsigned shift = level * kBits;
    const std::uint64_t above = current_ >> shift >> kBits << kBits;
    return {level * kSlots + slot, (above | slot) << shift};
  }

  bool is_occupied(unsigned slot) const { return (occupied_[slot / kSlots] >> slot % kSlots & 1) != 0; }

  static unsigned digit(std::uint64_t tick, unsigned level) {
    return static_cast<unsigned>(tick >> (level * kBits)) & (kSlots - 1);
  }

  void insert(Timer& timer) {
    const std::uint64_t differs = timer.tick_ ^ current_;
    const unsigned level = differs == 0 ? 0 : static_cast<unsigned>(std::bit_width(differs) - 1) / kBits;
    const unsigned slot = level * kSlots + digit(timer.tick_, level);
    detail::TimerLink& head = slots_[slot];
    detail::TimerLink& link = timer;
    link.previous = head.previous;
    link.next = &head;
    head.previous->next = &link;
    head.previous = &link;
    occupied_[level] |= std::uint64_t{1} << (slot % kSlots);
  }

  void unlink(detail::TimerLink& link) {
    detail::TimerLink* const previous = link.previous;
    detail::TimerLink* const next = link.next;
    previous->next = next;
    next->previous = previous;
    link.previous = link.next = nullptr;
    if (previous != next) return;
    // Two neighbours that are one: the head of a slot that is empty now.
    const auto slot = static_cast<unsigned>(next - slots_.data());
    occupied_[slot / kSlots] &= ~(std::uint64_t{1} << (slot % kSlots));
  }

  std::uint64_t tick_at_or_before(Instant instant) const {
    return instant <= start_ ? 0 : clamp(static_cast<std::uint64_t>((instant - start_) / resolution_));
  }
  std::uint64_t tick_at_or_after(Instant instant) const {
    if (instant <= start_) return 0;
    const Duration distance = instant - start_;
    return clamp(static_cast<std::uint64_t>(distance / resolution_) + (distance % resolution_ != Duration::zero()));
  }
  static std::uint64_t clamp(std::uint64_t tick) { return tick < kTickMax ? tick : kTickMax; }

  Instant start_;
  Duration resolution_;
  std::uint64_t current_ = 0;  // no timer is due before this tick
  unsigned moving_ = 0;        // the slot above level 0 that expire() emptied last, perhaps not to its end; 0: none
  std::size_t count_ = 0;
  std::array<std::uint64_t, kLevels> occupied_{};
  std::array<detail::TimerLink, kSlots * kLevels> slots_;
};

}  // namespace sluice
