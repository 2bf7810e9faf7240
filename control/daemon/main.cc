// sluiced, the daemon: reads its command line and runs.
//
// Tested by: tests/interop/daemon_smoke.py, tests/lab
#include <iostream>

#include "control/daemon/daemon.h"

int main(int argc, char** argv) {
  const auto parsed = sluice::daemon::parse_options({argv + 1, argv + argc});
  if (parsed.options) return sluice::daemon::run(*parsed.options);
  (parsed.exit_code == sluice::daemon::kExitOk ? std::cout : std::cerr) << parsed.text;
  return parsed.exit_code;
}
