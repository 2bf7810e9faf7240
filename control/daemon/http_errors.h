// Gathers the last errors of mode http from the workers' logs, newest first.
//
// Called by: control/daemon/backend. Runs on: control thread; the copying on each worker, into memory taken before.
// Tested by: tests/control/daemon/http_errors_test.cc, tests/lab/http_test.py
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "control/admin/status.h"
#include "control/daemon/packet_engine.h"
#include "lb/l7/records.h"

namespace sluice::daemon {

// What one worker answered.
struct WorkerErrors {
  std::vector<lb::ErrorRecord> records;  // newest first
  std::uint64_t total = 0;
};

// Pure. `virtual_server` empty: of all. `now` and `wall` are the same moment on two clocks.
admin::HttpErrorsStatus merge_errors(const std::vector<WorkerErrors>& workers, const std::string& virtual_server,
                                     std::size_t limit, Instant now, std::chrono::system_clock::time_point wall);

void gather_errors(PacketEngine& engine, const std::string& virtual_server, std::size_t limit,
                   std::function<void(admin::HttpErrorsStatus)> answer);

}  // namespace sluice::daemon
