// Starts and stops DPDK's environment (EAL) from plain options, and turns its failures into errors a person can mend.
//
// Called by: control/daemon at start, tests, bench. Runs on: the control thread, once a process.
// Follows: DPDK 22.11 programmer's guide, "EAL parameters". Tested by: tests/dataplane/port/eal_test.cc
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/base/result.h"

namespace sluice::port {

enum class LogLevel : std::uint8_t { debug, info, warning, error };
// One line of DPDK's own log, without its newline. Called on any thread.
using LogCallback = std::function<void(LogLevel, std::string_view)>;

struct EalOptions {
  bool hugepages = false;               // false: ordinary pages (--no-huge)
  unsigned memory_mb = 512;             // DPDK's memory, all of it taken at start
  std::vector<std::string> devices;     // Port::device of every port: PCI addresses among them are allowed, no others
  std::vector<std::string> extra_args;  // passed on as they are, after ours
  std::string file_prefix = "sluice";   // keeps several engines on one machine apart (hugepages only)
  LogCallback log;                      // empty: warnings and errors go to stderr
};

// The arguments that start_eal() gives to rte_eal_init, the program's name first: logged at start, and tested.
std::vector<std::string> eal_arguments(const EalOptions& options);

// Starts EAL. The caller's signal handlers and CPU affinity stay as they were. Can be called once a process: DPDK
// cannot be started twice. Errors: no hugepages, not root, too little memory, an argument DPDK does not know.
Status start_eal(const EalOptions& options);
bool is_eal_started();
// Frees DPDK's memory and files; after all ports and pools are gone. The log callback is dropped.
void stop_eal();

// The log line that EAL printed last at level error (for messages of calls that only return an errno).
std::string last_eal_error();

}  // namespace sluice::port
