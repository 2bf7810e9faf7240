// One request of mode http as a line of JSON for the access log. Pure.
//
// Fields, in this order: time (of the request's first byte), virtual_server, client, destination, member (null: Sluice
// answered or reset), method, host, target, version ("1.0", "1.1"), status (0: reset before any answer), complete (the
// response ended as it should), reused (the server connection had served a request before), request_bytes,
// response_bytes (bodies, without framing), connect_ms, first_byte_ms, total_ms. What is longer than the record
// holds is cut, and "cut":true stands at the end. Bytes that are no printable ASCII are written as \u00XX.
//
// Called by: control/daemon/access_log. Runs on: the access log's thread.
// Tested by: tests/control/daemon/access_line_test.cc
#pragma once

#include <chrono>
#include <string>

#include "lb/l7/records.h"

namespace sluice::daemon {

// `began`: record.at on the wall clock. Appends the line and its newline.
void append_access_line(std::string& out, const lb::AccessRecord& record, std::chrono::system_clock::time_point began);

}  // namespace sluice::daemon
