// The doorbell: no wake-up is lost, and none is left over.
#include "dataplane/worker/doorbell.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <thread>

#include "dataplane/base/spsc_ring.h"

namespace sluice::worker {
namespace {

bool readable(int fd, int timeout_ms) {
  pollfd poll_fd{fd, POLLIN, 0};
  return poll(&poll_fd, 1, timeout_ms) == 1;
}

TEST(Doorbell, RingsOnlyWhileArmed) {
  Doorbell bell;
  bell.ring();
  EXPECT_FALSE(readable(bell.fd(), 0));
  bell.arm();
  bell.ring();
  bell.ring();
  EXPECT_TRUE(readable(bell.fd(), 0));
  bell.disarm();
  EXPECT_FALSE(readable(bell.fd(), 0));
}

TEST(Doorbell, NoWakeUpIsLost) {
  Doorbell bell;
  SpscRing<int> ring(16);
  constexpr int kCount = 20'000;
  std::thread visitor([&] {
    for (int i = 0; i < kCount;) {
      if (ring.push(i)) {
        ++i;
        bell.ring();
      } else {
        std::this_thread::yield();
      }
    }
  });
  int expected = 0;
  while (expected < kCount) {
    if (const auto value = ring.pop()) {
      ASSERT_EQ(*value, expected++);
      continue;
    }
    bell.arm();
    if (ring.empty()) {
      ASSERT_TRUE(readable(bell.fd(), 5000)) << "slept through " << expected;
    }
    bell.disarm();
  }
  visitor.join();
}

}  // namespace
}  // namespace sluice::worker
