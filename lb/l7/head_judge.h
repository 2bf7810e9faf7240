// Judges a scanned head: what its fields mean together, and whether the message may be passed on.
//
// Called by: message_reader. Runs on: workers. Follows: RFC 9110 7.2, 7.6, 7.8, 8.6, 9.3, 10.1; RFC 9112 3.2, 6.
// Tested by: tests/lb/l7/head_scan_test.cc
#pragma once

#include "lb/l7/http_head.h"

namespace sluice::lb::http {

// Fills form, target, host, body, content_length and the flags, and marks fields that are not passed on. An error when
// the request is to be refused.
HttpError judge_request(Head& head, const HttpOptions& options);
// Likewise for a response to `request_method`; errors have status 502.
HttpError judge_response(Head& head, Method request_method, bool upgrade_asked);

// Whether a trailer of this name is passed on, dropped, or makes the message refused.
enum class TrailerFate : std::uint8_t { pass, drop, refuse };
TrailerFate trailer_fate(std::string_view name);

}  // namespace sluice::lb::http
