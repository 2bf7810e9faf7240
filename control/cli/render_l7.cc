// Mode http for people: requests, latency and errors of a virtual server, the last errors, TCP endpoints; see render.h.
#include <fmt/format.h>

#include "control/cli/render.h"
#include "control/cli/text.h"

namespace sluice::cli {
namespace {

using Align = Table::Align;

// "bad_requests" -> "Bad Requests"
std::string title_of(std::string_view name) {
  std::string out = printable(name);
  bool begins = true;
  for (char& c : out) {
    if (c == '_') c = ' ';
    if (begins && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    begins = c == ' ';
  }
  return out;
}

std::string line(std::string_view label, const std::string& total, std::string_view rate = "-") {
  return fmt::format("  {:<24} {:>20} {:>12}\n", label, total, rate);
}

// Three digits that count, in the unit in which one reads times of requests.
std::string milliseconds(double value) {
  return value < 10    ? fmt::format("{:.3f}", value)
         : value < 100 ? fmt::format("{:.1f}", value)
                       : fmt::format("{:.0f}", value);
}

}  // namespace

std::string http_block(const Json& http) {
  std::string out = fmt::format("\n{:<26} {:>20} {:>12}\n", "HTTP", "Total", "Per Second");
  out += line("Requests", count_of(http, "requests"), human(number_of(http, "requests_rate")));
  for (const char* of_class : {"1xx", "2xx", "3xx", "4xx", "5xx"}) {
    out += line(fmt::format("Responses {}", of_class), count_of(child_of(http, "responses"), of_class));
  }
  out += line("Answered By Sluice", count_of(http, "own_answers"));
  out += line("Upgrades", count_of(http, "upgrades"));
  out += line("Server Connections", count_of(http, "server_connects"));
  out += line("Server Reuse", count_of(http, "server_reuse"));
  out += line("Server Idle Now", count_of(http, "server_idle"));
  out += line("Retries", count_of(http, "retries"));

  out += "\nHTTP Errors\n";
  const Json& errors = child_of(http, "errors");
  bool none = true;
  if (errors.is_object()) {
    for (const auto& [name, count] : errors.items()) {
      if (number_of(errors, name.c_str()) == 0) continue;
      out += line(title_of(name), count_of(errors, name.c_str()));
      none = false;
    }
  }
  if (none) out += "  none\n";

  out += fmt::format("\n{:<26} {:>9} {:>9} {:>9} {:>9} {:>12}\n", "Latency in ms", "p50", "p90", "p99", "max", "count");
  const Json& latency = child_of(http, "latency");
  for (const auto& [key, label] : {std::pair{"connect", "Connect"}, {"first_byte", "First Byte"}, {"total", "Total"}}) {
    const Json& l = child_of(latency, key);
    out += fmt::format("  {:<24} {:>9} {:>9} {:>9} {:>9} {:>12}\n", label, milliseconds(number_of(l, "p50_ms")),
                       milliseconds(number_of(l, "p90_ms")), milliseconds(number_of(l, "p99_ms")),
                       milliseconds(number_of(l, "max_ms")), count_of(l, "count"));
  }
  return out;
}

std::string render_errors(const Json& answer, const RenderOptions&) {
  const Json& errors = child_of(answer, "errors");
  if (errors.empty()) return "(no errors)\n";
  Table table({{"Time"},
               {"Ago", Align::right},
               {"Virtual Server"},
               {"Client"},
               {"Member"},
               {"Side"},
               {"Answer", Align::right},
               {"Offset", Align::right},
               {"Reason"}});
  for (const Json& e : errors) {
    const bool reset = number_of(e, "status") == 0;
    table.add({text_of(e, "time"), short_seconds(number_of(e, "age_s")), text_of(e, "virtual_server"),
               text_of(e, "client"), child_of(e, "member").is_string() ? text_of(e, "member") : "-", text_of(e, "side"),
               reset ? "reset" : count_of(e, "status"), count_of(e, "offset"), text_of(e, "reason")});
  }
  std::string out = table.text();
  if (number_of(answer, "total") > static_cast<double>(errors.size())) {
    out += fmt::format("(the last {} of {})\n", errors.size(), count_of(answer, "total"));
  }
  return out;
}

std::string render_tcp(const Json& answer, const RenderOptions& options) {
  const Json& workers = child_of(answer, "tcp");
  if (!workers.is_array() || workers.empty()) return "(no workers)\n";
  std::vector<Table::Column> columns{{"", Align::left}};
  for (const Json& w : workers) columns.push_back({"Worker " + count_of(w, "worker"), Align::right});
  Table table(std::move(columns));
  const auto add = [&](const std::string& label, auto count_of_worker, bool even_zero) {
    std::vector<std::string> cells{label};
    bool zero = true;
    for (const Json& w : workers) {
      cells.push_back(count_of_worker(w));
      zero = zero && cells.back() == "0";
    }
    if (even_zero || !zero) table.add(std::move(cells));
  };
  for (const auto& [key, label] : {std::pair{"conns", "Conns Now"},
                                   {"half_open", "Half Open Now"},
                                   {"sessions", "Client Connections Now"},
                                   {"idle_servers", "Idle Server Connections Now"}}) {
    add(
        label, [key = key](const Json& w) { return count_of(w, key); }, true);
  }
  const Json& counters = child_of(workers[0], "counters");
  if (counters.is_object()) {
    for (const auto& [name, count] : counters.items()) {
      add(
          title_of(name), [&name = name](const Json& w) { return count_of(child_of(w, "counters"), name.c_str()); },
          options.detail);
    }
  }
  return table.text();
}

std::string render_access_log(const Json& answer, const RenderOptions&) {
  std::string out = "Access Log\n";
  out += field("File", text_of(answer, "file"));
  out += field("State", bool_of(answer, "open") ? "open" : "closed");
  if (!text_of(answer, "error").empty()) out += field("Error", text_of(answer, "error"));
  out += field("Lines Written", count_of(answer, "written")) + field("Bytes Written", count_of(answer, "bytes"));
  return out + field("Lines Lost", count_of(answer, "lost"));
}

}  // namespace sluice::cli
