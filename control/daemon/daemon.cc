// sluiced as a whole; see daemon.h.
//
// Start: configuration -> DPDK, ports, workers -> self IPs, routes, monitors, snapshot -> BGP -> admin socket.
//
// Restart (USR2): sessions are closed without a word -> workers stop, flows are saved -> sluiced executes itself anew
// and goes on with flows, routes and verdicts; nodes keep sending, and keep our addresses until we have announced them
// again.
//
// End (TERM, INT, `sluicectl shutdown`): withdraw routes, Cease -> a moment for flows to end -> stop probes -> stop
// workers -> host port and admin socket go.
#include "control/daemon/daemon.h"

#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <iostream>
#include <thread>

#include "control/admin/api.h"
#include "control/daemon/access_log.h"
#include "control/daemon/backend.h"
#include "control/daemon/bfd_control.h"
#include "control/daemon/bgp_export.h"
#include "control/daemon/log.h"
#include "control/daemon/neighbors.h"
#include "control/daemon/restart_state.h"
#include "control/io/file_watch.h"
#include "control/io/http_server.h"
#include "control/io/manifest_reader.h"
#include "dataplane/port/device.h"
#include "dataplane/port/eal.h"
#include "lb/l7/proxy.h"

namespace sluice::daemon {
namespace {

constexpr Duration kRoutesAgain = 500us;  // when the workers have had time for the route changes that they were given
constexpr Duration kDrainTime = 200ms;    // after the routes are withdrawn: what is on its way still arrives
constexpr std::size_t kManifestBytesAtOnce = 64 * 1024;  // 50 ms
constexpr Duration kEndTimeMax = 5s;                     // whatever hangs, the end comes
constexpr Duration kWindDownMax = 2s;                    // for exchanges of mode http to end before a restart
constexpr Duration kWindDownInterval = 5ms;
constexpr Duration kRestartDelay = 50ms;  // for the FINs of closed sessions to leave
constexpr Duration kVerdictsMax = 15s;    // after a crash: announce then, whatever monitors have yet to say

// Neighbors at once, flows when the worker stops.
class SaveState : public worker::Task {
 public:
  SaveState(lb::Datapath& datapath, std::vector<lb::SavedFlow>& flows, std::vector<ip::NeighborInfo>& neighbors)
      : datapath_(datapath), flows_(flows), neighbors_(neighbors) {}
  void run(Instant now) noexcept override {
    neighbors_ = datapath_.neighbors().list(now);
    datapath_.save_flows_at_stop(&flows_);
  }

 private:
  lb::Datapath& datapath_;
  std::vector<lb::SavedFlow>& flows_;
  std::vector<ip::NeighborInfo>& neighbors_;
};

class RecallNeighbors : public worker::Task {
 public:
  RecallNeighbors(lb::Datapath& datapath, std::vector<ip::NeighborEvent> neighbors)
      : datapath_(datapath), neighbors_(std::move(neighbors)) {}
  void run(Instant now) noexcept override {
    for (const ip::NeighborEvent& neighbor : neighbors_) datapath_.neighbors().recall(now, neighbor);
  }

 private:
  lb::Datapath& datapath_;
  std::vector<ip::NeighborEvent> neighbors_;
};

// Runs its work on the control thread once all tasks before it are through.
class AfterTasks : public worker::Task {
 public:
  explicit AfterTasks(std::function<void()> work) : work_(std::move(work)) {}
  void run(Instant) noexcept override {}
  void done() override { work_(); }

 private:
  std::function<void()> work_;
};

// Has one worker bring its exchanges of mode http to an end, and says how many there are still.
class WindDown : public worker::Task {
 public:
  WindDown(lb::Datapath& datapath, std::function<void(std::uint32_t)> report)
      : datapath_(datapath), report_(std::move(report)) {}
  void run(Instant now) noexcept override { busy_ = datapath_.proxy().wind_down(now); }
  void done() override { report_(busy_); }

 private:
  lb::Datapath& datapath_;
  std::function<void(std::uint32_t)> report_;
  std::uint32_t busy_ = 0;
};

class RestoreFlows : public worker::Task {
 public:
  RestoreFlows(unsigned worker, lb::Datapath& datapath, std::vector<RestoredFlow> flows)
      : worker_(worker), datapath_(datapath), flows_(std::move(flows)) {}
  void run(Instant now) noexcept override {
    for (const RestoredFlow& flow : flows_) {
      if (datapath_.restore_flow(now, flow.facts, *flow.virtual_server, *flow.member)) ++restored_;
    }
  }
  void done() override {
    spdlog::info("worker {}: {} of {} flows go on after the restart", worker_, restored_, flows_.size());
  }

 private:
  unsigned worker_;
  lb::Datapath& datapath_;
  std::vector<RestoredFlow> flows_;
  std::size_t restored_ = 0;
};

class Daemon {
 public:
  Daemon(const Options& options, config::Config config, ConfigSource& source, std::unique_ptr<PacketEngine> engine,
         std::optional<RestartState> before)
      : source_(source),
        engine_(std::move(engine)),
        routes_(*engine_),
        health_(
            loop_, [this](Ipv4Address to) { return routes_.source_for(to); },
            [this] { reconfigure_.verdicts_changed(); }),
        balancing_(*engine_, health_),
        bgp_(loop_, routes_),
        export_(loop_, bgp_),
        bfd_(*engine_, [this](const BfdControl::Failure& f) { bgp_.path_down(f.peer, f.path_is_dead, f.reason); }),
        neighbors_(*engine_),
        statistics_(*engine_, balancing_, health_, routes_),
        access_log_(access_rings(*engine_)),
        reconfigure_({source_, *engine_, balancing_, health_, routes_, bgp_},
                     [this](const config::Config& running) { follow(running); }),
        backend_({loop_, *engine_, balancing_, health_, routes_, bgp_, bfd_, export_, reconfigure_, statistics_,
                  access_log_, options.config, [this] { end("sluicectl shutdown"); },
                  [this] { restart("sluicectl restart"); }}),
        api_(backend_),
        admin_(loop_, io::HttpLimits{}, [this](auto exchange) { api_.handle(std::move(exchange)); }),
        metrics_(loop_, metrics_limits(), [this](auto exchange) { serve_metrics(std::move(exchange)); }),
        route_alarm_(loop_, [this] { collect(); }),
        end_alarm_(loop_, [this] { loop_.stop(); }),
        drain_alarm_(loop_, [this] { withdraw_and_end(); }),
        wind_down_alarm_(loop_, [this] { wind_down(); }),
        manifest_reader_(loop_,
                         [this](auto parsed) {
                           for (auto& one : parsed) source_.offer(std::move(one));
                           reload("manifests were read");
                         }),
        config_(std::move(config)),
        record_bgp_(options.record_bgp),
        socket_(options.socket.value_or(config_.admin.socket)),
        before_(std::move(before)) {}

  Errors start() {
    const bool crashed = !before_ && ::access(socket_.c_str(), F_OK) == 0;  // who ends in good order removes it
    if (auto ok = admin_.listen_unix(socket_); !ok) return {ok.error()};
    spdlog::info("admin socket {}", socket_);
    if (config_.admin.prometheus) {
      if (auto ok = metrics_.listen_tcp(*config_.admin.prometheus); !ok) return {ok.error()};
      spdlog::info("Prometheus metrics on http://{}/metrics", config_.admin.prometheus->text());
    }
    if (!record_bgp_.empty()) {
      if (auto ok = export_.record(record_bgp_); !ok) return {ok.error()};
    }
    bgp_.before_configure([this](const config::Config& config) { export_.note_configuration(config); });
    start_timers();
    come_back(crashed);
    if (Errors errors = reconfigure_.start(config_); !errors.empty()) return errors;
    // What is read from now on must not hold up BGP.
    source_.set_manifest_bytes_at_once(kManifestBytesAtOnce);
    open_gates();
    start_watch();
    log_start();
    return {};
  }

  void run() {
    loop_.on_signal({SIGTERM, SIGINT}, [this](int signal) { end(signal == SIGTERM ? "SIGTERM" : "SIGINT"); });
    loop_.on_signal({SIGHUP}, [this](int) {
      access_log_.reopen();
      export_.reopen();
      reload("SIGHUP");
    });
    loop_.on_signal({SIGUSR2}, [this](int) { restart("SIGUSR2"); });
    loop_.run();
  }

  // What the process after us goes on with; nullopt: there shall be none.
  const std::optional<RestartState>& after() const { return after_; }

  int stop() {
    watch_.reset();
    tickers_.clear();
    admin_.stop();
    metrics_.stop();
    backend_.stop();
    export_.stop();
    health_.stop();
    access_log_.stop();
    if (after_) {
      save_state();
      keep_frames();
    }
    const Status stopped = engine_->stop();
    engine_->engine().collect();
    if (!stopped) spdlog::error("{}", stopped.error().text());
    spdlog::info("sluiced has ended");
    return stopped ? kExitOk : kExitFailed;
  }

 private:
  static io::HttpLimits metrics_limits() {
    io::HttpLimits limits;
    limits.connections_max = 16;
    limits.body_bytes_max = 1024;
    return limits;
  }

  // The metrics port shows metrics and nothing else of the API.
  void serve_metrics(std::shared_ptr<io::HttpExchange> exchange) {
    if (exchange->method() == "GET" && exchange->target() == "/metrics") return api_.handle(std::move(exchange));
    exchange->respond(404, "text/plain", "only GET /metrics is here\n");
  }

  void start_timers() {
    const auto every = [&](Duration interval, std::function<void()> work) {
      tickers_.push_back(std::make_unique<io::Ticker>(loop_, interval, std::move(work)));
    };
    every(5ms, [this] { collect(); });
    routes_.on_more([this] { route_alarm_.set(io::now() + kRoutesAgain); });
    every(kSampleInterval, [this] { statistics_.sample(io::now()); });
    every(1s, [this] {
      routes_.check_links();
      // A link that went down took next hops along: BGP's routes through them go with them.
      if (routes_.table().take_next_hops_changed()) bgp_.next_hops_changed();
      balancing_.collect();
      bfd_.configure(io::now(), bgp_.bfd_peers());  // also those that came by a listen range
    });
    every(100ms, [this] {
      neighbors_.exchange();
      if (auto waiting = source_.take_waiting_manifests(); !waiting.empty()) manifest_reader_.read(std::move(waiting));
    });
  }
  void collect() {
    engine_->engine().collect();
    if (routes_.has_more()) routes_.push();
    bgp_.catch_up();
    bfd_.poll(io::now());
    export_.poll(io::now());
  }

  void start_watch() {
    auto watch = io::FileWatch::start(loop_.context(), {.paths = source_.watched_paths(reconfigure_.running()),
                                                        .on_change = [this] { reload("file change"); }});
    if (!watch) {
      spdlog::warn("files are not watched, reload with SIGHUP: {}", watch.error().text());
      return;
    }
    watch_ = std::move(*watch);
  }

  static std::vector<lb::AccessRing*> access_rings(PacketEngine& engine) {
    std::vector<lb::AccessRing*> rings;
    for (unsigned i = 0; i < engine.workers(); ++i) rings.push_back(&engine.datapath(i).proxy().access_log());
    return rings;
  }

  void follow(const config::Config& running) {
    export_.configure(running);
    bfd_.configure(io::now(), bgp_.bfd_peers());
    access_log_.configure(running.access_log, std::ranges::any_of(running.virtual_servers, [](const auto& server) {
                            return server.mode == config::Mode::http &&
                                   server.http.access_log != config::AccessLog::off;
                          }));
    if (watch_) watch_->set_paths(source_.watched_paths(running));
  }

  void reload(const std::string& why) {
    if (ending_) return;
    const auto report = reconfigure_.apply(std::nullopt, false, why);
    if (report && report->changes.empty() && report->needs_restart.empty()) spdlog::info("{}: nothing changes", why);
  }

  void log_start() {
    for (const config::SelfIp& self : config_.self_ips) {
      spdlog::info("self IP {} on {}", self.address.text(), self.port);
    }
    for (const config::VirtualServer& server : config_.virtual_servers) {
      spdlog::info("virtual server {} on {}, pool {}", server.name, server.destination.text(),
                   server.pool.empty() ? "none" : server.pool);
    }
    if (config_.bgp.local_as != 0) {
      spdlog::info("BGP AS {}, router ID {}, {} neighbors, {} listen ranges", config_.bgp.local_as,
                   config_.bgp.router_id.text(), config_.bgp.neighbors.size(), config_.bgp.listen_ranges.size());
    }
    spdlog::info("sluiced {} is ready, process {}", SLUICE_VERSION, ::getpid());
  }

  void come_back(bool crashed) {
    if (before_) {
      spdlog::info("restart: {} flows, {} routes, {} members up", before_->flow_count(), before_->routes.size(),
                   before_->up.size());
      health_.assume_up(std::move(before_->up));
      bgp_.come_back(std::move(before_->routes), true);
      reconfigure_.before_first_install([this](const lb::Snapshot& snapshot) {
        recall_neighbors();
        restore_flows(snapshot);
      });
    } else if (crashed) {
      spdlog::warn("the sluiced before did not end in good order: neighbors are told that we have restarted");
      bgp_.come_back({}, false);
    } else {
      return;
    }
    verdicts_deadline_ = io::now() + kVerdictsMax;
    tickers_.push_back(std::make_unique<io::Ticker>(loop_, 50ms, [this] { check_ready(); }));
  }

  // Announcements wait until it is known which addresses have a member.
  void check_ready() {
    bgp_.check_kept();
    if (before_) report_kept();
    if (verdicts_deadline_ == kInstantMax) return;
    if (io::now() < verdicts_deadline_ && health_.is_checking(reconfigure_.running())) return;
    verdicts_deadline_ = kInstantMax;
    bgp_.ready();
  }

  // What waits at the gates comes in one burst: more than fits a neighbor's queue while its MAC address is asked for.
  void recall_neighbors() {
    std::vector<ip::NeighborEvent> neighbors;
    for (const SavedNeighbor& neighbor : before_->neighbors) {
      const packet::PortId port = engine_->port_id(neighbor.port);
      if (port != packet::kNoPort) neighbors.push_back({port, neighbor.address, neighbor.mac});
    }
    engine_->post_all(
        [&](unsigned, lb::Datapath& datapath) { return std::make_unique<RecallNeighbors>(datapath, neighbors); });
  }

  void restore_flows(const lb::Snapshot& snapshot) {
    if (before_->flows.size() != engine_->workers()) {
      return spdlog::warn("{} flows are lost: they belong to {} workers, and now there are {}", before_->flow_count(),
                          before_->flows.size(), engine_->workers());
    }
    engine_->post_all([&](unsigned worker, lb::Datapath& datapath) {
      return std::make_unique<RestoreFlows>(worker, datapath, find_owners(before_->flows[worker], snapshot));
    });
    before_->flows.clear();
  }

  // Behind the tasks that restored the flows and installed the snapshot: what waited meets the engine as it was.
  void open_gates() {
    if (!before_) return;
    auto left = std::make_shared<unsigned>(engine_->workers());
    engine_->post_all([&](unsigned, lb::Datapath&) {
      return std::make_unique<AfterTasks>([this, left] {
        if (--*left == 0) engine_->open_gates();
      });
    });
  }

  void report_kept() {
    for (const port::GatedPort* port : engine_->gated_ports()) {
      if (!port->is_drained()) return;
    }
    for (const port::GatedPort* port : engine_->gated_ports()) {
      spdlog::info("restart: {} frames came to {} while nobody ran and go on, {} too long", port->kept(),
                   port->info().name, port->too_long());
    }
    before_.reset();
  }

  // What arrives from here on is for the process after us.
  void keep_frames() {
    for (const config::Port& port : config_.ports) {
      const auto device = port::Device::parse(port.device);
      const auto interface = device ? device->argument("iface") : std::nullopt;
      if (!interface) continue;  // no kernel interface: its frames are lost meanwhile
      if (const auto kept = port::keep_frames(*interface)) {
        after_->kept.emplace(port.name, *kept);
      } else {
        spdlog::warn("{}", kept.error().text());
      }
    }
  }

  void restart(const std::string& why) {
    if (std::exchange(ending_, true)) return;
    spdlog::info("{}: restarting; neighbors keep our routes", why);
    wind_down_until_ = io::now() + kWindDownMax;
    wind_down();
  }

  // Again and again until no client waits for an answer, or it takes too long.
  void wind_down() {
    if (after_) return;
    if (io::now() >= wind_down_until_) return leave();
    wind_down_alarm_.set(wind_down_until_);  // in case a worker does not answer
    struct Round {
      unsigned left;
      std::uint32_t busy = 0;
    };
    auto round = std::make_shared<Round>(Round{engine_->workers()});
    engine_->post_all([&](unsigned, lb::Datapath& datapath) {
      return std::make_unique<WindDown>(datapath, [this, round](std::uint32_t busy) {
        round->busy += busy;
        if (--round->left > 0 || after_) return;
        exchanges_left_ = round->busy;
        round->busy == 0 ? leave() : wind_down_alarm_.set(io::now() + kWindDownInterval);
      });
    });
  }

  void leave() {
    if (exchanges_left_ > 0)
      spdlog::warn("restart: {} clients of mode http wait still and are cut off", exchanges_left_);
    after_.emplace();
    after_->routes = routes_by_bgp(routes_.table(), io::now());
    after_->up = health_.known_up(reconfigure_.running());
    bgp_.abandon();
    end_alarm_.set(io::now() + kRestartDelay);
  }

  // The workers fill in the flows when they stop; each must have heard of it before.
  void save_state() {
    after_->flows.resize(engine_->workers());
    known_neighbors_.resize(engine_->workers());
    engine_->post_all([this](unsigned worker, lb::Datapath& datapath) {
      return std::make_unique<SaveState>(datapath, after_->flows[worker], known_neighbors_[worker]);
    });
    const Instant limit = io::now() + kEndTimeMax;
    while (engine_->engine().tasks_in_flight() > 0 && io::now() < limit) {
      engine_->engine().collect();
      std::this_thread::sleep_for(1ms);
    }
    if (engine_->engine().tasks_in_flight() > 0) return spdlog::error("a worker does not answer: its flows are lost");
    after_->neighbors = merge_neighbors(known_neighbors_, engine_->ports());
  }

  // With a drain time the neighbours first hear that they should go elsewhere (RFC 8326); asked again, we do not wait.
  void end(const std::string& why) {
    if (std::exchange(ending_, true)) {
      if (drain_alarm_.at() != kInstantMax) withdraw_and_end();
      return;
    }
    const Duration drain = reconfigure_.running().bgp.drain_time;
    if (drain > Duration(0) && bgp_.drain(std::nullopt, true)) {
      spdlog::info("{}: draining for {:g} s before the end", why, to_seconds(drain));
      return drain_alarm_.set(io::now() + drain);
    }
    spdlog::info("{}: withdrawing routes and ending", why);
    withdraw_and_end();
  }

  void withdraw_and_end() {
    drain_alarm_.cancel();
    if (std::exchange(withdrawn_, true)) return;
    end_alarm_.set(io::now() + kEndTimeMax);
    reconfigure_.withdraw_all();
    bfd_.shutdown();
    bgp_.shutdown([this] { end_alarm_.set(io::now() + kDrainTime); });
  }

  io::Loop loop_;
  ConfigSource& source_;
  std::unique_ptr<PacketEngine> engine_;
  Routes routes_;
  Health health_;
  Balancing balancing_;
  BgpControl bgp_;
  BgpExport export_;
  BfdControl bfd_;
  Neighbors neighbors_;
  Statistics statistics_;
  AccessLog access_log_;
  Reconfigure reconfigure_;
  Backend backend_;
  admin::Api api_;
  io::HttpServer admin_, metrics_;
  io::Alarm route_alarm_, end_alarm_, drain_alarm_, wind_down_alarm_;
  Instant wind_down_until_{};
  std::uint32_t exchanges_left_ = 0;  // of mode http, when last asked
  io::ManifestReader manifest_reader_;
  config::Config config_;
  const std::string record_bgp_, socket_;
  std::optional<RestartState> before_, after_;
  std::vector<std::vector<ip::NeighborInfo>> known_neighbors_;  // by worker, at a restart
  Instant verdicts_deadline_ = kInstantMax;
  std::vector<std::unique_ptr<io::Ticker>> tickers_;
  std::unique_ptr<io::FileWatch> watch_;
  bool ending_ = false, withdrawn_ = false;
};

// DPDK's tap driver asks for a real-time signal for each packet. Its own thread may have them; this one would only be
// torn out of its system calls.
void leave_tap_signals_to_others() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

int report(const Errors& errors, int code) {
  for (const Error& error : errors) spdlog::error("{}", error.text());
  return code;
}

Result<std::optional<RestartState>> state_before(const Options& options) {
  if (!options.restore) return std::nullopt;
  auto bytes = from_descriptor(*options.restore);
  if (!bytes) return tl::unexpected(bytes.error());
  auto state = decode(*bytes);
  if (!state) return tl::unexpected(state.error());
  return std::optional(std::move(*state));
}

// --check: to people, not to the log.
int check(const Options& options) {
  const LoadedConfig loaded = ConfigSource::check(options.config);
  for (const Error& error : loaded.errors) std::cerr << error.text() << "\n";
  for (const Error& error : loaded.complaints) std::cerr << error.text() << "\n";
  for (const Error& warning : loaded.warnings) std::cerr << "warning: " << warning.text() << "\n";
  if (!loaded.config || !loaded.complaints.empty()) return kExitConfig;
  std::cout << options.config << ": the configuration is valid\n";
  return kExitOk;
}

}  // namespace

int run(const Options& options) {
  if (options.check) return check(options);
  if (!options.replay_bgp.empty()) return replay_bgp(options.replay_bgp);
  start_log(options.log_level, options.log_time);
  ::signal(SIGPIPE, SIG_IGN);
  spdlog::info("sluiced {} starts, configuration {}", SLUICE_VERSION, options.config);
  ConfigSource source(options.config);
  LoadedConfig loaded = source.load();
  for (const Error& warning : loaded.warnings) spdlog::warn("{}", warning.text());
  if (!loaded.config) return report(loaded.errors, kExitConfig);
  for (const Error& error : loaded.complaints) spdlog::error("manifest rejected: {}", error.text());

  const bool busy_poll = options.busy_poll.value_or(loaded.config->engine.busy_poll);
  auto before = state_before(options);
  if (!before) {  // serving without it is better than not at all
    spdlog::error("{}", before.error().text());
    before = std::optional<RestartState>();
  }
  auto engine =
      PacketEngine::start(*loaded.config, busy_poll, options.host_interface, *before ? &(*before)->kept : nullptr);
  if (!engine) return report({engine.error()}, kExitFailed);
  leave_tap_signals_to_others();
  int code = kExitOk;
  std::string after;
  std::map<std::string, int> kept;
  {
    Daemon daemon(options, std::move(*loaded.config), source, std::move(*engine), std::move(*before));
    const Errors errors = daemon.start();
    if (errors.empty()) daemon.run();
    code = daemon.stop();
    if (!errors.empty()) code = report(errors, kExitFailed);
    if (daemon.after() && code == kExitOk) {
      after = encode(*daemon.after());
      kept = daemon.after()->kept;
    }
  }
  port::stop_eal();
  if (!after.empty()) {
    const auto descriptor = to_descriptor(after);
    return report({descriptor ? execute_again(*descriptor, kept) : descriptor.error()}, kExitFailed);
  }
  return code;
}

}  // namespace sluice::daemon
