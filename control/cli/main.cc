// sluicectl: the tool that looks at and steers a running sluiced.
//
// Tested by: tests/control/cli/*, tests/lab
#include <iostream>

#include "control/cli/run.h"

int main(int argc, char** argv) {
  const auto parsed = sluice::cli::parse({argv + 1, argv + argc});
  if (parsed.invocation) return sluice::cli::run(*parsed.invocation, std::cout, std::cerr);
  (parsed.exit_code == sluice::cli::kExitOk ? std::cout : std::cerr) << parsed.text;
  return parsed.exit_code;
}
