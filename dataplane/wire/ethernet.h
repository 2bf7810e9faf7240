// The Ethernet header: 14 bytes, or 18 when an 802.1Q tag is present.
//
// Called by: wire/parse, ip/neighbor, ip/output, port/host_port. Runs on: workers. Follows: IEEE 802.3, 802.1Q.
// Tested by: tests/dataplane/wire/headers_test.cc
#pragma once

#include "dataplane/wire/bytes.h"

namespace sluice::wire {

inline constexpr std::size_t kEthernetLength = 14;
inline constexpr std::size_t kVlanTagLength = 4;
inline constexpr std::size_t kEthernetFrameMin = 60;  // without the FCS

inline constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherTypeArp = 0x0806;
inline constexpr std::uint16_t kEtherTypeVlan = 0x8100;
inline constexpr std::uint16_t kEtherTypeIpv6 = 0x86dd;

// Field offsets.
inline constexpr std::size_t kEthernetDestination = 0;
inline constexpr std::size_t kEthernetSource = 6;
inline constexpr std::size_t kEthernetType = 12;

// Writes 14 bytes.
inline void emit_ethernet(std::uint8_t* p, const MacAddress& destination, const MacAddress& source,
                          std::uint16_t ether_type) {
  store_mac(p + kEthernetDestination, destination);
  store_mac(p + kEthernetSource, source);
  store_be16(p + kEthernetType, ether_type);
}

// A header made once and copied to many frames: 14 bytes by two 8-byte moves that overlap by two.
struct EthernetRewrite {
  alignas(16) std::array<std::uint8_t, 16> bytes{};

  static EthernetRewrite make(const MacAddress& destination, const MacAddress& source, std::uint16_t ether_type) {
    EthernetRewrite rewrite;
    emit_ethernet(rewrite.bytes.data(), destination, source, ether_type);
    return rewrite;
  }
  void write(std::uint8_t* p) const {
    store_raw(p, load_raw<std::uint64_t>(bytes.data()));
    store_raw(p + 6, load_raw<std::uint64_t>(bytes.data() + 6));
  }
  MacAddress destination() const { return load_mac(bytes.data()); }
  MacAddress source() const { return load_mac(bytes.data() + kEthernetSource); }
};

}  // namespace sluice::wire
