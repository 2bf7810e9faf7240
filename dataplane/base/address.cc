// Text forms of addresses and prefixes; see address.h.
#include "dataplane/base/address.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstdio>
#include <cstring>

namespace sluice {
namespace {

// A decimal number without sign or leading zero, at most `max`.
std::optional<unsigned> parse_decimal(std::string_view text, unsigned max) {
  if (text.empty() || text.size() > 10 || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > max) return std::nullopt;
  return value;
}

struct SplitPrefix {
  std::string_view address;
  unsigned length;
};

std::optional<SplitPrefix> split_prefix(std::string_view text, unsigned bits) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto length = parse_decimal(text.substr(slash + 1), bits);
  if (!length) return std::nullopt;
  return SplitPrefix{text.substr(0, slash), *length};
}

}  // namespace

std::optional<MacAddress> MacAddress::parse(std::string_view text) {
  MacAddress mac;
  if (text.size() != 17) return std::nullopt;
  for (unsigned i = 0; i < 6; ++i) {
    const auto pair = text.substr(i * 3, 2);
    const auto [end, error] = std::from_chars(pair.data(), pair.data() + 2, mac.bytes[i], 16);
    if (error != std::errc{} || end != pair.data() + 2) return std::nullopt;
    if (i < 5 && text[i * 3 + 2] != ':') return std::nullopt;
  }
  return mac;
}

std::string MacAddress::text() const {
  char out[18];
  std::snprintf(out, sizeof out, "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2], bytes[3], bytes[4],
                bytes[5]);
  return out;
}

std::optional<Ipv4Address> Ipv4Address::parse(std::string_view text) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < 4; ++i) {
    const auto dot = i < 3 ? text.find('.') : text.size();
    if (dot == std::string_view::npos) return std::nullopt;
    const auto octet = parse_decimal(text.substr(0, dot), 255);
    if (!octet) return std::nullopt;
    value = value << 8 | *octet;
    text.remove_prefix(i < 3 ? dot + 1 : dot);
  }
  return Ipv4Address{value};
}

std::string Ipv4Address::text() const {
  char out[16];
  std::snprintf(out, sizeof out, "%u.%u.%u.%u", value >> 24, value >> 16 & 255, value >> 8 & 255, value & 255);
  return out;
}

std::optional<Ipv6Address> Ipv6Address::parse(std::string_view text) {
  char buffer[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof buffer || text.find('\0') != std::string_view::npos) return std::nullopt;
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  Ipv6Address address;
  if (inet_pton(AF_INET6, buffer, address.bytes.data()) != 1) return std::nullopt;
  return address;
}

std::string Ipv6Address::text() const {
  char out[INET6_ADDRSTRLEN];
  return inet_ntop(AF_INET6, bytes.data(), out, sizeof out);
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (const auto v4 = Ipv4Address::parse(text)) return IpAddress(*v4);
  if (const auto v6 = Ipv6Address::parse(text)) return IpAddress(*v6);
  return std::nullopt;
}

std::string IpAddress::text() const { return is_v6_ ? v6().text() : v4().text(); }

std::optional<Ipv4Prefix> Ipv4Prefix::parse(std::string_view text) {
  const auto parts = split_prefix(text, 32);
  if (!parts) return std::nullopt;
  const auto address = Ipv4Address::parse(parts->address);
  if (!address || of(*address, parts->length).address != *address) return std::nullopt;
  return of(*address, parts->length);
}

std::string Ipv4Prefix::text() const { return address.text() + "/" + std::to_string(length); }

Ipv6Prefix Ipv6Prefix::of(Ipv6Address address, unsigned length) {
  for (unsigned bit = length; bit < 128; ++bit) address.bytes[bit / 8] &= static_cast<std::uint8_t>(~(0x80 >> bit % 8));
  return {address, static_cast<std::uint8_t>(length)};
}

bool Ipv6Prefix::contains(const Ipv6Address& other) const { return of(other, length).address == address; }

std::optional<Ipv6Prefix> Ipv6Prefix::parse(std::string_view text) {
  const auto parts = split_prefix(text, 128);
  if (!parts) return std::nullopt;
  const auto address = Ipv6Address::parse(parts->address);
  if (!address || of(*address, parts->length).address != *address) return std::nullopt;
  return of(*address, parts->length);
}

std::string Ipv6Prefix::text() const { return address.text() + "/" + std::to_string(length); }

std::optional<Ipv4Interface> Ipv4Interface::parse(std::string_view text) {
  const auto parts = split_prefix(text, 32);
  if (!parts) return std::nullopt;
  const auto address = Ipv4Address::parse(parts->address);
  if (!address) return std::nullopt;
  return Ipv4Interface{*address, static_cast<std::uint8_t>(parts->length)};
}

std::string Ipv4Interface::text() const { return address.text() + "/" + std::to_string(length); }

std::optional<Ipv4Endpoint> Ipv4Endpoint::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto address = Ipv4Address::parse(text.substr(0, colon));
  const auto port = parse_decimal(text.substr(colon + 1), 65535);
  if (!address || !port) return std::nullopt;
  return Ipv4Endpoint{*address, static_cast<std::uint16_t>(*port)};
}

std::string Ipv4Endpoint::text() const { return address.text() + ":" + std::to_string(port); }

}  // namespace sluice
