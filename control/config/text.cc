// Single values from and to their text; see text.h.
#include "control/config/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace sluice::config {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t ns;
};
constexpr std::array<Unit, 6> kUnits{{{"h", 3'600'000'000'000},
                                      {"m", 60'000'000'000},
                                      {"s", 1'000'000'000},
                                      {"ms", 1'000'000},
                                      {"us", 1'000},
                                      {"ns", 1}}};
constexpr std::string_view kDurationHelp =
    "is no duration: write seconds (5) or a number with its unit (200ms, 5s, 2m)";

// What to add when the text is IPv6: people should learn at once that it is not their spelling.
Problem ipv6_or(std::string_view text, std::string_view otherwise) {
  const auto bare = text.substr(0, text.find_first_of("%/"));
  std::string_view host = bare;
  if (host.starts_with('[')) host = host.substr(1, host.find(']') == std::string_view::npos ? 0 : host.find(']') - 1);
  // BIG-IP writes 2001:db8::80.80 for address and port.
  if (Ipv6Address::parse(host) || Ipv6Address::parse(host.substr(0, host.rfind('.'))))
    return "is IPv6, which the packet engine does not implement: write an IPv4 address";
  return std::string(otherwise);
}

}  // namespace

Problem from_text(std::string_view text, std::string& out) {
  out = std::string(text);
  return std::nullopt;
}

Problem from_text(std::string_view text, bool& out) {
  if (text == "true" || text == "yes" || text == "on" || text == "enabled")
    out = true;
  else if (text == "false" || text == "no" || text == "off" || text == "disabled")
    out = false;
  else
    return "is neither true nor false";
  return std::nullopt;
}

Problem number_from_text(std::string_view text, std::uint64_t min, std::uint64_t max, std::uint64_t& out) {
  std::uint64_t value = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  const bool digits =
      !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  const bool negative = text.size() > 1 && text[0] == '-' && text[1] >= '0' && text[1] <= '9';
  if (!digits && !negative) return fmt::format("is no whole number: write {} to {}", min, max);
  if (negative || error == std::errc::result_out_of_range || stop != end || value < min || value > max)
    return fmt::format("is out of range: write {} to {}", min, max);
  out = value;
  return std::nullopt;
}

Problem from_text(std::string_view text, Duration& out) {
  const auto unit_at = text.find_first_not_of("0123456789.");
  const std::string_view number = text.substr(0, unit_at);
  const std::string_view unit_name = unit_at == std::string_view::npos ? "s" : text.substr(unit_at);
  const auto unit = std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& u) { return u.name == unit_name; });
  if (unit == kUnits.end()) return std::string(kDurationHelp);
  const auto dot = number.find('.');
  const std::string_view whole = number.substr(0, dot);
  const std::string_view part = dot == std::string_view::npos ? "" : number.substr(dot + 1);
  if (whole.empty() || whole.size() > 12 || part.size() > 9 || (dot != std::string_view::npos && part.empty()) ||
      part.find('.') != std::string_view::npos)
    return std::string(kDurationHelp);
  std::int64_t units = 0;
  std::from_chars(whole.data(), whole.data() + whole.size(), units);
  std::int64_t ns = 0;
  if (__builtin_mul_overflow(units, unit->ns, &ns)) return "is too long a time";
  std::int64_t scale = unit->ns;
  for (const char digit : part) {
    if (scale % 10 != 0 && digit != '0') return "is finer than a nanosecond";
    scale /= 10;
    if (__builtin_add_overflow(ns, scale * (digit - '0'), &ns)) return "is too long a time";
  }
  out = Duration(ns);
  return std::nullopt;
}

Problem from_text(std::string_view text, Duration& out, Range<Duration> range) {
  Duration value{};
  if (auto problem = from_text(text, value)) return problem;
  if (value < range.min || value > range.max)
    return fmt::format("is out of range: write {} to {}", to_text(range.min), to_text(range.max));
  out = value;
  return std::nullopt;
}

Problem from_text(std::string_view text, Ipv4Address& out) {
  const auto address = Ipv4Address::parse(text);
  if (!address) return ipv6_or(text, "is no IPv4 address: write a.b.c.d");
  out = *address;
  return std::nullopt;
}

Problem from_text(std::string_view text, Ipv4Interface& out) {
  const auto address = Ipv4Interface::parse(text);
  if (!address) return ipv6_or(text, "is no address with its subnet's length: write a.b.c.d/24");
  out = *address;
  return std::nullopt;
}

Problem from_text(std::string_view text, Ipv4Prefix& out) {
  if (text == "default") {
    out = Ipv4Prefix{};
    return std::nullopt;
  }
  if (const auto prefix = Ipv4Prefix::parse(text)) {
    out = *prefix;
    return std::nullopt;
  }
  if (const auto loose = Ipv4Interface::parse(text))
    return fmt::format("has bits set beyond its length: did you mean {}?", loose->subnet().text());
  if (Ipv4Address::parse(text)) return fmt::format("has no length: did you mean {}/32?", text);
  return ipv6_or(text, "is no prefix: write a.b.c.d/24 or default");
}

Problem from_text(std::string_view text, Ipv4Endpoint& out) {
  std::string bare(text);
  // BIG-IP's route domain: 10.0.0.1%0:80. Domain 0 is the only one here.
  if (const auto percent = bare.find('%'); percent != std::string::npos) {
    const auto digits_end = std::min(bare.find_first_not_of("0123456789", percent + 1), bare.size());
    if (bare.substr(percent + 1, digits_end - percent - 1) != "0")
      return "names a route domain; Sluice has only the domain 0: leave it out";
    bare.erase(percent, digits_end - percent);
  }
  const auto endpoint = Ipv4Endpoint::parse(bare);
  if (endpoint && endpoint->port != 0) {
    out = *endpoint;
    return std::nullopt;
  }
  if (endpoint) return "has port 0: write 1 to 65535";
  if (Ipv4Address::parse(bare)) return fmt::format("has no port: write {}:80", bare);
  return ipv6_or(bare, "is no address with a port: write a.b.c.d:port");
}

Problem from_text(std::string_view text, Megabytes out) {
  const auto unit_at = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::string_view unit = text.substr(unit_at);
  std::uint64_t value = 0;
  const bool giga = unit == "GB" || unit == "G" || unit == "GiB";
  if (unit_at == 0 || (!unit.empty() && !giga && unit != "MB" && unit != "M" && unit != "MiB"))
    return "is no amount of memory: write 512MB or 2GB";
  if (number_from_text(text.substr(0, unit_at), 1, 1 << 20, value) || value * (giga ? 1024 : 1) < 64 ||
      value * (giga ? 1024 : 1) > (1 << 20))
    return "is out of range: write 64MB to 1024GB";
  out.value = static_cast<unsigned>(value * (giga ? 1024 : 1));
  return std::nullopt;
}

Problem from_text(std::string_view text, MonitorDestination out) {
  const auto colon = text.find(':');
  const std::string_view host = text.substr(0, colon);
  std::optional<Ipv4Address> address;
  std::optional<std::uint16_t> port;
  if (host != "*") {
    Ipv4Address value;
    if (auto problem = from_text(host, value))
      return ipv6_or(text, "is no destination: write a.b.c.d:port, a.b.c.d or *:port");
    address = value;
  }
  if (colon != std::string_view::npos && text.substr(colon + 1) != "*") {
    std::uint64_t value = 0;
    if (number_from_text(text.substr(colon + 1), 1, 65535, value))
      return "is no destination: write a.b.c.d:port, a.b.c.d or *:port";
    port = static_cast<std::uint16_t>(value);
  }
  out.address = address;
  out.port = port;
  return std::nullopt;
}

std::string to_text(const std::string& value) { return value; }
std::string to_text(bool value) { return value ? "true" : "false"; }

std::string to_text(Duration value) {
  for (const auto& unit : kUnits)
    if (unit.ns <= 1'000'000'000 && value.count() % unit.ns == 0)
      return fmt::format("{}{}", value.count() / unit.ns, unit.name);
  return fmt::format("{}ns", value.count());
}

std::string to_text(Ipv4Address value) { return value.text(); }
std::string to_text(Ipv4Interface value) { return value.text(); }
std::string to_text(Ipv4Prefix value) { return value == Ipv4Prefix{} ? "default" : value.text(); }
std::string to_text(Ipv4Endpoint value) { return value.text(); }
std::string to_text(Megabytes value) { return fmt::format("{}MB", value.value); }

std::string to_text(MonitorDestination value) {
  const std::string host = value.address ? value.address->text() : "*";
  if (!value.port) return value.address ? host : "*:*";
  return fmt::format("{}:{}", host, *value.port);
}

Problem check_name(std::string_view text) {
  constexpr std::size_t kNameMax = 500;
  if (text.empty()) return "is empty: write a name";
  if (text.size() > kNameMax) return fmt::format("is {} characters long: names have at most {}", text.size(), kNameMax);
  for (const char c : text)
    if (c <= ' ' || c >= 0x7f || std::string_view("\"'`,{}[]#&*!|>@\\").find(c) != std::string_view::npos)
      return "is no name: write letters, digits and . _ - : / only";
  return std::nullopt;
}

}  // namespace sluice::config
