// What becomes of the flows of a member that went down, a bounded number of them a turn; see l4.h.
#include "lb/balance/balance.h"
#include "lb/l4/l4.h"
#include "lb/l4/rewrite.h"

namespace sluice::lb {

void L4::sweep(Instant now) {
  for (std::uint32_t n = 0; n < kSweepMax && sweep_left_ > 0; ++n, --sweep_left_) {
    L4Flow* flow = table_.at(sweep_at_);
    sweep_at_ = sweep_at_ + 1 < table_.capacity() ? sweep_at_ + 1 : 0;
    if (flow == nullptr || flow->has(L4Flow::kSilenced) || flow->has(L4Flow::kLingers)) continue;
    const FlowsOnDown action = flow->member->flows_on_down.load(std::memory_order_acquire);
    if (action != FlowsOnDown::keep) on_member_down(now, *flow, action);
  }
}

void L4::on_member_down(Instant now, L4Flow& flow, FlowsOnDown action) {
  context_.counters.service_down_flows.add();
  switch (action) {
    case FlowsOnDown::keep:
      return;
    case FlowsOnDown::reject:
      if (flow.is_tcp()) reset_both(now, flow);
      return end(flow);
    case FlowsOnDown::drop:
      // It stays for a while, so that what still comes is swallowed and not answered by a reset.
      flow.flags |= L4Flow::kSilenced;
      flow.last_used = L4FlowTable::tick(now);
      if (flow.is_tcp()) flow.state = FlowState::closing;
      return table_.reschedule(flow, now + idle_timeout(flow));
    case FlowsOnDown::reselect:
      return reselect(now, flow);
  }
}

// Each end gets a sequence number that it must believe: the one that it acknowledged last (RFC 5961 §3.2).
void L4::reset_both(Instant now, const L4Flow& flow) {
  const TcpSide& client = flow.sides[0];
  const TcpSide& server = flow.sides[1];
  const flow::FlowKey& client_key = flow.keys[0];
  const flow::FlowKey& server_key = flow.keys[1];
  context_.egress.send_reset(now, {{client_key.destination, client_key.dst_port},
                                   {client_key.source, client_key.src_port},
                                   client.ack,
                                   client.end,
                                   true});
  if (flow.state == FlowState::syn_sent) return;  // the server has not said anything
  context_.egress.send_reset(now, {{server_key.destination, server_key.dst_port},
                                   {server_key.source, server_key.src_port},
                                   server.ack,
                                   server.end,
                                   true});
}

// The flow goes on with another member. A TCP connection that was established is one that the new member has never
// heard of: it resets it, which is what the client needs to hear.
void L4::reselect(Instant now, L4Flow& flow) {
  const flow::FlowKey client = flow.keys[0];
  const Protocol protocol = flow.is_tcp() ? Protocol::tcp : Protocol::udp;
  const VirtualServer* vs =
      snapshot_ == nullptr ? nullptr : snapshot_->find_virtual_server(client.destination, client.dst_port, protocol);
  const balance::Picked picked = vs == nullptr || vs->pool == nullptr
                                     ? balance::Picked{}
                                     : balance::pick(*vs->pool, {now, options_.worker, client.source});
  if (picked.member == nullptr) return on_member_down(now, flow, FlowsOnDown::reject);

  const L4Flow old = flow;
  const bool established = !table_.is_embryonic(flow);
  table_.erase(flow);
  old.member->release();
  L4Flow* next = table_.allocate();  // the place just freed
  *next = old;
  next->member = picked.member->runtime;
  next->keys[1].source = picked.member->endpoint.address;
  next->keys[1].src_port = picked.member->endpoint.port;
  next->hops[0] = next->hops[1] = {};
  std::uint64_t server_hash = 0;
  if (choose_address(now, *vs, client, next->keys[1], next->hops[0]) ||
      !choose_port(*vs, client, next->keys[1], server_hash)) {
    table_.release(*next);
    picked.member->runtime->release();
    old.virtual_server->connections.release();
    context_.counters.flows_ended.add();
    context_.counters.flows_open.set(table_.size());
    return;
  }
  prepare_deltas(*next);
  table_.insert_new(*next, table_.hash(client), server_hash, now, now + idle_timeout(*next));
  if (established) table_.establish(*next);
  if (vs->persist == PersistKind::source_address) {
    context_.persistence->put(now, vs->runtime->id, client.source, picked.member->runtime->id);
  }
}

}  // namespace sluice::lb
