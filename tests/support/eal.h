// Starts DPDK once for a test binary: no root, no hugepages, no NIC.
//
//   class FibTest : public test::EalTest { … };          // or call test::start_eal() anywhere
//
// Called by: tests that need packets. Follows: design.md ("Unit tests start EAL with …").
#pragma once

#include <gtest/gtest.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "dataplane/packet/sink.h"

namespace sluice::test {

// Memory is touched only as it is used. --no-huge excludes --in-memory and leaves no file behind either.
inline void start_eal() {
  static const bool started = [] {
    std::array<const char*, 10> args{"test",           "--no-huge",      "--no-pci",    "-m",          "256",
                                     "--iova-mode=va", "--no-telemetry", "--no-shconf", "--log-level", "lib.*:error"};
    if (rte_eal_init(static_cast<int>(args.size()), const_cast<char**>(args.data())) < 0) {
      std::fprintf(stderr, "EAL does not start: %s\n", rte_strerror(rte_errno));
      std::abort();
    }
    return true;
  }();
  (void)started;
}

// A pool of its own with a fresh name; destroyed, and checked for leaks, at the end of its life.
class TestPool {
 public:
  explicit TestPool(std::uint32_t count = 1023) : pool_(make(count)) {}
  TestPool(const TestPool&) = delete;
  TestPool& operator=(const TestPool&) = delete;
  ~TestPool() {
    EXPECT_EQ(pool_.in_use(), 0u) << "packets were leaked";
    pool_.destroy();
  }

  const packet::PacketPool& operator*() const { return pool_; }
  const packet::PacketPool* operator->() const { return &pool_; }
  operator const packet::PacketPool&() const { return pool_; }  // NOLINT: a pool in every respect

 private:
  static packet::PacketPool make(std::uint32_t count) {
    start_eal();
    static int number = 0;
    auto pool = packet::PacketPool::create("test" + std::to_string(number++), count, 0, -1);
    if (!pool) {
      std::fprintf(stderr, "%s\n", pool.error().text().c_str());
      std::abort();
    }
    return *pool;
  }

  packet::PacketPool pool_;
};

class EalTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { start_eal(); }
};

}  // namespace sluice::test
