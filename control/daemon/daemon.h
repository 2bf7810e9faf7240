// sluiced: makes one process of all parts, runs it, and takes it down in good order.
//
// Called by: control/daemon/main. Runs on: control thread. Tested by: tests/interop/daemon_smoke.py, tests/lab
#pragma once

#include <memory>

#include "control/daemon/options.h"

namespace sluice::daemon {

// Reads the configuration, starts everything, runs until it is told to end. Returns the exit code.
int run(const Options& options);

}  // namespace sluice::daemon
