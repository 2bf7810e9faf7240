// sluicectl's commands: words on the command line to one request and the renderer of its answer.
//
//   Parsed p = parse({"sh", "vi", "--json"});      // abbreviations as in tmsh: any unique beginning of a word
//   if (p.invocation) run(*p.invocation); else print p.text and exit with p.exit_code
//
// Called by: control/cli/main. Runs on: sluicectl. Tested by: tests/control/cli/commands_test.cc
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/cli/render.h"

namespace sluice::cli {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;        // not found, or refused by the daemon
inline constexpr int kExitUsage = 2;         // the command line is wrong
inline constexpr int kExitNotReachable = 3;  // no daemon at the socket

struct Invocation {
  enum class Kind : std::uint8_t { request, ping, capture };
  Kind kind = Kind::request;
  std::string socket;
  bool json = false;
  double watch_s = 0;  // repeat the request this often; 0: once
  std::string method = "GET", target, body;
  Renderer render = nullptr;
  RenderOptions options;
};

struct Parsed {
  std::optional<Invocation> invocation;
  int exit_code = kExitOk;
  std::string text;  // help, version or what is wrong
};

Parsed parse(std::vector<std::string> words);
// All commands as lines "show virtual", for the tests of the completion script.
std::vector<std::string> command_paths();

}  // namespace sluice::cli
