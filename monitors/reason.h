// Reasons: the sentences by which a person learns why a member is up or down.
//
// Called by: monitors/conversation, monitors/engine. Runs on: control thread. Follows: F5 BIG-IP's wording.
// Tested by: tests/monitors/reason_test.cc
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "dataplane/base/time.h"
#include "monitors/step.h"

namespace sluice::monitors {

// "16 s", "1.5 s", "250 ms"
std::string duration_text(Duration duration);
// "2026/11/22 17:36:01"
std::string wall_text(std::chrono::sys_seconds wall);
// At most `length_max` bytes, anything but printable ASCII as '.', "…" where it was cut.
std::string printable(std::string_view bytes, std::size_t length_max = 80);
// `312 bytes: HTTP/1.1 404 Not Found`
std::string answer_text(std::string_view answer);
// "connection refused", "connection reset", …; `detail` for local_error
std::string close_text(CloseReason reason, std::string_view detail, bool connected);

}  // namespace sluice::monitors
