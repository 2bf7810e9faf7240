// The timer wheel against an ordered multimap, and at its edges.
#include "dataplane/base/timer_wheel.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <vector>

#include "dataplane/base/rng.h"

namespace sluice {
namespace {

constexpr std::size_t kNoLimit = SIZE_MAX;

struct Item : Timer {
  Instant deadline;
  int fired = 0;
};

TEST(TimerWheel, FiresNotEarlyAndAtMostATickLate) {
  TimerWheel wheel(instant_ns(0), 1ms);
  Item item;
  wheel.schedule(item, instant_ns(0) + 2500us);
  const auto fire = [](Timer& timer) { ++static_cast<Item&>(timer).fired; };
  EXPECT_EQ(wheel.expire(instant_ns(0) + 2999us, kNoLimit, fire), 0u);
  EXPECT_EQ(wheel.next_deadline(), instant_ns(0) + 3ms);
  EXPECT_EQ(wheel.expire(instant_ns(0) + 3ms, kNoLimit, fire), 1u);
  EXPECT_EQ(item.fired, 1);
  EXPECT_FALSE(item.is_scheduled());
  EXPECT_EQ(wheel.next_deadline(), kInstantMax);
}

TEST(TimerWheel, CancelAndReschedule) {
  TimerWheel wheel(instant_ns(0), 1ms);
  Item a, b;
  wheel.schedule(a, instant_ns(0) + 10ms);
  wheel.schedule(b, instant_ns(0) + 10ms);
  wheel.cancel(a);
  wheel.cancel(a);
  wheel.schedule(b, instant_ns(0) + 500ms);
  EXPECT_EQ(wheel.size(), 1u);
  EXPECT_EQ(wheel.expire(instant_ns(0) + 499ms, kNoLimit, [](Timer&) {}), 0u);
  EXPECT_EQ(wheel.expire(instant_ns(0) + 500ms, kNoLimit, [](Timer&) {}), 1u);
}

TEST(TimerWheel, PastDeadlinesFireAtOnce) {
  TimerWheel wheel(instant_ns(0) + 5s, 1ms);
  wheel.expire(instant_ns(0) + 10s, kNoLimit, [](Timer&) {});
  Item a, b;
  wheel.schedule(a, instant_ns(0));
  wheel.schedule(b, instant_ns(0) + 7s);
  EXPECT_LE(wheel.next_deadline(), instant_ns(0) + 10s);
  EXPECT_EQ(wheel.expire(instant_ns(0) + 10s, kNoLimit, [](Timer&) {}), 2u);
}

TEST(TimerWheel, FarDeadlinesNeverOverflow) {
  TimerWheel wheel(instant_ns(0), 1ms);
  Item item;
  wheel.schedule(item, kInstantMax);
  EXPECT_EQ(wheel.expire(instant_ns(0) + std::chrono::hours(24 * 365), kNoLimit, [](Timer&) {}), 0u);
  EXPECT_GT(wheel.next_deadline(), instant_ns(0) + std::chrono::hours(24 * 365));
  wheel.cancel(item);
}

TEST(TimerWheel, CallbacksMayScheduleAndCancelAnything) {
  TimerWheel wheel(instant_ns(0), 1ms);
  Item a, b, c;
  for (Item* item : {&a, &b, &c}) wheel.schedule(*item, instant_ns(0) + 5ms);
  int fired = 0;
  wheel.expire(instant_ns(0) + 5ms, kNoLimit, [&](Timer& timer) {
    ++fired;
    if (&timer == &a) {
      wheel.cancel(b);
      wheel.schedule(a, instant_ns(0) + 6ms);
    }
  });
  EXPECT_EQ(fired, 2);
  EXPECT_TRUE(a.is_scheduled());
  EXPECT_FALSE(b.is_scheduled());
  wheel.cancel(a);
}

TEST(TimerWheel, WorkPerCallIsBoundedEvenWhenAMillionShareASlot) {
  constexpr std::size_t kCount = 1'000'000;
  TimerWheel wheel(instant_ns(0), 1ms);
  const auto items = std::make_unique<Timer[]>(kCount);
  for (std::size_t i = 0; i < kCount; ++i) wheel.schedule(items[i], instant_ns(0) + 300s);
  std::size_t fired = 0;
  std::size_t calls = 0;
  while (wheel.size() > 0) {
    const std::size_t now = wheel.expire(instant_ns(0) + 301s, 4096, [](Timer&) {});
    ASSERT_LE(now, 4096u);
    fired += now;
    ASSERT_LT(++calls, 4000u);  // each timer moves down at most six times
  }
  EXPECT_EQ(fired, kCount);
}

// Any mixture of schedule, cancel and small or large steps in time agrees with a sorted container.
TEST(TimerWheel, AgreesWithAMultimap) {
  for (const std::uint64_t seed : {1, 2, 3, 4, 5, 6, 7, 8}) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    TimerWheel wheel(instant_ns(1000), 1ms);
    std::vector<std::unique_ptr<Item>> items;
    for (int i = 0; i < 300; ++i) items.push_back(std::make_unique<Item>());
    std::multimap<Instant, Item*> oracle;
    const auto forget = [&](Item& item) {
      if (!item.is_scheduled()) return;
      for (auto it = oracle.lower_bound(item.deadline); it != oracle.end(); ++it) {
        if (it->second == &item) return static_cast<void>(oracle.erase(it));
      }
      FAIL() << "not in the oracle";
    };
    Instant now = instant_ns(1000);
    for (int step = 0; step < 5000; ++step) {
      Item& item = *items[rng.below(items.size())];
      const auto action = rng.below(10);
      if (action < 6) {
        forget(item);
        item.deadline = now + Duration(rng.below(std::uint64_t{1} << rng.between(1, 50)));
        oracle.emplace(item.deadline, &item);
        wheel.schedule(item, item.deadline);
      } else if (action < 8) {
        forget(item);
        wheel.cancel(item);
      } else {
        const bool is_long_jump = rng.chance(0.05);
        now += Duration(rng.below(std::uint64_t{1} << (is_long_jump ? 46 : rng.between(10, 34))));
        const std::size_t limit = rng.chance(0.3) ? rng.between(1, 5) : kNoLimit;
        wheel.expire(now, limit, [&](Timer& timer) {
          Item& due = static_cast<Item&>(timer);
          ASSERT_LE(due.deadline, now);
          // Order: nothing more than a tick earlier may still wait.
          ASSERT_LE(due.deadline - oracle.begin()->first, Duration(1ms));
          for (auto it = oracle.lower_bound(due.deadline); it != oracle.end(); ++it) {
            if (it->second == &due) return static_cast<void>(oracle.erase(it));
          }
          FAIL() << "fired but not scheduled";
        });
        if (limit == kNoLimit && !oracle.empty()) {
          ASSERT_GT(oracle.begin()->first, now - 1ms);
        }
      }
      ASSERT_EQ(wheel.size(), oracle.size());
      if (oracle.empty()) {
        ASSERT_EQ(wheel.next_deadline(), kInstantMax);
      } else {
        // Never later than a tick after the first deadline (or now, when work was left over).
        ASSERT_LE(wheel.next_deadline(), std::max(now, oracle.begin()->first) + 1ms);
      }
    }
    for (auto& item : items) wheel.cancel(*item);
  }
}

}  // namespace
}  // namespace sluice
