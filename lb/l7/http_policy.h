// The L7 policy of a virtual server: which pool a request goes to, and where a redirect sends it.
//
// Called by: lb/l7 sessions; Router is built with the snapshot. Runs on: workers (const). Follows: Kubernetes Ingress
// (host and path rules), RFC 9110 15.4. Tested by: tests/lb/l7/http_policy_test.cc
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lb/l7/http_head.h"

namespace sluice::lb::http {

inline constexpr std::uint32_t kNoRoute = 0xffffffff;

// An exact host goes before "*.": that before any host; then an exact path; then the longest prefix.
class Router {
 public:
  Router() = default;
  explicit Router(std::span<const HttpRoute> routes);
  // The index of the route in what it was built from (HttpOptions::routes), or kNoRoute.
  // `host` may have a port and any case; `path` is compared with dot segments and needless %XX taken out.
  std::uint32_t find(std::string_view host, std::string_view path) const;
  bool empty() const { return entries_.empty(); }

 private:
  struct Entry {
    std::string host;
    std::string path;  // without a slash at the end
    bool exact = false;
    std::uint32_t route = 0;
  };
  std::uint32_t find_for(std::string_view host, std::string_view path) const;
  std::vector<Entry> entries_;  // by host, then exact first, then longest path first
};

// "/a/b" for "/a/./c/../b", and %7E as ~: what routing compares. `out` must hold path.size() bytes; returns a view of
// it, or of `path` when there is nothing to do. %2F stays as it is.
std::string_view normalise_path(std::string_view path, std::span<char> out);

// The value of Location for this request; 0: `out` is too small.
std::uint32_t write_location(const Redirect& redirect, const Head& request, std::span<char> out);

}  // namespace sluice::lb::http
