// Lists and ends flows; see flow_walk.h.
#include "control/daemon/flow_walk.h"

#include <memory>
#include <vector>

namespace sluice::daemon {
namespace {

constexpr std::uint32_t kSlotsPerTask = 4096;
constexpr std::size_t kFlowsPerTask = 256;

// What the worker can check; the rest is checked here (admin::FlowFilter is wider).
lb::FlowFilter to_lb(const admin::FlowFilter& filter) {
  lb::FlowFilter out;
  if (filter.protocol) out.protocol = *filter.protocol == "tcp" ? lb::Protocol::tcp : lb::Protocol::udp;
  if (filter.client) out.client = Ipv4Prefix::of(*filter.client, 32);
  if (filter.member) out.member = *filter.member;
  if (filter.destination) {
    out.destination = filter.destination->address;
    out.destination_port = filter.destination->port;
  }
  return out;
}

struct Walk : std::enable_shared_from_this<Walk> {
  Walk(PacketEngine& e, const Balancing& b, const admin::FlowFilter& f, bool end_them,
       std::function<void(Result<admin::FlowsStatus>)> fn)
      : engine(e), balancing(b), filter(f), lb_filter(to_lb(f)), end(end_them), answer(std::move(fn)) {}

  void next();
  void take(const std::vector<lb::FlowView>& flows, std::uint32_t next_cursor);
  bool matches(const lb::FlowView& flow, const lb::VirtualServer* server) const;
  admin::FlowStatus describe(const lb::FlowView& flow, const lb::VirtualServer* server) const;

  PacketEngine& engine;
  const Balancing& balancing;
  const admin::FlowFilter filter;
  const lb::FlowFilter lb_filter;
  const bool end;
  std::function<void(Result<admin::FlowsStatus>)> answer;
  admin::FlowsStatus found;
  unsigned worker = 0;
  std::uint32_t cursor = 0;
};

// One piece of one worker's table.
class ListPiece : public worker::Task {
 public:
  ListPiece(lb::Datapath& datapath, std::shared_ptr<Walk> walk) : datapath_(datapath), walk_(std::move(walk)) {
    flows_.reserve(kFlowsPerTask);
  }
  void run(Instant now) noexcept override {
    ran_ = true;
    cursor_ = datapath_.list_flows(now, walk_->cursor, kSlotsPerTask, walk_->lb_filter, flows_);
  }
  void done() override {
    if (ran_) return walk_->take(flows_, cursor_);
    walk_->answer(fail("", "the engine is shutting down"));
  }

 private:
  lb::Datapath& datapath_;
  std::shared_ptr<Walk> walk_;
  std::vector<lb::FlowView> flows_;
  std::uint32_t cursor_ = lb::kFlowListEnd;
  bool ran_ = false;
};

class EndFlows : public worker::Task {
 public:
  EndFlows(lb::Datapath& datapath, std::vector<std::uint64_t> ids) : datapath_(datapath), ids_(std::move(ids)) {}
  void run(Instant now) noexcept override {
    for (const std::uint64_t id : ids_) datapath_.delete_flow(now, id);
  }

 private:
  lb::Datapath& datapath_;
  std::vector<std::uint64_t> ids_;
};

void Walk::next() {
  if (worker == engine.workers()) return answer(std::move(found));
  engine.engine().post(worker, std::make_unique<ListPiece>(engine.datapath(worker), shared_from_this()));
}

void Walk::take(const std::vector<lb::FlowView>& flows, std::uint32_t next_cursor) {
  std::vector<std::uint64_t> ids;
  for (const lb::FlowView& flow : flows) {
    const lb::Snapshot* snapshot = balancing.current();
    const lb::VirtualServer* server =
        snapshot == nullptr
            ? nullptr
            : snapshot->find_virtual_server(flow.destination.address, flow.destination.port, flow.protocol);
    if (!matches(flow, server)) continue;
    ++found.matched;
    if (end) {
      ids.push_back(flow.id);
    } else if (found.flows.size() < filter.limit) {
      found.flows.push_back(describe(flow, server));
    }
  }
  if (!ids.empty()) {
    engine.engine().post(worker, std::make_unique<EndFlows>(engine.datapath(worker), std::move(ids)));
  }
  cursor = next_cursor;
  if (cursor == lb::kFlowListEnd) {
    ++worker;
    cursor = 0;
  }
  next();
}

bool Walk::matches(const lb::FlowView& flow, const lb::VirtualServer* server) const {
  const auto one_of = [&](auto wanted, auto... values) { return ((values == wanted) || ...); };
  if (filter.address &&
      !one_of(*filter.address, flow.client.address, flow.destination.address, flow.snat.address, flow.member.address)) {
    return false;
  }
  if (filter.port && !one_of(*filter.port, flow.client.port, flow.destination.port, flow.snat.port, flow.member.port)) {
    return false;
  }
  if (filter.virtual_server && (server == nullptr || server->name != *filter.virtual_server)) return false;
  const lb::Pool* pool = server == nullptr ? nullptr : server->pool;
  return !filter.pool || (pool != nullptr && pool->spec.name == *filter.pool);
}

admin::FlowStatus Walk::describe(const lb::FlowView& flow, const lb::VirtualServer* server) const {
  admin::FlowStatus out;
  out.protocol = flow.protocol == lb::Protocol::tcp ? "tcp" : "udp";
  out.client = flow.client.text();
  out.virtual_destination = flow.destination.text();
  out.snat = flow.snat.text();
  out.member = flow.member.text();
  if (server != nullptr) {
    out.virtual_server = server->name;
    if (server->pool != nullptr) out.pool = server->pool->spec.name;
  }
  out.state = lb::name_of(flow.state);
  out.age_s = to_seconds(flow.age);
  out.idle_s = to_seconds(flow.idle);
  out.bytes_in = flow.bytes_in;
  out.bytes_out = flow.bytes_out;
  out.packets_in = flow.packets_in;
  out.packets_out = flow.packets_out;
  out.worker = flow.worker;
  return out;
}

}  // namespace

void walk_flows(PacketEngine& engine, const Balancing& balancing, const admin::FlowFilter& filter, bool end,
                std::function<void(Result<admin::FlowsStatus>)> answer) {
  std::make_shared<Walk>(engine, balancing, filter, end, std::move(answer))->next();
}

}  // namespace sluice::daemon
