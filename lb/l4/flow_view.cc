// Whether a flow matches a filter; see flow_view.h.
#include "lb/l4/flow_view.h"

namespace sluice::lb {

bool FlowFilter::matches(const FlowView& flow) const {
  const auto fits = [](const auto& wanted, const auto& value) { return !wanted || *wanted == value; };
  return fits(protocol, flow.protocol) && fits(client_port, flow.client.port) &&
         fits(destination, flow.destination.address) && fits(destination_port, flow.destination.port) &&
         fits(member, flow.member.address) && fits(member_port, flow.member.port) && fits(state, flow.state) &&
         (!client || client->contains(flow.client.address));
}

}  // namespace sluice::lb
