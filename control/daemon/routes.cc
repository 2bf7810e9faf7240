// The routing table and its way to every FIB; see routes.h.
#include "control/daemon/routes.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/io/loop.h"
#include "dataplane/ip/fib.h"
#include "dataplane/worker/worker.h"

namespace sluice::daemon {
namespace {

// A worker runs several tasks between two bursts of packets, and they hold up its packets. An update takes 0.27 us
// (/32) to 0.53 us (/16) of processor time (EPYC 2.1 GHz, bench/micro/ip-bench fib_apply), so a task 17 to 34 us.
constexpr std::size_t kUpdatesPerTask = 64;

// A worker takes these in less than a millisecond. What is read from a neighbour while more wait would reach the FIBs
// late; unread it waits as well, but TCP slows the sender down, and other neighbours' few routes are not behind its
// many.
constexpr std::size_t kPendingMax = 512;
constexpr std::size_t kTasksMax = 8;  // of a worker, under way: as many as it runs in one turn

ip::RouteUpdate to_fib(const routing::RouteUpdate& update) {
  ip::RouteUpdate out;
  out.prefix = update.prefix;
  switch (update.action) {
    case routing::RouteAction::forward:
      for (const routing::ResolvedNextHop& hop : *update.next_hops) {
        if (out.next_hops.size() == ip::kEcmpMax) break;
        out.next_hops.push_back(hop.gateway.is_zero() ? ip::NextHop::connected(hop.interface)
                                                      : ip::NextHop::via(hop.interface, hop.gateway));
      }
      break;
    case routing::RouteAction::local:
      out.next_hops.push_back(ip::NextHop::local());
      break;
    case routing::RouteAction::blackhole:
      out.next_hops.push_back(ip::NextHop::blackhole());
      break;
    case routing::RouteAction::remove:
      break;
  }
  return out;
}

}  // namespace

// Counted on the control thread, when tasks are back.
struct RouteTimes {
  lb::LatencyHistogram reach, task;
};

namespace {

// Changes under way to all workers.
struct Batch {
  std::vector<ip::RouteUpdate> updates;
  Instant read = kInstantMax;  // of the oldest among them; kInstantMax: BGP has nothing to do with it
  Instant last_applied{};
  unsigned workers_left = 0;
  std::shared_ptr<RouteTimes> times;
};

// Carries route changes to one worker; what its FIB refuses (it is full) is logged when the task is back.
class ApplyRoutes : public worker::Task {
 public:
  ApplyRoutes(unsigned worker, lb::Datapath& datapath, std::shared_ptr<Batch> batch)
      : worker_(worker), datapath_(datapath), batch_(std::move(batch)) {}

  void run(Instant) noexcept override {
    started_ = worker::monotonic_now();
    for (const ip::RouteUpdate& update : batch_->updates) {
      const Status status = datapath_.fib().apply(update);
      // A removal of what is not there is no trouble: a refused route was never in.
      if (!status && !update.next_hops.empty() && refused_++ == 0) error_ = status.error();
    }
    ended_ = worker::monotonic_now();
  }
  void done() override {
    count();
    if (refused_ == 0) return;
    static Instant next_line{};  // once a second: a neighbour's million routes are 16,000 tasks
    if (io::now() < next_line) return;
    next_line = io::now() + 1s;
    spdlog::error("worker {}: {} routes refused: {}", worker_, refused_, error_.text());
  }

 private:
  void count() {
    if (ended_ == Instant{}) return;  // the worker has stopped before
    batch_->times->task.add(ended_ - started_);
    batch_->last_applied = std::max(batch_->last_applied, ended_);
    if (--batch_->workers_left == 0 && batch_->read != kInstantMax) {
      batch_->times->reach.add(batch_->last_applied - batch_->read);
    }
  }

  unsigned worker_;
  lb::Datapath& datapath_;
  std::shared_ptr<Batch> batch_;
  Instant started_{}, ended_{};
  std::size_t refused_ = 0;
  Error error_;
};

// Calls remove(x) for what is only in `before`, add(x) for what is only in `after`.
template <typename T, typename Remove, typename Add>
void for_changes(const std::vector<T>& before, const std::vector<T>& after, Remove remove, Add add) {
  for (const T& x : before) {
    if (std::find(after.begin(), after.end(), x) == after.end()) remove(x);
  }
  for (const T& x : after) {
    if (std::find(before.begin(), before.end(), x) == before.end()) add(x);
  }
}

std::vector<Ipv4Address> addresses_of(const std::vector<config::VirtualAddress>& all) {
  std::vector<Ipv4Address> out;
  for (const config::VirtualAddress& address : all) out.push_back(address.address);
  return out;
}

}  // namespace

Routes::Routes(PacketEngine& engine) : engine_(engine), times_(std::make_shared<RouteTimes>()) {
  for (const packet::PortInfo& port : engine_.ports()) {
    link_up_.push_back(true);
    if (port.kind == packet::PortKind::network) table_.set_interface(port.id, port.name, true);
  }
}

void Routes::configure(Instant now, const config::Config& config) {
  for_changes(
      configured_.self_ips, config.self_ips,
      [&](const config::SelfIp& self) { table_.remove_connected(self.address, engine_.port_id(self.port)); },
      [&](const config::SelfIp& self) { table_.add_connected(self.address, engine_.port_id(self.port), now); });
  for_changes(
      configured_.routes, config.routes,
      [&](const config::StaticRoute& route) { table_.set_static(route.prefix, {}, false, now); },
      [&](const config::StaticRoute& route) { table_.set_static(route.prefix, route.gateways, route.blackhole, now); });
  for_changes(
      addresses_of(configured_.virtual_addresses), addresses_of(config.virtual_addresses),
      [&](Ipv4Address address) { table_.set_virtual_address(address, false, now); },
      [&](Ipv4Address address) { table_.set_virtual_address(address, true, now); });
  configured_ = config;
  push();
}

void Routes::learned(Instant read) {
  const std::uint64_t up_to = taken_ + table_.pending();
  if (marks_.empty() ? up_to > taken_ : up_to > marks_.back().up_to) marks_.push_back({up_to, read});
  push();
}

bool Routes::behind() const { return table_.pending() > kPendingMax; }

// When BGP has read the oldest of the next `count` changes, which are taken now. One that changed again while it waited
// has its first time.
Instant Routes::read_time(std::uint64_t count) {
  const Instant read = marks_.empty() ? kInstantMax : marks_.front().read;
  taken_ += count;
  while (!marks_.empty() && marks_.front().up_to <= taken_) marks_.pop_front();
  return read;
}

void Routes::push() {
  while (table_.has_updates()) {
    // More than this at once waits for the loop's next turn: the mailboxes are bounded, and so is memory.
    if (engine_.engine().tasks_in_flight() > kTasksMax * engine_.workers()) {
      if (on_more_) on_more_();
      return;
    }
    auto batch = std::make_shared<Batch>();
    batch->times = times_;
    batch->workers_left = engine_.workers();
    for (const routing::RouteUpdate& update : table_.take_updates(kUpdatesPerTask)) {
      batch->updates.push_back(to_fib(update));
    }
    batch->read = read_time(batch->updates.size());
    if (batch->updates.empty()) continue;
    engine_.post_all([&](unsigned worker, lb::Datapath& datapath) {
      return std::make_unique<ApplyRoutes>(worker, datapath, batch);
    });
  }
}

lb::Latency Routes::reach_time() const {
  lb::Latency out;
  out.add(times_->reach);
  return out;
}

lb::Latency Routes::task_time() const {
  lb::Latency out;
  out.add(times_->task);
  return out;
}

std::optional<Ipv4Address> Routes::source_for(Ipv4Address destination) const {
  const auto& selves = configured_.self_ips;
  if (selves.empty()) return std::nullopt;
  const auto route = table_.lookup(destination);
  if (route && route->action == routing::RouteAction::forward && !route->next_hops->empty()) {
    const routing::ResolvedNextHop& hop = route->next_hops->front();
    const Ipv4Address next = hop.gateway.is_zero() ? destination : hop.gateway;
    const config::SelfIp* first = nullptr;
    for (const config::SelfIp& self : selves) {
      if (engine_.port_id(self.port) != hop.interface) continue;
      if (self.address.subnet().contains(next)) return self.address.address;
      if (first == nullptr) first = &self;
    }
    if (first != nullptr) return first->address.address;
  }
  return selves.front().address.address;
}

void Routes::check_links() {
  bool changed = false;
  for (const packet::PortInfo& port : engine_.ports()) {
    if (port.kind != packet::PortKind::network) continue;
    const bool up = engine_.engine().port(port.id).is_link_up();
    if (up == link_up_[port.id]) continue;
    link_up_[port.id] = up;
    changed = true;
    spdlog::log(up ? spdlog::level::info : spdlog::level::warn, "port {}: link {}", port.name, up ? "up" : "down");
    table_.set_interface(port.id, port.name, up);
  }
  if (changed) push();
}

}  // namespace sluice::daemon
