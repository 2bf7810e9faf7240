// The loop keeps time, takes signals, and outlives a handler that throws.
#include "control/io/loop.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <new>
#include <stdexcept>
#include <vector>

namespace sluice::io {
namespace {

TEST(Loop, TickerTicksUntilDestroyed) {
  Loop loop;
  int ticks = 0;
  std::unique_ptr<Ticker> ticker;
  ticker = std::make_unique<Ticker>(loop, 2ms, [&] {
    if (++ticks == 3) ticker.reset();
  });
  Ticker end(loop, 20ms, [&] { loop.stop(); });
  loop.run();
  EXPECT_EQ(ticks, 3);
}

TEST(Loop, LateTicksAreNotMadeUpFor) {
  Loop loop;
  int ticks = 0;
  const Instant start = now();
  Ticker ticker(loop, 5ms, [&] {
    if (++ticks == 1) {
      while (now() - start < 60ms) {
      }
    }
  });
  Ticker end(loop, 80ms, [&] { loop.stop(); });
  loop.run();
  EXPECT_GE(ticks, 2);
  EXPECT_LE(ticks, 6);  // 1 late one, then those between 60 and 80 ms
}

TEST(Loop, AlarmRingsOnceAtTheLastTimeSet) {
  Loop loop;
  std::vector<Instant> rings;
  Alarm alarm(loop, [&] { rings.push_back(now()); });
  const Instant start = now();
  alarm.set(start + 1ms);
  alarm.set(start + 10ms);
  Ticker end(loop, 30ms, [&] { loop.stop(); });
  loop.run();
  ASSERT_EQ(rings.size(), 1u);
  EXPECT_GE(rings[0], start + 10ms);
  EXPECT_EQ(alarm.at(), kInstantMax);
}

TEST(Loop, AlarmCanBeCancelledAndSetFromItsOwnRing) {
  Loop loop;
  int rings = 0;
  Alarm never(loop, [&] { FAIL(); });
  never.set(now() + 1ms);
  never.cancel();
  std::unique_ptr<Alarm> again;
  again = std::make_unique<Alarm>(loop, [&] {
    if (++rings < 3)
      again->set(now() + 1ms);
    else
      loop.stop();
  });
  again->set(now());
  loop.run();
  EXPECT_EQ(rings, 3);
}

TEST(Loop, HandlerThatThrowsDoesNotEndTheLoop) {
  Loop loop;
  std::vector<std::string> heard;
  loop.on_exception([&](const std::string& what) { heard.push_back(what); });
  loop.post([] { throw std::runtime_error("boom"); });
  loop.post([&] { loop.stop(); });
  loop.run();
  EXPECT_EQ(heard, std::vector<std::string>{"boom"});
}

TEST(Loop, EverySignalIsDelivered) {
  Loop loop;
  std::vector<int> seen;
  loop.on_signal({SIGUSR1, SIGUSR2}, [&](int signal) {
    seen.push_back(signal);
    if (seen.size() == 2)
      loop.stop();
    else
      raise(SIGUSR2);
  });
  loop.post([] { raise(SIGUSR1); });
  loop.run();
  EXPECT_EQ(seen, (std::vector<int>{SIGUSR1, SIGUSR2}));
}

TEST(LoopDeathTest, OutOfMemoryEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        Loop loop;
        loop.post([] { throw std::bad_alloc(); });
        loop.run();
      },
      "out of memory");
}

}  // namespace
}  // namespace sluice::io
