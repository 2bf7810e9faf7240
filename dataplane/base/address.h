// Addresses and prefixes as values: MAC, IPv4, IPv6, either; parsed from and printed as their usual text.
//
// Called by: everybody. Runs on: any thread. Follows: RFC 4291, RFC 5952 (text of IPv6), RFC 4632 (prefixes).
// Tested by: tests/dataplane/base/address_test.cc
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

struct MacAddress {
  std::array<std::uint8_t, 6> bytes{};

  static constexpr MacAddress broadcast() { return {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}; }
  constexpr bool is_multicast() const { return (bytes[0] & 1) != 0; }
  constexpr bool is_zero() const { return bytes == std::array<std::uint8_t, 6>{}; }
  // "02:00:00:00:00:01"
  static std::optional<MacAddress> parse(std::string_view text);
  std::string text() const;
  friend constexpr auto operator<=>(const MacAddress&, const MacAddress&) = default;
};

// One IPv4 address in host byte order; convert at the wire with ntohl/htonl (wire/bytes.h).
struct Ipv4Address {
  std::uint32_t value = 0;

  static constexpr Ipv4Address from_octets(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
    return {std::uint32_t{a} << 24 | std::uint32_t{b} << 16 | std::uint32_t{c} << 8 | d};
  }
  constexpr bool is_zero() const { return value == 0; }
  constexpr bool is_multicast() const { return value >> 28 == 0xe; }
  constexpr bool is_loopback() const { return value >> 24 == 127; }
  constexpr bool is_broadcast() const { return value == 0xffffffff; }
  // Exactly four decimal octets; nothing else ("10.1", "010.0.0.1" are refused).
  static std::optional<Ipv4Address> parse(std::string_view text);
  std::string text() const;
  friend constexpr auto operator<=>(const Ipv4Address&, const Ipv4Address&) = default;
};

struct Ipv6Address {
  std::array<std::uint8_t, 16> bytes{};

  constexpr bool is_zero() const { return bytes == std::array<std::uint8_t, 16>{}; }
  constexpr bool is_multicast() const { return bytes[0] == 0xff; }
  constexpr bool is_link_local() const { return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80; }
  static std::optional<Ipv6Address> parse(std::string_view text);
  std::string text() const;
  friend constexpr auto operator<=>(const Ipv6Address&, const Ipv6Address&) = default;
};

// An IPv4 or IPv6 address. Kept as 16 bytes plus a family so that it is a plain ordered value.
class IpAddress {
 public:
  constexpr IpAddress() = default;
  constexpr IpAddress(Ipv4Address v4) : is_v6_(false) {  // NOLINT: implicit on purpose
    for (unsigned i = 0; i < 4; ++i) bytes_[i] = static_cast<std::uint8_t>(v4.value >> (24 - 8 * i));
  }
  constexpr IpAddress(Ipv6Address v6) : is_v6_(true), bytes_(v6.bytes) {}  // NOLINT: implicit on purpose

  constexpr bool is_v4() const { return !is_v6_; }
  constexpr bool is_v6() const { return is_v6_; }
  // Precondition: is_v4() / is_v6().
  constexpr Ipv4Address v4() const { return Ipv4Address::from_octets(bytes_[0], bytes_[1], bytes_[2], bytes_[3]); }
  constexpr Ipv6Address v6() const { return Ipv6Address{bytes_}; }
  constexpr unsigned bits() const { return is_v6_ ? 128 : 32; }
  constexpr bool is_zero() const { return bytes_ == std::array<std::uint8_t, 16>{}; }
  static std::optional<IpAddress> parse(std::string_view text);
  std::string text() const;
  friend constexpr auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  bool is_v6_ = false;
  std::array<std::uint8_t, 16> bytes_{};  // network order; IPv4 uses the first four
};

struct Ipv4Prefix {
  Ipv4Address address;      // host bits are zero
  std::uint8_t length = 0;  // 0..32

  static constexpr std::uint32_t mask(unsigned length) { return length == 0 ? 0 : ~std::uint32_t{0} << (32 - length); }
  // Clears the host bits. Precondition: length <= 32.
  static constexpr Ipv4Prefix of(Ipv4Address address, unsigned length) {
    return {{address.value & mask(length)}, static_cast<std::uint8_t>(length)};
  }
  constexpr bool contains(Ipv4Address other) const { return (other.value & mask(length)) == address.value; }
  constexpr bool contains(Ipv4Prefix other) const { return other.length >= length && contains(other.address); }
  // "10.244.0.0/24"; host bits must be zero. Use parse_interface for "172.16.40.202/24".
  static std::optional<Ipv4Prefix> parse(std::string_view text);
  std::string text() const;
  friend constexpr auto operator<=>(const Ipv4Prefix&, const Ipv4Prefix&) = default;
};

struct Ipv6Prefix {
  Ipv6Address address;
  std::uint8_t length = 0;  // 0..128

  static Ipv6Prefix of(Ipv6Address address, unsigned length);
  bool contains(const Ipv6Address& other) const;
  static std::optional<Ipv6Prefix> parse(std::string_view text);
  std::string text() const;
  friend constexpr auto operator<=>(const Ipv6Prefix&, const Ipv6Prefix&) = default;
};

// An address as an interface carries it: the host's own bits and the length of its subnet.
struct Ipv4Interface {
  Ipv4Address address;
  std::uint8_t length = 32;

  constexpr Ipv4Prefix subnet() const { return Ipv4Prefix::of(address, length); }
  static std::optional<Ipv4Interface> parse(std::string_view text);
  std::string text() const;
  friend constexpr auto operator<=>(const Ipv4Interface&, const Ipv4Interface&) = default;
};

// A transport endpoint, "10.244.0.76:80".
struct Ipv4Endpoint {
  Ipv4Address address;
  std::uint16_t port = 0;

  static std::optional<Ipv4Endpoint> parse(std::string_view text);
  std::string text() const;
  friend constexpr auto operator<=>(const Ipv4Endpoint&, const Ipv4Endpoint&) = default;
};

}  // namespace sluice

template <>
struct std::hash<sluice::Ipv4Address> {
  std::size_t operator()(sluice::Ipv4Address a) const noexcept { return std::hash<std::uint32_t>{}(a.value); }
};
template <>
struct std::hash<sluice::Ipv4Endpoint> {
  std::size_t operator()(sluice::Ipv4Endpoint e) const noexcept {
    return std::hash<std::uint64_t>{}(std::uint64_t{e.address.value} << 16 | e.port);
  }
};
