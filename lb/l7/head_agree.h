// The second reading of a head, by llhttp in strict mode: it must find the same message as our own scan did.
//
// Called by: message_reader, tests. Runs on: workers. Follows: RFC 9112 (llhttp 8, strict, compiled from node-llhttp).
// Tested by: tests/lb/l7/message_reader_test.cc
#pragma once

#include "lb/l7/http_head.h"

namespace sluice::lb::http {

// An error when llhttp refuses the head or reads its method, version, length, coding or number of fields differently.
// `head` has been judged; its bytes are canonical as to line ends.
HttpError check_agreement(const Head& head);

}  // namespace sluice::lb::http
