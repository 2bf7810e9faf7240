// compile: the configuration and what the monitors say of its members become the snapshot that workers read.
//
// Called by: control/daemon. Runs on: control thread. Tested by: tests/control/config/compile_test.cc
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "control/config/model.h"
#include "dataplane/base/result.h"
#include "lb/snapshot/builder.h"

namespace sluice::config {

struct CompileInput {
  lb::Registry& registry;
  // The engine's number of a port's name; nullopt: there is none.
  std::function<std::optional<packet::PortId>(const std::string& port)> port_id;
  // What is known of a member now; empty function: `unchecked` without monitors, `checking` with some.
  std::function<lb::MonitorVerdict(const Pool& pool, const Member& member)> verdict;
};

// `config` is validated and normalised. `previous`: the snapshot whose unchanged pools are used again; may be null.
Result<std::shared_ptr<const lb::Snapshot>> compile(Instant now, const Config& config, const CompileInput& input,
                                                    const lb::Snapshot* previous);

}  // namespace sluice::config
