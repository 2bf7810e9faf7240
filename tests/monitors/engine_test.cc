// The engine's rules, one test each, with a virtual clock.
#include "monitors/engine.h"

#include "tests/monitors/world.h"

namespace sluice::monitors {
namespace {

// ---- up and down

TEST(Engine, UpOnTheFirstSuccess) {
  World w;
  w.configure(plan_of({http_monitor()}));
  EXPECT_EQ(w.health(), Health::checking);
  const Instant start = w.now;
  const AttemptId id = w.await_open();
  EXPECT_LE(w.now - start, 1s) << "a new member is probed soon";
  EXPECT_EQ(w.open[id].to, kMember);
  EXPECT_EQ(w.open[id].transport, Transport::tcp);
  EXPECT_EQ(w.open[id].sent, "");
  w.connect(id);
  EXPECT_EQ(w.open[id].sent, http_monitor().send);
  w.receive(id, kGood);
  EXPECT_EQ(w.health(), Health::up);
  EXPECT_TRUE(w.open.empty()) << "closed once matched, without waiting for the server";
  ASSERT_EQ(w.changes.size(), 1U);
  EXPECT_EQ(w.changes[0].key, 1U);
  EXPECT_EQ(w.changes[0].health, Health::up);
  EXPECT_EQ(w.changes[0].reason, "http: match for \"cka\" in 51 bytes: HTTP/1.1 200 OK");
}

TEST(Engine, NoMatchTakesItDownOnlyAtTheTimeout) {
  World w;
  w.engine.set_wall_clock(w.now, std::chrono::sys_days(std::chrono::year(2026) / 11 / 22) + 17h + 36min);
  w.configure(plan_of({http_monitor()}));
  w.answer(kGood);
  const Instant success = w.now;
  while (w.now < success + 10s) w.answer(kNotFound);
  EXPECT_EQ(w.health(), Health::up);
  EXPECT_TRUE(w.open.empty()) << "a complete answer without a match ends the attempt";
  while (w.health() == Health::up && w.now < success + 20s) w.answer(kNotFound);
  const std::string reason = w.reason();
  EXPECT_TRUE(reason.starts_with("http: No successful responses received before deadline. @2026/11/22 17:36:1"))
      << reason;
  EXPECT_TRUE(reason.ends_with(". no match for \"cka\" in 54 bytes: HTTP/1.1 404 Not Found")) << reason;
  EXPECT_EQ(w.changes.back().health, Health::down);
}

TEST(Engine, TheTimeoutRunsFromTheLastSuccessToTheNanosecond) {
  World w;
  w.configure(plan_of({http_monitor()}));
  w.answer(kGood);
  const Instant success = w.now;
  w.run(16s - 1ns);
  EXPECT_EQ(w.health(), Health::up);
  w.run(1ns);
  EXPECT_EQ(w.health(), Health::down);
  EXPECT_EQ(w.status().since, success + 16s);
  EXPECT_TRUE(w.open.empty()) << "attempts in flight end with the verdict";
}

TEST(Engine, WithoutAnySuccessTheTimeoutRunsFromTheFirstAttempt) {
  World w;
  w.configure(plan_of({http_monitor()}));
  w.await_open();
  w.run(16s - 1ns);
  EXPECT_EQ(w.health(), Health::checking);
  w.run(1ns);
  EXPECT_EQ(w.health(), Health::down);
  EXPECT_NE(w.reason().find("connect timed out after 16 s"), std::string::npos) << w.reason();
}

TEST(Engine, RefusedResetUnreachableAreDownAtOnce) {
  for (CloseReason how : {CloseReason::refused, CloseReason::reset, CloseReason::unreachable}) {
    World w;
    w.configure(plan_of({http_monitor()}));
    w.answer(kGood);
    ASSERT_EQ(w.health(), Health::up);
    w.end(w.await_open(), how);
    EXPECT_EQ(w.health(), Health::down);
    EXPECT_EQ(w.changes.size(), 2U);
    w.answer(kGood);
    EXPECT_EQ(w.health(), Health::up);
  }
}

TEST(Engine, ResetAfterConnectWithHalfAnAnswerIsDownAtOnce) {
  World w;
  w.configure(plan_of({http_monitor()}));
  const AttemptId id = w.await_open();
  w.connect(id);
  w.receive(id, "HTTP/1.1 200 OK\r\n");
  w.end(id, CloseReason::reset);
  EXPECT_EQ(w.health(), Health::down);
  EXPECT_EQ(w.reason(), "http: connection reset before a match.");
}

TEST(Engine, ClosedWithoutAnAnswerWaitsForTheTimeout) {
  World w;
  w.configure(plan_of({http_monitor()}));
  const AttemptId id = w.await_open();
  w.connect(id);
  w.end(id, CloseReason::eof);
  EXPECT_EQ(w.health(), Health::checking);
  EXPECT_EQ(w.reason(), "http: connection closed without an answer");
  w.run(17s);
  EXPECT_EQ(w.health(), Health::down);
}

TEST(Engine, ALocalErrorIsNoVerdict) {
  World w;
  w.configure(plan_of({http_monitor()}));
  w.answer(kGood);
  for (int i = 0; i < 20; ++i) w.end(w.await_open(), CloseReason::local_error, "Too many open files");
  EXPECT_EQ(w.health(), Health::up);
  EXPECT_EQ(w.engine.stats().local_errors, 20U);
  w.run(30s);  // but now attempts go out and nothing comes back
  EXPECT_EQ(w.health(), Health::down);
}

TEST(Engine, ALocalErrorIsTheReasonWhileChecking) {
  World w;
  w.configure(plan_of({http_monitor()}));
  w.end(w.await_open(), CloseReason::local_error, "Too many open files");
  EXPECT_EQ(w.health(), Health::checking);
  EXPECT_EQ(w.reason(), "http: probe not possible here: Too many open files");
}

// ---- answers

TEST(Engine, TheAnswerMayComeInPiecesAndOverKeepAlive) {
  World w;
  w.configure(plan_of({http_monitor()}));
  const AttemptId id = w.await_open();
  w.connect(id);
  for (char c : kGood) {
    if (!w.open.contains(id)) break;
    w.receive(id, {&c, 1});
  }
  EXPECT_EQ(w.health(), Health::up);
  EXPECT_TRUE(w.open.empty());
}

TEST(Engine, OnlyTheFirst5120BytesCount) {
  for (bool inside : {true, false}) {
    World w;
    w.configure(plan_of({http_monitor()}));
    const AttemptId id = w.await_open();
    w.connect(id);
    std::string answer = "HTTP/1.1 200 OK\r\n\r\n";
    answer.resize(kAnswerMax - (inside ? 3 : 2), 'x');
    answer += "cka";
    w.receive(id, answer.substr(0, 1000));
    w.receive(id, answer.substr(1000));
    EXPECT_EQ(w.health(), inside ? Health::up : Health::checking);
    EXPECT_TRUE(w.open.empty());
  }
}

TEST(Engine, EmptyRecvTakesAnyAnswer) {
  World w;
  Monitor m = http_monitor();
  m.recv.clear();
  w.configure(plan_of({m}));
  w.answer("HTTP/1.1 500 Oops\r\n");
  EXPECT_EQ(w.health(), Health::up);
  EXPECT_EQ(w.reason(), "http: answered with 19 bytes: HTTP/1.1 500 Oops");
}

TEST(Engine, EmptySendAndRecvOnlyConnects) {
  World w;
  w.configure(plan_of({monitor_of(MonitorType::tcp)}));
  w.connect(w.await_open());
  EXPECT_EQ(w.health(), Health::up);
  EXPECT_TRUE(w.open.empty());
  EXPECT_EQ(w.reason(), "m: connected");
}

TEST(Engine, RecvDisableDisablesTheSession) {
  Monitor m = http_monitor();
  m.recv_disable = "maintenance";
  World w;
  w.configure(plan_of({m}));
  w.answer("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nmaintenance");
  EXPECT_EQ(w.health(), Health::up);
  EXPECT_TRUE(w.status().session_disabled);
  w.answer("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\nmaintenance cka");
  EXPECT_FALSE(w.status().session_disabled) << "recv goes before recv-disable";
  w.answer("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nmaintenance");
  EXPECT_TRUE(w.status().session_disabled);
  ASSERT_EQ(w.changes.size(), 3U);
  EXPECT_EQ(w.changes[2].reason, "http: match for recv-disable \"maintenance\" in 50 bytes: HTTP/1.1 200 OK");
  w.refuse();
  EXPECT_FALSE(w.status().session_disabled);
  EXPECT_EQ(w.health(), Health::down);
}

TEST(Engine, AnAnswerOfUnknownLengthEndsWithQuiet) {
  Monitor m = monitor_of(MonitorType::tcp);
  m.recv = "cka", m.recv_disable = "maintenance";
  World w;
  w.configure(plan_of({m}));
  const AttemptId id = w.await_open();
  w.connect(id);
  w.receive(id, "mainte");
  w.run(900ms);
  w.receive(id, "nance\n");
  w.run(999ms);
  EXPECT_EQ(w.health(), Health::checking);
  w.run(1ms);
  EXPECT_EQ(w.health(), Health::up);
  EXPECT_TRUE(w.status().session_disabled);
}

TEST(Engine, ReverseInvertsAndAMatchIsDownAtOnce) {
  Monitor m = http_monitor();
  m.recv = "Error", m.reverse = true;
  World w;
  w.configure(plan_of({m}));
  w.answer(kGood);
  EXPECT_EQ(w.health(), Health::up);
  w.answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nError");
  EXPECT_EQ(w.health(), Health::down);
  EXPECT_EQ(w.reason(), "http: match for \"Error\" (reverse) in 43 bytes: HTTP/1.1 200 OK.");
  w.answer(kGood);
  EXPECT_EQ(w.health(), Health::up);
}

TEST(Engine, ReverseDoesNotTakeSilenceForAbsence) {
  Monitor m = http_monitor();
  m.recv = "Error", m.reverse = true;
  World w;
  w.configure(plan_of({m}));
  const AttemptId id = w.await_open();
  w.connect(id);
  w.end(id, CloseReason::eof);
  EXPECT_EQ(w.health(), Health::checking);
}

// ---- other types

TEST(Engine, HalfOpenIsUpWhenConnected) {
  World w;
  w.configure(plan_of({monitor_of(MonitorType::tcp_half_open)}));
  const AttemptId id = w.await_open();
  EXPECT_EQ(w.open[id].transport, Transport::tcp_half_open);
  w.connect(id);
  EXPECT_EQ(w.health(), Health::up);
  EXPECT_TRUE(w.open.empty());
}

TEST(Engine, UdpWithRecvNeedsAMatchingDatagram) {
  Monitor m = monitor_of(MonitorType::udp);
  m.send = "ping", m.recv = "^pong";
  World w;
  w.configure(plan_of({m}));
  w.answer("what?");
  EXPECT_EQ(w.health(), Health::checking);
  EXPECT_TRUE(w.open.empty());
  w.answer("pong");
  EXPECT_EQ(w.health(), Health::up);
  w.run(16s - 1ns);
  EXPECT_EQ(w.health(), Health::up);
  w.run(1ns);
  EXPECT_EQ(w.health(), Health::down);
}

TEST(Engine, UdpWithoutRecvTakesSilenceButNotAnIcmpError) {
  Monitor m = monitor_of(MonitorType::udp);
  m.send = "x";
  World w;
  w.configure(plan_of({m}));
  const AttemptId id = w.await_open();
  w.connect(id);
  EXPECT_EQ(w.open[id].sent, "x");
  w.run(2999ms);
  EXPECT_EQ(w.health(), Health::checking);
  w.run(1ms);
  EXPECT_EQ(w.health(), Health::up);
  const AttemptId second = w.newest().generation != 0 ? w.newest() : w.await_open();
  w.end(second, CloseReason::refused);
  EXPECT_EQ(w.health(), Health::down);
}

TEST(Engine, GatewayIcmpPingsTheAddress) {
  World w;
  w.configure(plan_of({monitor_of(MonitorType::gateway_icmp)}));
  const AttemptId id = w.await_open();
  EXPECT_EQ(w.open[id].transport, Transport::icmp_echo);
  EXPECT_EQ(w.open[id].to, (Ipv4Endpoint{kMember.address, 0}));
  w.connect(id);
  w.receive(id, "");
  EXPECT_EQ(w.health(), Health::up);
}

// ---- timing

TEST(Engine, OneAttemptAnInterval) {
  World w;
  w.configure(plan_of({http_monitor()}));
  w.answer(kGood);
  w.answer(kGood);  // the second falls anywhere in the interval
  const Instant second = w.now;
  for (int i = 1; i <= 10; ++i) {
    w.answer(kGood);
    EXPECT_EQ(w.now, second + i * 5s);
  }
}

TEST(Engine, UpIntervalWhileUpIntervalWhileDown) {
  Monitor m = http_monitor();
  m.up_interval = 60s;
  World w;
  w.configure(plan_of({m}));
  w.answer(kGood);
  Instant last = w.now;
  w.answer(kGood);
  EXPECT_EQ(w.now - last, 60s);
  last = w.now;
  w.refuse();
  EXPECT_EQ(w.now - last, 60s);
  EXPECT_EQ(w.health(), Health::down);
  last = w.now;
  w.refuse();
  EXPECT_EQ(w.now - last, 5s);
}

TEST(Engine, UpIntervalLongerThanTheTimeoutDoesNotTakeItDown) {
  Monitor m = http_monitor();
  m.up_interval = 60s;
  World w;
  w.configure(plan_of({m}));
  for (int i = 0; i < 5; ++i) {
    w.answer(kGood);
    EXPECT_EQ(w.health(), Health::up);
  }
  w.await_open();
  w.run(10s);
  EXPECT_EQ(w.health(), Health::up);
  w.run(1s);
  EXPECT_EQ(w.health(), Health::down) << "timeout - interval after the first unanswered attempt";
}

TEST(Engine, TimeUntilUpNeedsAllToBeWell) {
  Monitor m = http_monitor();
  m.time_until_up = 20s;
  World w;
  w.configure(plan_of({m}));
  w.answer(kGood);
  w.answer(kGood);
  EXPECT_EQ(w.health(), Health::checking);
  EXPECT_EQ(w.reason(), "http: answers well, time-until-up is running");
  w.answer(kNotFound);  // begins anew
  w.answer(kGood);
  const Instant good = w.now;
  for (int i = 0; i < 3; ++i) w.answer(kGood);
  EXPECT_EQ(w.health(), Health::checking);
  w.run(good + 20s - w.now);
  EXPECT_EQ(w.health(), Health::up);
  EXPECT_EQ(w.status().since, good + 20s);
}

TEST(Engine, TimeUntilUpEndsWhenAnswersStop) {
  Monitor m = http_monitor();
  m.time_until_up = 30s;
  World w;
  w.configure(plan_of({m}));
  w.answer(kGood);
  w.run(29s);
  EXPECT_EQ(w.health(), Health::down);
}

TEST(Engine, ManualResumeHoldsItDown) {
  Monitor m = http_monitor();
  m.manual_resume = true;
  World w;
  w.configure(plan_of({m}));
  w.answer(kGood);
  EXPECT_EQ(w.health(), Health::up) << "the first time needs no hand";
  w.refuse();
  w.answer(kGood);
  EXPECT_EQ(w.health(), Health::down);
  EXPECT_NE(w.reason().find("manual-resume holds it down"), std::string::npos) << w.reason();
  EXPECT_FALSE(w.engine.resume(w.now, 99));
  EXPECT_TRUE(w.engine.resume(w.now, 1));
  w.settle();
  EXPECT_EQ(w.health(), Health::up);
  w.refuse();
  EXPECT_TRUE(w.engine.resume(w.now, 1));  // while it is bad: takes effect with the next success
  EXPECT_EQ(w.health(), Health::down);
  w.answer(kGood);
  EXPECT_EQ(w.health(), Health::up);
}

TEST(Engine, ASlowMemberIsUpBecauseAttemptsOverlap) {
  World w;
  w.configure(plan_of({http_monitor()}));
  const AttemptId first = w.await_open();
  w.connect(first);
  w.run(12s);
  EXPECT_GE(w.open.size(), 3U);
  w.receive(first, kGood);
  EXPECT_EQ(w.health(), Health::up);
  EXPECT_FALSE(w.open.contains(first));
  EXPECT_GE(w.open.size(), 2U) << "the younger ones go on";
}

TEST(Engine, WithTooManyAttemptsTheYoungestGivesWay) {
  Monitor m = http_monitor();
  m.interval = 1s, m.timeout = 61s;
  World w;
  w.configure(plan_of({m}));
  const AttemptId first = w.await_open();
  w.run(30s);
  EXPECT_EQ(w.open.size(), kAttemptsPerProbe);
  EXPECT_TRUE(w.open.contains(first));
  EXPECT_LE(w.now - w.open[w.newest()].at, 1s);
  EXPECT_GT(w.engine.stats().attempts_cut, 20U);
}

TEST(Engine, NewMembersStartSpreadOut) {
  World w;
  Plan plan = plan_of({monitor_of(MonitorType::tcp)});
  plan.targets.clear();
  for (std::uint32_t i = 0; i < 10000; ++i) plan.targets.push_back({i, {Ipv4Address{0x0a000000 + i}, 80}, 0});
  const Instant start = w.now;
  w.configure(plan);
  std::vector<unsigned> opened(60);
  for (std::size_t slice = 0; slice < opened.size(); ++slice) {
    const unsigned before = w.opens;
    while (w.engine.next_deadline() <= start + (slice + 1) * 250ms) {
      w.now = std::max(w.now, w.engine.next_deadline());
      w.step(Input::tick());
      while (!w.open.empty()) w.connect(w.open.begin()->first);
    }
    opened[slice] = w.opens - before;
  }
  EXPECT_EQ(w.engine.stats().successes, w.opens);
  EXPECT_EQ(std::accumulate(opened.begin(), opened.begin() + 10, 0U) >= 10000U, true) << "all within 2.5 s";
  for (std::size_t slice = 40; slice < 60; ++slice) {
    EXPECT_GT(opened[slice], 250U) << slice;  // 500 on average
    EXPECT_LT(opened[slice], 900U) << slice;
  }
}

// ---- the clock

TEST(Engine, AStallOfOursBringsNobodyDown) {
  World w;
  w.configure(plan_of({http_monitor()}));
  w.answer(kGood);
  w.now += 1h;
  w.step(Input::tick());
  EXPECT_EQ(w.health(), Health::up);
  EXPECT_EQ(w.engine.stats().stalls, 1U);
  const AttemptId id = w.newest();
  w.connect(id);
  w.receive(id, kGood);
  w.run(15s);
  EXPECT_EQ(w.health(), Health::up);
  w.run(2s);
  EXPECT_EQ(w.health(), Health::down);
}

TEST(Engine, AClockThatGoesBackStandsStill) {
  World w;
  w.configure(plan_of({http_monitor()}));
  w.answer(kGood);
  const Instant there = w.now;
  w.now -= 30s;
  w.step(Input::tick());
  EXPECT_EQ(w.health(), Health::up);
  w.now = there;
  w.run(17s);
  EXPECT_EQ(w.health(), Health::down);
}

}  // namespace
}  // namespace sluice::monitors
