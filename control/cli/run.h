// Carries an invocation out: asks the daemon, prints the answer, follows a running command.
//
// Called by: control/cli/main. Runs on: sluicectl. Tested by: tests/control/cli/run_test.cc
#pragma once

#include <iosfwd>

#include "control/cli/commands.h"

namespace sluice::cli {

// Returns the exit code. Ctrl-C ends ping, capture and --watch in good order.
int run(const Invocation& invocation, std::ostream& out, std::ostream& err);

}  // namespace sluice::cli
