// Big-endian loads and stores at unaligned addresses: the only way headers are read and written.
//
// Called by: everything that touches a header. Runs on: any thread. Follows: network byte order.
// Tested by: tests/dataplane/wire/headers_test.cc
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "dataplane/base/address.h"

namespace sluice::wire {

static_assert(std::endian::native == std::endian::little, "the loads below swap");

using Bytes = std::span<std::uint8_t>;
using ConstBytes = std::span<const std::uint8_t>;

// No header of ours is longer; sizes of first segments are compared with it.
inline constexpr std::size_t kHeadersMax = 18 + 60 + 60;

template <typename T>
inline T load_raw(const std::uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}
template <typename T>
inline void store_raw(std::uint8_t* p, T value) {
  std::memcpy(p, &value, sizeof value);
}

inline std::uint16_t load_be16(const std::uint8_t* p) { return __builtin_bswap16(load_raw<std::uint16_t>(p)); }
inline std::uint32_t load_be32(const std::uint8_t* p) { return __builtin_bswap32(load_raw<std::uint32_t>(p)); }
inline void store_be16(std::uint8_t* p, std::uint16_t value) { store_raw(p, __builtin_bswap16(value)); }
inline void store_be32(std::uint8_t* p, std::uint32_t value) { store_raw(p, __builtin_bswap32(value)); }

inline Ipv4Address load_ipv4(const std::uint8_t* p) { return {load_be32(p)}; }
inline void store_ipv4(std::uint8_t* p, Ipv4Address address) { store_be32(p, address.value); }

inline MacAddress load_mac(const std::uint8_t* p) {
  MacAddress mac;
  std::memcpy(mac.bytes.data(), p, 6);
  return mac;
}
inline void store_mac(std::uint8_t* p, const MacAddress& mac) { std::memcpy(p, mac.bytes.data(), 6); }

}  // namespace sluice::wire
