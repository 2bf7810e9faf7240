// Parses sluiced's command line; see options.h.
#include "control/daemon/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <sstream>

#ifndef SLUICE_VERSION
#define SLUICE_VERSION "unknown"
#endif

namespace sluice::daemon {

ParsedOptions parse_options(std::vector<std::string> words) {
  Options options;
  std::string socket;
  bool busy_poll = false, no_log_time = false;
  CLI::App app("The load balancer: packet engine and control plane in one process.", "sluiced");
  app.set_version_flag("--version", std::string("sluiced ") + SLUICE_VERSION);
  app.add_option("-c,--config", options.config, "Configuration file")->capture_default_str();
  app.add_flag("--check", options.check, "Read the configuration and its manifests, say what is wrong, and exit");
  app.add_flag("--busy-poll", busy_poll, "Workers never sleep, whatever the configuration says");
  app.add_option("--socket", socket, "Admin socket, instead of the configuration's");
  app.add_option("--host-interface", options.host_interface, "Name of the kernel interface that carries the self IPs")
      ->capture_default_str();
  app.add_option("--log-level", options.log_level, "What is logged to stderr")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
  app.add_option("--record-bgp", options.record_bgp, "Record every input of BGP in this file (no passwords are in it)");
  app.add_option("--replay-bgp", options.replay_bgp, "Only play such a recording, and say whether the same came out");
  app.add_flag("--no-log-time", no_log_time, "Leave out the time in log lines (a journal adds its own)");
  app.add_option("--restore", options.restore,
                 "Go on with the state in this descriptor: what sluiced gives itself on USR2")
      ->check(CLI::NonNegativeNumber);
  app.add_flag("--foreground", options.foreground, "Stay in the foreground (always so)");
  app.footer(
      "Signals: HUP reads the configuration again; TERM and INT end the daemon in good order; USR2 executes it anew:\n"
      "L4 connections go on, and neighbors keep its routes meanwhile.\n"
      "Exit codes: 0 ended in good order, 1 could not start or run, 2 wrong configuration or usage.");
  std::reverse(words.begin(), words.end());
  try {
    app.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    std::ostringstream out, err;
    const int code = app.exit(error, out, err);
    return {std::nullopt, code == 0 ? kExitOk : kExitConfig, code == 0 ? out.str() : "sluiced: " + err.str()};
  }
  if (busy_poll) options.busy_poll = true;
  if (!socket.empty()) options.socket = socket;
  options.log_time = !no_log_time;
  options.config = std::filesystem::absolute(options.config).lexically_normal().string();
  return {options, kExitOk, ""};
}

}  // namespace sluice::daemon
