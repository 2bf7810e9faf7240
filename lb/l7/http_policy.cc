// Routing by host and path, and redirects; see http_policy.h.
#include "lb/l7/http_policy.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <tuple>

#include "lb/l7/byte_class.h"

namespace sluice::lb::http {
namespace {

constexpr std::size_t kHostBytesMax = 255;
constexpr std::size_t kPathBytesMax = 2048;  // of which routing looks at

bool needs_normalising(std::string_view path) {
  for (std::size_t i = 0; i < path.size(); ++i)
    if (path[i] == '%' || (path[i] == '/' && i + 1 < path.size() && (path[i + 1] == '.' || path[i + 1] == '/')))
      return true;
  return false;
}

int hex_digit(char c) {
  if (!is_in(c, kHex)) return -1;
  return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

bool under(std::string_view path, std::string_view prefix) {
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

}  // namespace

Router::Router(std::span<const HttpRoute> routes) {
  for (std::size_t i = 0; i < routes.size(); ++i) {
    Entry entry{.host = routes[i].host,
                .path = routes[i].path,
                .exact = routes[i].exact,
                .route = static_cast<std::uint32_t>(i)};
    for (char& c : entry.host) c = lower(c);
    while (!entry.exact && !entry.path.empty() && entry.path.back() == '/') entry.path.pop_back();
    entries_.push_back(std::move(entry));
  }
  // Stable: of two equal rules the first one counts.
  std::stable_sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    return std::forward_as_tuple(a.host, !a.exact, b.path.size()) <
           std::forward_as_tuple(b.host, !b.exact, a.path.size());
  });
}

std::uint32_t Router::find_for(std::string_view host, std::string_view path) const {
  auto entry = std::lower_bound(entries_.begin(), entries_.end(), host,
                                [](const Entry& e, std::string_view wanted) { return e.host < wanted; });
  for (; entry != entries_.end() && entry->host == host; ++entry)
    if (entry->exact ? path == entry->path : under(path, entry->path)) return entry->route;
  return kNoRoute;
}

std::uint32_t Router::find(std::string_view host, std::string_view path) const {
  if (entries_.empty()) return kNoRoute;
  std::array<char, kHostBytesMax> host_bytes;
  std::array<char, kPathBytesMax> path_bytes;
  host = without_port(host);
  if (!host.empty() && host.back() == '.') host.remove_suffix(1);
  if (host.size() > host_bytes.size()) host = {};
  std::transform(host.begin(), host.end(), host_bytes.begin(), lower);
  const std::string_view name{host_bytes.data(), host.size()};
  path = path.substr(0, path_bytes.size());
  path = path.empty() ? std::string_view("/") : normalise_path(path, path_bytes);
  std::uint32_t route = name.empty() ? kNoRoute : find_for(name, path);
  // *.example.com stands for one label.
  if (const std::size_t dot = name.find('.'); route == kNoRoute && dot != std::string_view::npos && dot > 0) {
    host_bytes[dot - 1] = '*';
    route = find_for(name.substr(dot - 1), path);
  }
  return route != kNoRoute ? route : find_for({}, path);
}

std::string_view normalise_path(std::string_view path, std::span<char> out) {
  if (!needs_normalising(path) || out.size() < path.size()) return path;
  std::size_t n = 0;
  // First %XX of bytes that need none, then the segments: %2e%2e is a dot segment too. Never grows, so it is done in
  // place.
  for (std::size_t i = 0; i < path.size(); ++i) {
    char c = path[i];
    if (c == '%' && i + 2 < path.size()) {
      const int high = hex_digit(path[i + 1]), low = hex_digit(path[i + 2]);
      const char decoded = high < 0 || low < 0 ? '\0' : static_cast<char>(high << 4 | low);
      if (is_in(decoded, kUnreserved)) {
        c = decoded;
        i += 2;
      }
    }
    out[n++] = c;
  }
  std::size_t written = 0;
  for (std::size_t i = 0; i < n;) {
    std::size_t end = i + 1;  // out[i] is a slash, or the path's first byte
    while (end < n && out[end] != '/') ++end;
    const std::string_view segment{out.data() + i, end - i};
    if (segment == "/..") {
      while (written > 0 && out[--written] != '/') {
      }
      if (end == n) out[written++] = '/';
    } else if (segment == "/.") {
      if (end == n) out[written++] = '/';
    } else if (segment == "/" && end < n) {
      // An empty segment: // is /.
    } else {
      std::memmove(out.data() + written, segment.data(), segment.size());
      written += segment.size();
    }
    i = end;
  }
  if (written == 0 && !path.empty()) out[written++] = '/';
  return {out.data(), written};
}

std::uint32_t write_location(const Redirect& redirect, const Head& request, std::span<char> out) {
  std::size_t n = 0;
  bool fits = true;
  const auto put = [&](std::string_view text) {
    fits = fits && n + text.size() <= out.size();
    if (!fits) return;
    std::memcpy(out.data() + n, text.data(), text.size());
    n += text.size();
  };
  const std::string_view scheme = redirect.scheme.empty() ? std::string_view("http") : redirect.scheme;
  put(scheme);
  put("://");
  put(redirect.host.empty() ? request.hostname() : std::string_view(redirect.host));
  if (redirect.port != 0 && redirect.port != (scheme == "https" ? 443 : 80)) {
    put(":");
    put(std::to_string(redirect.port));
  }
  if (!redirect.path.empty()) {
    put(redirect.path);
  } else if (request.target == "*") {
    put("/");
  } else {
    if (request.slash_missing) put("/");
    for (const char c : request.target) {
      if (!is_in(c, kTargetEncoded)) {
        put({&c, 1});
        continue;
      }
      const auto byte = static_cast<std::uint8_t>(c);
      const char escape[3] = {'%', "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 0xf]};
      put({escape, 3});
    }
  }
  return fits ? static_cast<std::uint32_t>(n) : 0;
}

}  // namespace sluice::lb::http
