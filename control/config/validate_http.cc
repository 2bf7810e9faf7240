// The rules of `http:`; see validate_http.h.
#include "control/config/validate_http.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "control/config/text.h"
#include "control/config/tree.h"
#include "lb/l7/byte_class.h"
#include "lb/l7/header_rules.h"

namespace sluice::config {
namespace {

using lb::http::all_in, lb::http::is_token;

constexpr std::size_t kTextMax = 1024;

// "example.com", "*.example.com": lower case, no port.
bool is_host_name(std::string_view host, bool wildcard) {
  if (wildcard && host.starts_with("*.")) host.remove_prefix(2);
  return !host.empty() && host.size() <= 253 && all_in(host, lb::http::kHost) && host.front() != '.' &&
         std::none_of(host.begin(), host.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

bool is_path(std::string_view path) {
  return path.starts_with('/') && path.size() <= kTextMax && all_in(path, lb::http::kTarget) &&
         path.find('?') == std::string_view::npos;
}

class HttpChecker {
 public:
  explicit HttpChecker(const VirtualServer& server) : server_(server), http_(server.http) {}

  std::vector<Finding> run() {
    if (server_.mode != Mode::http) {
      if (!(http_ == lb::HttpOptions{}))
        add("http", fmt::format("contradicts mode: {}; write mode: http", name_of(server_.mode)));
      if (server_.oneconnect)
        add("oneconnect", fmt::format("contradicts mode: {}; write mode: http", name_of(server_.mode)));
      return std::move(findings_);
    }
    if (http_.limits.target_bytes_max > http_.limits.head_bytes_max)
      add("http.limits.target-bytes-max", "is more than head-bytes-max: no target could ever be that long");
    for (std::size_t i = 0; i < http_.header_rules.size(); ++i) {
      const auto& rule = http_.header_rules[i];
      if (auto problem = lb::http::check_header_rule(rule))
        add(fmt::format("http.header-rules[{}]", i), in_quotes(rule.name) + ' ' + *problem);
    }
    check_cookie();
    check_redirect();
    check_routes();
    if (server_.oneconnect && http_.proxy_protocol_out != lb::ProxyProtocolOut::off)
      add("oneconnect", "cannot go with proxy-protocol-out: a shared server connection has no one client");
    return std::move(findings_);
  }

 private:
  void add(std::string path, std::string message) { findings_.push_back({std::move(path), std::move(message)}); }

  void check_cookie() {
    const auto& cookie = http_.cookie;
    if (cookie.kind == lb::CookiePersistKind::none && !(cookie == lb::CookiePersistence{}))
      add("http.cookie-persistence.kind", "is missing: write insert or hashed");
    if (!cookie.name.empty() && (!is_token(cookie.name) || cookie.name.size() > 256))
      add("http.cookie-persistence.name",
          in_quotes(cookie.name) + " is no cookie name: letters, digits, - . _ and the like");
    if (cookie.expires % 1s != 0s)
      add("http.cookie-persistence.expires", fmt::format("{} is not in whole seconds", to_text(cookie.expires)));
  }

  void check_redirect() {
    const auto& redirect = http_.redirect;
    if (redirect.status == 0) {
      if (!(redirect == lb::Redirect{})) add("http.redirect.status", "is missing: write 301, 302, 307 or 308");
      return;
    }
    if (redirect.status != 301 && redirect.status != 302 && redirect.status != 307 && redirect.status != 308)
      add("http.redirect.status", fmt::format("{} is no redirect: write 301, 302, 307 or 308", redirect.status));
    if (!redirect.scheme.empty() && redirect.scheme != "http" && redirect.scheme != "https")
      add("http.redirect.scheme", in_quotes(redirect.scheme) + " is not valid here: write http or https");
    if (!redirect.host.empty() && !is_host_name(redirect.host, false))
      add("http.redirect.host", in_quotes(redirect.host) + " is no host name: write it in lower case, without a port");
    if (!redirect.path.empty() && (!redirect.path.starts_with('/') || redirect.path.size() > kTextMax ||
                                   !all_in(redirect.path, lb::http::kTarget)))
      add("http.redirect.path", in_quotes(redirect.path) + " is no path: write /..., with %XX for other bytes");
    if (redirect.scheme != "https" && redirect.host.empty() && redirect.path.empty() && redirect.port == 0)
      add("http.redirect", "leads back to itself: change the scheme, host, port or path");
  }

  void check_routes() {
    std::set<std::tuple<std::string_view, std::string_view, bool>> seen;
    for (std::size_t i = 0; i < http_.routes.size(); ++i) {
      const auto& route = http_.routes[i];
      const std::string path = fmt::format("http.routes[{}]", i);
      if (!route.host.empty() && !is_host_name(route.host, true))
        add(path + ".host", in_quotes(route.host) +
                                " is no host name: write it in lower case, without a port; *.name for any one label");
      if (!is_path(route.path))
        add(path + ".path", in_quotes(route.path) + " is no path: write /..., with %XX for other bytes");
      if (!seen.emplace(route.host, route.path, route.exact).second)
        add(path, "has the host and path of another route");
    }
  }

  const VirtualServer& server_;
  const lb::HttpOptions& http_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> check_http(const VirtualServer& server) { return HttpChecker(server).run(); }

}  // namespace sluice::config
