// Bring-up of the packet engine; see packet_engine.h.
#include "control/daemon/packet_engine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>

#include "control/daemon/log.h"
#include "control/io/loop.h"
#include "dataplane/port/eal.h"

namespace sluice::daemon {
namespace {

port::EalOptions eal_options(const config::Config& config, const std::string& host_interface) {
  port::EalOptions options;
  options.hugepages = config.engine.hugepages;
  options.memory_mb = config.engine.memory_mb;
  options.extra_args = config.engine.eal_args;
  options.file_prefix = "sluice-" + host_interface;
  options.log = eal_log();
  for (const config::Port& port : config.ports) options.devices.push_back(port.device);
  return options;
}

std::uint16_t smallest_mtu(const config::Config& config) {
  std::uint16_t mtu = 65535;
  for (const config::Port& port : config.ports) mtu = std::min(mtu, port.mtu);
  return config.ports.empty() ? std::uint16_t{1500} : mtu;
}

Result<std::vector<std::unique_ptr<port::Port>>> open_ports(const config::Config& config,
                                                            const std::vector<packet::PacketPool>& pools) {
  std::vector<std::unique_ptr<port::Port>> ports;
  for (const config::Port& wanted : config.ports) {
    port::PortOptions options;
    options.name = wanted.name;
    options.device = wanted.device;
    options.mtu = wanted.mtu;
    options.id = static_cast<packet::PortId>(ports.size());
    auto port = port::open_port(options, pools);
    if (!port) return tl::unexpected(port.error());
    for (const std::string& warning : (*port)->warnings()) spdlog::warn("port {}: {}", wanted.name, warning);
    spdlog::info("port {}: {}", wanted.name, (*port)->description());
    ports.push_back(std::move(*port));
  }
  return ports;
}

worker::EngineOptions engine_options(const config::Config& config, bool busy_poll) {
  worker::EngineOptions options;
  options.workers = config.engine.workers;
  options.cores = config.engine.cores;
  options.packet_buffers = config.engine.packet_buffers;
  options.busy_poll = busy_poll;
  return options;
}

HashSeed random_seed() {
  std::random_device device;
  HashSeed seed{};
  auto* words = reinterpret_cast<std::uint32_t*>(&seed);
  for (std::size_t i = 0; i < sizeof seed / sizeof *words; ++i) words[i] = device();
  return seed;
}

}  // namespace

Result<std::unique_ptr<PacketEngine>> PacketEngine::start(const config::Config& config, bool busy_poll,
                                                          const std::string& host_interface,
                                                          const std::map<std::string, int>* kept) {
  if (auto ok = port::start_eal(eal_options(config, host_interface)); !ok) return tl::unexpected(ok.error());
  spdlog::info("DPDK: {}", fmt::join(port::eal_arguments(eal_options(config, host_interface)), " "));
  const worker::EngineOptions options = engine_options(config, busy_poll);
  auto pools = worker::Engine::make_pools(options);
  if (!pools) return tl::unexpected(pools.error());
  auto ports = open_ports(config, *pools);
  if (!ports) return tl::unexpected(ports.error());
  std::vector<port::GatedPort*> gated;
  for (auto& port : *ports) {
    if (kept == nullptr) break;
    const auto at = kept->find(port->info().name);
    auto gate = std::make_unique<port::GatedPort>(std::move(port), at == kept->end() ? -1 : at->second, pools->front());
    gated.push_back(gate.get());
    port = std::move(gate);
  }

  port::HostPortOptions host;
  host.interface = host_interface;
  host.id = static_cast<packet::PortId>(ports->size());
  host.mtu = smallest_mtu(config);
  auto host_port = port::HostPort::open(host, *pools);
  if (!host_port) return tl::unexpected(host_port.error());

  std::unique_ptr<PacketEngine> self(new PacketEngine);
  self->host_port_ = host_port->get();
  self->gated_ = std::move(gated);
  spdlog::info("host port {}: {}", host_interface, (*host_port)->description());
  ports->push_back(std::move(*host_port));

  const HashSeed seed = random_seed();
  auto engine =
      worker::Engine::start(options, std::move(*pools), std::move(*ports),
                            [&](const worker::WorkerContext& context) -> Result<std::unique_ptr<worker::Application>> {
                              lb::DatapathOptions datapath;
                              datapath.worker = context.index;
                              datapath.workers = context.workers;
                              datapath.ports.assign(context.ports.begin(), context.ports.end());
                              datapath.flows_max = config.engine.flows_max;
                              datapath.routes_max = config.engine.routes_max;
                              datapath.seed = seed;
                              datapath.start = io::now();
                              auto made = lb::Datapath::create(std::move(datapath), context.tx, context.drops,
                                                               context.pool, &context.handover);
                              if (!made) return tl::unexpected(made.error());
                              self->datapaths_.push_back(made->get());
                              return std::unique_ptr<worker::Application>(std::move(*made));
                            });
  if (!engine) return tl::unexpected(engine.error());
  self->engine_ = std::move(*engine);
  for (const auto& worker : self->engine_->statistics()) {
    spdlog::info("worker {}: core {}, {} packet buffers, room for {} flows{}", worker.index, worker.core,
                 worker.pool_size, self->datapaths_[worker.index]->flow_capacity(), busy_poll ? ", busy polling" : "");
  }
  return self;
}

PacketEngine::~PacketEngine() {
  if (engine_ && !stopped_) {
    if (auto ok = stop(); !ok) spdlog::error("{}", ok.error().text());
  }
}

packet::PortId PacketEngine::port_id(const std::string& name) const {
  for (const packet::PortInfo& port : engine_->ports()) {
    if (port.kind == packet::PortKind::network && port.name == name) return port.id;
  }
  return packet::kNoPort;
}

void PacketEngine::post_all(const std::function<std::unique_ptr<worker::Task>(unsigned, lb::Datapath&)>& make) {
  engine_->post_all([&](unsigned worker) { return make(worker, *datapaths_[worker]); });
}

void PacketEngine::open_gates() {
  for (port::GatedPort* port : gated_) port->open_gate();
}

Status PacketEngine::stop() {
  stopped_ = true;
  return engine_->stop();
}

}  // namespace sluice::daemon
