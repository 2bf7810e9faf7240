// Flows from one process to the next: saved when the worker stops, restored before it sees its first snapshot.
#include "lb/datapath/impl.h"
#include "lb/l4/rewrite.h"

namespace sluice::lb {

void Datapath::save_flows_at_stop(std::vector<SavedFlow>* to) { impl_->save_to = to; }

void Datapath::Impl::save_flows() {
  L4FlowTable& table = l4->table();
  save_to->reserve(table.size());
  for (std::uint32_t slot = 0; slot < table.capacity(); ++slot) {
    const L4Flow* flow = table.at(slot);
    if (flow == nullptr) continue;
    SavedFlow& saved = save_to->emplace_back();
    SavedFlowFacts& facts = saved.facts;
    for (unsigned d = 0; d < 2; ++d) {
      facts.keys[d] = flow->keys[d];
      facts.sides[d] = flow->sides[d];
      facts.bytes[d] = flow->bytes[d];
      facts.packets[d] = flow->packets[d];
      facts.scale[d] = flow->scale[d];
    }
    facts.state = flow->state;
    facts.flags = flow->flags;
    facts.member = flow->member->endpoint;
    saved.virtual_server = flow->virtual_server->name;
    saved.pool = flow->member->pool->name;
  }
}

// Its idle time begins anew: how long we were away is not the ends' fault.
bool Datapath::restore_flow(Instant now, const SavedFlowFacts& facts, VirtualServerRuntime& virtual_server,
                            MemberRuntime& member) {
  L4FlowTable& table = impl_->l4->table();
  L4Flow* flow = table.allocate();
  if (flow == nullptr) return false;
  for (unsigned d = 0; d < 2; ++d) {
    flow->keys[d] = facts.keys[d];
    flow->sides[d] = facts.sides[d];
    flow->bytes[d] = facts.bytes[d];
    flow->packets[d] = facts.packets[d];
    flow->scale[d] = facts.scale[d];
  }
  flow->state = facts.state;
  flow->flags = facts.flags;
  flow->member = &member;
  flow->virtual_server = &virtual_server;
  prepare_deltas(*flow);
  flow->last_used = L4FlowTable::tick(now);
  if (!table.insert(*flow, now, now + idle_timeout(*flow))) {
    table.release(*flow);
    return false;
  }
  const bool answered =
      facts.state != FlowState::syn_sent && facts.state != FlowState::syn_received && facts.state != FlowState::one_way;
  if (answered) table.establish(*flow);
  if (flow->has(L4Flow::kLingers)) {  // a connection of nobody, see L4::linger
    virtual_server.shares.of(impl_->options.worker).linger(true);
    member.shares.of(impl_->options.worker).linger(true);
  } else {
    virtual_server.connections.acquire(impl_->options.worker, 0);
    member.acquire(impl_->options.worker, 0);
  }
  impl_->counters.flows_open.set(table.size());
  return true;
}

}  // namespace sluice::lb
