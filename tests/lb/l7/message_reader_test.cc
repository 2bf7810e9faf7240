// Heads and bodies in steps: zero copy, re-framing, trailers, limits, ends that come too early, the gather budget.
//
// Runs on: the test. Covers: message_reader, message_chunks.
#include "lb/l7/message_reader.h"

#include <gtest/gtest.h>

#include "tests/lb/l7/http_forward.h"
#include "tests/lb/l7/http_reference.h"

namespace sluice::lb::http::test::message_reader_test {
namespace {

const std::string kChunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
const std::string kChunkedAnswer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

Forwarded request(const std::string& text, const HttpOptions& options = {}, bool end_of_stream = false) {
  return Forwarder(MessageReader::Kind::request, options).run(text, whole(), end_of_stream);
}

TEST(MessageReader, AHeadInOnePieceIsReadWhereItLies) {
  const std::string text = "GET /x HTTP/1.1\r\nHost: h\r\n\r\nGET /y";
  ReadScratch scratch;
  MessageReader reader(MessageReader::Kind::request);
  const Step step = reader.read(text, false, {}, scratch);
  ASSERT_EQ(step.kind, StepKind::head);
  EXPECT_EQ(step.consumed, text.size() - 6);
  EXPECT_EQ(scratch.head.bytes, text.data());
  EXPECT_EQ(scratch.budget.bytes_used, 0U);
  EXPECT_EQ(reader.read({}, false, {}, scratch).kind, StepKind::end);
  EXPECT_TRUE(reader.at_message_start());
}

TEST(MessageReader, AHeadInPiecesIsGathered) {
  const std::string text = "GET /x HTTP/1.1\r\nHost: h\r\n\r\nrest";
  ReadScratch scratch;
  MessageReader reader(MessageReader::Kind::request);
  EXPECT_EQ(reader.read({text.data(), 10}, false, {}, scratch).kind, StepKind::need_bytes);
  EXPECT_TRUE(reader.in_head());
  EXPECT_GT(scratch.budget.bytes_used, 0U);
  const Step step = reader.read({text.data() + 10, text.size() - 10}, false, {}, scratch);
  ASSERT_EQ(step.kind, StepKind::head);
  EXPECT_EQ(step.consumed, text.size() - 10 - 4);
  EXPECT_EQ(scratch.head.target, "/x");
  EXPECT_EQ(reader.read({}, false, {}, scratch).kind, StepKind::end);
  EXPECT_EQ(scratch.budget.bytes_used, 0U);
}

TEST(MessageReader, TheBudgetIsALimit) {
  ReadScratch scratch;
  scratch.budget.bytes_max = 1024;
  std::vector<std::unique_ptr<MessageReader>> readers;
  std::uint16_t status = 0;
  for (int i = 0; i < 3; ++i) {
    readers.push_back(std::make_unique<MessageReader>(MessageReader::Kind::request));
    status = readers.back()->read(std::string_view("GET /"), false, {}, scratch).error.status;
    EXPECT_EQ(status, i < 2 ? 0 : 503);
  }
  readers.clear();
  EXPECT_EQ(scratch.budget.bytes_used, 0U);
}

TEST(MessageReader, ALongHeadByteForByteEndsAtTheLimit) {
  HttpOptions options;
  options.limits.head_bytes_max = 2000;
  Forwarder forwarder(MessageReader::Kind::request, options);
  const Forwarded result = forwarder.run("GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(5000, 'a'), bytewise());
  EXPECT_EQ(result.error.status, 431);
  EXPECT_EQ(forwarder.scratch().budget.bytes_used, 0U);
}

TEST(MessageReader, NonsenseInPiecesIsRefusedBeforeTheLimit) {
  // The bad byte is the 20th; it is looked at again when the gathered bytes have doubled.
  const Forwarded result =
      Forwarder(MessageReader::Kind::request).run("GET / HTTP/1.1\r\nA B" + std::string(100, 'x'), bytewise());
  EXPECT_EQ(result.error.status, 400);
  EXPECT_EQ(result.error.offset, 17U);
}

TEST(MessageReader, CanonicalChunksGoOutAsTheyLie) {
  const std::string body = "5\r\nhello\r\n3\r\nabc\r\n";
  ReadScratch scratch;
  MessageReader reader(MessageReader::Kind::request);
  reader.read(kChunked, false, {}, scratch);
  const std::string text = body + "0\r\n\r\n";
  Step step = reader.read(text, false, {}, scratch);
  ASSERT_EQ(step.kind, StepKind::body);
  EXPECT_TRUE(step.prefix.empty());
  EXPECT_EQ(step.body_offset, 0U);
  EXPECT_EQ(step.body_length, body.size());
  step = reader.read({text.data() + step.consumed, text.size() - step.consumed}, false, {}, scratch);
  ASSERT_EQ(step.kind, StepKind::end);
  std::string tail(reader.tail_bytes(), ' ');
  reader.write_tail(tail);
  EXPECT_EQ(tail, "0\r\n\r\n");
}

TEST(MessageReader, OtherChunksAreFramedAnew) {
  const auto body = [](const std::string& chunks) {
    const Forwarded result = request(kChunked + chunks);
    EXPECT_FALSE(result.error) << result.error.reason;
    const std::string out = result.all();
    return out.substr(out.find("\r\n\r\n") + 4);
  };
  EXPECT_EQ(body("005;a=\"b\"\r\nhello\r\n000\r\n\r\n"), "5\r\nhello\r\n0\r\n\r\n");
  EXPECT_EQ(body("5 \r\nhello\r\nA;x\r\n0123456789\r\n0;last\r\n\r\n"), "5\r\nhello\r\na\r\n0123456789\r\n0\r\n\r\n");
  EXPECT_EQ(body("0\r\n\r\n"), "0\r\n\r\n");
}

TEST(MessageReader, BadChunksStopWhereTheyAreBad) {
  const auto refused = [](const std::string& chunks, std::uint64_t offset) {
    const Forwarded result = request(kChunked + chunks);
    EXPECT_EQ(result.error.status, 400) << chunks;
    EXPECT_EQ(result.error.offset, kChunked.size() + offset) << chunks << ": " << result.error.reason;
    EXPECT_TRUE(result.messages.empty());
  };
  refused("x\r\n", 0);
  refused("5\nhello\r\n", 1);
  refused("5\r\nhelloX\r\n", 8);
  refused("5\r\nhello\rX", 9);
  refused("5;a\x01\r\n", 3);
  refused("5;a\n", 3);
  refused("5 5\r\n", 2);
  refused("1000000000000000\r\n", 15);
  refused("0\r\nContent-Length: 3\r\n\r\n", 3);
  refused("0\r\nA: b\nB: c\r\n\r\n", 7);
  refused("5;" + std::string(9000, 'x') + "\r\n", 2 + 8192);
}

TEST(MessageReader, TrailersThatMayPassDo) {
  const Forwarded result =
      request(kChunked + "1\r\na\r\n0\r\nX-Sum:7\r\nHost: evil\r\nAuthorization: x\r\nX-More: y \r\n\r\n");
  ReferenceReader reader(result.messages.at(0));
  const auto message = reader.request();
  ASSERT_TRUE(message && reader.all()) << reader.problem();
  const std::vector<std::pair<std::string, std::string>> expected = {{"x-sum", "7"}, {"x-more", "y"}};
  EXPECT_EQ(message->trailers, expected);
}

TEST(MessageReader, ChunksToAnOldClientAreBytes) {
  Forwarder forwarder(MessageReader::Kind::response);
  forwarder.methods = {Method::get};
  forwarder.client_http_1_0 = true;
  const Forwarded result = forwarder.run(kChunkedAnswer + "5;x\r\nhello\r\n1\r\n!\r\n0\r\nX-T: a\r\n\r\n", whole());
  EXPECT_EQ(result.messages.at(0), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello!");
}

TEST(MessageReader, ABodyUntilCloseBecomesChunks) {
  Forwarder forwarder(MessageReader::Kind::response);
  forwarder.methods = {Method::get};
  const std::string head = "HTTP/1.0 200 OK\r\n\r\n";
  const Forwarded result = forwarder.run(head + "hello world", split_at(head.size() + 5), true);
  ReferenceReader reader(result.messages.at(0));
  const auto message = reader.response("GET");
  ASSERT_TRUE(message && reader.all()) << reader.problem();
  EXPECT_TRUE(message->chunked);
  EXPECT_EQ(message->body, "hello world");
}

TEST(MessageReader, WhatIsCutOffIsAnError) {
  const auto cut = [](MessageReader::Kind kind, const std::string& text) {
    Forwarder forwarder(kind);
    forwarder.methods = {Method::get};
    return forwarder.run(text, whole(), true);
  };
  EXPECT_EQ(cut(MessageReader::Kind::request, "GET / HT").error.status, 400);
  EXPECT_EQ(cut(MessageReader::Kind::request, kChunked + "5\r\nhel").error.status, 400);
  EXPECT_EQ(cut(MessageReader::Kind::request, kChunked + "0\r\nX: y").error.status, 400);
  EXPECT_EQ(cut(MessageReader::Kind::response, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel").error.status, 502);
  EXPECT_EQ(cut(MessageReader::Kind::response, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhel").error.status, 0);
  EXPECT_EQ(cut(MessageReader::Kind::request, "").error.status, 0);
  EXPECT_EQ(cut(MessageReader::Kind::request, "\r\n").error.status, 0);
}

TEST(MessageReader, BodiesBeyondTheLimit) {
  HttpOptions options;
  options.limits.body_bytes_max = 8;
  EXPECT_EQ(request("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n", options).error.status, 413);
  EXPECT_EQ(request("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\n12345678", options).error.status, 0);
  EXPECT_EQ(request(kChunked + "4\r\nabcd\r\n5\r\nabcde\r\n0\r\n\r\n", options).error.status, 413);
  EXPECT_EQ(request(kChunked + "4\r\nabcd\r\n4\r\nabcd\r\n0\r\n\r\n", options).error.status, 0);
}

TEST(MessageReader, PipelinedRequests) {
  const Forwarded result =
      request("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab\r\n" +
              kChunked + "1\r\nx\r\n0\r\n\r\nGET /4 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_FALSE(result.error) << result.error.reason;
  EXPECT_EQ(result.messages.size(), 4U);
}

TEST(MessageReader, EmptyLinesAheadAreBounded) {
  EXPECT_EQ(request("\r\n\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n").messages.size(), 1U);
  EXPECT_EQ(request(std::string(17, '\n')).error.status, 400);
  EXPECT_EQ(request("\r\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n").error.status, 400);
}

TEST(MessageReader, AnUpgradeBecomesATunnel) {
  const std::string answer =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x05";
  ReadScratch scratch;
  MessageReader reader(MessageReader::Kind::response);
  reader.expect_response_to(Method::get, true);
  Step step = reader.read(answer, false, {}, scratch);
  ASSERT_EQ(step.kind, StepKind::head) << step.error.reason;
  EXPECT_EQ(scratch.head.body, Body::tunnel);
  step = reader.read(std::string_view("\x81\x05"), false, {}, scratch);
  EXPECT_EQ(step.kind, StepKind::body);
  EXPECT_EQ(step.body_length, 2U);
  EXPECT_EQ(reader.read({}, true, {}, scratch).kind, StepKind::end);
}

TEST(MessageReader, BothReadersKnowEveryMethod) {
  for (int i = 1; i <= static_cast<int>(Method::source); ++i) {
    const std::string method(name_of(static_cast<Method>(i)));
    HttpOptions options;
    options.connect_method = options.trace_method = true;
    const std::string target = method == "CONNECT" ? "h:443" : "/";
    const Forwarded result = request(method + ' ' + target + " HTTP/1.1\r\nHost: h\r\n\r\n", options);
    EXPECT_EQ(result.messages.size(), 1U) << method << ": " << result.error.reason;
  }
}

TEST(MessageReader, ARefusedMessageStaysRefused) {
  ReadScratch scratch;
  MessageReader reader(MessageReader::Kind::request);
  EXPECT_EQ(reader.read(std::string_view("BAD"), true, {}, scratch).kind, StepKind::error);
  EXPECT_EQ(reader.read(std::string_view("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), false, {}, scratch).kind,
            StepKind::error);
}

}  // namespace
}  // namespace sluice::lb::http::test::message_reader_test
