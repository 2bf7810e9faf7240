// An engine over memory ports with small applications, for the tests of worker/.
//
// Called by: tests/dataplane/worker. Runs on: the test's thread.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "dataplane/port/memory_port.h"
#include "dataplane/worker/engine.h"
#include "tests/support/eal.h"

namespace sluice::worker {

using packet::Batch;
using packet::Packet;

// Sends every packet back by the port it came from; drops those that start with 0xdd, consumes those with 0xcc.
class Reflector : public Application {
 public:
  explicit Reflector(const WorkerContext& context) : context_(context) {}
  void on_burst(Instant, packet::PortId rx_port, Batch& batch) override {
    for (Packet packet : batch.view()) {
      if (packet.data()[0] == 0xdd) {
        context_.drops.drop(packet, DropReason::no_virtual_server);
      } else if (packet.data()[0] == 0xcc) {
        context_.drops.consume(packet);
      } else {
        context_.tx.push(rx_port, packet);
      }
    }
  }
  void on_handover(Instant, Batch& batch) override {
    for (Packet packet : batch.view()) context_.tx.push(packet.rx_port(), packet);
  }
  void on_timers(Instant) override {}
  Instant next_timer() const override { return kInstantMax; }

 protected:
  WorkerContext context_;
};

template <typename App>
ApplicationFactory make() {
  return [](const WorkerContext& context) -> Result<std::unique_ptr<Application>> {
    return std::make_unique<App>(context);
  };
}

struct Shape {
  unsigned workers = 1;
  unsigned ports = 1;
  unsigned queues = 0;  // 0: one a worker
  std::uint32_t depth = 256;
  bool busy_poll = false;
};

// The engine, its memory ports (owned by the engine), and a pool of the far side.
class Rig {
 public:
  explicit Rig(const Shape& shape, const ApplicationFactory& factory = make<Reflector>()) {
    test::start_eal();
    EngineOptions options;
    options.workers = shape.workers;
    options.cores.assign(shape.workers, 0);  // any number of workers runs on any machine
    options.packet_buffers = 2048;
    options.busy_poll = shape.busy_poll;
    auto pools = Engine::make_pools(options);
    if (!pools) throw std::runtime_error(pools.error().text());
    far_pool = std::make_unique<test::TestPool>(4096);
    std::vector<std::unique_ptr<port::Port>> list;
    for (unsigned i = 0; i < shape.ports; ++i) {
      port::MemoryPort::Options port;
      port.info.name = "memory" + std::to_string(i);
      port.info.id = static_cast<packet::PortId>(i);
      port.queues = shape.queues == 0 ? shape.workers : shape.queues;
      port.depth = shape.depth;
      auto memory = std::make_unique<port::MemoryPort>(port);
      ports.push_back(memory.get());
      list.push_back(std::move(memory));
    }
    auto started = Engine::start(options, std::move(*pools), std::move(list), factory);
    if (!started) throw std::runtime_error(started.error().text());
    engine = std::move(*started);
  }

  Packet make_packet(std::uint8_t first, std::uint16_t length = 60) {
    Packet packet = (*far_pool)->allocate();
    if (!packet) return packet;
    std::memset(packet.append(length), 0, length);
    packet.data()[0] = first;
    return packet;
  }
  bool inject(unsigned port, unsigned queue, Packet packet) {
    return packet && ports[port]->inject(queue, {&packet, 1}) == 1;
  }
  // Frees what the engine sent; returns how many.
  std::uint32_t take(unsigned port, unsigned queue) {
    Batch batch;
    ports[port]->take(queue, batch);
    for (Packet packet : batch.view()) rte_pktmbuf_free(packet.mbuf());
    return batch.count;
  }

  std::vector<port::MemoryPort*> ports;
  std::unique_ptr<test::TestPool> far_pool;  // outlives the engine: its packets are in the ports' rings
  std::unique_ptr<Engine> engine;
};

// Waits until it holds; false after two seconds.
inline bool eventually(const std::function<bool()>& holds) {
  for (int i = 0; i < 2000; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(1ms);
  }
  return holds();
}

}  // namespace sluice::worker
