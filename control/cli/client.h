// Talks HTTP to the daemon's unix socket: one request, its answer, or its answer line by line.
//
// Called by: control/cli/run. Runs on: sluicectl. Follows: RFC 9112. Tested by: tests/control/cli/client_test.cc
#pragma once

#include <functional>
#include <string>

#include "dataplane/base/result.h"

namespace sluice::cli {

struct HttpAnswer {
  unsigned status = 0;
  std::string body;  // of a streamed answer: what did not go to `on_line`
};

struct HttpAsk {
  std::string socket;
  std::string method, target, body;
  // Given each line of a streamed (200, NDJSON) answer as it arrives; false ends the command.
  std::function<bool(const std::string& line)> on_line;
};

// The error says that the daemon cannot be reached ("sluiced is not running? cannot connect to …") or broke off.
Result<HttpAnswer> ask(const HttpAsk& request);

}  // namespace sluice::cli
