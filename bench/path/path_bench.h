// PathBench: the whole engine on one core without NIC or kernel; what a packet costs from rx burst to tx burst.
//
// A bench port hands out frames that were built before the clock starts, and keeps what is sent until it has stopped:
// a sample is the time of Worker::duty_cycle() alone (mailbox, rx, application, timers, tx), the generator's cost is
// outside. Each round is kRound packets, so that buffers stay in L2 as they would with a NIC that writes to the cache,
// and the pool's per-core cache hands the same ones out again.
//
//   PathBench bench(ports, factory);                        // factory: what Engine::start takes
//   const auto r = bench.run(stream, {.samples = 7});       // stream(i, frame) writes packet i, returns its length
//   print(r, "datapath established, 1000 flows");
//
// Called by: bench/path/*.cc. Runs on: the calling thread, pinned. Follows: issue 2, "To be measured".
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/worker/engine.h"

namespace sluice::bench {

inline constexpr std::uint32_t kRound = 256;  // packets between two looks at the clock
inline constexpr std::size_t kFrameMax = 1600;

// Writes packet number i of the stream into `frame` (kFrameMax bytes) and returns its length.
using Stream = std::function<std::uint16_t(std::uint64_t i, std::uint8_t* frame)>;
// Sees each frame that left by `port`: for checks, and to learn what the engine chose (SNAT ports, say).
using Observer = std::function<void(packet::PortId port, std::span<const std::uint8_t> frame)>;

struct RunOptions {
  packet::PortId rx_port = 0;
  std::uint64_t first = 0;          // number of the stream's first packet
  std::uint64_t warm_up = 1 << 16;  // packets before the first sample; at least one of every flow
  std::uint64_t packets = 1 << 18;  // a sample
  unsigned samples = 7;
  Observer observe;
};

struct Measurement {
  std::vector<double> ns_per_packet;  // one a sample
  double tsc_ghz = 0;
  std::uint64_t received = 0;  // all samples
  std::uint64_t sent = 0;
  std::uint64_t dropped = 0;
  std::uint64_t rounds_discarded = 0;  // the core was taken from us meanwhile

  double median_ns() const;
  double min_ns() const;
  double max_ns() const;
  double cycles() const { return median_ns() * tsc_ghz; }
  double mpps() const { return 1000.0 / median_ns(); }
};

class PathBench {
 public:
  // Starts EAL on ordinary pages when nobody has. `ports`: ids 0..n-1.
  PathBench(std::vector<packet::PortInfo> ports, const worker::ApplicationFactory& factory, unsigned memory_mb = 512);
  ~PathBench();
  PathBench(const PathBench&) = delete;
  PathBench& operator=(const PathBench&) = delete;

  worker::Application& application();
  Measurement run(const Stream& stream, const RunOptions& options);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// One line for people, or with --json one object a line for run.py.
struct Output {
  bool json = false;
  void print(const std::string& name, const Measurement& measurement) const;
};

}  // namespace sluice::bench
