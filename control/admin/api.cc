// The admin API's table of resources; see api.h.
#include "control/admin/api.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "control/admin/json.h"
#include "control/admin/prometheus.h"
#include "control/admin/request.h"

namespace sluice::admin {
namespace {

constexpr std::string_view kJsonType = "application/json";

struct Call {
  Backend& backend;
  std::shared_ptr<Exchange> exchange;
  Target target;

  std::string param(const char* name) const {
    const auto it = target.query.find(name);
    return it == target.query.end() ? std::string() : it->second;
  }
  void answer(const Json& json) const { exchange->respond(200, kJsonType, dump(json) + "\n"); }
  void refuse(unsigned status, const Errors& errors) const {
    std::string text;
    for (const Error& error : errors) text += (text.empty() ? "" : "\n") + error.text();
    exchange->respond(status, kJsonType, dump({{"error", text}, {"errors", to_json(errors)}}) + "\n");
  }
  void refuse(unsigned status, const Error& error) const { refuse(status, Errors{error}); }
  void settle(const Status& status, unsigned refusal = 409) const {
    if (!status) return refuse(refusal, status.error());
    answer({{"ok", true}});
  }
};

// Adapts an exchange to the lines of a running command.
class LineStream : public Stream {
 public:
  explicit LineStream(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  bool write(std::string json) override {
    begin();
    return exchange_->write(std::move(json) + "\n");
  }
  void finish() override {
    begin();
    exchange_->finish();
  }
  void on_gone(std::function<void()> gone) override {
    begin();
    exchange_->on_gone(std::move(gone));
  }

 private:
  // Not before the first line: until then a refusal can still be an answer of its own.
  void begin() {
    if (!std::exchange(begun_, true)) exchange_->stream("application/x-ndjson");
  }
  std::shared_ptr<Exchange> exchange_;
  bool begun_ = false;
};

// Keeps the things called `name`; asking by a name that nothing has is 404.
template <typename T, typename NameOf>
void answer_named(const Call& call, const char* key, const char* what, std::vector<T> things, const std::string& name,
                  NameOf name_of_thing) {
  if (!name.empty()) {
    std::erase_if(things, [&](const T& thing) { return !name_of_thing(thing, name); });
    if (things.empty()) return call.refuse(404, Error{"", fmt::format("no {} \"{}\"", what, name)});
  }
  call.answer({{key, to_json(things)}});
}

// A name as the user writes it: plain, or with its partition as tmsh does ("/k8s/default_nginx").
template <typename T>
bool is_named(const T& thing, const std::string& name) {
  return thing.name == name || name == "/" + thing.partition + "/" + thing.name;
}

void get_virtual(const Call& call) {
  answer_named(call, "virtuals", "virtual server", call.backend.virtuals(), call.param("name"),
               [](const VirtualStatus& v, const std::string& name) { return is_named(v, name); });
}

void get_virtual_address(const Call& call) {
  answer_named(call, "virtual_addresses", "virtual address", call.backend.virtual_addresses(), call.param("name"),
               [](const VirtualAddressStatus& v, const std::string& name) { return v.address == name; });
}

void get_pool(const Call& call) {
  answer_named(call, "pools", "pool", call.backend.pools(), call.param("name"),
               [](const PoolStatus& p, const std::string& name) { return is_named(p, name); });
}

void get_member(const Call& call) {
  std::vector<MemberStatus> members;
  const auto pool = call.param("pool");
  bool pool_found = pool.empty();
  for (PoolStatus& status : call.backend.pools()) {
    if (!pool.empty() && !is_named(status, pool)) continue;
    pool_found = true;
    for (MemberStatus& member : status.members) members.push_back(std::move(member));
  }
  if (!pool_found) return call.refuse(404, Error{"", fmt::format("no pool \"{}\"", pool)});
  answer_named(call, "members", "pool member", std::move(members), call.param("member"),
               [](const MemberStatus& m, const std::string& name) {
                 return m.endpoint == name || m.endpoint.substr(0, m.endpoint.find(':')) == name;
               });
}

void get_node(const Call& call) {
  answer_named(call, "nodes", "node", call.backend.nodes(), call.param("name"),
               [](const NodeStatus& n, const std::string& name) { return n.address == name; });
}

void get_monitor(const Call& call) {
  answer_named(call, "monitors", "monitor", call.backend.monitors(), call.param("name"),
               [](const MonitorStatus& m, const std::string& name) { return m.name == name; });
}

// "10.1.0.0/16" asks for what lies in it or is it; "10.1.2.3" for what covers it, most specific first.
struct PrefixQuery {
  std::optional<Ipv4Prefix> prefix;
  std::optional<Ipv4Address> address;

  bool matches(const std::string& text) const {
    const auto other = Ipv4Prefix::parse(text);
    return other && (prefix ? prefix->contains(*other) : other->contains(*address));
  }
};

template <typename T>
void answer_prefixes(const Call& call, const char* key, std::vector<T> things) {
  const auto asked = call.param("prefix");
  if (!asked.empty()) {
    const PrefixQuery query{Ipv4Prefix::parse(asked), Ipv4Address::parse(asked)};
    if (!query.prefix && !query.address) {
      return call.refuse(400, Error{"prefix", fmt::format("\"{}\" is no address and no prefix", asked)});
    }
    std::erase_if(things, [&](const T& thing) { return !query.matches(thing.prefix); });
    if (things.empty()) return call.refuse(404, Error{"", fmt::format("% Network not in table: {}", asked)});
  }
  call.answer({{key, to_json(things)}});
}

void get_route(const Call& call) { answer_prefixes(call, "routes", call.backend.routes()); }

// With ?text=1 the daemon renders: {"text": ...}. False when JSON is wanted. Precondition: BGP is configured.
bool answered_as_text(const Call& call, Backend::BgpText what, const char* parameter) {
  if (call.param("text") != "1") return false;
  const auto text = call.backend.bgp_text(what, parameter == nullptr ? std::string() : call.param(parameter));
  if (text) {
    call.answer({{"text", *text}});
  } else {
    call.refuse(404, text.error());
  }
  return true;
}

bool refused_without_bgp(const Call& call) {
  if (call.backend.bgp().configured) return false;
  call.refuse(404, Error{"", "BGP is not configured"});
  return true;
}

void get_bgp(const Call& call) {
  if (refused_without_bgp(call) || answered_as_text(call, Backend::BgpText::summary, nullptr)) return;
  call.answer(to_json(call.backend.bgp()));
}

// Filters of the BGP table: all that are given must hold.
struct PathFilter {
  std::string community, from;
  std::optional<std::uint64_t> as;
  bool best = false;

  bool matches(const BgpPathStatus& path) const {
    if (!community.empty() &&
        std::find(path.communities.begin(), path.communities.end(), community) == path.communities.end())
      return false;
    if (!from.empty() && path.from != from) return false;
    if (best && !path.best && !path.multipath) return false;
    return !as || has_word(path.as_path, std::to_string(*as));
  }
  // Whether an AS number is in an AS path such as "64513 {64514,64515}".
  static bool has_word(const std::string& text, const std::string& word) {
    for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
      const auto digit = [&](std::size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
      if ((at == 0 || !digit(at - 1)) && !digit(at + word.size())) return true;
    }
    return false;
  }
};

Result<PathFilter> parse_path_filter(const Call& call) {
  PathFilter out;
  out.community = call.param("community");
  out.from = call.param("from");
  const auto as = call.param("as"), best = call.param("best");
  if (!as.empty()) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(as.data(), as.data() + as.size(), number);
    if (error != std::errc{} || end != as.data() + as.size())
      return fail("as", fmt::format("\"{}\" is no AS number", as));
    out.as = number;
  }
  if (!best.empty() && best != "1") return fail("best", fmt::format("\"{}\": write 1 or leave it out", best));
  out.best = best == "1";
  return out;
}

void get_bgp_route(const Call& call) {
  if (refused_without_bgp(call) || answered_as_text(call, Backend::BgpText::table, "prefix")) return;
  const auto filter = parse_path_filter(call);
  if (!filter) return call.refuse(400, filter.error());
  auto paths = call.backend.bgp_paths();
  std::erase_if(paths, [&](const BgpPathStatus& path) { return !filter->matches(path); });
  answer_prefixes(call, "paths", std::move(paths));
}

void get_bgp_neighbor_route(const Call& call) {
  if (refused_without_bgp(call)) return;
  constexpr std::array<std::string_view, 3> kWhich{"received", "advertised", "accepted"};
  const auto which = call.param("which");
  const auto at = std::find(kWhich.begin(), kWhich.end(), which) - kWhich.begin();
  if (at == 3) {
    return call.refuse(400, Error{"which", fmt::format("\"{}\" is none of {}", which, fmt::join(kWhich, ", "))});
  }
  auto routes = call.backend.bgp_neighbor_routes(call.param("address"), static_cast<Backend::BgpRoutes>(at));
  if (!routes) return call.refuse(404, routes.error());
  call.answer({{"paths", to_json(*routes)}});
}

void get_bgp_neighbor(const Call& call) {
  if (refused_without_bgp(call) || answered_as_text(call, Backend::BgpText::neighbors, "address")) return;
  answer_named(call, "neighbors", "BGP neighbor", call.backend.bgp().neighbors, call.param("address"),
               [](const BgpNeighborStatus& n, const std::string& name) { return n.address == name; });
}

void get_bfd(const Call& call) {
  answer_named(call, "sessions", "BFD session", call.backend.bfd(), call.param("neighbor"),
               [](const BfdStatus& s, const std::string& name) { return s.neighbor == name; });
}

void get_arp(const Call& call) {
  call.backend.neighbor_entries([call](const std::vector<NeighborEntryStatus>& entries) {
    call.answer({{"arp", to_json(entries)}});
  });
}
void get_worker(const Call& call) { call.answer({{"workers", to_json(call.backend.workers())}}); }
void get_port(const Call& call) {
  answer_named(call, "ports", "port", call.backend.ports(), call.param("name"),
               [](const PortStatus& p, const std::string& name) { return p.name == name; });
}
void get_tcp(const Call& call) { call.answer({{"tcp", to_json(call.backend.tcp())}}); }
void get_access_log(const Call& call) { call.answer(to_json(call.backend.access_log())); }

void get_error(const Call& call) {
  constexpr std::size_t kLimit = 100, kLimitMax = 100000;
  std::size_t limit = kLimit;
  if (const auto text = call.param("limit"); !text.empty()) {
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (failed != std::errc{} || end != text.data() + text.size() || limit < 1 || limit > kLimitMax) {
      return call.refuse(400, Error{"limit", fmt::format("\"{}\" is no number from 1 to {}", text, kLimitMax)});
    }
  }
  auto name = call.param("virtual");
  if (!name.empty()) {
    const auto virtuals = call.backend.virtuals();
    const auto found = std::find_if(virtuals.begin(), virtuals.end(), [&](const auto& v) { return is_named(v, name); });
    if (found == virtuals.end()) return call.refuse(404, Error{"", fmt::format("no virtual server \"{}\"", name)});
    name = found->name;
  }
  call.backend.http_errors(name, limit, [call](const HttpErrorsStatus& errors) { call.answer(to_json(errors)); });
}

void get_drop(const Call& call) { call.answer(to_json(call.backend.drops())); }
void get_config(const Call& call) { call.answer({{"yaml", call.backend.config_yaml()}}); }
void get_version(const Call& call) { call.answer(to_json(call.backend.version())); }

void get_metrics(const Call& call) { call.exchange->respond(200, kPrometheusType, prometheus_text(call.backend)); }

void get_flow(const Call& call) {
  const auto filter = parse_flow_filter(call.target.query);
  if (!filter) return call.refuse(400, filter.error());
  call.backend.list_flows(*filter, [call](Result<FlowsStatus> flows) {
    if (!flows) return call.refuse(409, flows.error());
    call.answer(to_json(*flows));
  });
}

void delete_flow(const Call& call) {
  const auto filter = parse_flow_filter(call.target.query);
  if (!filter) return call.refuse(400, filter.error());
  call.backend.delete_flows(*filter, [call](Result<std::uint64_t> deleted) {
    if (!deleted) return call.refuse(409, deleted.error());
    call.answer({{"deleted", *deleted}});
  });
}

// The body's fields, each a string that must be there.
struct BodyText {
  Errors errors;
  Json body;

  BodyText(const Call& call, std::initializer_list<std::string_view> known) {
    auto parsed = parse_body(call.exchange->body());
    if (!parsed) {
      errors.push_back(parsed.error());
      return;
    }
    body = std::move(*parsed);
    if (auto ok = only_fields(body, known); !ok) errors.push_back(ok.error());
  }
  std::string need(const char* name) {
    const auto field = text_field(body, name);
    if (!field) {
      errors.push_back(field.error());
    } else if (!*field) {
      errors.push_back({name, "is missing"});
    } else {
      return **field;
    }
    return {};
  }
};

void patch_member(const Call& call) {
  BodyText body(call, {"pool", "member", "state"});
  if (!body.errors.empty()) return call.refuse(400, body.errors);
  const auto pool = body.need("pool"), member = body.need("member"), state = body.need("state");
  const auto endpoint = Ipv4Endpoint::parse(member);
  if (body.errors.empty() && !endpoint) {
    body.errors.push_back({"member", fmt::format("\"{}\" is no address:port", member)});
  }
  constexpr std::array<std::string_view, 3> kStates{"enabled", "disabled", "offline"};
  const auto at = std::find(kStates.begin(), kStates.end(), state) - kStates.begin();
  if (body.errors.empty() && at == 3) {
    body.errors.push_back({"state", fmt::format("\"{}\" is none of enabled, disabled, offline", state)});
  }
  if (!body.errors.empty()) return call.refuse(400, body.errors);
  call.settle(call.backend.modify_member(pool, *endpoint, static_cast<MemberAdminState>(at)), 404);
}

void patch_virtual(const Call& call) {
  BodyText body(call, {"name", "state"});
  if (!body.errors.empty()) return call.refuse(400, body.errors);
  const auto name = body.need("name"), state = body.need("state");
  if (body.errors.empty() && state != "enabled" && state != "disabled") {
    body.errors.push_back({"state", fmt::format("\"{}\" is neither enabled nor disabled", state)});
  }
  if (!body.errors.empty()) return call.refuse(400, body.errors);
  call.settle(call.backend.modify_virtual(name, state == "enabled"), 404);
}

void post_apply(const Call& call) {
  const auto body = parse_body(call.exchange->body());
  if (!body) return call.refuse(400, body.error());
  const auto known = only_fields(*body, {"name", "text", "check"});
  const auto name = text_field(*body, "name"), text = text_field(*body, "text");
  const auto check = bool_field(*body, "check");
  if (!known) return call.refuse(400, known.error());
  if (!name) return call.refuse(400, name.error());
  if (!text) return call.refuse(400, text.error());
  if (!check) return call.refuse(400, check.error());
  std::optional<ConfigText> config;
  if (*text) config = ConfigText{name->value_or("(request)"), **text};
  const auto report = call.backend.apply(config, check->value_or(false));
  if (!report) return call.refuse(409, report.error());
  call.answer({{"changes", report->changes}, {"needs_restart", report->needs_restart}, {"warnings", report->warnings}});
}

void post_bgp_clear(const Call& call) {
  BodyText body(call, {"neighbor", "how"});
  if (!body.errors.empty()) return call.refuse(400, body.errors);
  const auto neighbor = body.need("neighbor"), how = body.need("how");
  constexpr std::array<std::string_view, 4> kHow{"hard", "soft-in", "soft-out", "soft"};
  const auto at = std::find(kHow.begin(), kHow.end(), how) - kHow.begin();
  const auto address = Ipv4Address::parse(neighbor);
  if (body.errors.empty() && at == 4) {
    body.errors.push_back({"how", fmt::format("\"{}\" is none of {}", how, fmt::join(kHow, ", "))});
  }
  if (body.errors.empty() && !address && neighbor != "*") {
    body.errors.push_back({"neighbor", fmt::format("\"{}\" is no address and not *", neighbor)});
  }
  if (!body.errors.empty()) return call.refuse(400, body.errors);
  call.settle(call.backend.clear_bgp(address, static_cast<Backend::BgpClear>(at)), 404);
}

void post_bgp_dump(const Call& call) {
  BodyText body(call, {"path"});
  if (!body.errors.empty()) return call.refuse(400, body.errors);
  const auto path = body.need("path");
  if (!body.errors.empty()) return call.refuse(400, body.errors);
  if (path.empty() || path.front() != '/' || path.find('\0') != std::string::npos) {
    return call.refuse(400, Error{"path", "must be an absolute path"});
  }
  call.backend.dump_rib(path, [call](const Result<RibDumpReport>& report) {
    if (!report) return call.refuse(409, report.error());
    call.answer({{"ok", true}, {"prefixes", report->prefixes}, {"bytes", report->bytes}});
  });
}

void post_bgp_drain(const Call& call) {
  BodyText body(call, {"address", "state"});
  if (!body.errors.empty()) return call.refuse(400, body.errors);
  const auto text = body.need("address"), state = body.need("state");
  const auto address = Ipv4Address::parse(text);
  if (body.errors.empty() && !address && text != "*") {
    body.errors.push_back({"address", fmt::format("\"{}\" is no address and not *", text)});
  }
  if (body.errors.empty() && state != "on" && state != "off") {
    body.errors.push_back({"state", fmt::format("\"{}\" is neither on nor off", state)});
  }
  if (!body.errors.empty()) return call.refuse(400, body.errors);
  call.settle(call.backend.drain(address, state == "on"), 404);
}

void post_ping(const Call& call) {
  const auto body = parse_body(call.exchange->body());
  if (!body) return call.refuse(400, body.error());
  const auto request = parse_ping(*body);
  if (!request) return call.refuse(400, request.error());
  if (auto ok = call.backend.ping(*request, std::make_shared<LineStream>(call.exchange)); !ok) {
    call.refuse(409, ok.error());
  }
}

void post_capture(const Call& call) {
  const auto body = parse_body(call.exchange->body());
  if (!body) return call.refuse(400, body.error());
  const auto request = parse_capture(*body);
  if (!request) return call.refuse(400, request.error());
  if (auto ok = call.backend.capture(*request, std::make_shared<LineStream>(call.exchange)); !ok) {
    call.refuse(409, ok.error());
  }
}

void post_shutdown(const Call& call) {
  call.answer({{"ok", true}});
  call.backend.shutdown();
}

// The new process reads the file: one with a mistake would end sluiced instead.
void post_restart(const Call& call) {
  const auto report = call.backend.apply(std::nullopt, true);
  if (!report) return call.refuse(409, report.error());
  call.answer({{"ok", true}});
  call.backend.restart();
}

struct Resource {
  std::string_view method, path;
  void (*handler)(const Call&);
  std::vector<std::string_view> parameters;
};

const std::vector<Resource>& resources() {
  static const std::vector<std::string_view> flow = {"protocol", "client",  "member", "address", "destination",
                                                     "port",     "virtual", "pool",   "limit"};
  static const std::vector<Resource> table = {
      {"GET", "/v1/virtual", get_virtual, {"name"}},
      {"GET", "/v1/virtual-address", get_virtual_address, {"name"}},
      {"GET", "/v1/pool", get_pool, {"name"}},
      {"GET", "/v1/member", get_member, {"pool", "member"}},
      {"GET", "/v1/node", get_node, {"name"}},
      {"GET", "/v1/monitor", get_monitor, {"name"}},
      {"GET", "/v1/route", get_route, {"prefix"}},
      {"GET", "/v1/bgp", get_bgp, {"text"}},
      {"GET", "/v1/bgp/route", get_bgp_route, {"prefix", "text", "community", "from", "as", "best"}},
      {"GET", "/v1/bgp/neighbor", get_bgp_neighbor, {"address", "text"}},
      {"GET", "/v1/bfd", get_bfd, {"neighbor"}},
      {"GET", "/v1/bgp/neighbor/route", get_bgp_neighbor_route, {"address", "which"}},
      {"GET", "/v1/arp", get_arp, {}},
      {"GET", "/v1/flow", get_flow, flow},
      {"GET", "/v1/worker", get_worker, {}},
      {"GET", "/v1/port", get_port, {"name"}},
      {"GET", "/v1/drop", get_drop, {}},
      {"GET", "/v1/error", get_error, {"virtual", "limit"}},
      {"GET", "/v1/tcp", get_tcp, {}},
      {"GET", "/v1/access-log", get_access_log, {}},
      {"GET", "/v1/config", get_config, {}},
      {"GET", "/v1/version", get_version, {}},
      {"GET", "/metrics", get_metrics, {}},
      {"PATCH", "/v1/member", patch_member, {}},
      {"PATCH", "/v1/virtual", patch_virtual, {}},
      {"DELETE", "/v1/flow", delete_flow, flow},
      {"POST", "/v1/apply", post_apply, {}},
      {"POST", "/v1/bgp/clear", post_bgp_clear, {}},
      {"POST", "/v1/bgp/dump", post_bgp_dump, {}},
      {"POST", "/v1/bgp/drain", post_bgp_drain, {}},
      {"POST", "/v1/ping", post_ping, {}},
      {"POST", "/v1/capture", post_capture, {}},
      {"POST", "/v1/shutdown", post_shutdown, {}},
      {"POST", "/v1/restart", post_restart, {}},
  };
  return table;
}

Status known_parameters(const Resource& resource, const Target& target) {
  for (const auto& [name, value] : target.query) {
    const auto& known = resource.parameters;
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return fail(name, known.size() == 0 ? "this resource has no parameters"
                                          : fmt::format("unknown parameter; known: {}", fmt::join(known, ", ")));
    }
  }
  return {};
}

}  // namespace

void Api::handle(std::shared_ptr<Exchange> exchange) {
  Call call{backend_, std::move(exchange), {}};
  auto target = parse_target(call.exchange->target());
  if (!target) return call.refuse(400, target.error());
  call.target = std::move(*target);
  bool path_known = false;
  for (const Resource& resource : resources()) {
    if (resource.path != call.target.path) continue;
    path_known = true;
    if (resource.method != call.exchange->method()) continue;
    if (auto ok = known_parameters(resource, call.target); !ok) return call.refuse(400, ok.error());
    return resource.handler(call);
  }
  if (path_known)
    return call.refuse(405, Error{call.target.path, "does not know the method " + call.exchange->method()});
  call.refuse(404, Error{call.target.path, "no such resource"});
}

}  // namespace sluice::admin
