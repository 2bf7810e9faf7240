// Scans one head: finds its lines, fields and end, and refuses every byte that does not belong there.
//
// The first of two readings (the second is llhttp's, head_agree.h). It knows lines and bytes; what fields mean is
// head_judge's.
//
// Called by: message_reader. Runs on: workers. Follows: RFC 9112 2.2, 3, 4, 5; RFC 3986 (bytes of a target).
// Tested by: tests/lb/l7/head_scan_test.cc
#pragma once

#include <cstdint>
#include <span>

#include "lb/l7/http_head.h"

namespace sluice::lb::http {

enum class ScanStatus : std::uint8_t { incomplete, complete, error };

struct ScanResult {
  ScanStatus status = ScanStatus::incomplete;
  // Complete, with bytes that llhttp or a stranger might read differently (bare LF, spaces in the start line,
  // HTTP/1.2): to be made canonical first.
  bool tolerated = false;
  HttpError error;
};

// How far an incomplete head was found good: where the next look at more of it goes on, so that every byte is judged as
// soon as it has come and none of a long line is looked at again and again. All zero: at the start.
struct ScanProgress {
  enum class In : std::uint8_t { line, target, name, value };
  std::uint32_t line = 0;    // where the line begins that is not complete
  std::uint32_t vetted = 0;  // where the look ended, unless `in` is line
  std::uint16_t fields = 0;  // complete field lines
  In in = In::line;          // what it ended in
};

// Fills bytes, length, method, target (as written), version, status, reason and fields of `head`. bytes begins with the
// start line's first byte and has at most kHttpHeadBytesMax bytes that are looked at. Errors have statuses of requests;
// for a response the reader says 502.
ScanResult scan_head(std::span<const char> bytes, bool is_request, const HttpLimits& limits, Head& head);

// The same look at a head whose first part was found incomplete: an error of any byte is found when it comes, be it in
// pieces or whole. Goes on at `progress`, and moves it. `head` is not filled: once this says complete, scan_head() it.
ScanResult vet_head(std::span<const char> bytes, bool is_request, const HttpLimits& limits, Head& head,
                    ScanProgress& progress);

// Field lines alone, up to and with the empty line (trailers); a bare LF is an error there.
ScanResult scan_trailers(std::span<const char> bytes, const HttpLimits& limits, Head& head);

}  // namespace sluice::lb::http
