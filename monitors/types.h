// The monitor types: one file each, one table of them. A type says how to open, whether to talk, when an answer ends.
//
// Called by: monitors/conversation, monitors/validate, monitors/spec. Runs on: control thread. Follows: F5 BIG-IP.
// Tested by: tests/monitors/types_test.cc
#pragma once

#include <optional>
#include <string_view>

#include "monitors/monitor.h"
#include "monitors/step.h"

namespace sluice::monitors {

struct TypeOps {
  std::string_view name;  // as users write it: "tcp-half-open"
  Transport transport;
  bool has_text;  // knows send, recv, recv-disable, reverse
  bool has_port;
  // False: being connected is all that is asked.
  bool (*talks)(const Monitor&);
  // Whether `answer` (what has come so far) is whole, by its own framing.
  bool (*answer_complete)(const Monitor&, std::string_view answer);
  // An attempt without an answer and without an error is a success after a while.
  bool (*silence_is_success)(const Monitor&);
  std::string_view success_word;  // "connected": the reason when no answer was asked for
};

extern const TypeOps kHttpOps, kTcpOps, kTcpHalfOpenOps, kUdpOps, kGatewayIcmpOps;

const TypeOps& ops_of(MonitorType type);
// "http", "tcp", "tcp-half-open", "udp", "gateway-icmp"; also BIG-IP's own spelling with '_'.
std::optional<MonitorType> parse_monitor_type(std::string_view name);
std::string_view text(MonitorType type);

// Shared answers to "answer_complete", "silence_is_success" and "talks".
inline bool never(const Monitor&) { return false; }
inline bool always(const Monitor&) { return true; }
// Without anything to send or to look for a monitor is a connect check, like BIG-IP's.
inline bool has_text_to_check(const Monitor& m) {
  return !m.send.empty() || !m.recv.empty() || !m.recv_disable.empty();
}

}  // namespace sluice::monitors
