// The PROXY protocol: the line or block ahead of a connection's first byte that says who the client is.
//
// Called by: lb/l7 sessions. Runs on: workers. Follows: HAProxy's proxy-protocol.txt, versions 1 and 2 (TLVs are
// skipped on the way in, none are sent). Tested by: tests/lb/l7/proxy_protocol_test.cc,
// tests/fuzz/proxy_protocol_fuzz.cc
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/base/address.h"

namespace sluice::lb::http {

struct ProxyHeader {
  bool local = false;  // LOCAL or UNKNOWN: the connection speaks for itself; the endpoints say nothing
  bool v6 = false;     // TCP over IPv6: the endpoints do not fit here and say nothing
  Ipv4Endpoint source;
  Ipv4Endpoint destination;
  friend bool operator==(const ProxyHeader&, const ProxyHeader&) = default;
};

inline constexpr std::uint32_t kProxyV1BytesMax = 107;
inline constexpr std::uint32_t kProxyV2Bytes = 28;            // what write_proxy_v2 writes for IPv4
inline constexpr std::uint32_t kProxyV2BytesMax = 16 + 2048;  // what is accepted, TLVs included

// The bytes written; 0: `out` is too small.
std::uint32_t write_proxy_v1(const ProxyHeader& header, std::span<char> out);
std::uint32_t write_proxy_v2(const ProxyHeader& header, std::span<char> out);

enum class ProxyStatus : std::uint8_t { need_bytes, done, error };
struct ProxyDecode {
  ProxyStatus status = ProxyStatus::need_bytes;
  std::uint32_t consumed = 0;  // done: bytes of the header
  std::uint32_t offset = 0;    // error: where
  const char* reason = "";     // error: a sentence
  ProxyHeader header;
};
// Either version, from the first bytes of a connection. Never asks for more than kProxyV2BytesMax bytes, and refuses as
// soon as a byte is wrong.
ProxyDecode decode_proxy(std::span<const char> bytes);

}  // namespace sluice::lb::http
