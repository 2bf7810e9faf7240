// Counter: written by one thread, read by any, never torn, as cheap as a plain integer.
//
// Called by: workers (write), control thread (read). Runs on: both. Tested by: tests/dataplane/base/counter_test.cc
#pragma once

#include <atomic>
#include <cstdint>

namespace sluice {

// Only the owning worker calls add(); a relaxed load and store need no locked instruction.
class Counter {
 public:
  void add(std::uint64_t n = 1) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace sluice
