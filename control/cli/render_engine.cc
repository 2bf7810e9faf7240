// Workers, ports, drops, flows, and the answers of verbs; see render.h.
#include <fmt/format.h>

#include "control/cli/render.h"
#include "control/cli/text.h"

namespace sluice::cli {
namespace {

using Align = Table::Align;

std::string joined(const Json& strings) {
  std::string out;
  for (const Json& s : strings) {
    if (s.is_string()) out += (out.empty() ? "" : ", ") + printable(s.get<std::string>());
  }
  return out;
}

std::string lines(const Json& strings, std::string_view prefix) {
  std::string out;
  for (const Json& s : strings) {
    if (s.is_string()) out += std::string(prefix) + printable(s.get<std::string>()) + "\n";
  }
  return out;
}

std::string port_block(const Json& p) {
  std::string out = fmt::format("Port: {}\n", text_of(p, "name"));
  out += field("Device", text_of(p, "device"));
  out += field("Kind", text_of(p, "kind")) + field("Driver", text_of(p, "description"));
  out += field("Link", bool_of(p, "up") ? "up" : "down");
  out += field("MAC Address", text_of(p, "mac")) + field("MTU", count_of(p, "mtu"));
  out += field("Addresses", joined(child_of(p, "addresses")));
  out += field("Queues", count_of(p, "queues"));
  out += field("Offloads", child_of(p, "offloads").empty() ? "none" : joined(child_of(p, "offloads")));
  out += fmt::format("\n  {:<16}{:>20}{:>14}{:>20}{:>14}\n", "", "Received", "per second", "Sent", "per second");
  out += fmt::format("  {:<16}{:>20}{:>14}{:>20}{:>14}\n", "Packets", count_of(p, "rx_packets"),
                     human(number_of(p, "rx_rate")), count_of(p, "tx_packets"), human(number_of(p, "tx_rate")));
  out +=
      fmt::format("  {:<16}{:>20}{:>14}{:>20}{:>14}\n", "Bytes", count_of(p, "rx_bytes"),
                  human(number_of(p, "rx_bytes_rate")), count_of(p, "tx_bytes"), human(number_of(p, "tx_bytes_rate")));
  out += fmt::format("  {:<16}{:>20}{:>14}{:>20}\n", "Errors", count_of(p, "rx_errors"), "", count_of(p, "tx_errors"));
  out += fmt::format("  {:<16}{:>20}\n", "Missed", count_of(p, "rx_missed"));
  out += fmt::format("  {:<16}{:>20}\n", "No Buffer", count_of(p, "rx_no_buffer"));
  return out;
}

}  // namespace

std::string render_workers(const Json& answer, const RenderOptions&) {
  const Json& workers = child_of(answer, "workers");
  if (workers.empty()) return "(no workers)\n";
  Table table({{"Worker", Align::right},
               {"Core", Align::right},
               {"Busy %", Align::right},
               {"Cycles/pkt", Align::right},
               {"Rx", Align::right},
               {"Rx/s", Align::right},
               {"Tx", Align::right},
               {"Tx/s", Align::right},
               {"Drops", Align::right},
               {"Drops/s", Align::right},
               {"Consumed", Align::right}});
  Table more({{"Worker", Align::right},
              {"Buffers", Align::right},
              {"Flows", Align::right},
              {"Ring drops", Align::right},
              {"Steer miss", Align::right},
              {"Handed in", Align::right},
              {"Turns", Align::right},
              {"Sleeps", Align::right},
              {"Tasks", Align::right}});
  for (const Json& w : workers) {
    table.add({count_of(w, "id"), count_of(w, "core"), fmt::format("{:.1f}", number_of(w, "busy_percent")),
               fmt::format("{:.0f}", number_of(w, "cycles_per_packet")), count_of(w, "rx_packets"),
               human(number_of(w, "rx_rate")), count_of(w, "tx_packets"), human(number_of(w, "tx_rate")),
               count_of(w, "drops"), human(number_of(w, "drop_rate")), count_of(w, "consumed")});
    more.add({count_of(w, "id"), count_of(w, "pool_in_use") + "/" + count_of(w, "pool_size"),
              count_of(w, "flows") + "/" + count_of(w, "flows_max"), count_of(w, "ring_drops"),
              count_of(w, "steer_miss"), count_of(w, "handovers_in"), count_of(w, "turns"), count_of(w, "sleeps"),
              count_of(w, "tasks")});
  }
  return table.text() + "\n" + more.text();
}

std::string render_ports(const Json& answer, const RenderOptions&) {
  std::string out;
  for (const Json& port : child_of(answer, "ports")) out += (out.empty() ? "" : "\n") + port_block(port);
  return out.empty() ? "(no ports)\n" : out;
}

std::string render_drops(const Json& answer, const RenderOptions& options) {
  Table table({{"Reason"}, {"Packets", Align::right}, {"Per second", Align::right}, {"Meaning"}});
  for (const Json& drop : child_of(answer, "reasons")) {
    if (!options.detail && number_of(drop, "count") == 0) continue;
    table.add(
        {text_of(drop, "reason"), count_of(drop, "count"), human(number_of(drop, "rate")), text_of(drop, "meaning")});
  }
  std::string out = table.empty() ? "No packet was dropped.\n" : table.text();
  return out + fmt::format("\nReceived {}, sent {}, consumed {}, dropped {}\n", count_of(answer, "rx"),
                           count_of(answer, "tx"), count_of(answer, "consumed"), count_of(answer, "total"));
}

std::string render_flows(const Json& answer, const RenderOptions&) {
  const Json& flows = child_of(answer, "flows");
  if (flows.empty()) return "(no flows match)\n";
  Table table({{"Proto"},
               {"Client"},
               {"Virtual"},
               {"SNAT"},
               {"Member"},
               {"State"},
               {"Age", Align::right},
               {"Idle", Align::right},
               {"Bytes in", Align::right},
               {"Bytes out", Align::right},
               {"Worker", Align::right}});
  for (const Json& f : flows) {
    table.add({text_of(f, "protocol"), text_of(f, "client"), text_of(f, "destination"), text_of(f, "snat"),
               text_of(f, "member"), text_of(f, "state"), short_seconds(number_of(f, "age_s")),
               short_seconds(number_of(f, "idle_s")), count_of(f, "bytes_in"), count_of(f, "bytes_out"),
               count_of(f, "worker")});
  }
  std::string out = table.text();
  if (number_of(answer, "matched") > static_cast<double>(flows.size())) {
    out += fmt::format("({} of {} flows; \"limit N\" shows more)\n", flows.size(), count_of(answer, "matched"));
  }
  return out;
}

std::string render_config(const Json& answer, const RenderOptions&) {
  const Json& yaml = child_of(answer, "yaml");
  return yaml.is_string() ? yaml.get<std::string>() : std::string();
}

std::string render_version(const Json& answer, const RenderOptions&) {
  std::string out = fmt::format("sluiced {}\n", text_of(answer, "version"));
  out += field("DPDK", text_of(answer, "dpdk")) + field("Compiler", text_of(answer, "compiler"));
  out += field("Process", count_of(answer, "pid")) + field("Uptime", clock_time(number_of(answer, "uptime_s")));
  out += field("Configuration", text_of(answer, "config_path"));
  if (!text_of(answer, "last_config_change").empty())
    out += field("Last Change", text_of(answer, "last_config_change"));
  if (!text_of(answer, "last_config_error").empty())
    out += field("Rejected Since", text_of(answer, "last_config_error"));
  return out;
}

std::string render_ok(const Json&, const RenderOptions&) { return ""; }

std::string render_deleted(const Json& answer, const RenderOptions&) {
  return fmt::format("{} flows deleted\n", count_of(answer, "deleted"));
}

std::string render_apply(const Json& answer, const RenderOptions&) {
  std::string out = lines(child_of(answer, "changes"), "");
  if (out.empty()) out = "nothing changes\n";
  if (!child_of(answer, "needs_restart").empty()) {
    out += "\nTakes effect at the next start of sluiced:\n" + lines(child_of(answer, "needs_restart"), "  ");
  }
  if (!child_of(answer, "warnings").empty()) out += "\nWarnings:\n" + lines(child_of(answer, "warnings"), "  ");
  return out;
}

}  // namespace sluice::cli
