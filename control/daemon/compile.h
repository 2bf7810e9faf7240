// compile: a Config and what the monitors found, as the immutable Snapshot that workers read.
//
// Called by: control/daemon/balancing. Runs on: control thread. Tested by: tests/control/daemon/compile_test.cc
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "control/config/model.h"
#include "dataplane/packet/port_info.h"
#include "lb/snapshot/builder.h"
#include "lb/snapshot/snapshot.h"

namespace sluice::daemon {

struct CompileContext {
  lb::Registry& registry;
  std::function<lb::MonitorVerdict(const std::string& pool, Ipv4Endpoint member)> verdict_of;
  std::function<packet::PortId(const std::string& name)> port_id_of;
};

// Reuses `previous`'s pools where nothing changed (null: none). Fails, naming the object, on what validate let pass.
Result<std::shared_ptr<const lb::Snapshot>> compile(Instant now, const config::Config& config,
                                                    const CompileContext& context, const lb::Snapshot* previous);

}  // namespace sluice::daemon
