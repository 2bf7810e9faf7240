// Builds the workers, wires their rings, starts and stops them; see engine.h.
#include "dataplane/worker/engine.h"

#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "dataplane/worker/worker.h"

namespace sluice::worker {
namespace {

constexpr std::uint32_t kPoolCache = 256;  // packet buffers that a worker keeps at hand

// The last `count` cores that this process may use, in ascending order; again from the front when they are too few.
std::vector<unsigned> default_cores(unsigned count) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  sched_getaffinity(0, sizeof allowed, &allowed);
  std::vector<unsigned> all;
  for (unsigned core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &allowed)) all.push_back(core);
  }
  if (all.empty()) all.push_back(0);
  std::vector<unsigned> chosen;
  const std::size_t first = count < all.size() ? all.size() - count : 0;
  for (unsigned i = 0; i < count; ++i) chosen.push_back(all[(first + i) % all.size()]);
  return chosen;
}

Status check(const EngineOptions& options) {
  if (options.workers < 1 || options.workers > kWorkersMax) {
    return fail("engine.workers", std::to_string(options.workers) + " is not in 1.." + std::to_string(kWorkersMax));
  }
  if (!options.cores.empty() && options.cores.size() != options.workers) {
    return fail("engine.cores", std::to_string(options.cores.size()) + " cores for " + std::to_string(options.workers) +
                                    " worker(s): name one core a worker, or none");
  }
  return {};
}

void destroy(std::vector<packet::PacketPool>& pools) {
  for (auto& pool : pools) {
    if (pool.in_use() == 0) pool.destroy();
  }
  pools.clear();
}

class EngineImpl final : public Engine {
 public:
  EngineImpl(const EngineOptions& options, std::vector<packet::PacketPool> pools,
             std::vector<std::unique_ptr<port::Port>> ports)
      : pools_(std::move(pools)), ports_(std::move(ports)) {
    const auto cores = options.cores.empty() ? default_cores(options.workers) : options.cores;
    for (unsigned i = 0; i < options.workers; ++i) {
      workers_.push_back(std::make_unique<Worker>(i, cores[i], pools_[i], options.busy_poll));
    }
    for (const auto& port : ports_) infos_.push_back(port->info());
  }
  ~EngineImpl() override { static_cast<void>(stop()); }

  Status start(const ApplicationFactory& factory);

  unsigned workers() const override { return static_cast<unsigned>(workers_.size()); }
  std::span<const packet::PortInfo> ports() const override { return infos_; }
  port::Port& port(packet::PortId id) override { return *ports_[id]; }
  Application& application(unsigned worker) override { return workers_[worker]->application(); }

  void post(unsigned worker, std::unique_ptr<Task> task) override {
    if (!running_) {
      task->done();
      return;
    }
    workers_[worker]->mailbox().post(std::move(task));
    workers_[worker]->doorbell().ring();
  }
  void post_all(const std::function<std::unique_ptr<Task>(unsigned)>& make) override {
    for (unsigned i = 0; i < workers(); ++i) post(i, make(i));
  }
  std::size_t collect() override {
    std::size_t count = 0;
    for (const auto& worker : workers_) {
      count += worker->mailbox().collect();
      if (!worker->mailbox().empty()) worker->doorbell().ring();  // collect() may have fed it
    }
    return count;
  }
  std::size_t tasks_in_flight() const override {
    std::size_t sum = 0;
    for (const auto& worker : workers_) sum += worker->mailbox().in_flight();
    return sum;
  }
  void set_capture(port::Capture* capture) override {
    for (const auto& worker : workers_) worker->set_capture(capture);
  }
  std::vector<WorkerStatistics> statistics() const override;
  const DropCounters& drops(unsigned worker) const override { return workers_[worker]->drops().counters(); }
  Status stop() override;

 private:
  void wire_ports();
  void wire_handover();
  Status start_threads(const ApplicationFactory& factory);

  std::vector<packet::PacketPool> pools_;
  std::vector<std::unique_ptr<port::Port>> ports_;
  std::vector<packet::PortInfo> infos_;
  std::vector<std::unique_ptr<Worker>> workers_;
  bool running_ = false;
  bool stopped_ = false;
};

// Worker w polls queue w of every port. Without a queue of its own it transmits through worker (w modulo queues).
void EngineImpl::wire_ports() {
  for (const auto& port : ports_) {
    const auto& info = port->info();
    const unsigned queues = port->queue_count();
    for (unsigned w = 0; w < workers(); ++w) {
      Worker& worker = *workers_[w];
      if (w < queues) {
        worker.add_rx(info.id, port->queue(w));
        worker.transmitter().add_queue(info.id, info.kind, port->queue(w));
        continue;
      }
      Worker& owner = *workers_[w % queues];
      auto ring = std::make_shared<ForwardRing>(owner.doorbell());
      worker.transmitter().add_forward(info.id, ring);
      owner.transmitter().add_source(info.id, ring);
    }
  }
}

void EngineImpl::wire_handover() {
  for (const auto& from : workers_) {
    for (const auto& to : workers_) {
      if (from == to) {
        from->handover().add_target(nullptr, nullptr);
        continue;
      }
      auto ring = std::make_shared<HandoverRings::Ring>(kHandoverDepth);
      from->handover().add_target(ring, &to->doorbell());
      to->handover().add_source(std::move(ring));
    }
  }
}

Status EngineImpl::start(const ApplicationFactory& factory) {
  for (const auto& port : ports_) {
    if (auto started = port->start(); !started) return started;
  }
  wire_ports();
  wire_handover();
  return start_threads(factory);
}

Status EngineImpl::start_threads(const ApplicationFactory& factory) {
  for (const auto& worker : workers_) {
    auto application = factory(WorkerContext{worker->index(), workers(), worker->transmitter(), worker->drops(),
                                             worker->pool(), worker->handover(), infos_});
    if (!application) return tl::unexpected(application.error());
    worker->set_application(std::move(*application));
  }
  for (const auto& worker : workers_) {
    if (auto started = worker->start(); !started) return started;
    running_ = true;
  }
  return {};
}

std::vector<WorkerStatistics> EngineImpl::statistics() const {
  std::vector<WorkerStatistics> out;
  for (const auto& worker : workers_) {
    out.push_back(worker->statistics(infos_.size()));
    if (stopped_) continue;  // the pools are gone
    out.back().pool_in_use = worker->pool().in_use();
    out.back().pool_size = worker->pool().size();
  }
  return out;
}

Status EngineImpl::stop() {
  if (stopped_) return {};
  running_ = false;
  for (const auto& worker : workers_) worker->request_stop();
  for (const auto& worker : workers_) worker->join();
  for (const auto& worker : workers_) worker->drop_leftovers();
  for (const auto& worker : workers_) worker->mailbox().abandon();
  const bool exact = std::ranges::all_of(ports_, [](const auto& port) { return port->returns_buffers(); });
  ports_.clear();  // gives back the buffers in receive rings
  stopped_ = true;
  std::string leaks;
  for (unsigned i = 0; i < pools_.size(); ++i) {
    if (const auto missing = pools_[i].in_use(); missing != 0 && exact) {
      leaks += (leaks.empty() ? "" : "; ") + std::to_string(missing) + " packet buffers of worker " +
               std::to_string(i) + " were not given back";
    }
  }
  if (!exact) {
    for (auto& pool : pools_) pool.destroy();  // nobody has the driver's buffers any more
    pools_.clear();
  }
  destroy(pools_);
  if (!leaks.empty()) return fail("engine", leaks);
  return {};
}

}  // namespace

Result<std::vector<packet::PacketPool>> Engine::make_pools(const EngineOptions& options) {
  if (auto checked = check(options); !checked) return tl::unexpected(checked.error());
  std::vector<packet::PacketPool> pools;
  for (unsigned i = 0; i < options.workers; ++i) {
    auto pool = packet::PacketPool::create("worker" + std::to_string(i), options.packet_buffers, kPoolCache, -1);
    if (!pool) {
      destroy(pools);
      return tl::unexpected(pool.error());
    }
    pools.push_back(*pool);
  }
  return pools;
}

Result<std::unique_ptr<Engine>> Engine::start(const EngineOptions& options, std::vector<packet::PacketPool> pools,
                                              std::vector<std::unique_ptr<port::Port>> ports,
                                              const ApplicationFactory& factory) {
  auto checked = check(options);
  if (checked && pools.size() != options.workers) checked = fail("engine", "one packet pool a worker is needed");
  if (checked && ports.size() > packet::kPortsMax) {
    checked = fail("ports", std::to_string(ports.size()) + " ports: at most " + std::to_string(packet::kPortsMax));
  }
  for (std::size_t i = 0; checked && i < ports.size(); ++i) {
    if (ports[i]->info().id != i)
      checked = fail("port " + ports[i]->info().name, "its id is not its place in the list");
  }
  if (!checked) {
    ports.clear();
    destroy(pools);
    return tl::unexpected(checked.error());
  }
  auto engine = std::make_unique<EngineImpl>(options, std::move(pools), std::move(ports));
  if (auto started = engine->start(factory); !started) return tl::unexpected(started.error());
  return engine;
}

}  // namespace sluice::worker
