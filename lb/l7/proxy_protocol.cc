// Both versions of the PROXY protocol; see proxy_protocol.h.
#include "lb/l7/proxy_protocol.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string_view>

#include "lb/l7/byte_class.h"

namespace sluice::lb::http {
namespace {

constexpr std::array<char, 12> kV2Signature = {'\r', '\n', '\r', '\n', '\0', '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};
constexpr std::string_view kV1Start = "PROXY ";
constexpr std::uint32_t kV2HeaderBytes = 16;

ProxyDecode wrong(std::uint32_t offset, const char* reason) {
  return {.status = ProxyStatus::error, .offset = offset, .reason = reason};
}

std::uint16_t read16(const char* p) {
  return static_cast<std::uint16_t>(static_cast<std::uint8_t>(p[0]) << 8 | static_cast<std::uint8_t>(p[1]));
}
std::uint32_t read32(const char* p) { return std::uint32_t{read16(p)} << 16 | read16(p + 2); }
void write16(char* p, std::uint16_t v) {
  p[0] = static_cast<char>(v >> 8);
  p[1] = static_cast<char>(v & 0xff);
}
void write32(char* p, std::uint32_t v) {
  write16(p, static_cast<std::uint16_t>(v >> 16));
  write16(p + 2, static_cast<std::uint16_t>(v & 0xffff));
}

// How many of the first bytes are those of `expected`.
template <typename T>
std::uint32_t matching(std::span<const char> bytes, const T& expected) {
  const std::size_t n = std::min(bytes.size(), expected.size());
  std::uint32_t i = 0;
  while (i < n && bytes[i] == expected[i]) ++i;
  return i;
}

bool parse_port(std::string_view text, std::uint16_t& port) {
  if (text.empty() || text.size() > 5 || !all_in(text, kDigit) || (text[0] == '0' && text.size() > 1)) return false;
  return std::from_chars(text.data(), text.data() + text.size(), port).ec == std::errc();
}

// The words of a version 1 line behind "PROXY TCP4 " or "PROXY TCP6 ".
template <typename Address>
bool parse_v1_endpoints(std::string_view line, std::size_t start, ProxyDecode& decoded, std::uint32_t& where) {
  std::array<std::string_view, 4> words;
  std::size_t at = start;
  for (std::size_t i = 0; i < words.size(); ++i) {
    where = static_cast<std::uint32_t>(at);
    const std::size_t end = i + 1 < words.size() ? line.find(' ', at) : line.size();
    if (end == std::string_view::npos) return false;
    words[i] = line.substr(at, end - at);
    at = end + 1;
  }
  where = static_cast<std::uint32_t>(start);
  const auto source = Address::parse(words[0]);
  const auto destination = Address::parse(words[1]);
  if (!source || !destination) return false;
  where = static_cast<std::uint32_t>(words[2].data() - line.data());
  std::uint16_t source_port = 0, destination_port = 0;
  if (!parse_port(words[2], source_port) || !parse_port(words[3], destination_port)) return false;
  if constexpr (std::is_same_v<Address, Ipv4Address>)
    decoded.header = {.source = {*source, source_port}, .destination = {*destination, destination_port}};
  else
    decoded.header = {.v6 = true};
  return true;
}

ProxyDecode decode_v1(std::span<const char> bytes) {
  const std::string_view text{bytes.data(), std::min<std::size_t>(bytes.size(), kProxyV1BytesMax)};
  const std::size_t cr = text.find('\r');
  const std::string_view line = text.substr(0, cr);
  for (std::size_t i = 0; i < line.size(); ++i)
    if (line[i] < ' ' || line[i] > '~')
      return wrong(static_cast<std::uint32_t>(i), "the PROXY line has a byte that is not printable");
  if (cr == std::string_view::npos || cr + 1 == text.size()) {
    if (text.size() < kProxyV1BytesMax) return {};
    return wrong(kProxyV1BytesMax, "the PROXY line is longer than 107 bytes");
  }
  if (text[cr + 1] != '\n')
    return wrong(static_cast<std::uint32_t>(cr + 1), "the CR of the PROXY line is not followed by LF");
  ProxyDecode decoded{.status = ProxyStatus::done, .consumed = static_cast<std::uint32_t>(cr + 2)};
  const std::size_t start = kV1Start.size();
  const std::string_view rest = line.substr(start);
  std::uint32_t where = static_cast<std::uint32_t>(start);
  if (rest == "UNKNOWN" || rest.starts_with("UNKNOWN ")) {
    decoded.header.local = true;
    return decoded;
  }
  bool good = false;
  if (rest.starts_with("TCP4 ")) good = parse_v1_endpoints<Ipv4Address>(line, start + 5, decoded, where);
  if (rest.starts_with("TCP6 ")) good = parse_v1_endpoints<Ipv6Address>(line, start + 5, decoded, where);
  if (!good) return wrong(where, "the PROXY line is not TCP4, TCP6 or UNKNOWN with two addresses and two ports");
  return decoded;
}

// TLVs must add up to the block's length.
bool check_tlvs(std::span<const char> bytes, std::uint32_t at, std::uint32_t end) {
  while (at < end) {
    if (end - at < 3) return false;
    const std::uint32_t length = read16(bytes.data() + at + 1);
    if (length > end - at - 3) return false;
    at += 3 + length;
  }
  return true;
}

ProxyDecode decode_v2(std::span<const char> bytes) {
  if (bytes.size() > 12 && (static_cast<std::uint8_t>(bytes[12]) & 0xf0) != 0x20)
    return wrong(12, "the PROXY version is not 2");
  const unsigned command = bytes.size() > 12 ? static_cast<std::uint8_t>(bytes[12]) & 0xfU : 0;
  if (command > 1) return wrong(12, "the PROXY command is neither LOCAL nor PROXY");
  if (bytes.size() < kV2HeaderBytes) return {};
  const auto family = static_cast<std::uint8_t>(bytes[13]);
  const std::uint32_t length = read16(bytes.data() + 14);
  const std::uint32_t end = kV2HeaderBytes + length;
  if (end > kProxyV2BytesMax) return wrong(14, "the PROXY block is longer than 2048 bytes");
  const bool unspecified = family == 0x00;
  if (!unspecified && family != 0x11 && family != 0x21) {
    // Of LOCAL the family says nothing.
    if (command == 1) return wrong(13, "the PROXY block is not of TCP over IPv4 or IPv6");
  }
  const std::uint32_t address_bytes = family == 0x11 ? 12 : family == 0x21 ? 36 : 0;
  if (command == 1 && length < address_bytes) return wrong(14, "the PROXY block is shorter than its addresses");
  if (bytes.size() < end) return {};
  ProxyDecode decoded{.status = ProxyStatus::done, .consumed = end};
  if (command == 0 || unspecified) {
    decoded.header.local = true;
    return decoded;
  }
  if (!check_tlvs(bytes, kV2HeaderBytes + address_bytes, end))
    return wrong(kV2HeaderBytes + address_bytes, "the PROXY block's TLVs do not add up to its length");
  if (family == 0x21) {
    decoded.header.v6 = true;
    return decoded;
  }
  const char* p = bytes.data() + kV2HeaderBytes;
  decoded.header.source = {{read32(p)}, read16(p + 8)};
  decoded.header.destination = {{read32(p + 4)}, read16(p + 10)};
  return decoded;
}

}  // namespace

std::uint32_t write_proxy_v1(const ProxyHeader& header, std::span<char> out) {
  if (out.size() < kProxyV1BytesMax) return 0;
  char* p = out.data();
  char* const end = p + out.size();
  const auto put = [&p](std::string_view text) {
    p = static_cast<char*>(std::memcpy(p, text.data(), text.size())) + text.size();
  };
  if (header.local || header.v6) {
    put("PROXY UNKNOWN\r\n");
    return static_cast<std::uint32_t>(p - out.data());
  }
  const auto number = [&p, end](std::uint32_t value) { p = std::to_chars(p, end, value).ptr; };
  const auto address = [&](Ipv4Address a) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      number(a.value >> shift & 0xff);
      put(shift != 0 ? "." : " ");
    }
  };
  put("PROXY TCP4 ");
  address(header.source.address);
  address(header.destination.address);
  number(header.source.port);
  put(" ");
  number(header.destination.port);
  put("\r\n");
  return static_cast<std::uint32_t>(p - out.data());
}

std::uint32_t write_proxy_v2(const ProxyHeader& header, std::span<char> out) {
  if (out.size() < kProxyV2Bytes) return 0;
  char* p = out.data();
  std::memcpy(p, kV2Signature.data(), kV2Signature.size());
  const bool local = header.local || header.v6;
  p[12] = local ? 0x20 : 0x21;
  p[13] = local ? 0x00 : 0x11;
  write16(p + 14, local ? 0 : 12);
  if (local) return kV2HeaderBytes;
  write32(p + 16, header.source.address.value);
  write32(p + 20, header.destination.address.value);
  write16(p + 24, header.source.port);
  write16(p + 26, header.destination.port);
  return kProxyV2Bytes;
}

ProxyDecode decode_proxy(std::span<const char> bytes) {
  if (bytes.empty()) return {};
  if (bytes[0] == kV2Signature[0]) {
    const std::uint32_t n = matching(bytes, kV2Signature);
    if (n == kV2Signature.size()) return decode_v2(bytes);
    if (n == bytes.size()) return {};
    return wrong(n, "the connection does not begin with a PROXY header");
  }
  const std::uint32_t n = matching(bytes, kV1Start);
  if (n == kV1Start.size()) return decode_v1(bytes);
  if (n == bytes.size()) return {};
  return wrong(n, "the connection does not begin with a PROXY header");
}

}  // namespace sluice::lb::http
