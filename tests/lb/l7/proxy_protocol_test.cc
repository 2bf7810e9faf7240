// The PROXY protocol both ways: what is written, what is read, and what is refused at which byte.
//
// Runs on: the test. Covers: proxy_protocol.
#include "lb/l7/proxy_protocol.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace sluice::lb::http::proxy_protocol_test {
namespace {

using namespace std::string_literals;

const ProxyHeader kHeader{.source = {Ipv4Address::from_octets(192, 0, 2, 1), 56324},
                          .destination = {Ipv4Address::from_octets(198, 51, 100, 1), 443}};
const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;
const std::string kV2 = kSignature + "\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb"s;

std::string written(std::uint32_t (*write)(const ProxyHeader&, std::span<char>), const ProxyHeader& header) {
  std::string out(kProxyV1BytesMax, '\0');
  out.resize(write(header, out));
  return out;
}

TEST(ProxyProtocol, Writes) {
  EXPECT_EQ(written(write_proxy_v1, kHeader), "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n");
  EXPECT_EQ(written(write_proxy_v1, {.local = true}), "PROXY UNKNOWN\r\n");
  EXPECT_EQ(written(write_proxy_v2, kHeader), kV2);
  EXPECT_EQ(written(write_proxy_v2, {.local = true}), kSignature + "\x20\0\0\0"s);
  std::string small(20, '\0');
  EXPECT_EQ(write_proxy_v1(kHeader, small), 0U);
  EXPECT_EQ(write_proxy_v2(kHeader, small), 0U);
}

TEST(ProxyProtocol, ReadsBothVersionsFromAnyPieces) {
  for (const std::string& text : {written(write_proxy_v1, kHeader), kV2}) {
    for (std::size_t n = 0; n < text.size(); ++n)
      EXPECT_EQ(decode_proxy({text.data(), n}).status, ProxyStatus::need_bytes) << n;
    const std::string more = text + "GET /";
    const ProxyDecode decoded = decode_proxy(more);
    ASSERT_EQ(decoded.status, ProxyStatus::done) << decoded.reason;
    EXPECT_EQ(decoded.consumed, text.size());
    EXPECT_EQ(decoded.header, kHeader);
  }
}

TEST(ProxyProtocol, ConnectionsThatSpeakForThemselves) {
  for (const std::string& text : {"PROXY UNKNOWN\r\n"s, "PROXY UNKNOWN ffff::1 x 1 2\r\n"s, kSignature + "\x20\0\0\0"s,
                                  kSignature + "\x20\x31\0\x02zz"s, kSignature + "\x21\0\0\0"s}) {
    const ProxyDecode decoded = decode_proxy(text);
    ASSERT_EQ(decoded.status, ProxyStatus::done) << decoded.reason;
    EXPECT_TRUE(decoded.header.local);
    EXPECT_EQ(decoded.consumed, text.size());
  }
  const ProxyDecode v6 = decode_proxy("PROXY TCP6 2001:db8::1 ::2 1 65535\r\n"s);
  EXPECT_EQ(v6.status, ProxyStatus::done) << v6.reason;
  EXPECT_TRUE(v6.header.v6);
  const std::string v6_block = kSignature + "\x21\x21\0\x24"s + std::string(36, 'x');
  EXPECT_TRUE(decode_proxy(v6_block).header.v6);
}

TEST(ProxyProtocol, TlvsAreSkippedButMustAddUp) {
  const std::string start = kSignature + "\x21\x11"s;
  const std::string addresses = kV2.substr(16);
  EXPECT_EQ(decode_proxy(start + "\0\x11"s + addresses + "\x04\0\x02"s + "ab").header, kHeader);
  EXPECT_EQ(decode_proxy(start + "\0\x11"s + addresses + "\x04\0\x03"s + "ab").status, ProxyStatus::error);
  EXPECT_EQ(decode_proxy(start + "\0\x0e"s + addresses + "\x04\0"s).status, ProxyStatus::error);
}

TEST(ProxyProtocol, RefusesAtTheFirstWrongByte) {
  const auto refused = [](const std::string& text, std::uint32_t offset) {
    const ProxyDecode decoded = decode_proxy(text);
    EXPECT_EQ(decoded.status, ProxyStatus::error) << text;
    EXPECT_EQ(decoded.offset, offset) << text << ": " << decoded.reason;
  };
  refused("GET / HTTP/1.1\r\n", 0);
  refused("PROXZ", 4);
  refused("PROXY TCP5 1 2 3 4\r\n", 6);
  refused("PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n", 34);
  refused("PROXY TCP4 192.0.2.300 198.51.100.1 1 2\r\n", 11);
  refused("PROXY TCP4 192.0.2.1 198.51.100.1 65536 2\r\n", 34);
  refused("PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n", 34);
  refused("PROXY TCP4 192.0.2.1  198.51.100.1 1 2\r\n", 11);
  refused("PROXY TCP4 1.1.1.1 1.1.1.1 1 2\rX", 31);
  refused("PROXY TCP4 1.1.1.1\n", 18);
  refused("PROXY UNKNOWN " + std::string(100, 'x'), 107);
  refused("\r\n\r\nX", 4);
  refused(kSignature + "\x11", 12);
  refused(kSignature + "\x22", 12);
  refused(kSignature + "\x21\x12\0\x0c"s, 13);
  refused(kSignature + "\x21\x11\0\x0b"s, 14);
  refused(kSignature + "\x21\x11\xff\xff"s, 14);
}

}  // namespace
}  // namespace sluice::lb::http::proxy_protocol_test
