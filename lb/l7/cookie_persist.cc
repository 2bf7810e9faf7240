// Cookies that name a member; see cookie_persist.h.
#include "lb/l7/cookie_persist.h"

#include <charconv>
#include <cstring>

#include "lb/l7/byte_class.h"

namespace sluice::lb::http {
namespace {

// Of bits 0..31, the bytes in the other order.
std::uint32_t swap32(std::uint32_t v) { return __builtin_bswap32(v); }
std::uint16_t swap16(std::uint16_t v) { return __builtin_bswap16(v); }

std::uint32_t put(std::span<char> out, std::uint32_t at, std::string_view text) {
  std::memcpy(out.data() + at, text.data(), text.size());
  return at + static_cast<std::uint32_t>(text.size());
}

template <typename T>
std::uint32_t put_number(std::span<char> out, std::uint32_t at, T value) {
  const auto result = std::to_chars(out.data() + at, out.data() + out.size(), value);
  return static_cast<std::uint32_t>(result.ptr - out.data());
}

// A decimal number without sign or leading zeros, up to `stop`; what follows is left in `text`.
template <typename T>
bool take_number(std::string_view& text, char stop, T& value) {
  const std::size_t end = text.find(stop);
  if (end == std::string_view::npos || end == 0 || !is_in(text[0], kDigit) || (text[0] == '0' && end != 1))
    return false;
  const auto result = std::from_chars(text.data(), text.data() + end, value);
  if (result.ec != std::errc() || result.ptr != text.data() + end) return false;
  text.remove_prefix(end + 1);
  return true;
}

}  // namespace

std::string cookie_name(const CookiePersistence& options, std::string_view pool) {
  if (!options.name.empty()) return options.name;
  std::string name = "BIGipServer";
  // A pool's name may have a slash (its partition), which no cookie's name has; BIG-IP writes ~.
  for (const char c : pool) name += is_in(c, kToken) ? c : '~';
  return name;
}

std::uint32_t write_bigip_value(Ipv4Endpoint member, std::span<char> out) {
  if (out.size() < 22) return 0;
  std::uint32_t n = put_number(out, 0, swap32(member.address.value));
  n = put(out, n, ".");
  n = put_number(out, n, swap16(member.port));
  return put(out, n, ".0000");
}

std::optional<Ipv4Endpoint> parse_bigip_value(std::string_view value) {
  std::uint32_t address = 0;
  std::uint16_t port = 0;
  if (!take_number(value, '.', address) || !take_number(value, '.', port) || value != "0000") return std::nullopt;
  return Ipv4Endpoint{{swap32(address)}, swap16(port)};
}

HashSeed hashed_seed(std::string_view pool) {
  HashSeed seed;
  for (const char c : pool) {
    seed.a = hash_u64(seed, static_cast<std::uint8_t>(c));
    seed.b = hash_u64(seed, seed.a);
  }
  return seed;
}

std::uint64_t hashed_value(const HashSeed& seed, Ipv4Endpoint member) {
  return hash_u64(seed, std::uint64_t{member.address.value} << 16 | member.port);
}

std::uint32_t write_hashed_value(const HashSeed& seed, Ipv4Endpoint member, std::span<char> out) {
  if (out.size() < 16) return 0;
  std::uint64_t value = hashed_value(seed, member);
  for (int i = 15; i >= 0; --i, value >>= 4) out[static_cast<std::size_t>(i)] = "0123456789abcdef"[value & 0xf];
  return 16;
}

std::optional<std::uint64_t> parse_hashed_value(std::string_view value) {
  if (value.size() != 16) return std::nullopt;
  std::uint64_t hash = 0;
  for (const char c : value) {
    if (!is_in(c, kDigit) && (c < 'a' || c > 'f')) return std::nullopt;
    hash = hash << 4 | static_cast<std::uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  return hash;
}

std::optional<std::string_view> find_cookie(const Head& request, std::string_view name) {
  for (const Field& field : request.fields()) {
    if (field.id != FieldId::cookie) continue;
    std::string_view cookies = request.value_of(field);
    while (!cookies.empty()) {
      const std::size_t semicolon = cookies.find(';');
      const std::string_view pair = trimmed(cookies.substr(0, semicolon));
      const std::size_t equals = pair.find('=');
      if (equals != std::string_view::npos && trimmed(pair.substr(0, equals)) == name)
        return trimmed(pair.substr(equals + 1));
      if (semicolon == std::string_view::npos) break;
      cookies.remove_prefix(semicolon + 1);
    }
  }
  return std::nullopt;
}

std::uint32_t write_set_cookie(const CookiePersistence& options, std::string_view name, std::string_view value,
                               std::span<char> out) {
  constexpr std::size_t kAttributes = 80;
  if (out.size() < name.size() + value.size() + kAttributes) return 0;
  std::uint32_t n = put(out, 0, name);
  n = put(out, n, "=");
  n = put(out, n, value);
  if (options.expires > Duration(0)) {
    n = put(out, n, "; Max-Age=");
    n = put_number(out, n, std::chrono::duration_cast<std::chrono::seconds>(options.expires).count());
  }
  n = put(out, n, "; path=/");
  if (options.http_only) n = put(out, n, "; Httponly");
  if (options.secure) n = put(out, n, "; Secure");
  return n;
}

}  // namespace sluice::lb::http
