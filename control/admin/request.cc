// Requests taken apart; see request.h.
#include "control/admin/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace sluice::admin {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
    if (high < 0 || low < 0) return fail("target", "bad percent-encoding");
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t max) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || value > max) return std::nullopt;
  return value;
}

const Json* find(const Json& body, const char* name) {
  const auto it = body.find(name);
  return it == body.end() || it->is_null() ? nullptr : &*it;
}

Status set_address(std::optional<Ipv4Address>& field, const std::string& name, const std::string& text) {
  field = Ipv4Address::parse(text);
  if (!field) return fail(name, fmt::format("\"{}\" is no IPv4 address", text));
  return {};
}

// One parameter of the filter.
Status set_filter(FlowFilter& filter, const std::string& name, const std::string& text) {
  if (name == "client") return set_address(filter.client, name, text);
  if (name == "member") return set_address(filter.member, name, text);
  if (name == "address") return set_address(filter.address, name, text);
  if (name == "virtual") return filter.virtual_server = text, Status{};
  if (name == "pool") return filter.pool = text, Status{};
  if (name == "protocol") {
    if (text != "tcp" && text != "udp") return fail(name, fmt::format("\"{}\" is neither tcp nor udp", text));
    filter.protocol = text;
    return {};
  }
  if (name == "destination") {
    filter.destination = Ipv4Endpoint::parse(text);
    if (!filter.destination) return fail(name, fmt::format("\"{}\" is no address:port", text));
    return {};
  }
  if (name == "port" || name == "limit") {
    const auto number = parse_number(text, name == "port" ? 65535 : 100000);
    if (!number) return fail(name, fmt::format("\"{}\" is no number in range", text));
    if (name == "port") {
      filter.port = static_cast<std::uint16_t>(*number);
    } else {
      filter.limit = static_cast<std::uint32_t>(*number);
    }
    return {};
  }
  return fail(name,
              "unknown parameter; known: protocol, client, member, address, destination, port, virtual, pool, limit");
}

}  // namespace

Result<Target> parse_target(std::string_view target) {
  Target out;
  const auto question = target.find('?');
  auto path = percent_decode(target.substr(0, question));
  if (!path) return tl::unexpected(path.error());
  if (path->empty() || path->front() != '/') return fail("target", "a path starts with /");
  if (path->size() > 1 && path->back() == '/') path->pop_back();
  out.path = std::move(*path);
  std::string_view rest = question == std::string_view::npos ? std::string_view{} : target.substr(question + 1);
  while (!rest.empty()) {
    const auto end = std::min(rest.find('&'), rest.size());
    const auto pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    auto name = percent_decode(pair.substr(0, equals));
    auto value = percent_decode(equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1));
    if (!name) return tl::unexpected(name.error());
    if (!value) return tl::unexpected(value.error());
    if (!out.query.emplace(*name, *value).second) return fail(*name, "the parameter is given twice");
  }
  return out;
}

std::string percent_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

Result<Json> parse_body(const std::string& text) {
  if (text.empty()) return Json::object();
  constexpr int kDepthMax = 16;
  bool too_deep = false;
  const auto limit = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kDepthMax;
    return depth <= kDepthMax;
  };
  Json json = Json::parse(text, limit, /*allow_exceptions=*/false);
  if (too_deep) return fail("body", "nested too deeply");
  if (!json.is_object()) return fail("body", "is no JSON object");
  return json;
}

Result<std::optional<std::string>> text_field(const Json& body, const char* name) {
  const Json* field = find(body, name);
  if (field == nullptr) return std::nullopt;
  if (!field->is_string()) return fail(name, "must be a string");
  return field->get<std::string>();
}

Result<std::optional<std::uint64_t>> number_field(const Json& body, const char* name, std::uint64_t max) {
  const Json* field = find(body, name);
  if (field == nullptr) return std::nullopt;
  if (!field->is_number_unsigned() || field->get<std::uint64_t>() > max) {
    return fail(name, fmt::format("must be a whole number, 0 to {}", max));
  }
  return field->get<std::uint64_t>();
}

Result<std::optional<double>> seconds_field(const Json& body, const char* name, double min, double max) {
  const Json* field = find(body, name);
  if (field == nullptr) return std::nullopt;
  if (!field->is_number() || !(field->get<double>() >= min && field->get<double>() <= max)) {
    return fail(name, fmt::format("must be seconds, {} to {}", min, max));
  }
  return field->get<double>();
}

Result<std::optional<bool>> bool_field(const Json& body, const char* name) {
  const Json* field = find(body, name);
  if (field == nullptr) return std::nullopt;
  if (!field->is_boolean()) return fail(name, "must be true or false");
  return field->get<bool>();
}

Status only_fields(const Json& body, std::initializer_list<std::string_view> known) {
  for (const auto& [name, value] : body.items()) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return fail(name, fmt::format("unknown field; known: {}", fmt::join(known, ", ")));
    }
  }
  return {};
}

Result<FlowFilter> parse_flow_filter(const std::map<std::string, std::string>& query) {
  FlowFilter filter;
  for (const auto& [name, text] : query) {
    if (auto ok = set_filter(filter, name, text); !ok) return tl::unexpected(ok.error());
  }
  return filter;
}

Result<PingRequest> parse_ping(const Json& body) {
  if (auto ok = only_fields(body, {"address", "source", "count", "size", "interval_s", "timeout_s", "ttl"}); !ok) {
    return tl::unexpected(ok.error());
  }
  PingRequest request;
  const auto address = text_field(body, "address"), source = text_field(body, "source");
  const auto count = number_field(body, "count", 1'000'000), size = number_field(body, "size", 65'507);
  const auto ttl = number_field(body, "ttl", 255);
  const auto interval = seconds_field(body, "interval_s", 0.01, 3600),
             timeout = seconds_field(body, "timeout_s", 0.01, 60);
  for (const auto* text : {&address, &source}) {
    if (!*text) return tl::unexpected(text->error());
  }
  for (const auto* number : {&count, &size, &ttl}) {
    if (!*number) return tl::unexpected(number->error());
  }
  for (const auto* seconds : {&interval, &timeout}) {
    if (!*seconds) return tl::unexpected(seconds->error());
  }
  const auto parsed = Ipv4Address::parse(address->value_or(""));
  if (!parsed) return fail("address", fmt::format("\"{}\" is no IPv4 address", address->value_or("")));
  request.address = *parsed;
  if (*source) {
    request.source = Ipv4Address::parse(**source);
    if (!request.source) return fail("source", fmt::format("\"{}\" is no IPv4 address", **source));
  }
  request.count = static_cast<std::uint32_t>(count->value_or(0));
  request.size = static_cast<std::uint32_t>(size->value_or(56));
  request.ttl = static_cast<unsigned>(std::max<std::uint64_t>(1, ttl->value_or(64)));
  request.interval_s = interval->value_or(1.0);
  request.timeout_s = timeout->value_or(1.0);
  return request;
}

Result<CaptureRequest> parse_capture(const Json& body) {
  if (auto ok = only_fields(body, {"filter", "port", "path", "count", "snaplen"}); !ok) {
    return tl::unexpected(ok.error());
  }
  const auto filter = text_field(body, "filter"), port = text_field(body, "port"), path = text_field(body, "path");
  const auto count = number_field(body, "count", std::uint64_t{1} << 40),
             snaplen = number_field(body, "snaplen", 262144);
  for (const auto* text : {&filter, &port, &path}) {
    if (!*text) return tl::unexpected(text->error());
  }
  for (const auto* number : {&count, &snaplen}) {
    if (!*number) return tl::unexpected(number->error());
  }
  CaptureRequest request{filter->value_or(""), port->value_or(""), path->value_or(""), count->value_or(0),
                         static_cast<std::uint32_t>(snaplen->value_or(262144))};
  if (request.path.empty() || request.path.front() != '/' || request.path.find('\0') != std::string::npos) {
    return fail("path", "must be an absolute path");
  }
  if (request.snaplen == 0) request.snaplen = 262144;
  return request;
}

}  // namespace sluice::admin
