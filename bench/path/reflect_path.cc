// The floor of the path bench: an application that swaps MAC addresses and sends each packet back, nothing more.
//
// What another bench measures above this is the application's own cost. Also the template of such a bench.
// Usage: bench-path-reflect [--json] [--packets N] [--samples N]
#include <algorithm>
#include <cstring>
#include <string_view>

#include "bench/path/path_bench.h"

namespace {

using sluice::Instant;
using sluice::packet::Batch;
using sluice::packet::Packet;
using sluice::packet::PortId;

class Reflector final : public sluice::worker::Application {
 public:
  explicit Reflector(const sluice::worker::WorkerContext& context) : context_(context) {}
  void on_burst(Instant, PortId rx_port, Batch& batch) override {
    for (Packet packet : batch.view()) {
      std::uint8_t* data = packet.data();
      std::swap_ranges(data, data + 6, data + 6);
      context_.tx.push(rx_port, packet);
    }
  }
  void on_handover(Instant, Batch&) override {}
  void on_timers(Instant) override {}
  Instant next_timer() const override { return sluice::kInstantMax; }

 private:
  sluice::worker::WorkerContext context_;
};

std::uint16_t write_frame(std::uint64_t i, std::uint8_t* frame) {
  std::memset(frame, 0, 60);
  std::memcpy(frame + 26, &i, sizeof i);
  return 60;
}

}  // namespace

int main(int argc, char** argv) {
  sluice::bench::Output output;
  sluice::bench::RunOptions options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg == "--json") output.json = true;
    if (arg == "--packets" && i + 1 < argc) options.packets = std::strtoull(argv[++i], nullptr, 10);
    if (arg == "--samples" && i + 1 < argc)
      options.samples = static_cast<unsigned>(std::strtoul(argv[++i], nullptr, 10));
  }
  options.warm_up = std::min(options.warm_up, options.packets);
  sluice::packet::PortInfo port;
  port.name = "bench";
  port.id = 0;
  sluice::bench::PathBench bench({port}, [](const sluice::worker::WorkerContext& context) {
    return sluice::Result<std::unique_ptr<sluice::worker::Application>>(std::make_unique<Reflector>(context));
  });
  output.print("reflect (harness floor)", bench.run(write_frame, options));
  return 0;
}
