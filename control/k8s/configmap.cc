// The virtual server in a ConfigMap: f5schemadb://bigip-virtual-server_v0.1.1 to 0.1.7, field by field.
//
// Called by: read_objects. Runs on: control thread. Follows: bigip.md "The ConfigMap".
// Tested by: tests/control/k8s/configmap_test.cc, tests/fuzz/configmap_fuzz.cc
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "control/config/normalise.h"
#include "control/config/text.h"
#include "control/config/validate.h"
#include "control/k8s/objects.h"

namespace sluice::k8s {
namespace {

using config::in_quotes;

// The first minor version (0.1.x) that has a field or value.
constexpr unsigned kMonitorsSince = 2;
constexpr unsigned kPoolOnlySince = 3;
constexpr unsigned kRouteDomainSince = 4;
constexpr unsigned kUdpSince = 5;
constexpr unsigned kRecvSince = 6;

void check_version(Fields& fields, std::string_view key, std::string_view what, unsigned minor, unsigned since) {
  if (minor < since)
    fields.breach(key,
                  fmt::format("{} is in the schema since v0.1.{}, and this ConfigMap says v0.1.{}: write the newer "
                              "version in data.schema",
                              what, since, minor));
}

MonitorSpec read_monitor(Fields& fields, unsigned minor) {
  MonitorSpec out;
  out.protocol = fields.one_of("protocol", Need::required, {"http", "tcp", "udp"}).value_or("");
  if (out.protocol == "udp") check_version(fields, "protocol", "\"udp\"", minor, kUdpSince);
  out.interval_s = fields.integer("interval", Need::optional, 1, 86400).value_or(out.interval_s);
  out.timeout_s = fields.integer("timeout", Need::optional, 1, 86400).value_or(out.timeout_s);
  out.send = fields.text("send", Need::optional).value_or("");
  out.recv = fields.text("recv", Need::optional).value_or("");
  if (!out.recv.empty()) check_version(fields, "recv", "it", minor, kRecvSince);
  fields.no_others();
  return out;
}

// What cannot be seen in one field: interval against timeout, the regular expression.
void check_monitor_values(Fields& fields, const MonitorSpec& spec) {
  const auto type = config::value_of<config::MonitorType>(spec.protocol);
  if (!type) return;
  const config::Monitor monitor{.type = *type,
                                .interval = std::chrono::seconds(spec.interval_s),
                                .timeout = std::chrono::seconds(spec.timeout_s),
                                .send = config::unescape(spec.send),
                                .send_written = spec.send,
                                .recv = spec.recv};
  for (auto& finding : config::check_monitor(monitor)) fields.breach(finding.path, std::move(finding.message));
}

void read_backend(Fields fields, unsigned minor, VirtualServerSpec& out) {
  out.service = fields.text("serviceName", Need::required).value_or("");
  out.service_port = static_cast<std::uint16_t>(fields.integer("servicePort", Need::required, 1, 65535).value_or(0));
  constexpr std::size_t kMonitorsMax = 16;
  auto monitors = fields.objects("healthMonitors");
  if (fields.has("healthMonitors")) check_version(fields, "healthMonitors", "it", minor, kMonitorsSince);
  if (monitors.size() > kMonitorsMax) {
    fields.breach("healthMonitors",
                  fmt::format("has {} entries: at most {} are possible", monitors.size(), kMonitorsMax));
    monitors.erase(monitors.begin() + kMonitorsMax, monitors.end());
  }
  for (auto& monitor : monitors) {
    out.monitors.push_back(read_monitor(monitor, minor));
    check_monitor_values(monitor, out.monitors.back());
  }
  fields.no_others();
}

// "172.16.40.80" or "172.16.40.80%0".
std::optional<Ipv4Address> read_address(Fields& fields, std::string_view key, const std::string& text, unsigned minor) {
  const auto percent = text.find('%');
  if (percent != std::string::npos) {
    check_version(fields, key, "a route domain (%)", minor, kRouteDomainSince);
    const std::string domain = text.substr(percent + 1);
    const bool digits = !domain.empty() && domain.size() <= 5 &&
                        std::all_of(domain.begin(), domain.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || domain != "0") {
      fields.breach(key, in_quotes(text) + (digits ? " names a route domain; Sluice has only the domain 0: leave it out"
                                                   : " is no address: after % stands the number of a route domain"));
      return std::nullopt;
    }
  }
  Ipv4Address address;
  if (auto problem = config::from_text(std::string_view(text).substr(0, percent), address)) {
    fields.breach(key, in_quotes(text) + ' ' + *problem);
    return std::nullopt;
  }
  return address;
}

void read_virtual_address(Fields& frontend, unsigned minor, const std::optional<std::string>& annotated,
                          VirtualServerSpec& out, std::string& notice) {
  auto fields = frontend.object("virtualAddress", minor < kPoolOnlySince ? Need::required : Need::optional);
  if (!fields) return;
  const auto port = fields->integer("port", Need::required, 1, 65535);
  const auto bind = fields->text("bindAddr", minor < kPoolOnlySince ? Need::required : Need::optional);
  std::optional<Ipv4Address> address;
  if (bind) {
    address = read_address(*fields, "bindAddr", *bind, minor);
  } else if (annotated && !fields->has("bindAddr")) {
    Ipv4Address value;
    if (auto problem = config::from_text(*annotated, value))
      fields->breach("bindAddr", fmt::format("is absent, and the annotation virtual-server.f5.com/ip {} {}",
                                             in_quotes(*annotated), *problem));
    else
      address = value;
  } else if (!fields->has("bindAddr")) {
    notice = "has neither bindAddr nor the annotation virtual-server.f5.com/ip: it is a pool only";
  }
  fields->no_others();
  if (address && port) out.destination = Ipv4Endpoint{*address, static_cast<std::uint16_t>(*port)};
}

void read_ssl_profile(Fields& frontend) {
  auto fields = frontend.object("sslProfile", Need::optional);
  if (!fields) return;
  fields->text("f5ProfileName", Need::optional);
  fields->texts("f5ProfileNames");
  fields->no_others();
  frontend.breach("sslProfile",
                  "TLS on the client side is not implemented, and without it the traffic would be in the "
                  "clear: leave it out if that is meant");
}

void read_balance(Fields& fields, VirtualServerSpec& out) {
  const auto name = fields.text("balance", Need::optional);
  if (!name) return;
  const auto balance = config::value_of<config::Balance>(*name);
  if (!balance)
    fields.breach("balance", fmt::format("{} {}", in_quotes(*name), config::explain_balance(*name)));
  else if (*balance == config::Balance::weighted_least_connections_member)
    fields.breach("balance", fmt::format("{} needs a connection limit on every member, which a ConfigMap cannot give: "
                                         "write least-connections-member",
                                         in_quotes(*name)));
  else
    out.balance = *balance;
}

void read_frontend(Fields fields, unsigned minor, const std::optional<std::string>& annotated, VirtualServerSpec& out,
                   std::string& notice) {
  if (fields.has("iapp")) {
    fields.breach("iapp", "iApps are not supported: write mode, balance and virtualAddress instead");
    return;
  }
  out.partition = fields.text("partition", Need::required).value_or("");
  if (!out.partition.empty())
    if (auto problem = config::check_name(out.partition))
      fields.breach("partition", in_quotes(out.partition) + ' ' + *problem);
  read_balance(fields, out);
  const auto mode = fields.one_of("mode", Need::optional, {"http", "tcp", "udp"});
  if (mode == "udp") check_version(fields, "mode", "\"udp\"", minor, kUdpSince);
  if (mode) out.mode = *config::value_of<config::Mode>(*mode);
  read_virtual_address(fields, minor, annotated, out, notice);
  read_ssl_profile(fields);
  fields.no_others();
}

}  // namespace

std::optional<VirtualServerSpec> read_virtual_server(const config::Node& root, unsigned minor,
                                                     const std::optional<std::string>& annotated_address,
                                                     std::vector<Breach>& breaches, std::string& notice) {
  const std::size_t before = breaches.size();
  VirtualServerSpec out;
  Fields top(root, "", breaches);
  if (!root.is_map()) return std::nullopt;
  if (auto server = top.object("virtualServer", Need::required)) {
    if (auto backend = server->object("backend", Need::required)) read_backend(*backend, minor, out);
    if (auto frontend = server->object("frontend", Need::required))
      read_frontend(*frontend, minor, annotated_address, out, notice);
    server->no_others();
  }
  top.no_others();
  if (breaches.size() != before) return std::nullopt;
  return out;
}

}  // namespace sluice::k8s
