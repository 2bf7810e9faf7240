// What follows from other values; see normalise.h.
#include "control/config/normalise.h"

#include <algorithm>
#include <set>

namespace sluice::config {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void normalise_virtual_addresses(Config& config) {
  std::set<Ipv4Address> known;
  for (const auto& address : config.virtual_addresses) known.insert(address.address);
  for (const auto& server : config.virtual_servers)
    if (known.insert(server.destination.address).second)
      config.virtual_addresses.push_back({.address = server.destination.address});
  std::stable_sort(config.virtual_addresses.begin(), config.virtual_addresses.end(),
                   [](const VirtualAddress& a, const VirtualAddress& b) { return a.address < b.address; });
}

}  // namespace

std::string unescape(std::string_view written) {
  std::string out;
  out.reserve(written.size());
  for (std::size_t i = 0; i < written.size(); ++i) {
    if (written[i] != '\\' || i + 1 == written.size()) {
      out += written[i];
      continue;
    }
    const char next = written[i + 1];
    constexpr std::string_view kNames = "rnt0\\\"";
    constexpr std::string_view kBytes("\r\n\t\0\\\"", 6);
    if (const auto known = kNames.find(next); known != std::string_view::npos) {
      out += kBytes[known];
      ++i;
    } else if (next == 'x' && i + 3 < written.size() && hex_digit(written[i + 2]) >= 0 &&
               hex_digit(written[i + 3]) >= 0) {
      out += static_cast<char>(hex_digit(written[i + 2]) * 16 + hex_digit(written[i + 3]));
      i += 3;
    } else {
      out += written[i];
    }
  }
  return out;
}

void normalise(Config& config) {
  for (auto& self : config.self_ips)
    if (self.name.empty()) self.name = self.address.address.text();
  for (auto& monitor : config.monitors) {
    if (monitor.type == MonitorType::http && monitor.send_written.empty()) monitor.send_written = kDefaultHttpSend;
    monitor.send = unescape(monitor.send_written);
  }
  if (config.bgp.local_as != 0 && config.bgp.router_id.is_zero() && !config.self_ips.empty())
    config.bgp.router_id = config.self_ips.front().address.address;
  normalise_virtual_addresses(config);
}

}  // namespace sluice::config
