// How long a cache line takes from one core to another and back: printed beside every run that uses two cores.
//
// On virtual machines this changes by a factor of ten for minutes at a time; figures of two runs compare only when it
// was the same in both. Called by: bench/lab/run. Runs on: two pinned threads.
#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace {

void pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(core), &set);
  if (pthread_setaffinity_np(pthread_self(), sizeof set, &set) != 0) {
    std::fprintf(stderr, "core_latency: cannot run on core %d\n", core);
    std::exit(1);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: core_latency CORE CORE\n");
    return 2;
  }
  constexpr int kRounds = 200000;
  alignas(64) static std::atomic<int> ball{0};
  const int first = std::atoi(argv[1]), second = std::atoi(argv[2]);
  std::thread other([second] {
    pin(second);
    for (int i = 0; i < kRounds; ++i) {
      while (ball.load(std::memory_order_acquire) != 2 * i + 1) {
      }
      ball.store(2 * i + 2, std::memory_order_release);
    }
  });
  pin(first);
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kRounds; ++i) {
    ball.store(2 * i + 1, std::memory_order_release);
    while (ball.load(std::memory_order_acquire) != 2 * i + 2) {
    }
  }
  const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - begin;
  other.join();
  std::printf("%.0f\n", spent.count() / kRounds);
  return 0;
}
