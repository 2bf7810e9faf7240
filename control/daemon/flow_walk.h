// Walks the flow tables of all workers, a bounded piece at a time, to list or to end the flows that match.
//
// Called by: control/daemon/backend. Runs on: control thread; the pieces on each worker. Tested by: tests/lab
#pragma once

#include <functional>

#include "control/admin/backend.h"
#include "control/daemon/balancing.h"
#include "control/daemon/packet_engine.h"

namespace sluice::daemon {

// `answer` runs once; with `end`, flows that matched have been ended.
void walk_flows(PacketEngine& engine, const Balancing& balancing, const admin::FlowFilter& filter, bool end,
                std::function<void(Result<admin::FlowsStatus>)> answer);

}  // namespace sluice::daemon
