// Text of a flow key; see flow_key.h.
#include "dataplane/flow/flow_key.h"

#include <fmt/format.h>

namespace sluice::flow {

std::string FlowKey::text() const {
  const std::string name = protocol == 6 ? "tcp" : protocol == 17 ? "udp" : fmt::format("protocol {}", protocol);
  return fmt::format("{} {}:{} -> {}:{}", name, source.text(), src_port, destination.text(), dst_port);
}

}  // namespace sluice::flow
