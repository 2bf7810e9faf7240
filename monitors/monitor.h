// A health monitor as the user describes it: what to send, what to expect, how often, and when to give up.
//
// Called by: monitors/engine (runs it), control/config (parses and prints it). Runs on: control thread. Follows: F5
// BIG-IP.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "dataplane/base/address.h"
#include "dataplane/base/time.h"

namespace sluice::monitors {

enum class MonitorType : std::uint8_t { http, tcp, tcp_half_open, udp, gateway_icmp };

struct Monitor {
  std::string name;  // "/Common/http" style is not needed: any non-empty name
  MonitorType type = MonitorType::http;
  Duration interval = 5s;
  Duration timeout = 16s;               // > interval
  std::optional<Duration> up_interval;  // interval while up
  Duration time_until_up = 0s;
  std::string send;          // real bytes (escapes resolved)
  std::string send_written;  // as the user wrote it, for show
  std::string recv;          // RE2; empty: any response
  std::string recv_disable;
  bool reverse = false;
  bool manual_resume = false;
  std::optional<Ipv4Address> destination_address;  // overrides the member's
  std::optional<std::uint16_t> destination_port;
  friend bool operator==(const Monitor&, const Monitor&) = default;
};

}  // namespace sluice::monitors
