// The bench port and the timed loop; see path_bench.h.
#include "bench/path/path_bench.h"

#include <fmt/format.h>
#include <rte_cycles.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include "dataplane/port/eal.h"
#include "dataplane/worker/worker.h"

namespace sluice::bench {

using packet::Batch;
using packet::Packet;

namespace {

// Plain arrays: about the cost of a NIC driver's descriptor ring, and nothing of a generator.
class BenchQueue final : public port::PortQueue {
 public:
  explicit BenchQueue(packet::PortId id) : id_(id) {
    in_.reserve(kRound);
    out_.reserve(kRound + packet::kBatchMax);
  }
  void rx(Batch& batch) override {
    const auto n = std::min<std::size_t>(in_.size() - next_, packet::kBatchMax);
    for (std::size_t i = 0; i < n; ++i) {
      batch.packets[i] = in_[next_ + i];
      batch.packets[i].set_rx_port(id_);
    }
    batch.count = static_cast<std::uint32_t>(n);
    next_ += n;
  }
  std::uint32_t tx(std::span<Packet> packets) override {
    out_.insert(out_.end(), packets.begin(), packets.end());
    return static_cast<std::uint32_t>(packets.size());
  }
  bool all_received() const { return next_ == in_.size(); }
  void restart() {
    in_.clear();
    next_ = 0;
  }

  const packet::PortId id_;
  std::vector<Packet> in_;
  std::size_t next_ = 0;
  std::vector<Packet> out_;
};

double tsc_ghz() { return static_cast<double>(rte_get_tsc_hz()) / 1e9; }

// A round in which another process had the core says nothing of ours.
long context_switches() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nivcsw + usage.ru_nvcsw;
}

double at_percent(std::vector<double> values, std::size_t percent) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[(values.size() - 1) * percent / 100];
}

template <typename T>
T must(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "%s\n", result.error().text().c_str());
  std::exit(1);
}

}  // namespace

double Measurement::median_ns() const { return at_percent(ns_per_packet, 50); }
double Measurement::min_ns() const { return at_percent(ns_per_packet, 0); }
double Measurement::max_ns() const { return at_percent(ns_per_packet, 100); }

struct PathBench::State {
  std::vector<packet::PortInfo> ports;
  std::vector<std::unique_ptr<BenchQueue>> queues;
  std::vector<packet::PacketPool> pools;
  std::unique_ptr<worker::Worker> worker;

  void fill(const Stream& stream, BenchQueue& queue, std::uint64_t first, std::uint64_t count);
  std::uint64_t timed_round(const BenchQueue& queue);
  void empty(const Observer& observe, Measurement& measurement);
};

PathBench::PathBench(std::vector<packet::PortInfo> ports, const worker::ApplicationFactory& factory, unsigned memory_mb)
    : state_(std::make_unique<State>()) {
  if (!port::is_eal_started()) {
    if (auto started = port::start_eal({.memory_mb = memory_mb}); !started) {
      std::fprintf(stderr, "%s\n", started.error().text().c_str());
      std::exit(1);
    }
  }
  state_->ports = std::move(ports);
  state_->pools = must(worker::Engine::make_pools({.packet_buffers = 32 * kRound}));
  state_->worker = std::make_unique<worker::Worker>(0, 0, state_->pools[0], true);
  worker::Worker& worker = *state_->worker;
  for (const auto& info : state_->ports) {
    state_->queues.push_back(std::make_unique<BenchQueue>(info.id));
    worker.add_rx(info.id, *state_->queues.back());
    worker.transmitter().add_queue(info.id, info.kind, *state_->queues.back());
  }
  worker.set_application(must(factory(worker::WorkerContext{0, 1, worker.transmitter(), worker.drops(), worker.pool(),
                                                            worker.handover(), state_->ports})));
}

PathBench::~PathBench() {
  state_->worker->application().on_stop(worker::monotonic_now());
  Measurement ignored;
  state_->worker->duty_cycle(worker::monotonic_now());
  state_->empty({}, ignored);
  state_->worker.reset();
  for (auto& pool : state_->pools) pool.destroy();
}

worker::Application& PathBench::application() { return state_->worker->application(); }

void PathBench::State::fill(const Stream& stream, BenchQueue& queue, std::uint64_t first, std::uint64_t count) {
  queue.restart();
  for (std::uint64_t i = 0; i < count; ++i) {
    const Packet packet = pools[0].allocate();
    if (!packet) break;  // the application holds too many: what is there is measured
    const auto length = stream(first + i, packet.data());
    packet.append(length);
    queue.in_.push_back(packet);
  }
}

std::uint64_t PathBench::State::timed_round(const BenchQueue& queue) {
  const std::uint64_t start = rte_rdtsc_precise();
  while (!queue.all_received()) worker->duty_cycle(worker::monotonic_now());
  return rte_rdtsc_precise() - start;
}

void PathBench::State::empty(const Observer& observe, Measurement& measurement) {
  for (const auto& queue : queues) {
    measurement.sent += queue->out_.size();
    for (Packet packet : queue->out_) {
      if (observe) observe(queue->id_, packet.bytes());
      rte_pktmbuf_free(packet.mbuf());
    }
    queue->out_.clear();
  }
}

Measurement PathBench::run(const Stream& stream, const RunOptions& options) {
  BenchQueue& queue = *state_->queues[options.rx_port];
  Measurement out;
  out.tsc_ghz = tsc_ghz();
  std::uint64_t next = options.first;
  const auto play = [&](std::uint64_t packets) {
    std::uint64_t cycles = 0;
    std::uint64_t timed = 0;
    for (std::uint64_t left = packets; left > 0;) {
      const auto count = std::min<std::uint64_t>(left, kRound);
      state_->fill(stream, queue, next, count);
      const auto switches = context_switches();
      const auto round = state_->timed_round(queue);
      if (context_switches() == switches) {
        cycles += round;
        timed += queue.in_.size();
      } else {
        ++out.rounds_discarded;
      }
      out.received += queue.in_.size();
      state_->empty(options.observe, out);
      next += count;
      left -= count;
    }
    return static_cast<double>(cycles) / static_cast<double>(std::max<std::uint64_t>(timed, 1)) / out.tsc_ghz;
  };
  play(options.warm_up);
  out.received = out.sent = out.rounds_discarded = 0;
  const auto dropped = state_->worker->drops().counters().total();
  for (unsigned i = 0; i < options.samples; ++i) out.ns_per_packet.push_back(play(options.packets));
  out.dropped = state_->worker->drops().counters().total() - dropped;
  return out;
}

void Output::print(const std::string& name, const Measurement& m) const {
  if (json) {
    fmt::print(
        R"({{"case":"{}","ns":{:.2f},"min_ns":{:.2f},"max_ns":{:.2f},"cycles":{:.1f},"mpps":{:.2f},"samples":{},)"
        R"("received":{},"sent":{},"dropped":{},"discarded":{}}})"
        "\n",
        name, m.median_ns(), m.min_ns(), m.max_ns(), m.cycles(), m.mpps(), m.ns_per_packet.size(), m.received, m.sent,
        m.dropped, m.rounds_discarded);
  } else {
    fmt::print(
        "{:<44} {:8.2f} ns  {:8.1f} cycles  {:7.2f} Mpps   ({} samples, {:.2f}..{:.2f} ns; {} sent, {} dropped, "
        "{} rounds discarded)\n",
        name, m.median_ns(), m.cycles(), m.mpps(), m.ns_per_packet.size(), m.min_ns(), m.max_ns(), m.sent, m.dropped,
        m.rounds_discarded);
  }
  std::fflush(stdout);
}

}  // namespace sluice::bench
