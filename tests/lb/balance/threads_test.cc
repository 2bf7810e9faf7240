// Tests of exactness when several workers pick at the same time; meant for TSan as well.
#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "tests/support/lb_pool.h"

namespace sluice::lb {
namespace {

// Opens `each` connections from every worker at once.
void open_from_all(const Pool& pool, unsigned workers, unsigned each) {
  std::atomic<unsigned> ready{0};
  std::vector<std::thread> threads;
  for (unsigned w = 0; w < workers; ++w) {
    threads.emplace_back([&, w] {
      ++ready;
      while (ready < workers) std::this_thread::yield();
      for (unsigned i = 0; i < each; ++i) balance::pick(pool, {.worker = w});
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST(BalanceThreadsTest, LeastConnectionsStaysWithinOneOverAllWorkers) {
  for (const auto& [balance, members] :
       {std::pair{Balance::least_connections_member, 2u}, std::pair{Balance::least_connections_member, 7u},
        std::pair{Balance::least_connections_member, 100u}, std::pair{Balance::least_connections_node, 100u}}) {
    PoolBench bench(3);
    const Pool& pool = bench.build(pool_spec(balance, members));
    for (int round = 1; round <= 5; ++round) {
      open_from_all(pool, 3, 331);
      std::uint32_t least = 0xffffffff, most = 0, sum = 0;
      for (const Member& m : pool.members) {
        const std::uint32_t open = m.runtime->connections.current();
        least = std::min(least, open);
        most = std::max(most, open);
        sum += open;
      }
      EXPECT_LE(most - least, 1u) << members;
      EXPECT_EQ(sum, 993u * round);
      EXPECT_EQ(pool.runtime->connections.current(), sum);
    }
  }
}

TEST(BalanceThreadsTest, LimitsHoldExactly) {
  for (const Balance balance : {Balance::round_robin, Balance::least_connections_member, Balance::ratio_member,
                                Balance::least_connections_node, Balance::maglev}) {
    PoolBench bench(3);
    PoolSpec spec = pool_spec(balance, 10);
    for (auto& member : spec.members) member.connection_limit = 37;
    const Pool& pool = bench.build(spec);
    open_from_all(pool, 3, 300);
    for (const Member& m : pool.members) {
      EXPECT_EQ(m.runtime->connections.current(), 37u);
      EXPECT_EQ(m.runtime->connections.max(), 37u);
      EXPECT_EQ(m.runtime->connections.total(), 37u);
    }
  }
}

TEST(BalanceThreadsTest, OpeningAndClosingComesOutEven) {
  PoolBench bench(2);
  const Pool& pool = bench.build(pool_spec(Balance::least_connections_member, 20));
  std::vector<std::thread> threads;
  for (unsigned w = 0; w < 2; ++w) {
    threads.emplace_back([&, w] {
      std::mt19937 random(w);
      std::vector<const Member*> open;
      for (int i = 0; i < 20000; ++i) {
        if (open.size() > 50 || (!open.empty() && random() % 2 == 0)) {
          open.back()->runtime->release();
          open.pop_back();
        } else {
          open.push_back(balance::pick(pool, {.worker = w}).member);
        }
      }
      for (const Member* m : open) m->runtime->release();
    });
  }
  for (auto& thread : threads) thread.join();
  std::uint64_t opened = 0;
  for (const Member& m : pool.members) {
    EXPECT_EQ(m.runtime->connections.current(), 0u);
    opened += m.runtime->connections.total();
  }
  EXPECT_EQ(pool.runtime->connections.current(), 0u);
  EXPECT_EQ(pool.runtime->connections.total(), opened);
  EXPECT_GE(pool.runtime->connections.max(), 51u);
  EXPECT_LE(pool.runtime->connections.max(), 102u);
}

}  // namespace
}  // namespace sluice::lb
