// Options: what sluiced takes on its command line, and the exit codes it gives.
//
// Called by: control/daemon/main. Runs on: before anything else. Tested by: tests/control/daemon/options_test.cc
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace sluice::daemon {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;  // could not start or run
inline constexpr int kExitConfig = 2;  // the command line or the configuration is wrong

struct Options {
  std::string config = "/etc/sluice/sluice.yaml";
  std::optional<bool> busy_poll;      // overrides engine.busy-poll
  std::optional<std::string> socket;  // overrides admin.socket
  std::string log_level = "info";
  std::string host_interface = "sluice0";  // the kernel's name of the host port
  std::string record_bgp;                  // file for every input of BGP; empty: none
  std::string replay_bgp;                  // only play this recording
  bool log_time = true;
  std::optional<int> restore;  // descriptor of the state of the sluiced before (restart_state.h)
  bool check = false;          // only say what is wrong with the configuration
  bool foreground = false;     // accepted for supervisors' sake: sluiced always stays in the foreground
};

struct ParsedOptions {
  std::optional<Options> options;  // absent: print `text` and exit with `exit_code`
  int exit_code = kExitOk;
  std::string text;
};

ParsedOptions parse_options(std::vector<std::string> words);

}  // namespace sluice::daemon
