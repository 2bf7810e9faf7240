// The engine's parts: validation, regular expressions, the end of an HTTP answer, reasons, types, the deadline heap.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "monitors/conversation.h"
#include "monitors/deadline_heap.h"
#include "monitors/http_answer.h"
#include "monitors/reason.h"
#include "monitors/spec.h"
#include "monitors/types.h"
#include "monitors/validate.h"
#include "tests/monitors/world.h"

namespace sluice::monitors {
namespace {

std::string places(const Monitor& m) {
  std::string all;
  for (const Error& error : validate(m)) all += (all.empty() ? "" : " ") + error.place;
  return all;
}
std::shared_ptr<const Spec> compiled(const Monitor& m) { return Spec::compile(m).value(); }

// ---- validate

TEST(Validate, TheUsualOnesAreFit) {
  EXPECT_EQ(places(http_monitor()), "");
  for (MonitorType type : {MonitorType::tcp, MonitorType::tcp_half_open, MonitorType::udp, MonitorType::gateway_icmp}) {
    EXPECT_EQ(places(monitor_of(type)), "");
  }
}

TEST(Validate, EachFaultNamesItsField) {
  auto with = [](auto change) {
    Monitor m = http_monitor();
    change(m);
    return places(m);
  };
  EXPECT_EQ(with([](Monitor& m) { m.name.clear(); }), "name");
  EXPECT_EQ(with([](Monitor& m) { m.interval = 16s; }), "timeout");
  EXPECT_EQ(with([](Monitor& m) { m.interval = 17s; }), "timeout");
  EXPECT_EQ(with([](Monitor& m) { m.interval = 0s; }), "interval");
  EXPECT_EQ(with([](Monitor& m) { m.interval = -5s; }), "interval");
  EXPECT_EQ(with([](Monitor& m) { m.timeout = 86401s; }), "timeout");
  EXPECT_EQ(with([](Monitor& m) { m.up_interval = 0s; }), "up-interval");
  EXPECT_EQ(with([](Monitor& m) { m.time_until_up = -1s; }), "time-until-up");
  EXPECT_EQ(with([](Monitor& m) { m.recv = "(cka"; }), "recv");
  EXPECT_EQ(with([](Monitor& m) { m.recv_disable = "["; }), "recv-disable");
  EXPECT_EQ(with([](Monitor& m) { m.recv = "(", m.recv_disable = "["; }), "recv recv-disable");
  EXPECT_EQ(with([](Monitor& m) { m.reverse = true, m.recv.clear(); }), "reverse");
  EXPECT_EQ(with([](Monitor& m) { m.reverse = true, m.recv_disable = "x"; }), "recv-disable");
  EXPECT_EQ(with([](Monitor& m) { m.send.assign(5121, 'x'); }), "send");
  EXPECT_EQ(with([](Monitor& m) { m.type = MonitorType::tcp_half_open; }), "send recv");
  EXPECT_EQ(with([](Monitor& m) { m.destination_port = 0; }), "destination");
  EXPECT_EQ(with([](Monitor& m) { m.destination_address = Ipv4Address{}; }), "destination");
  EXPECT_EQ(with([](Monitor& m) { m = monitor_of(MonitorType::gateway_icmp), m.destination_port = 80; }),
            "destination");
}

TEST(Validate, MessagesSayWhatWouldBeRight) {
  Monitor m = http_monitor();
  m.interval = 20s;
  EXPECT_EQ(validate(m).at(0).message,
            "16 s is not longer than the interval, 20 s: 3 × interval + 1 s = 61 s is usual");
  m = http_monitor(), m.recv = "a(b";
  EXPECT_EQ(validate(m).at(0).message, "\"a(b\" is no regular expression (RE2 syntax): missing ): a(b");
}

// ---- regular expressions

TEST(Spec, MatchesBytesAcrossLines) {
  Monitor m = http_monitor();
  m.recv = "^HTTP/1.1 200.*cka\xff";
  EXPECT_EQ(compiled(m)->judge("HTTP/1.1 200 OK\r\n\r\n\0 cka\xff", false),
            Spec::Judgement::wait);  // NUL ends a literal
  EXPECT_EQ(compiled(m)->judge(std::string_view("HTTP/1.1 200 OK\r\n\r\n\0cka\xff", 24), false),
            Spec::Judgement::match);
  EXPECT_EQ(compiled(m)->judge("HTTP/1.1 404 OK\r\n\r\ncka\xff", true), Spec::Judgement::no_match);
}

TEST(Spec, AnEvilExpressionIsNotSlow) {
  Monitor m = http_monitor();
  m.recv = "(a*)*(a*)*(a|aa)+$b";
  const auto spec = compiled(m);
  EXPECT_EQ(spec->judge(std::string(kAnswerMax, 'a'), true), Spec::Judgement::no_match);
}

TEST(Spec, NameAndSpellingDoNotTellMonitorsApart) {
  Monitor a = http_monitor(), b = http_monitor();
  b.name = "b", b.send_written = "x";
  EXPECT_EQ(without_name(a), without_name(b));
  EXPECT_EQ(hash_value(without_name(a)), hash_value(without_name(b)));
  b.reverse = true;
  EXPECT_NE(without_name(a), without_name(b));
}

// ---- HTTP answers

TEST(HttpAnswer, EndsWhereItsFramingSays) {
  struct Case {
    std::string_view answer;
    bool head = false;
  };
  const Case cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
      {"HTTP/1.1 200 OK\r\ncontent-length:5 \r\n\r\nhello"},
      {"HTTP/1.0 200 OK\nContent-Length: 5\n\nhello"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"},
      {"HTTP/1.1 204 No Content\r\n\r\n"},
      {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", true},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
      {"HTTP/1.1 101 Switching Protocols\r\n\r\n"},
  };
  for (const Case& c : cases) {
    EXPECT_TRUE(http_answer_complete(c.answer, c.head)) << c.answer;
    for (std::size_t length = 0; length < c.answer.size(); ++length) {
      EXPECT_FALSE(http_answer_complete(c.answer.substr(0, length), c.head)) << c.answer << " cut at " << length;
    }
  }
}

TEST(HttpAnswer, WithoutFramingOrWithNonsenseItHasNoEnd) {
  for (std::string_view answer : {
           "HTTP/1.1 200 OK\r\n\r\nuntil close",
           "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\nab",
           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
           "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nab\r\n0\r\n\r\n",
           "HTTP/2 200\r\n\r\n",
           "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
           "<html>hello</html>\r\n\r\n",
           "\r\n\r\n",
       }) {
    EXPECT_FALSE(http_answer_complete(answer, false)) << answer;
  }
}

// ---- conversations

TEST(Conversation, ADribbledAnswerIsJudgedABoundedNumberOfTimes) {
  Monitor m = http_monitor();
  m.recv = "x{4000}";  // RE2 refuses repeats over 1000: see below
  EXPECT_FALSE(Spec::compile(m).has_value());
  m.recv = "cka$";
  const auto spec = compiled(m);
  Conversation c;
  c.begin(instant_ns(0));
  EXPECT_EQ(c.connected(*spec), Outcome::talk);
  for (std::size_t i = 0; i + 3 < kAnswerMax - 1; ++i) {
    ASSERT_EQ(c.received(instant_ns(1), *spec, "x"), Outcome::pending);
  }
  EXPECT_EQ(c.received(instant_ns(1), *spec, "cka"), Outcome::pending) << "too few new bytes to look at once more";
  EXPECT_EQ(c.closed(*spec, CloseReason::eof), Outcome::success) << "but the end is always looked at";
}

TEST(Conversation, ResetAfterTheWholeAnswerIsNoFailure) {
  Monitor m = http_monitor();
  m.recv_disable = "maintenance";
  const auto spec = compiled(m);
  Conversation c;
  c.begin(instant_ns(0));
  c.connected(*spec);
  EXPECT_EQ(c.received(instant_ns(1), *spec, "HTTP/1.0 200 OK\r\n\r\nmaintenance"), Outcome::pending);
  EXPECT_EQ(c.closed(*spec, CloseReason::reset), Outcome::success_disabled);
}

// ---- words

TEST(Reason, Texts) {
  EXPECT_EQ(duration_text(16s), "16 s");
  EXPECT_EQ(duration_text(1500ms), "1.5 s");
  EXPECT_EQ(duration_text(250ms), "250 ms");
  EXPECT_EQ(duration_text(86400s), "86400 s");
  EXPECT_EQ(wall_text(std::chrono::sys_days(std::chrono::year(2026) / 1 / 2) + 3h + 4min + 5s), "2026/01/02 03:04:05");
  EXPECT_EQ(printable("a\r\n\x1b[31mb"), "a...[31mb");
  EXPECT_EQ(printable("abcdef", 3), "abc…");
  EXPECT_EQ(answer_text("x"), "1 byte: x");
  EXPECT_EQ(answer_text("HTTP/1.1 404 Not Found\r\n\r\n"), "26 bytes: HTTP/1.1 404 Not Found");
}

TEST(Types, NamesGoBothWays) {
  for (MonitorType type :
       {MonitorType::http, MonitorType::tcp, MonitorType::tcp_half_open, MonitorType::udp, MonitorType::gateway_icmp}) {
    EXPECT_EQ(parse_monitor_type(text(type)), type);
  }
  EXPECT_EQ(parse_monitor_type("tcp_half_open"), MonitorType::tcp_half_open);
  EXPECT_EQ(parse_monitor_type("https"), std::nullopt);
}

// ---- heap

TEST(DeadlineHeap, AgreesWithAMap) {
  std::mt19937 random(7);
  DeadlineHeap heap;
  std::map<std::uint32_t, Instant> model;
  for (int i = 0; i < 50000; ++i) {
    const std::uint32_t id = static_cast<std::uint32_t>(random() % 200);
    const Instant at = random() % 5 == 0 ? kInstantMax : instant_ns(static_cast<std::int64_t>(random() % 10000));
    heap.set(id, at);
    at == kInstantMax ? void(model.erase(id)) : void(model[id] = at);
    Instant first = kInstantMax;
    for (const auto& [_, when] : model) first = std::min(first, when);
    ASSERT_EQ(heap.first(), first);
    ASSERT_EQ(heap.size(), model.size());
    if (!heap.empty()) {
      ASSERT_EQ(model.at(heap.first_id()), first);
    }
  }
}

}  // namespace
}  // namespace sluice::monitors
