// Request smuggling, one named test a trick: refused with its status and the connection closed, or passed on as one
// message that no reader can take for another. In one piece and byte by byte.
//
// Runs on: the test. Covers: message_reader, message_chunks, head_scan, head_judge, head_writer. Through sessions and a
// running sluiced: tests/interop/http_cases.py.
#include <gtest/gtest.h>

#include "tests/lb/l7/http_forward.h"
#include "tests/lb/l7/http_llhttp.h"
#include "tests/lb/l7/http_reference.h"

namespace sluice::lb::http::test::smuggling_test {
namespace {

using namespace std::string_literals;

const std::string kPost = "POST / HTTP/1.1\r\nHost: h\r\n";
const std::string kChunked = kPost + "Transfer-Encoding: chunked\r\n\r\n";

void refused(const std::string& payload, std::uint16_t status, bool end_of_stream = false,
             const HttpOptions& options = {}) {
  for (const Pieces& pieces : {whole(), bytewise()}) {
    Forwarder forwarder(MessageReader::Kind::request, options);
    const Forwarded result = forwarder.run(payload, pieces, end_of_stream);
    EXPECT_EQ(result.error.status, status) << result.error.reason << "\n" << payload << "\n---\n" << result.all();
    EXPECT_TRUE(result.messages.empty()) << result.all();
  }
}

// Goes out as one request with this body, read alike by llhttp and by the tests' own reader.
void one(const std::string& payload, const std::string& body = "") {
  for (const Pieces& pieces : {whole(), bytewise()}) {
    Forwarder forwarder(MessageReader::Kind::request);
    const Forwarded result = forwarder.run(payload, pieces);
    ASSERT_EQ(result.error.status, 0) << result.error.reason << "\n" << payload;
    ASSERT_EQ(result.messages.size(), 1u) << payload;
    ReferenceReader reference(result.messages[0]);
    const auto message = reference.request();
    ASSERT_TRUE(message.has_value()) << reference.problem();
    EXPECT_TRUE(reference.all());
    EXPECT_EQ(message->body, body) << result.messages[0];
    LlhttpReader llhttp;
    EXPECT_EQ(llhttp.read(result.messages[0], true), std::vector<Message>{*message}) << llhttp.problem();
    for (const char* lookalike : {"content_length", "transfer_encoding"})
      EXPECT_TRUE(message->all(lookalike).empty()) << result.messages[0];
  }
}

TEST(Smuggling, ContentLengthWithTransferEncoding) {
  refused(kPost + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", 400);
  refused(kPost + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n",
          400);
  refused(kPost + "Content-Length: 0\r\ntransfer-encoding: CHUNKED\r\n\r\n0\r\n\r\n", 400);
}

TEST(Smuggling, TransferEncodingTwice) {
  refused(kPost + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
  refused(kPost + "Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n\r\n0\r\n\r\n", 400);
  refused(kPost + "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501);
}

TEST(Smuggling, TransferEncodingInDisguise) {
  for (const char* value : {"xchunked", "chunked\v",
                            "\x01"
                            "chunked",
                            "\"chunked\"", "chunked, identity", "identity, chunked", "chunked;q=1", ", chunked",
                            "chunked,", "", "chun ked", "gzip, chunked"}) {
    Forwarder forwarder(MessageReader::Kind::request);
    const Forwarded result = forwarder.run(kPost + "Transfer-Encoding: " + value + "\r\n\r\n0\r\n\r\n", whole());
    EXPECT_TRUE(result.error.status == 400 || result.error.status == 501) << value;
    EXPECT_TRUE(result.messages.empty()) << value;
  }
  one(kPost + "Transfer-Encoding:\tchunked \r\n\r\n1\r\na\r\n0\r\n\r\n", "a");  // white space around is no part of it
  one(kPost + "Transfer_Encoding: chunked\r\n\r\n");                            // some servers take _ for -: not passed
  one("GET / HTTP/1.1\r\nHost: h\r\nContent_Length: 5\r\n\r\n");
  refused("POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
}

TEST(Smuggling, ConnectionCannotNameFramingOrHost) {
  one(kPost + "Connection: Content-Length\r\nContent-Length: 1\r\n\r\na", "a");
  one(kPost + "Connection: Transfer-Encoding, Host\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "a");
}

TEST(Smuggling, ObsFold) {
  refused(kPost + "X-A: b\r\n Transfer-Encoding: chunked\r\n\r\n", 400);
  refused(kPost + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400);
  refused(kPost + "X-A: b\r\n\tc\r\n\r\n", 400);
}

TEST(Smuggling, WhiteSpaceAheadOfTheFirstField) { refused("GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400); }

TEST(Smuggling, BareCarriageReturn) {
  refused(kPost + "X-A: b\rTransfer-Encoding: chunked\r\n\r\n", 400);
  refused("GET / HTTP/1.1\rHost: h\r\n\r\n", 400);
  refused(kPost + "X-A: b\r\r\n\r\n", 400);
  refused("GET / HTTP/1.1\r\nHost: h\r\n\r\r\n", 400);
  refused("\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400);
}

TEST(Smuggling, BareLineFeedsInHeadsBecomeLineEnds) {
  one("POST / HTTP/1.1\nHost: h\nContent-Length: 1\n\na", "a");
  one("GET / HTTP/1.1\r\nHost: h\nX-A: b\r\n\n");
}

TEST(Smuggling, BareLineFeedsInChunkFramingAreRefused) {
  refused(kChunked + "1\na\r\n0\r\n\r\n", 400);
  refused(kChunked + "1\r\na\n0\r\n\r\n", 400);
  refused(kChunked + "1;a=b\nc\r\na\r\n0\r\n\r\n", 400);
  refused(kChunked + "0\r\nX-A: b\n\r\n", 400);
}

TEST(Smuggling, WhiteSpaceAheadOfTheColon) {
  refused(kPost + "Content-Length : 1\r\n\r\na", 400);
  refused(kPost + "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", 400);
  refused(kPost + "Transfer-Encoding \r\n\r\n", 400);
}

TEST(Smuggling, DuplicateContentLength) {
  refused(kPost + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400);
  refused(kPost + "Content-Length: 1\r\ncontent-length: 1\r\n\r\na", 400);
  refused(kPost + "Content-Length: 1, 1\r\n\r\na", 400);
}

TEST(Smuggling, SignedContentLength) {
  for (const char* value : {"+1", "-1", "-0", "0x1", "1e0", "1 0", "1.0", "0b1", "\xb2"})
    refused(kPost + "Content-Length: " + value + "\r\n\r\na", 400);
}

TEST(Smuggling, OversizedContentLength) {
  refused(kPost + "Content-Length: 9999999999999999999\r\n\r\n", 400);
  refused(kPost + "Content-Length: 18446744073709551617\r\n\r\na", 400);  // 2^64 + 1
  refused(kPost + "Content-Length: 4294967297\r\n\r\na", 400, true);      // cut off, not taken for 1
  refused(kPost + "Content-Length: 0000000000000000000000000000001\r\n\r\na", 400);
  one(kPost + "Content-Length: 0000000001\r\n\r\na", "a");
  refused(kPost + "Content-Length:\r\n\r\n", 400);
}

TEST(Smuggling, ChunkSizeOverflow) {
  refused(kChunked + "10000000000000001\r\na\r\n0\r\n\r\n", 400);
  refused(kChunked + "ffffffffffffffff\r\na\r\n0\r\n\r\n", 400);
  refused(kChunked + "fffffffffffffffff1\r\na\r\n0\r\n\r\n", 400);
  refused(kChunked + std::string(100, '0') + "1\r\na\r\n0\r\n\r\n", 400);
  one(kChunked + "0001\r\na\r\n000\r\n\r\n", "a");
}

TEST(Smuggling, ChunkSizeSyntax) {
  for (const std::string& size : {"+1"s, "-1"s, "0x1"s, " 1"s, "1_0"s, "1g"s, ""s, "\t1"s, "1 x"s, "1\0"s})
    refused(kChunked + size + "\r\na\r\n0\r\n\r\n", 400);
}

TEST(Smuggling, ChunkExtensionsAreDropped) {
  for (const char* size : {"1;", "1;a", "1;a=b", "1;a=\"b;c\"", "1 ;a", "1;\xff"}) {
    Forwarder forwarder(MessageReader::Kind::request);
    const Forwarded result = forwarder.run(kChunked + size + "\r\na\r\n0;z=1\r\n\r\n", whole());
    ASSERT_EQ(result.messages.size(), 1u) << size << result.error.reason;
    EXPECT_TRUE(result.messages[0].ends_with("\r\n\r\n1\r\na\r\n0\r\n\r\n")) << result.messages[0];
  }
  refused(kChunked + "1;a=" + std::string(10000, 'x') + "\r\na\r\n0\r\n\r\n", 400);
  refused(kChunked + "1;a\rb\r\na\r\n0\r\n\r\n", 400);
  refused(kChunked + "1;a\x01\r\na\r\n0\r\n\r\n", 400);
}

TEST(Smuggling, ChunkDataIsFollowedByItsLineEnd) {
  refused(kChunked + "1\r\nab\r\n0\r\n\r\n", 400);
  refused(kChunked + "1\r\na0\r\n\r\n", 400);
  refused(kChunked + "1\r\na\rx0\r\n\r\n", 400);
}

TEST(Smuggling, TrailersCannotBecomeFraming) {
  refused(kChunked + "0\r\nContent-Length: 5\r\n\r\n", 400);
  refused(kChunked + "0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
  refused(kChunked + "0\r\nContent_Length: 5\r\n\r\n", 400);
  refused(kChunked + "0\r\nX-A : b\r\n\r\n", 400);
  one(kChunked + "1\r\na\r\n0\r\nHost: evil\r\nAuthorization: x\r\n\r\n", "a");
}

TEST(Smuggling, NulAndControlBytes) {
  using namespace std::string_literals;
  refused("GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n"s, 400);
  refused("GET / HTTP/1.1\r\nHost: h\0\r\n\r\n"s, 400);
  refused("GET / HTTP/1.1\r\nHo\0st: h\r\n\r\n"s, 400);
  for (int c = 1; c < 0x20; ++c) {
    if (c == '\t' || c == '\n' || c == '\r') continue;
    const std::string byte(1, static_cast<char>(c));
    refused("GET /" + byte + " HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    refused("GET / HTTP/1.1\r\nHost: h\r\nX-A: b" + byte + "\r\n\r\n", 400);
    refused("GET / HTTP/1.1\r\nHost: h\r\nX" + byte + ": b\r\n\r\n", 400);
  }
  refused("GET / HTTP/1.1\r\nHost: h\r\nX-A: \x7f\r\n\r\n", 400);
}

TEST(Smuggling, MissingOrDuplicateOrBadHost) {
  refused("GET / HTTP/1.1\r\n\r\n", 400);
  refused("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400);
  refused("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400);
  for (const char* host : {"", "a/b", "a b", "a,b", "a:b", "a:99999", "[::1", "a?b", "a#b", "a\\b"})
    refused(std::string("GET / HTTP/1.1\r\nHost: ") + host + "\r\n\r\n", 400);
  refused("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", 400);
  one("GET http://a/ HTTP/1.1\r\nHost: A:80\r\n\r\n");
}

TEST(Smuggling, TooLongAnything) {
  refused("GET /" + std::string(20000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n", 414);
  refused("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(40000, 'a') + "\r\n\r\n", 431);
  refused("GET / HTTP/1.1\r\nHost: h\r\n" + std::string(40000, 'a') + ": b\r\n\r\n", 431);
  refused(std::string(40, 'A') + " / HTTP/1.1\r\nHost: h\r\n\r\n", 501);
  std::string many = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 100; ++i) many += "X: y\r\n";
  refused(many + "\r\n", 431);
  std::string trailers = kChunked + "0\r\n";
  for (int i = 0; i < 100; ++i) trailers += "X: y\r\n";
  refused(trailers + "\r\n", 431);
  refused(kChunked + "0\r\nX: " + std::string(40000, 'a') + "\r\n\r\n", 431);
  refused("GET / HTTP/1.1\r\nHost: " + std::string(300, 'a') + "\r\n\r\n", 400);
  refused(std::string(20, '\n') + "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400);
  HttpOptions small;
  small.limits.body_bytes_max = 10;
  refused(kPost + "Content-Length: 11\r\n\r\n", 413, false, small);
  refused(kChunked + "b\r\nhello world\r\n0\r\n\r\n", 413, false, small);
}

TEST(Smuggling, PrematureEnd) {
  const std::string request = kChunked + "5\r\nhello\r\n0\r\nX-A: b\r\n\r\n";
  for (std::size_t cut = 1; cut < request.size(); ++cut) refused(request.substr(0, cut), 400, true);
  const std::string with_length = kPost + "Content-Length: 5\r\n\r\nhello";
  for (std::size_t cut = 1; cut < with_length.size(); ++cut) refused(with_length.substr(0, cut), 400, true);
}

TEST(Smuggling, VersionsAndMethods) {
  refused("GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505);
  refused("GET / HTTP/0.9\r\nHost: h\r\n\r\n", 505);
  refused("GET /\r\n", 400);
  refused("GET / http/1.1\r\nHost: h\r\n\r\n", 400);
  refused("GET / HTTP/1.1 x\r\nHost: h\r\n\r\n", 400);
  refused("GET / HTTP/01.1\r\nHost: h\r\n\r\n", 400);
  refused("GE\tT / HTTP/1.1\r\nHost: h\r\n\r\n", 400);
  refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 501);
  refused("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 405);
}

TEST(Smuggling, WhatFollowsARequestIsAnotherRequest) {
  for (const Pieces& pieces : {whole(), bytewise()}) {
    Forwarder forwarder(MessageReader::Kind::request);
    const Forwarded result = forwarder.run(
        "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: h\r\n\r\n", pieces);
    ASSERT_EQ(result.messages.size(), 2u);
    EXPECT_TRUE(result.messages[0].ends_with("\r\n\r\nabc"));
    EXPECT_TRUE(result.messages[1].starts_with("GET /2 "));
  }
}

// An incomplete head is refused at the very byte at which a whole one would be.
TEST(HeadInPieces, IsRefusedNoLaterThanAWholeOne) {
  using namespace std::string_literals;
  for (const std::string& bad :
       {"GET / HTTP/1.1\r\nHost: h\r\nX-A: "s + std::string(3000, 'v') + "\x01"s, "GET /"s + std::string(17000, 'p'),
        "GET / HTTP/1.1\r\nHost: h\r\n"s + std::string(2000, 'n') + " "s, "GET / HTTP/1.1\r\nHost: h\r\n "s,
        "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\nC: d\r\nE f"s, "GET / HTTP/1.2x"s, "G(T"s}) {
    Forwarder once(MessageReader::Kind::request);
    const Forwarded expected = once.run(bad, whole());
    ASSERT_NE(expected.error.status, 0) << bad.substr(0, 40);
    for (const std::size_t piece : {1u, 3u, 100u, 1000u}) {
      Forwarder many(MessageReader::Kind::request);
      const Forwarded result = many.run(bad, [piece](std::size_t) { return piece; });
      EXPECT_EQ(result.error.status, expected.error.status) << piece << result.error.reason;
      EXPECT_EQ(result.error.offset, expected.error.offset) << piece << result.error.reason;
      EXPECT_STREQ(result.error.reason, expected.error.reason) << piece;
    }
  }
}

}  // namespace
}  // namespace sluice::lb::http::test::smuggling_test
