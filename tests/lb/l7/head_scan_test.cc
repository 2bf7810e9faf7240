// Heads that are refused: the status, the byte where reading stops, and the sentence; and what a good head comes to.
//
// Runs on: the test. Covers: head_scan, head_judge, byte_class, http_head.
#include "lb/l7/head_scan.h"

#include <gtest/gtest.h>

#include "lb/l7/byte_class.h"
#include "lb/l7/head_judge.h"
#include "tests/lb/l7/http_forward.h"

namespace sluice::lb::http::test::head_scan_test {
namespace {

struct Refused {
  std::string text;  // whole, from the first byte
  std::uint16_t status;
  std::uint64_t offset;
  const char* reason;  // part of it
};

class RefusedRequest : public testing::TestWithParam<Refused> {};

TEST_P(RefusedRequest, AtItsByteWithItsReason) {
  const Refused& wrong = GetParam();
  Forwarder forwarder(MessageReader::Kind::request);
  const Forwarded result = forwarder.run(wrong.text, whole());
  EXPECT_EQ(result.error.status, wrong.status) << result.error.reason;
  EXPECT_EQ(result.error.offset, wrong.offset) << result.error.reason;
  EXPECT_NE(std::string(result.error.reason).find(wrong.reason), std::string::npos) << result.error.reason;
  EXPECT_TRUE(result.messages.empty() && result.cut.empty());
}

// Offset of `what` in `text`.
Refused at(const std::string& text, std::uint16_t status, const std::string& what, const char* reason) {
  return {text, status, text.find(what), reason};
}

const std::string kStart = "GET / HTTP/1.1\r\nHost: h\r\n";
const std::string kPost = "POST / HTTP/1.1\r\nHost: h\r\n";

INSTANTIATE_TEST_SUITE_P(
    All, RefusedRequest,
    testing::Values(
        Refused{"\x16\x03\x01\x02", 400, 0, "begins with a method"},
        Refused{std::string(40, 'A'), 501, 0, "longer than any"}, at("FOO / HTTP/1.1\r\n\r\n", 501, "FOO", "not known"),
        at("GET /\r\n\r\n", 400, "\r\n", "version is missing"), at("GET /a#b HTTP/1.1\r\n\r\n", 400, "#", "fragment"),
        at("GET /a\xc3\xa9 HTTP/1.1\r\n\r\n", 400, "\xc3", "no URI has"),
        at("GET / HTTP/2.0\r\n\r\n", 505, "2.0", "not HTTP/1.x"),
        at("GET / HTTP/1.11\r\n\r\n", 400, "1\r", "stands more"),
        at("GET / HTTP/1.1 \r\n\r\n", 400, " \r", "stands more"),
        at("GET / HTTP/x.1\r\n\r\n", 400, "x.1", "digit.digit"),
        at(kStart + "A: b\rc\r\n\r\n", 400, "\rc", "CR stands alone"),
        at(kStart + "A: b\x01\r\n\r\n", 400, "\x01", "control byte"),
        at(kStart + std::string("A: b\0c\r\n\r\n", 10), 400, std::string("\0", 1), "NUL"),
        at(kStart + "A b: c\r\n\r\n", 400, " b", "white space"), at(kStart + "A: b\r\n c\r\n\r\n", 400, " c", "folded"),
        at(kStart + "nothing\r\n\r\n", 400, "\r\n\r\n", "no colon"), at(kStart + ": x\r\n\r\n", 400, ": x", "no name"),
        at(kPost + "Content-Length: 5x\r\n\r\n", 400, "x\r", "decimal"),
        at(kPost + "Content-Length: 1000000000000000000\r\n\r\n", 400, "1000", "18 digits"),
        at(kPost + "Content-Length: 7\r\ncontent-length: 7\r\n\r\n", 400, "7\r\n\r\n", "twice"),
        at(kPost + "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "7\r\n", "both"),
        at(kPost + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "chunked\r\n\r\n", "twice"),
        at(kPost + "Transfer-Encoding: gzip\r\n\r\n", 501, "gzip", "exactly chunked"),
        at(kPost + "Transfer-Encoding: gzip, chunked\r\n\r\n", 400, "gzip", "exactly chunked"),
        at("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "chunked", "HTTP/1.0"),
        Refused{"GET / HTTP/1.1\r\n\r\n", 400, 18, "no Host"},
        at("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "a b", "not valid"),
        at("GET / HTTP/1.1\r\nHost: h:99999\r\n\r\n", 400, "h:9", "not valid"),
        at("GET / HTTP/1.1\r\nHost: a@b@h\r\n\r\n", 400, "a@b", "not valid"),
        at("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", 400, "b\r", "differs"),
        at("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "u@a", "not valid"),
        at("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "ftp", "neither"),
        at("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "*", "OPTIONS only"),
        at("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405, "a:1", "CONNECT"),
        at("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405, "/ ", "TRACE"),
        at(kStart + "Expect: something\r\n\r\n", 417, "something", "100-continue"),
        at(kStart + "Connection: a b\r\n\r\n", 400, "a b", "not a token")));

TEST(HeadScan, WhatAGoodRequestComesTo) {
  const std::string text =
      "POST /a/b?c=%20|d HTTP/1.1\r\nHost: Shop.Example:8080\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nX-End:  2 "
      "\r\n"
      "Content-Length: 12\r\nExpect: 100-Continue\r\nTE: trailers\r\n\r\n";
  HttpOptions options;
  Head head;
  const ScanResult scan = scan_head(text, true, options.limits, head);
  ASSERT_EQ(scan.status, ScanStatus::complete);
  EXPECT_FALSE(scan.tolerated);
  EXPECT_EQ(head.length, text.size());
  ASSERT_FALSE(judge_request(head, options));
  EXPECT_EQ(head.method, Method::post);
  EXPECT_EQ(head.path(), "/a/b");
  EXPECT_TRUE(head.target_needs_encoding);
  EXPECT_EQ(head.host, "Shop.Example:8080");
  EXPECT_EQ(head.hostname(), "Shop.Example");
  EXPECT_EQ(head.body, Body::length);
  EXPECT_EQ(head.content_length, 12U);
  EXPECT_TRUE(head.expect_continue && head.te_trailers && head.keep_alive && head.persistent());
  EXPECT_EQ(head.value_of(*head.find("x-end")), "2");
  EXPECT_TRUE(head.find("X-HOP")->hop_by_hop);
  EXPECT_FALSE(head.find("x-end")->hop_by_hop);
  EXPECT_FALSE(head.find("x-end")->canonical);
  EXPECT_TRUE(head.find(FieldId::host)->canonical);
}

TEST(HeadScan, HostIsNeverHopByHop) {
  const std::string text = "GET / HTTP/1.1\r\nHost: h\r\nConnection: Host, close\r\n\r\n";
  Head head;
  const HttpOptions options;
  scan_head(text, true, options.limits, head);
  ASSERT_FALSE(judge_request(head, options));
  EXPECT_FALSE(head.find(FieldId::host)->hop_by_hop);
  EXPECT_TRUE(head.close);
}

TEST(HeadScan, EveryPrefixAsksForMore) {
  const std::string text = kPost + "Content-Length: 3\r\nX: y\r\n\r\n";
  const HttpLimits limits;
  Head head;
  for (std::size_t n = 0; n < text.size(); ++n)
    EXPECT_EQ(scan_head({text.data(), n}, true, limits, head).status, ScanStatus::incomplete) << n;
}

TEST(HeadScan, Limits) {
  HttpLimits limits{.head_bytes_max = 64, .target_bytes_max = 8, .headers_max = 2};
  Head head;
  const auto status = [&](const std::string& text) { return scan_head(text, true, limits, head).error.status; };
  EXPECT_EQ(status("GET /12345678 HTTP/1.1\r\n"), 414);
  EXPECT_EQ(status("GET /123456789"), 414);
  EXPECT_EQ(status("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n"), 431);
  EXPECT_EQ(status("GET / HTTP/1.1\r\nA: " + std::string(64, 'x')), 431);
  EXPECT_EQ(status("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\n\r\n"), 0);
}

TEST(HeadScan, FieldIds) {
  EXPECT_EQ(field_id_of("Content-Length"), FieldId::content_length);
  EXPECT_EQ(field_id_of("TRANSFER-ENCODING"), FieldId::transfer_encoding);
  EXPECT_EQ(field_id_of("Transfer_Encoding"), FieldId::framing_lookalike);
  EXPECT_EQ(field_id_of("content_LENGTH"), FieldId::framing_lookalike);
  EXPECT_EQ(field_id_of("Content.Length"), FieldId::other);
  EXPECT_EQ(field_id_of("x-forwarded-for"), FieldId::forwarded_for);
  EXPECT_EQ(field_id_of("X-Forwarded-Foo"), FieldId::other);
  for (int i = 1; i <= static_cast<int>(Method::source); ++i)
    EXPECT_EQ(method_of(name_of(static_cast<Method>(i))), static_cast<Method>(i));
  EXPECT_EQ(method_of("get"), Method::none);
  EXPECT_EQ(method_of(""), Method::none);
}

TEST(ByteClass, ControlsAreFoundWhereverTheyStand) {
  for (std::size_t n = 0; n < 70; ++n) {
    for (const char c : {'\0', '\r', '\n', '\x1f', '\x7f'}) {
      std::string text(70, 'a');
      text[0] = '\t';
      text[69] = '\xff';
      text[n] = c;
      EXPECT_EQ(find_control(text.data(), text.data() + text.size()), text.data() + n);
    }
  }
  const std::string good = "\t \x80\xff~";
  EXPECT_EQ(find_control(good.data(), good.data() + good.size()), good.data() + good.size());
}

struct ResponseCase {
  std::string text;
  Method method;
  Body body;  // when it is not refused
  bool refused;
};

class JudgedResponse : public testing::TestWithParam<ResponseCase> {};

TEST_P(JudgedResponse, HasItsBody) {
  const ResponseCase& c = GetParam();
  const HttpOptions options;
  ReadScratch scratch;
  MessageReader reader(MessageReader::Kind::response);
  reader.expect_response_to(c.method);
  const Step step = reader.read(c.text, false, options, scratch);
  if (c.refused) {
    EXPECT_EQ(step.kind, StepKind::error);
    EXPECT_EQ(step.error.status, 502);
    return;
  }
  ASSERT_EQ(step.kind, StepKind::head) << step.error.reason;
  EXPECT_EQ(scratch.head.body, c.body);
}

INSTANTIATE_TEST_SUITE_P(
    All, JudgedResponse,
    testing::Values(
        ResponseCase{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Method::get, Body::length, false},
        ResponseCase{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Method::head, Body::none, false},
        ResponseCase{"HTTP/1.1 200\r\n\r\n", Method::get, Body::until_close, false},
        ResponseCase{"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", Method::get, Body::none, false},
        ResponseCase{"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", Method::get, Body::none, false},
        ResponseCase{"HTTP/1.1 100 Continue\r\n\r\n", Method::post, Body::none, false},
        ResponseCase{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Method::get, Body::chunked, false},
        ResponseCase{"HTTP/1.1 200 OK\r\n\r\n", Method::connect, Body::tunnel, false},
        ResponseCase{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n", Method::get,
                     Body::none, true},
        ResponseCase{"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Method::get, Body::none, true},
        ResponseCase{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", Method::get,
                     Body::none, true},
        ResponseCase{"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", Method::get, Body::none, true},
        ResponseCase{"HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\n", Method::get, Body::none, true},
        ResponseCase{"HTTP/1.1 99 Low\r\n\r\n", Method::get, Body::none, true},
        ResponseCase{"HTTP/1.1 600 High\r\n\r\n", Method::get, Body::none, true},
        ResponseCase{"HTTP/2.0 200 OK\r\n\r\n", Method::get, Body::none, true},
        ResponseCase{"ICY 200 OK\r\n\r\n", Method::get, Body::none, true},
        ResponseCase{"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", Method::get, Body::none, true}));

}  // namespace
}  // namespace sluice::lb::http::test::head_scan_test
