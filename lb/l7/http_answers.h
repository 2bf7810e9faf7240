// Answers of our own: a small page for each status that we give ourselves, and redirects.
//
// Called by: lb/l7 sessions. Runs on: workers. Follows: RFC 9110 15. Tested by: tests/lb/l7/head_writer_test.cc
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "lb/l7/http_head.h"

namespace sluice::lb::http {

// "Not Found" for 404; "" for a status without a standard reason.
std::string_view reason_phrase(std::uint16_t status);

struct AnswerShape {
  bool close = true;          // Connection: close; false: the client's connection lives on
  bool head_request = false;  // the head alone
};

// The whole response, built at start: 400 404 405 408 413 414 417 431 500 501 502 503 504 505. Any other status gives
// the one of its class (400, 502). The bytes live as long as the program.
std::string_view answer(std::uint16_t status, AnswerShape shape);

// "HTTP/1.1 100 Continue" with its empty line.
std::string_view continue_answer();

// A redirect (301, 302, 307, 308) to `location`; the bytes written, 0: `out` is too small.
std::uint32_t write_redirect(std::uint16_t status, std::string_view location, AnswerShape shape, std::span<char> out);

}  // namespace sluice::lb::http
