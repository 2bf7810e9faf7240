// The engine as a whole over memory ports: accounting, stopping, sleeping, forwarding, hand-over, statistics, errors.
#include "dataplane/worker/engine.h"

#include <gmock/gmock.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "tests/dataplane/worker/harness.h"

namespace sluice::worker {
namespace {

using testing::HasSubstr;

TEST(Engine, EveryPacketIsSentDroppedOrConsumed) {
  Rig rig({.workers = 2, .ports = 2});
  std::uint32_t injected = 0;
  std::uint32_t returned = 0;
  for (unsigned i = 0; i < 3000; ++i) {
    const std::uint8_t kinds[] = {0x01, 0xdd, 0xcc};
    Packet packet = rig.make_packet(kinds[i % 3]);
    if (!packet || !rig.inject(i % 2, i / 2 % 2, packet)) {
      if (packet) rte_pktmbuf_free(packet.mbuf());
    } else {
      ++injected;
    }
    if (i % 16 == 0) {
      for (unsigned q = 0; q < 4; ++q) returned += rig.take(q % 2, q / 2);
    }
  }
  ASSERT_TRUE(eventually([&] {
    for (unsigned q = 0; q < 4; ++q) returned += rig.take(q % 2, q / 2);
    std::uint64_t ended = 0;
    for (const auto& w : rig.engine->statistics()) ended += w.tx_packets + w.drops + w.consumed;
    return ended == injected;
  }));
  for (unsigned q = 0; q < 4; ++q) {
    while (const auto n = rig.take(q % 2, q / 2)) returned += n;
  }
  std::uint64_t rx = 0, tx = 0, drops = 0, consumed = 0;
  for (const auto& w : rig.engine->statistics()) {
    rx += w.rx_packets;
    tx += w.tx_packets;
    drops += w.drops;
    consumed += w.consumed;
    EXPECT_GT(w.rx_packets, 0u) << "worker " << w.index << " got nothing";
  }
  EXPECT_EQ(rx, injected);
  EXPECT_EQ(rx, tx + drops + consumed);
  EXPECT_EQ(tx, returned);
  EXPECT_GT(drops, 0u);
  EXPECT_GT(consumed, 0u);
  EXPECT_TRUE(rig.engine->stop());
  EXPECT_EQ((*rig.far_pool)->in_use(), 0u);
}

TEST(Engine, FullTransmitRingDropsAndCounts) {
  Rig rig({.depth = 64});
  std::uint32_t injected = 0;
  while (injected < 512) {  // nobody takes what comes out
    Packet packet = rig.make_packet(1);
    if (rig.inject(0, 0, packet)) {
      ++injected;
    } else {
      rte_pktmbuf_free(packet.mbuf());
      std::this_thread::yield();
    }
  }
  ASSERT_TRUE(eventually([&] { return rig.engine->statistics()[0].rx_packets == 512; }));
  ASSERT_TRUE(eventually([&] { return rig.engine->drops(0).get(DropReason::tx_ring_full) == 512 - 64; }));
  EXPECT_EQ(rig.engine->statistics()[0].ring_drops, 512u - 64);
  EXPECT_TRUE(rig.engine->stop());
}

// A worker without a queue of its own sends through the owner of one.
class SendFromSecond : public Reflector {
 public:
  using Reflector::Reflector;
  void on_burst(Instant, packet::PortId, Batch& batch) override {
    for (Packet packet : batch.view()) context_.handover.push(1 - context_.index, packet);
  }
};

TEST(Engine, WorkerWithoutAQueueSendsThroughItsOwner) {
  Rig rig({.workers = 2, .ports = 1, .queues = 1}, make<SendFromSecond>());
  std::uint32_t returned = 0;
  for (unsigned i = 0; i < 100; ++i) ASSERT_TRUE(rig.inject(0, 0, rig.make_packet(1)));
  EXPECT_TRUE(eventually([&] { return (returned += rig.take(0, 0)) == 100; })) << returned;
  const auto statistics = rig.engine->statistics();
  EXPECT_EQ(statistics[0].handover_out, 100u);
  EXPECT_EQ(statistics[1].handover_in, 100u);
  EXPECT_EQ(statistics[0].tx_packets, 100u);
  EXPECT_TRUE(rig.engine->stop());
}

// Both workers hand everything over to each other: nothing may get lost or be counted twice.
TEST(Engine, HandoverBothWaysKeepsTheAccounts) {
  Rig rig({.workers = 2}, make<SendFromSecond>());
  std::uint32_t injected = 0, returned = 0;
  for (unsigned i = 0; i < 4000; ++i) {
    Packet packet = rig.make_packet(1);
    if (packet && rig.inject(0, i % 2, packet)) {
      ++injected;
    } else if (packet) {
      rte_pktmbuf_free(packet.mbuf());
    }
    returned += rig.take(0, i % 2);
  }
  ASSERT_TRUE(eventually([&] {
    returned += rig.take(0, 0) + rig.take(0, 1);
    std::uint64_t dropped = 0;
    for (const auto& w : rig.engine->statistics()) dropped += w.drops;
    return returned + dropped == injected;
  })) << injected
      << " " << returned;
  EXPECT_TRUE(rig.engine->stop());
}

// Holds every packet back, as a fragment table would.
class Hoarder : public Reflector {
 public:
  using Reflector::Reflector;
  void on_burst(Instant, packet::PortId, Batch& batch) override {
    for (Packet packet : batch.view()) held_.push_back(packet);
  }
  void on_stop(Instant) override {
    for (Packet packet : held_) context_.drops.drop(packet, DropReason::shutting_down);
  }

 private:
  std::vector<Packet> held_;
};

TEST(Engine, StopReleasesWhatIsHeldBack) {
  Rig rig({}, make<Hoarder>());
  for (unsigned i = 0; i < 50; ++i) ASSERT_TRUE(rig.inject(0, 0, rig.make_packet(1)));
  ASSERT_TRUE(eventually([&] { return rig.engine->statistics()[0].rx_packets == 50; }));
  EXPECT_TRUE(rig.engine->stop());
  EXPECT_EQ(rig.engine->drops(0).get(DropReason::shutting_down), 50u);
  EXPECT_EQ((*rig.far_pool)->in_use(), 0u);
}

// Takes a buffer of the worker's own pool and forgets it.
class Leaker : public Reflector {
 public:
  explicit Leaker(const WorkerContext& context) : Reflector(context) { leaked = context.pool.allocate(); }
  static inline Packet leaked;
};

TEST(Engine, StopReportsALeak) {
  Rig rig({}, make<Leaker>());
  const auto stopped = rig.engine->stop();
  ASSERT_FALSE(stopped);
  EXPECT_THAT(stopped.error().text(), HasSubstr("1 packet buffers of worker 0 were not given back"));
  rte_mempool* pool = Leaker::leaked.mbuf()->pool;
  rte_pktmbuf_free(Leaker::leaked.mbuf());
  packet::PacketPool(pool).destroy();
}

TEST(Engine, IdleWorkersSleepAndWakeForTasks) {
  Rig rig({.workers = 2});
  std::this_thread::sleep_for(20ms);
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  std::this_thread::sleep_for(200ms);
  getrusage(RUSAGE_SELF, &after);
  const auto cpu_us = [](const rusage& u) {
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1'000'000 + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
  };
  // Memory ports have no descriptor, so these workers nap 50 us and take a turn: the dearest way of idling.
  EXPECT_LT(cpu_us(after) - cpu_us(before), 200'000) << "two idle workers burnt more than half a core each";
  EXPECT_GT(rig.engine->statistics()[0].sleeps, 100u);
  EXPECT_LT(rig.engine->statistics()[0].busy_percent(), 5);
  EXPECT_TRUE(rig.engine->stop());
}

// Asking for short slices once set it to 0.
TEST(Engine, WorkersKeepTheNiceValueThatTheyAreStartedWith) {
  std::thread starter([] {
    ASSERT_EQ(setpriority(PRIO_PROCESS, 0, 7), 0);  // of this thread, and of those that it starts
    Rig rig({.workers = 1});
    unsigned found = 0;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      std::string name;
      std::getline(std::ifstream(task.path() / "comm"), name);
      if (name != "worker-0") continue;
      ++found;
      EXPECT_EQ(getpriority(PRIO_PROCESS, static_cast<id_t>(std::stoul(task.path().filename().string()))), 7);
    }
    EXPECT_EQ(found, 1u);
    EXPECT_TRUE(rig.engine->stop());
  });
  starter.join();
}

TEST(Engine, StatisticsOfAnInterval) {
  Rig rig({});
  const auto before = rig.engine->statistics()[0];
  for (unsigned i = 0; i < 10; ++i) ASSERT_TRUE(rig.inject(0, 0, rig.make_packet(1, 100)));
  ASSERT_TRUE(eventually([&] { return rig.engine->statistics()[0].tx_packets == 10; }));
  const auto delta = rig.engine->statistics()[0] - before;
  EXPECT_EQ(delta.rx_packets, 10u);
  EXPECT_EQ(delta.rx_bytes, 1000u);
  EXPECT_EQ(delta.tx_bytes, 1000u);
  EXPECT_EQ(delta.ports[0].rx_packets, 10u);
  EXPECT_GT(delta.busy_cycles, 0u);
  EXPECT_GT(delta.cycles_per_packet(), 0);
  EXPECT_EQ(delta.pool_size, 2048u);
  EXPECT_TRUE(rig.engine->stop());
}

TEST(Engine, SaysWhatIsWrongWithItsOptions) {
  test::start_eal();
  const auto error = [](EngineOptions options) {
    const auto pools = Engine::make_pools(options);
    return pools ? std::string("none") : pools.error().text();
  };
  EXPECT_EQ(error({.workers = 0}), "engine.workers: 0 is not in 1..16");
  EXPECT_EQ(error({.workers = 17}), "engine.workers: 17 is not in 1..16");
  EXPECT_THAT(error({.workers = 2, .cores = {1}}), HasSubstr("1 cores for 2 worker(s)"));
  EXPECT_THAT(error({.packet_buffers = 100'000'000}), HasSubstr("engine.packet_buffers"));
}

TEST(Engine, CoreThatDoesNotExist) {
  test::start_eal();
  EngineOptions options{.workers = 1, .cores = {1000}, .packet_buffers = 512};
  auto pools = Engine::make_pools(options);
  ASSERT_TRUE(pools);
  const auto engine = Engine::start(options, std::move(*pools), {}, make<Reflector>());
  ASSERT_FALSE(engine);
  EXPECT_THAT(engine.error().text(), HasSubstr("worker 0: cannot run on core 1000"));
}

TEST(Engine, ApplicationThatRefuses) {
  test::start_eal();
  EngineOptions options{.workers = 2, .cores = {0, 0}, .packet_buffers = 512};
  auto pools = Engine::make_pools(options);
  ASSERT_TRUE(pools);
  const auto engine = Engine::start(options, std::move(*pools), {}, [](const WorkerContext& context) {
    if (context.index == 1) return Result<std::unique_ptr<Application>>(fail("fib", "no memory"));
    return make<Reflector>()(context);
  });
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().text(), "fib: no memory");
  auto again = Engine::make_pools(options);
  ASSERT_TRUE(again) << "the pools of the failed start were not freed: " << again.error().text();
  for (auto& pool : *again) pool.destroy();
}

}  // namespace
}  // namespace sluice::worker
