// Where an HTTP/1.x answer ends, so that a probe on a keep-alive connection need not wait for its close.
//
// Called by: monitors/http. Runs on: control thread. Follows: RFC 9112 §2.2, §6.3, §7.1.
// Tested by: tests/monitors/http_answer_test.cc, tests/fuzz/monitor_answer_fuzz.cc
#pragma once

#include <string_view>

namespace sluice::monitors {

// True once `answer`, from its first byte, holds a whole final response: by Content-Length, chunked, or no body at all
// (1xx are skipped; 204, 304, answers to HEAD). False: not yet, or it ends with the connection, or it is no HTTP/1.x.
bool http_answer_complete(std::string_view answer, bool to_head_request);

// The status line without its line end, or the first line of whatever came; for reasons.
std::string_view first_line(std::string_view answer);

}  // namespace sluice::monitors
