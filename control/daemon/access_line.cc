// A record as JSON, written by hand: a library's object for every request would cost more than the request did.
#include "control/daemon/access_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "control/daemon/wall_time.h"

namespace sluice::daemon {
namespace {

void put_text(std::string& out, std::string_view key, std::string_view value) {
  out += ",\"";
  out += key;
  out += "\":\"";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    }
  }
  out += '"';
}

void put_endpoint(std::string& out, std::string_view key, Ipv4Endpoint endpoint) {
  const std::uint32_t a = endpoint.address.value;
  fmt::format_to(std::back_inserter(out), ",\"{}\":\"{}.{}.{}.{}:{}\"", key, a >> 24, a >> 16 & 0xff, a >> 8 & 0xff,
                 a & 0xff, endpoint.port);
}

// Milliseconds with a microsecond's digits.
void put_time(std::string& out, std::string_view key, Duration time) {
  const auto us = std::max<std::int64_t>(time.count() / 1000, 0);
  fmt::format_to(std::back_inserter(out), ",\"{}\":{}.{:03}", key, us / 1000, us % 1000);
}

}  // namespace

void append_access_line(std::string& out, const lb::AccessRecord& record, std::chrono::system_clock::time_point began) {
  out += "{\"time\":\"";
  append_wall_time(out, began);
  out += '"';
  put_text(out, "virtual_server", record.virtual_server.view());
  put_endpoint(out, "client", record.client);
  put_endpoint(out, "destination", record.destination);
  if (record.member.address.is_zero()) {
    out += ",\"member\":null";
  } else {
    put_endpoint(out, "member", record.member);
  }
  put_text(out, "method", record.method.view());
  put_text(out, "host", record.host.view());
  put_text(out, "target", record.target.view());
  fmt::format_to(std::back_inserter(out),
                 ",\"version\":\"1.{}\",\"status\":{},\"complete\":{},\"reused\":{},\"request_bytes\":{},"
                 "\"response_bytes\":{}",
                 record.minor, record.status, !record.cut_short, record.reused, record.request_bytes,
                 record.response_bytes);
  put_time(out, "connect_ms", record.connect);
  put_time(out, "first_byte_ms", record.first_byte);
  put_time(out, "total_ms", record.total);
  if (record.host.cut() || record.target.cut() || record.virtual_server.cut()) out += ",\"cut\":true";
  out += "}\n";
}

}  // namespace sluice::daemon
