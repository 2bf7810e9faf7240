// An IPv4 or IPv6 prefix as one value, for code that treats both families alike.
//
// Called by: control/config, control/bgp, control/routing. Runs on: any thread. Follows: RFC 4632, RFC 4291.
// Tested by: tests/control/routing/prefix_index_test.cc
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "dataplane/base/address.h"

namespace sluice {

struct IpPrefix {
  IpAddress address;        // host bits are zero
  std::uint8_t length = 0;  // 0..32 or 0..128

  IpPrefix() = default;
  IpPrefix(Ipv4Prefix v4) : address(v4.address), length(v4.length) {}         // NOLINT: implicit on purpose
  IpPrefix(const Ipv6Prefix& v6) : address(v6.address), length(v6.length) {}  // NOLINT: implicit on purpose

  // Clears the host bits. Precondition: length <= address.bits().
  static IpPrefix of(const IpAddress& address, unsigned length) {
    if (address.is_v4()) return Ipv4Prefix::of(address.v4(), length);
    return Ipv6Prefix::of(address.v6(), length);
  }
  static IpPrefix host(const IpAddress& address) { return of(address, address.bits()); }
  // "10.244.0.0/24", "fd00::/64"; host bits must be zero.
  static std::optional<IpPrefix> parse(std::string_view text) {
    if (const auto v4 = Ipv4Prefix::parse(text)) return IpPrefix(*v4);
    if (const auto v6 = Ipv6Prefix::parse(text)) return IpPrefix(*v6);
    return std::nullopt;
  }

  bool is_v4() const { return address.is_v4(); }
  // Precondition: is_v4() / !is_v4().
  Ipv4Prefix v4() const { return {address.v4(), length}; }
  Ipv6Prefix v6() const { return {address.v6(), length}; }
  bool contains(const IpAddress& other) const {
    if (other.is_v4() != is_v4()) return false;
    return is_v4() ? v4().contains(other.v4()) : v6().contains(other.v6());
  }
  bool contains(const IpPrefix& other) const { return other.length >= length && contains(other.address); }
  std::string text() const { return is_v4() ? v4().text() : v6().text(); }
  friend auto operator<=>(const IpPrefix&, const IpPrefix&) = default;
};

}  // namespace sluice
