// The daemon's log: spdlog to stderr, one line an event; DPDK's own lines go the same way.
//
// Called by: control/daemon. Runs on: any thread. Tested by: tests/lab
#pragma once

#include <string_view>

#include "dataplane/port/eal.h"

namespace sluice::daemon {

// `level`: debug, info, warning, error. To stderr, unbuffered: what was logged before a crash is there.
void start_log(std::string_view level, bool with_time);
port::LogCallback eal_log();

}  // namespace sluice::daemon
