// The heads that go out, byte for byte: what is kept, dropped, added, and in which form.
//
// Runs on: the test. Covers: head_writer, http_answers.
#include "lb/l7/head_writer.h"

#include <gtest/gtest.h>

#include "lb/l7/http_answers.h"
#include "tests/lb/l7/http_forward.h"
#include "tests/lb/l7/http_reference.h"

namespace sluice::lb::http::test::head_writer_test {
namespace {

std::string request(const std::string& text, const HttpOptions& options = {}, RequestRewrite rewrite = {}) {
  Forwarder forwarder(MessageReader::Kind::request, options);
  rewrite.client = forwarder.rewrite.client;
  rewrite.destination = {forwarder.rewrite.destination.address, 8080};
  forwarder.rewrite = rewrite;
  const Forwarded result = forwarder.run(text, whole());
  EXPECT_FALSE(result.error) << result.error.reason;
  return result.all() + result.cut;
}

std::string response(const std::string& text, Method method, ResponseRewrite rewrite, const HttpOptions& options = {}) {
  ReadScratch scratch;
  MessageReader reader(MessageReader::Kind::response);
  reader.expect_response_to(method, rewrite.pass_upgrade);
  const Step step = reader.read(text, false, options, scratch);
  EXPECT_EQ(step.kind, StepKind::head) << step.error.reason;
  rewrite.options = &options;
  std::string out(head_bytes_needed(scratch.head, options) + rewrite.set_cookie.size(), '\0');
  out.resize(write_response_head(scratch.head, rewrite, out));
  return out;
}

TEST(RequestHead, PlainOnesKeepTheirFields) {
  EXPECT_EQ(request("GET /a?b HTTP/1.1\r\nHost: h\r\nUser-Agent: u\r\nAccept:*/*\r\n\r\n"),
            "GET /a?b HTTP/1.1\r\nHost: h\r\nUser-Agent: u\r\nAccept: */*\r\n\r\n");
}

TEST(RequestHead, HopByHopFieldsEndHere) {
  EXPECT_EQ(request("GET / HTTP/1.1\r\nConnection: close, X-A\r\nX-A: 1\r\nKeep-Alive: 5\r\nTE: gzip\r\nUpgrade: x\r\n"
                    "Proxy-Connection: y\r\nHTTP2-Settings: z\r\nX-B: 2\r\nHost: h\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: h\r\nX-B: 2\r\n\r\n");
}

TEST(RequestHead, TargetsBecomeOriginForm) {
  EXPECT_EQ(request("GET HTTP://H:80/x?y HTTP/1.1\r\nHost: h\r\n\r\n"), "GET /x?y HTTP/1.1\r\nHost: H:80\r\n\r\n");
  EXPECT_EQ(request("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n"), "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(request("GET http://h?q HTTP/1.1\r\nHost: h\r\n\r\n"), "GET /?q HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(request("GET /a\\b{\"c\"} HTTP/1.1\r\nHost: h\r\n\r\n"),
            "GET /a%5Cb%7B%22c%22%7D HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(request("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"), "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
}

TEST(RequestHead, OldClientsWithoutHostGetOne) {
  EXPECT_EQ(request("GET / HTTP/1.0\r\n\r\n"), "GET / HTTP/1.1\r\nHost: 198.51.100.1:8080\r\n\r\n");
}

TEST(RequestHead, LengthsAreWrittenAnew) {
  EXPECT_EQ(request("POST / HTTP/1.1\r\nHost: u@h\r\nContent-Length:\t002\r\nContent_Length: 9\r\n\r\nab"),
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab");
}

TEST(RequestHead, ForwardedFields) {
  HttpOptions options;
  options.forwarded = {true, true, true};
  EXPECT_EQ(request("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n"
                    "x-forwarded-for: 2.2.2.2\r\n\r\n",
                    options),
            "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 192.0.2.7\r\nX-Forwarded-Proto: http\r\n"
            "X-Forwarded-Port: 8080\r\n\r\n");
  // A client cannot make us drop what others have said by naming it in Connection, but it can drop its own.
  EXPECT_EQ(request("GET / HTTP/1.1\r\nHost: h\r\nConnection: X-Forwarded-For\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n",
                    HttpOptions{.forwarded = {.x_forwarded_for = true}}),
            "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n");
}

TEST(RequestHead, Rules) {
  HttpOptions options;
  options.header_rules = {{HeaderRuleSide::request, HeaderRuleAction::insert, "X-New", "1"},
                          {HeaderRuleSide::request, HeaderRuleAction::replace, "Accept", "*/*"},
                          {HeaderRuleSide::request, HeaderRuleAction::remove, "cookie", ""},
                          {HeaderRuleSide::response, HeaderRuleAction::insert, "X-No", "1"}};
  EXPECT_EQ(request("GET / HTTP/1.1\r\nHost: h\r\naccept: a\r\nACCEPT: b\r\nCookie: c\r\nX-New: 0\r\n\r\n", options),
            "GET / HTTP/1.1\r\nHost: h\r\nX-New: 0\r\nX-New: 1\r\nAccept: */*\r\n\r\n");
}

TEST(RequestHead, OurCookieStaysHere) {
  EXPECT_EQ(request("GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1; SRV=x; b=2;\r\nCookie: SRV=y\r\n\r\n", {},
                    {.drop_cookie = "SRV"}),
            "GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1; b=2\r\n\r\n");
}

TEST(RequestHead, ConnectionAndUpgrade) {
  EXPECT_EQ(request("GET / HTTP/1.1\r\nHost: h\r\n\r\n", {}, {.close = true}),
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const std::string text = "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";
  EXPECT_EQ(request(text), "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(request(text, HttpOptions{.upgrade = true}),
            "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
}

TEST(RequestHead, ExpectGoesOnOnlyFromNewClients) {
  EXPECT_EQ(request("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n"),
            "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(request("POST / HTTP/1.0\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n"),
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
}

TEST(RequestHead, TooSmallABufferIsSaid) {
  const std::string text = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  ReadScratch scratch;
  MessageReader reader(MessageReader::Kind::request);
  const HttpOptions options;
  reader.read(text, false, options, scratch);
  std::string out(head_bytes_needed(scratch.head, options) - 1, '\0');
  EXPECT_EQ(write_request_head(scratch.head, {.options = &options}, out), 0U);
}

TEST(ResponseHead, Framing) {
  const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nServer: s\r\n\r\n";
  EXPECT_EQ(response(chunked, Method::get, {.framing = Framing::chunked}),
            "HTTP/1.1 200 OK\r\nServer: s\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(response("HTTP/1.0 404\r\nContent-Length: 3\r\n\r\n", Method::head, {.close = true}),
            "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(response("HTTP/1.1 204 Gone fishing\r\nContent-Length: 3\r\n\r\n", Method::get, {.client_http_1_0 = true}),
            "HTTP/1.1 204 Gone fishing\r\nConnection: keep-alive\r\n\r\n");
}

TEST(ResponseHead, CookieRulesAndInterim) {
  HttpOptions options;
  options.header_rules = {{HeaderRuleSide::response, HeaderRuleAction::remove, "Server", ""},
                          {HeaderRuleSide::response, HeaderRuleAction::insert, "X-By", "sluice"}};
  EXPECT_EQ(
      response("HTTP/1.1 200 OK\r\nServer: s\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n", Method::get,
               {.set_cookie = "SRV=1; path=/"}, options),
      "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nSet-Cookie: SRV=1; path=/\r\nX-By: sluice\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(response("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", Method::get, {.close = true}),
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
  EXPECT_EQ(response("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
                     Method::get, {.pass_upgrade = true}),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
}

TEST(Answers, AreWholeResponses) {
  for (const int code : {400, 404, 405, 408, 413, 414, 417, 431, 500, 501, 502, 503, 504, 505}) {
    const auto status = static_cast<std::uint16_t>(code);
    for (const bool close : {false, true}) {
      const std::string text(answer(status, {.close = close}));
      ReferenceReader reader(text);
      const auto message = reader.response("GET");
      ASSERT_TRUE(message && reader.all()) << text << reader.problem();
      EXPECT_EQ(message->start[1], std::to_string(status));
      EXPECT_NE(message->start[2], "");
      EXPECT_EQ(message->all("connection").size(), close ? 1U : 0U);
      EXPECT_NE(message->body.find(std::to_string(status)), std::string::npos);
      const std::string head(answer(status, {.close = close, .head_request = true}));
      EXPECT_EQ(head, text.substr(0, text.find("\r\n\r\n") + 4));
    }
  }
  EXPECT_EQ(answer(418, {}), answer(400, {}));
  EXPECT_EQ(answer(599, {}), answer(502, {}));
}

TEST(Answers, Redirects) {
  std::string out(200, '\0');
  out.resize(write_redirect(308, "https://h/x", {.close = false}, out));
  EXPECT_EQ(out, "HTTP/1.1 308 Permanent Redirect\r\nLocation: https://h/x\r\nContent-Length: 0\r\n\r\n");
  std::string small(40, '\0');
  EXPECT_EQ(write_redirect(308, "https://h/x", {}, small), 0U);
}

}  // namespace
}  // namespace sluice::lb::http::test::head_writer_test
