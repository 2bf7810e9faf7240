// Virtual servers, pools, members, nodes and monitors as tmsh shows them; see render.h.
#include <fmt/format.h>

#include "control/cli/render.h"
#include "control/cli/text.h"

namespace sluice::cli {
namespace {

using Align = Table::Align;

std::string heading(std::string_view kind, const std::string& name) {
  const std::string title = fmt::format("{}: {}", kind, name);
  return title + "\n" + std::string(std::max<std::size_t>(title.size(), 65), '-') + "\n";
}

std::string state_fields(const Json& thing) {
  return field("Availability", text_of(thing, "availability")) + field("State", text_of(thing, "state")) +
         field("Reason", text_of(thing, "reason"));
}

std::string traffic_line(std::string_view label, const std::string& total, const std::string& rate) {
  return fmt::format("  {:<24} {:>20} {:>12}\n", label, total, rate);
}

std::string traffic_block(const Json& traffic, std::string_view side) {
  std::string out = fmt::format("\n{:<26} {:>20} {:>12}\n", "Traffic", side, "Per Second");
  const auto with_rate = [&](std::string_view label, const char* total, const char* rate) {
    out += traffic_line(label, count_of(traffic, total), human(number_of(traffic, rate)));
  };
  with_rate("Bytes In", "bytes_in", "bytes_in_rate");
  with_rate("Bytes Out", "bytes_out", "bytes_out_rate");
  with_rate("Packets In", "packets_in", "packets_in_rate");
  with_rate("Packets Out", "packets_out", "packets_out_rate");
  out += traffic_line("Current Connections", count_of(traffic, "connections_current"), "-");
  out += traffic_line("Maximum Connections", count_of(traffic, "connections_max"), "-");
  with_rate("Total Connections", "connections_total", "connections_rate");
  return out;
}

// The columns of traffic that every list has: current, maximum, total, per second, bits in and out per second.
const std::vector<Table::Column> kTrafficColumns = {{"Cur", Align::right},      {"Max", Align::right},
                                                    {"Total", Align::right},    {"Conn/s", Align::right},
                                                    {"bit/s in", Align::right}, {"bit/s out", Align::right}};

void add_traffic(std::vector<std::string>& cells, const Json& traffic) {
  cells.push_back(count_of(traffic, "connections_current"));
  cells.push_back(count_of(traffic, "connections_max"));
  cells.push_back(count_of(traffic, "connections_total"));
  cells.push_back(human(number_of(traffic, "connections_rate")));
  cells.push_back(human(8 * number_of(traffic, "bytes_in_rate")));
  cells.push_back(human(8 * number_of(traffic, "bytes_out_rate")));
}

Table traffic_table(std::vector<Table::Column> first) {
  first.push_back({"Availability", Align::left});
  first.push_back({"State", Align::left});
  first.insert(first.end(), kTrafficColumns.begin(), kTrafficColumns.end());
  first.push_back({"Reason", Align::left});
  return Table(std::move(first));
}

void add_row(Table& table, std::vector<std::string> cells, const Json& thing, const char* traffic) {
  cells.push_back(text_of(thing, "availability"));
  cells.push_back(text_of(thing, "state"));
  add_traffic(cells, child_of(thing, traffic));
  cells.push_back(text_of(thing, "reason"));
  table.add(std::move(cells));
}

// "no pools\n", or one block a thing, or the table.
template <typename Block, typename Row>
std::string list(const Json& things, const RenderOptions& options, const char* none, Table table, Block block,
                 Row row) {
  if (things.empty()) return fmt::format("(no {})\n", none);
  std::string out;
  for (const Json& thing : things) {
    if (!options.brief) {
      out += (out.empty() ? "" : "\n") + block(thing);
    } else {
      row(table, thing);
    }
  }
  return options.brief ? table.text() : out;
}

std::string virtual_block(const Json& v) {
  std::string out = heading("Ltm::Virtual Server", text_of(v, "name")) + "Status\n" + state_fields(v);
  out += field("Destination", text_of(v, "destination")) + field("Mode", text_of(v, "mode"));
  if (!text_of(v, "note").empty()) out += field("Note", text_of(v, "note"));
  out += field("Partition", text_of(v, "partition")) + field("Pool", text_of(v, "pool"));
  out += field("Source Address Translation", text_of(v, "snat"));
  out += field("Persistence", text_of(v, "persistence"));
  if (number_of(v, "connection_limit") > 0) out += field("Connection Limit", count_of(v, "connection_limit"));
  if (!text_of(v, "origin").empty()) out += field("Configured In", text_of(v, "origin"));
  out += traffic_block(child_of(v, "clientside"), "ClientSide");
  return child_of(v, "http").is_object() ? out + http_block(child_of(v, "http")) : out;
}

std::string member_block(const Json& m) {
  std::string out = heading("Ltm::Pool Member", text_of(m, "pool") + " " + text_of(m, "member"));
  out += "Status\n" + state_fields(m);
  out += field("Monitor State", text_of(m, "monitor_state")) + field("Session", text_of(m, "session"));
  out += field("In This State For", clock_time(number_of(m, "since_s")));
  out += field("Ratio", count_of(m, "ratio")) + field("Priority Group", count_of(m, "priority_group"));
  if (number_of(m, "connection_limit") > 0) out += field("Connection Limit", count_of(m, "connection_limit"));
  return out + traffic_block(child_of(m, "serverside"), "ServerSide");
}

Table member_table() { return traffic_table({{"Pool", Align::left}, {"Member", Align::left}}); }

void add_member(Table& table, const Json& member) {
  add_row(table, {text_of(member, "pool"), text_of(member, "member")}, member, "serverside");
}

std::string pool_block(const Json& p) {
  std::string out = heading("Ltm::Pool", text_of(p, "name")) + "Status\n" + state_fields(p);
  out += field("Monitor", text_of(p, "monitor").empty() ? "none" : text_of(p, "monitor"));
  out += field("Load Balancing Method", text_of(p, "balance"));
  out += field("Action On Service Down", text_of(p, "service_down_action"));
  out += field("Minimum Active Members", count_of(p, "min_active_members"));
  out += field("Current Active Members", count_of(p, "current_active_members"));
  out += field("Available Members", count_of(p, "available_members"));
  out += field("Total Members", count_of(p, "total_members"));
  if (!text_of(p, "origin").empty()) out += field("Configured In", text_of(p, "origin"));
  out += traffic_block(child_of(p, "serverside"), "ServerSide");
  const Json& members = child_of(p, "members");
  if (members.empty()) return out;
  Table table = member_table();
  for (const Json& member : members) add_member(table, member);
  return out + "\nMembers\n" + table.text();
}

std::string node_block(const Json& n) {
  std::string out = heading("Ltm::Node", text_of(n, "address")) + "Status\n" + state_fields(n);
  for (const Json& member : child_of(n, "members")) {
    out += field("Member", member.is_string() ? printable(member.get<std::string>()) : "");
  }
  return out + traffic_block(child_of(n, "serverside"), "ServerSide");
}

std::string monitor_block(const Json& m) {
  std::string out = heading("Ltm::Monitor", text_of(m, "name"));
  out += field("Type", text_of(m, "type"));
  out += field("Interval", fmt::format("{} s", number_of(m, "interval_s")));
  out += field("Timeout", fmt::format("{} s", number_of(m, "timeout_s")));
  if (number_of(m, "up_interval_s") > 0)
    out += field("Up Interval", fmt::format("{} s", number_of(m, "up_interval_s")));
  if (number_of(m, "time_until_up_s") > 0) {
    out += field("Time Until Up", fmt::format("{} s", number_of(m, "time_until_up_s")));
  }
  out += field("Send", text_of(m, "send")) + field("Recv", text_of(m, "recv"));
  if (!text_of(m, "recv_disable").empty()) out += field("Recv Disable", text_of(m, "recv_disable"));
  if (bool_of(m, "reverse")) out += field("Reverse", "enabled");
  if (bool_of(m, "manual_resume")) out += field("Manual Resume", "enabled");
  if (!text_of(m, "destination").empty()) out += field("Destination", text_of(m, "destination"));
  const Json& instances = child_of(m, "instances");
  if (instances.empty()) return out + "  (no pool uses it)\n";
  Table table(
      {{"Pool"}, {"Member"}, {"State"}, {"For"}, {"Probes", Align::right}, {"Failures", Align::right}, {"Reason"}});
  for (const Json& i : instances) {
    table.add({text_of(i, "pool"), text_of(i, "member"), text_of(i, "state"), clock_time(number_of(i, "since_s")),
               count_of(i, "probes"), count_of(i, "failures"), text_of(i, "reason")});
  }
  return out + "\n" + table.text();
}

}  // namespace

std::string render_virtuals(const Json& answer, const RenderOptions& options) {
  Table table = traffic_table({{"Virtual Server"}, {"Destination"}, {"Mode"}, {"Pool"}});
  std::string notes;
  for (const Json& v : child_of(answer, "virtuals")) {
    if (!options.brief || text_of(v, "note").empty()) continue;
    notes += fmt::format("{}{}: {}\n", notes.empty() ? "\n" : "", text_of(v, "name"), text_of(v, "note"));
  }
  return list(child_of(answer, "virtuals"), options, "virtual servers", std::move(table), virtual_block,
              [](Table& t, const Json& v) {
                add_row(t, {text_of(v, "name"), text_of(v, "destination"), text_of(v, "mode"), text_of(v, "pool")}, v,
                        "clientside");
              }) +
         notes;
}

std::string render_virtual_addresses(const Json& answer, const RenderOptions&) {
  const Json& addresses = child_of(answer, "virtual_addresses");
  if (addresses.empty()) return "(no virtual addresses)\n";
  Table table({{"Virtual Address"},
               {"Availability"},
               {"State"},
               {"ARP"},
               {"ICMP Echo"},
               {"Route Advertisement"},
               {"Announced"},
               {"Why"},
               {"Reason"}});
  for (const Json& a : addresses) {
    table.add({text_of(a, "address"), text_of(a, "availability"), text_of(a, "state"),
               bool_of(a, "arp") ? "enabled" : "disabled", text_of(a, "icmp_echo"), text_of(a, "route_advertisement"),
               bool_of(a, "announced") ? "yes" : "no", text_of(a, "announcement"), text_of(a, "reason")});
  }
  return table.text();
}

std::string render_pools(const Json& answer, const RenderOptions& options) {
  Table table =
      traffic_table({{"Pool"}, {"Load Balancing Method"}, {"Available", Align::right}, {"Members", Align::right}});
  return list(child_of(answer, "pools"), options, "pools", std::move(table), pool_block, [](Table& t, const Json& p) {
    add_row(t,
            {text_of(p, "name"), text_of(p, "balance"), count_of(p, "available_members"), count_of(p, "total_members")},
            p, "serverside");
  });
}

std::string render_members(const Json& answer, const RenderOptions& options) {
  // Lines, unless one asks for more: there may be thousands.
  return list(child_of(answer, "members"), RenderOptions{!options.detail, options.detail}, "pool members",
              member_table(), member_block, add_member);
}

std::string render_nodes(const Json& answer, const RenderOptions& options) {
  Table table = traffic_table({{"Node"}, {"Members", Align::right}});
  return list(child_of(answer, "nodes"), options, "nodes", std::move(table), node_block, [](Table& t, const Json& n) {
    add_row(t, {text_of(n, "address"), fmt::format("{}", child_of(n, "members").size())}, n, "serverside");
  });
}

std::string render_monitors(const Json& answer, const RenderOptions& options) {
  Table table({{"Monitor"},
               {"Type"},
               {"Interval", Align::right},
               {"Timeout", Align::right},
               {"Up", Align::right},
               {"Down", Align::right},
               {"Other", Align::right},
               {"Recv"}});
  return list(child_of(answer, "monitors"), options, "monitors", std::move(table), monitor_block,
              [](Table& t, const Json& m) {
                unsigned up = 0, down = 0, other = 0;
                for (const Json& i : child_of(m, "instances")) {
                  const auto state = text_of(i, "state");
                  ++(state == "up" ? up : state == "down" ? down : other);
                }
                t.add({text_of(m, "name"), text_of(m, "type"), fmt::format("{}", number_of(m, "interval_s")),
                       fmt::format("{}", number_of(m, "timeout_s")), fmt::format("{}", up), fmt::format("{}", down),
                       fmt::format("{}", other), text_of(m, "recv")});
              });
}

}  // namespace sluice::cli
