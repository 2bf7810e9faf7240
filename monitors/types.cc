// The table of monitor types.
#include "monitors/types.h"

#include <algorithm>
#include <array>
#include <string>

namespace sluice::monitors {
namespace {

constexpr std::array kTypes = {MonitorType::http, MonitorType::tcp, MonitorType::tcp_half_open, MonitorType::udp,
                               MonitorType::gateway_icmp};

}  // namespace

const TypeOps& ops_of(MonitorType type) {
  switch (type) {
    case MonitorType::http:
      return kHttpOps;
    case MonitorType::tcp:
      return kTcpOps;
    case MonitorType::tcp_half_open:
      return kTcpHalfOpenOps;
    case MonitorType::udp:
      return kUdpOps;
    case MonitorType::gateway_icmp:
      return kGatewayIcmpOps;
  }
  __builtin_unreachable();
}

std::optional<MonitorType> parse_monitor_type(std::string_view name) {
  std::string dashed(name);
  std::replace(dashed.begin(), dashed.end(), '_', '-');
  for (MonitorType type : kTypes) {
    if (ops_of(type).name == dashed) return type;
  }
  return std::nullopt;
}

std::string_view text(MonitorType type) { return ops_of(type).name; }

std::string_view text(Health health) {
  switch (health) {
    case Health::unchecked:
      return "unchecked";
    case Health::checking:
      return "checking";
    case Health::up:
      return "up";
    case Health::down:
      return "down";
  }
  __builtin_unreachable();
}

}  // namespace sluice::monitors
