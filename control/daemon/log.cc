// The daemon's log; see log.h.
#include "control/daemon/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <string>

namespace sluice::daemon {

void start_log(std::string_view level, bool with_time) {
  auto logger = std::make_shared<spdlog::logger>("sluiced", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_level(spdlog::level::from_str(std::string(level)));
  logger->set_pattern(with_time ? "%Y-%m-%d %H:%M:%S.%e %^%-7l%$ %v" : "%-7l %v");
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

port::LogCallback eal_log() {
  return [](port::LogLevel level, std::string_view line) {
    switch (level) {
      case port::LogLevel::debug:
      case port::LogLevel::info:
        return spdlog::debug("dpdk: {}", line);
      case port::LogLevel::warning:
        return spdlog::warn("dpdk: {}", line);
      case port::LogLevel::error:
        return spdlog::error("dpdk: {}", line);
    }
  };
}

}  // namespace sluice::daemon
