// Routes and neighbors as imish shows them, and the reading of JSON fields; see render.h.
#include <fmt/format.h>

#include "control/cli/render.h"
#include "control/cli/text.h"

namespace sluice::cli {
namespace {

// "via 172.16.40.199, int_vlan" | "is directly connected, int_vlan"
std::string hop_text(const Json& hop) {
  const auto gateway = text_of(hop, "gateway"), port = text_of(hop, "port");
  if (gateway.empty()) return "is directly connected, " + port;
  return "via " + gateway + (port.empty() ? " (unresolved)" : ", " + port);
}

std::string route_text(const Json& route) {
  const auto code = text_of(route, "code");
  std::string line =
      fmt::format("{:<3}{:<5}{}", code, bool_of(route, "selected") ? "*>" : "", text_of(route, "prefix"));
  const std::string indent(line.size(), ' ');
  if (code != "C") line += fmt::format(" [{}/{}]", count_of(route, "distance"), count_of(route, "metric"));
  if (bool_of(route, "blackhole")) return line + " is a blackhole\n";
  const Json& age = child_of(route, "age_s");
  const std::string suffix = age.is_number() ? ", " + clock_time(age.get<double>()) : "";
  std::string out;
  for (const Json& hop : child_of(route, "next_hops")) {
    out += (out.empty() ? line : std::string(line.size(), ' ')) + " " + hop_text(hop) + suffix + "\n";
  }
  return out.empty() ? line + "\n" : out;
}

std::string milliseconds(const Json& object, const char* key) { return fmt::format("{:.0f}", number_of(object, key)); }

std::string bfd_detail(const Json& s) {
  const auto line = [](std::string_view text) { return fmt::format("  {}\n", text); };
  std::string out =
      fmt::format("BFD neighbor {} from {}, {}, worker {}\n", text_of(s, "neighbor"), text_of(s, "local_address"),
                  bool_of(s, "multihop") ? "multihop" : "single hop", count_of(s, "worker"));
  out +=
      line(fmt::format("State {} for {}, remote state {}{}", text_of(s, "state"), clock_time(number_of(s, "since_s")),
                       text_of(s, "remote_state"), bool_of(s, "leaving") ? " (being removed)" : ""));
  out += line(fmt::format("Diagnostic: {}; remote: {}", text_of(s, "diagnostic"), text_of(s, "remote_diagnostic")));
  out += line(fmt::format("Discriminator: local {}, remote {}", count_of(s, "local_discriminator"),
                          count_of(s, "remote_discriminator")));
  out += line(fmt::format("Configured: min-tx {} ms, min-rx {} ms, multiplier {}", milliseconds(s, "min_tx_ms"),
                          milliseconds(s, "min_rx_ms"), count_of(s, "multiplier")));
  out += line(fmt::format("Remote: min-tx {} ms, min-rx {} ms, multiplier {}{}", milliseconds(s, "remote_min_tx_ms"),
                          milliseconds(s, "remote_min_rx_ms"), count_of(s, "remote_multiplier"),
                          bool_of(s, "control_plane_independent") ? ", control plane independent" : ""));
  out += line(fmt::format("Negotiated: transmit interval {} ms, detection time {} ms{}",
                          milliseconds(s, "transmit_interval_ms"), milliseconds(s, "detection_time_ms"),
                          bool_of(s, "polling") ? ", poll sequence running" : ""));
  out += line(fmt::format("Packets: {} received, {} sent", count_of(s, "packets_in"), count_of(s, "packets_out")));
  const auto failure = text_of(s, "last_failure");
  out += line(fmt::format("Came up {} times, failed {} times{}", count_of(s, "ups"), count_of(s, "failures"),
                          failure.empty() ? "" : ", last: " + failure));
  return out;
}

}  // namespace

std::string render_routes(const Json& answer, const RenderOptions&) {
  const Json& routes = child_of(answer, "routes");
  if (routes.empty()) return "(no routes)\n";
  std::string out =
      "Codes: K - kernel (virtual address), C - connected, S - static, B - BGP\n"
      "       *> - selected route, in the FIB\n\n";
  for (const Json& route : routes) out += route_text(route);
  return out;
}

std::string render_bfd(const Json& answer, const RenderOptions& options) {
  const Json& sessions = child_of(answer, "sessions");
  if (sessions.empty()) return "(no BFD sessions)\n";
  if (options.detail || sessions.size() == 1) {
    std::string out;
    for (const Json& session : sessions) out += (out.empty() ? "" : "\n") + bfd_detail(session);
    return out;
  }
  Table table({{"Neighbor"},
               {"Local"},
               {"Hops"},
               {"State"},
               {"Since", Table::Align::right},
               {"Tx ms", Table::Align::right},
               {"Detect ms", Table::Align::right},
               {"Failures", Table::Align::right},
               {"Last failure"}});
  for (const Json& s : sessions) {
    table.add({text_of(s, "neighbor"), text_of(s, "local_address"), bool_of(s, "multihop") ? "multi" : "single",
               text_of(s, "state"), clock_time(number_of(s, "since_s")), milliseconds(s, "transmit_interval_ms"),
               milliseconds(s, "detection_time_ms"), count_of(s, "failures"), text_of(s, "last_failure")});
  }
  return table.text();
}

// As `show ip bgp` prints it; with a reason where the path is not simply the best.
std::string render_bgp_table(const Json& answer, const RenderOptions&) {
  const Json& paths = child_of(answer, "paths");
  if (paths.empty()) return "(no routes)\n";
  std::string out =
      "Status codes: * valid, > best, = multipath, i internal, S stale, r rejected\n"
      "Origin codes: i IGP, e EGP, ? incomplete\n\n";
  Table table({{"Status"},
               {"Network"},
               {"Next Hop"},
               {"Metric", Table::Align::right},
               {"LocPrf", Table::Align::right},
               {"Path"},
               {"Communities"},
               {"Reason"}});
  for (const Json& p : paths) {
    std::string status;
    status += bool_of(p, "rejected") ? 'r' : bool_of(p, "stale") ? 'S' : ' ';
    status += bool_of(p, "valid") ? '*' : ' ';
    status += bool_of(p, "best") ? '>' : bool_of(p, "multipath") ? '=' : ' ';
    status += bool_of(p, "internal") ? 'i' : ' ';
    const auto as_path = text_of(p, "as_path"), origin = text_of(p, "origin");
    const std::string code = origin == "igp" ? "i" : origin == "egp" ? "e" : "?";
    std::string communities;
    for (const Json& c : child_of(p, "communities"))
      communities += (communities.empty() ? "" : " ") + printable(c.is_string() ? c.get<std::string>() : c.dump());
    table.add({status, text_of(p, "prefix"), text_of(p, "next_hop"), text_of(p, "med"), text_of(p, "local_pref"),
               as_path + (as_path.empty() ? "" : " ") + code, communities, text_of(p, "reason")});
  }
  return out + table.text() + fmt::format("\nTotal number of paths {}\n", paths.size());
}

std::string render_arp(const Json& answer, const RenderOptions&) {
  const Json& entries = child_of(answer, "arp");
  if (entries.empty()) return "(no ARP entries)\n";
  Table table({{"Address"}, {"HWaddress"}, {"Port"}, {"State"}, {"Age", Table::Align::right}});
  for (const Json& e : entries) {
    table.add({text_of(e, "address"), text_of(e, "mac"), text_of(e, "port"), text_of(e, "state"),
               short_seconds(number_of(e, "age_s"))});
  }
  return table.text();
}

std::string render_dumped(const Json& answer, const RenderOptions&) {
  return fmt::format("{} prefixes written, {} bytes\n", count_of(answer, "prefixes"), count_of(answer, "bytes"));
}

std::string render_text(const Json& answer, const RenderOptions&) {
  const Json& text = child_of(answer, "text");
  std::string out;
  if (!text.is_string()) return out;
  // Line ends stay; anything else that could steer a terminal does not.
  for (const char c : text.get<std::string>()) {
    if (c == '\n')
      out += c;
    else
      out += printable({&c, 1});
  }
  return out;
}

std::string text_of(const Json& object, const char* key) {
  const Json& value = child_of(object, key);
  if (value.is_string()) return printable(value.get<std::string>());
  return value.is_null() ? std::string() : printable(value.dump());
}

double number_of(const Json& object, const char* key) {
  const Json& value = child_of(object, key);
  return value.is_number() ? value.get<double>() : 0;
}

std::string count_of(const Json& object, const char* key) {
  const Json& value = child_of(object, key);
  return value.is_number() ? value.dump() : "0";
}

bool bool_of(const Json& object, const char* key) {
  const Json& value = child_of(object, key);
  return value.is_boolean() && value.get<bool>();
}

const Json& child_of(const Json& object, const char* key) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto it = object.find(key);
  return it == object.end() ? kNull : *it;
}

}  // namespace sluice::cli
