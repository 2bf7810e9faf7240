// BFD's state machine on a virtual clock, clause by clause of RFC 5880; and two machines that talk to each other.
#include "dataplane/bfd/machine.h"

#include <gtest/gtest.h>

#include <deque>
#include <vector>

namespace sluice::bfd {
namespace {

constexpr std::uint32_t kMine = 0x11111111, kTheirs = 0x22222222;

ControlPacket from_neighbor(State state, std::uint32_t yours = kMine) {
  ControlPacket packet;
  packet.state = state;
  packet.my_discriminator = kTheirs;
  packet.your_discriminator = yours;
  packet.detect_multiplier = 4;
  packet.desired_min_tx_us = 200'000;
  packet.required_min_rx_us = 250'000;
  return packet;
}

class BfdMachine : public testing::Test {
 protected:
  void up() {
    machine.start(now);
    machine.input(now, from_neighbor(State::down, 0));
    machine.input(now, from_neighbor(State::init));
    finish_poll();
  }
  void finish_poll() {
    auto packet = from_neighbor(State::up);
    packet.final = true;
    machine.input(now, packet);
  }
  // Lets time pass; the times, from its start, at which packets went out.
  std::vector<Duration> pass(Duration duration) {
    std::vector<Duration> sent;
    const Instant begin = now, end = now + duration;
    while (machine.deadline() <= end) {
      now = std::max(now, machine.deadline());
      if (machine.expire(now).send) sent.push_back(now - begin);
    }
    now = end;
    return sent;
  }

  Instant now = instant_ns(1'000'000'000'000);
  Machine machine{{300ms, 350ms, 3}, kMine, 7};
};

// ---- §6.2, §6.8.6: the state machine

TEST_F(BfdMachine, Section6_8_1_InitialState) {
  machine.start(now);
  const auto packet = machine.packet(false);
  EXPECT_EQ(packet.state, State::down);
  EXPECT_EQ(packet.diagnostic, Diagnostic::none);
  EXPECT_EQ(packet.my_discriminator, kMine);
  EXPECT_EQ(packet.your_discriminator, 0u);
  EXPECT_EQ(packet.detect_multiplier, 3);
  EXPECT_EQ(packet.required_min_rx_us, 350'000u);
  EXPECT_EQ(packet.required_min_echo_rx_us, 0u);  // no echo: §6.8.9
  EXPECT_FALSE(packet.demand);
  EXPECT_FALSE(packet.control_plane_independent);
}

TEST_F(BfdMachine, Section6_2_EveryTransition) {
  struct Case {
    State ours, theirs, next;
  };
  constexpr State kA = State::admin_down, kD = State::down, kI = State::init, kU = State::up;
  for (const Case& c :
       {Case{kD, kA, kD}, Case{kD, kD, kI}, Case{kD, kI, kU}, Case{kD, kU, kD}, Case{kI, kA, kD}, Case{kI, kD, kI},
        Case{kI, kI, kU}, Case{kI, kU, kU}, Case{kU, kA, kD}, Case{kU, kD, kD}, Case{kU, kI, kU}, Case{kU, kU, kU}}) {
    Machine m({}, kMine, 1);
    m.start(now);
    if (c.ours == kI) m.input(now, from_neighbor(State::down, 0));
    if (c.ours == kU) m.input(now, from_neighbor(State::init));
    ASSERT_EQ(m.state(), c.ours);
    const Outcome outcome = m.input(now, from_neighbor(c.theirs));
    EXPECT_EQ(m.state(), c.next) << name_of(c.ours) << " hears " << name_of(c.theirs);
    EXPECT_EQ(outcome.changed, c.next != c.ours);
    EXPECT_EQ(outcome.send, c.next != c.ours);  // §6.8.7: told at once
    if (c.next == kD && c.ours != kD) {
      EXPECT_EQ(m.diagnostic(), Diagnostic::neighbor_signaled_down);
    }
  }
}

TEST_F(BfdMachine, Section6_8_6_RemoteValuesAreKept) {
  machine.start(now);
  auto packet = from_neighbor(State::down, 0);
  packet.control_plane_independent = true;
  packet.diagnostic = Diagnostic::path_down;
  machine.input(now, packet);
  EXPECT_EQ(machine.remote_discriminator(), kTheirs);
  EXPECT_EQ(machine.remote_state(), State::down);
  EXPECT_EQ(machine.remote_multiplier(), 4);
  EXPECT_EQ(machine.remote_min_tx(), 200ms);
  EXPECT_EQ(machine.remote_min_rx(), 250ms);
  EXPECT_TRUE(machine.remote_control_plane_independent());
  EXPECT_EQ(machine.remote_diagnostic(), Diagnostic::path_down);
  EXPECT_EQ(machine.packet(false).your_discriminator, kTheirs);
}

// ---- §6.8.2, §6.8.3, §6.8.7: transmission

TEST_F(BfdMachine, Section6_8_3_SlowUntilUp) {
  machine.start(now);
  EXPECT_EQ(machine.packet(false).desired_min_tx_us, 1'000'000u);
  const auto sent = pass(20s);
  ASSERT_GE(sent.size(), 19u);
  ASSERT_LE(sent.size(), 28u);
  EXPECT_LE(sent[0], 1s);
  for (std::size_t i = 1; i < sent.size(); ++i) {
    EXPECT_GE(sent[i] - sent[i - 1], 750ms);
    EXPECT_LE(sent[i] - sent[i - 1], 1s);
  }
}

TEST_F(BfdMachine, Section6_8_7_JitterIsUpToAQuarter) {
  up();
  const auto sent = pass(1300ms);  // the neighbour is silent, still within its detection time of 4 * 350 ms
  ASSERT_GE(sent.size(), 4u);
  bool differ = false;
  for (std::size_t i = 1; i < sent.size(); ++i) {
    EXPECT_GE(sent[i] - sent[i - 1], 225ms);
    EXPECT_LE(sent[i] - sent[i - 1], 300ms);
    differ |= i > 1 && sent[i] - sent[i - 1] != sent[i - 1] - sent[i - 2];
  }
  EXPECT_TRUE(differ);
}

TEST_F(BfdMachine, Section6_8_7_WithMultiplierOneBetweenATenthAndAQuarter) {
  Machine m({100ms, 100ms, 1}, kMine, 3);
  m.start(now);
  m.input(now, from_neighbor(State::init));
  Instant last = now;
  for (int i = 0; i < 50; ++i) {
    auto packet = from_neighbor(State::up);
    packet.required_min_rx_us = 100'000;
    packet.final = true;
    m.input(now, packet);
    now = m.deadline();
    ASSERT_TRUE(m.expire(now).send);
    if (i > 1) {
      EXPECT_GE(now - last, 75ms);
      EXPECT_LE(now - last, 90ms);
    }
    last = now;
  }
}

TEST_F(BfdMachine, Section6_8_7_NeverMoreOftenThanTheNeighborReceives) {
  up();
  auto packet = from_neighbor(State::up);
  packet.required_min_rx_us = 2'000'000;
  machine.input(now, packet);
  EXPECT_EQ(machine.transmit_interval(), 2s);
  packet.required_min_rx_us = 10'000;
  machine.input(now, packet);
  EXPECT_EQ(machine.transmit_interval(), 300ms);
}

TEST_F(BfdMachine, Section6_8_7_ANeighborThatReceivesNothingIsSentNothing) {
  up();
  auto packet = from_neighbor(State::up);
  packet.required_min_rx_us = 0;
  machine.input(now, packet);
  EXPECT_TRUE(pass(1s).empty());
  packet.poll = true;  // §6.8.6: a Poll is answered all the same
  EXPECT_TRUE(machine.input(now, packet).final);
}

TEST_F(BfdMachine, Section6_8_7_ANeighborInDemandModeIsSentNothing) {
  up();
  auto packet = from_neighbor(State::up);
  packet.demand = true;
  machine.input(now, packet);
  EXPECT_TRUE(pass(1s).empty());
  EXPECT_EQ(machine.state(), State::up);
}

// ---- §6.5, §6.8.3: the Poll Sequence

TEST_F(BfdMachine, Section6_5_APollIsAnsweredAtOnceWithFinalAndWithoutPoll) {
  up();
  auto packet = from_neighbor(State::up);
  packet.poll = true;
  const Instant due = machine.deadline();
  machine.configure(now, {200ms, 350ms, 3});  // polling ourselves
  const Outcome outcome = machine.input(now, packet);
  EXPECT_TRUE(outcome.send);
  EXPECT_TRUE(outcome.final);
  const auto answer = machine.packet(true);
  EXPECT_TRUE(answer.final);
  EXPECT_FALSE(answer.poll);
  EXPECT_LE(machine.deadline(), due);  // the answer does not move the periodic packets
}

TEST_F(BfdMachine, Section6_8_3_UpBeginsAPollSequenceForTheFastInterval) {
  machine.start(now);
  machine.input(now, from_neighbor(State::down, 0));
  EXPECT_FALSE(machine.packet(false).poll);
  machine.input(now, from_neighbor(State::init));
  EXPECT_TRUE(machine.is_polling());
  EXPECT_TRUE(machine.packet(false).poll);
  EXPECT_EQ(machine.packet(false).desired_min_tx_us, 300'000u);
  finish_poll();
  EXPECT_FALSE(machine.packet(false).poll);
}

TEST_F(BfdMachine, Section6_8_3_ALongerIntervalWaitsForFinal) {
  up();
  const Outcome outcome = machine.configure(now, {900ms, 350ms, 3});
  EXPECT_TRUE(outcome.send);
  EXPECT_TRUE(machine.packet(false).poll);
  EXPECT_EQ(machine.packet(false).desired_min_tx_us, 900'000u);
  EXPECT_EQ(machine.transmit_interval(), 300ms);
  machine.input(now, from_neighbor(State::up));  // no Final: goes on
  EXPECT_EQ(machine.transmit_interval(), 300ms);
  finish_poll();
  EXPECT_EQ(machine.transmit_interval(), 900ms);
}

TEST_F(BfdMachine, Section6_8_3_AShorterIntervalTakesEffectAtOnce) {
  up();
  machine.configure(now, {50ms, 350ms, 3});
  auto packet = from_neighbor(State::up);
  packet.required_min_rx_us = 50'000;
  machine.input(now, packet);
  EXPECT_EQ(machine.transmit_interval(), 50ms);
}

TEST_F(BfdMachine, Section6_8_3_AShorterReceiveIntervalShortensDetectionOnlyAfterFinal) {
  up();
  EXPECT_EQ(machine.detection_time(), 4 * 350ms);
  machine.configure(now, {300ms, 250ms, 3});
  EXPECT_EQ(machine.packet(false).required_min_rx_us, 250'000u);
  EXPECT_EQ(machine.detection_time(), 4 * 350ms);
  finish_poll();
  EXPECT_EQ(machine.detection_time(), 4 * 250ms);
  machine.configure(now, {300ms, 500ms, 3});  // longer: at once
  EXPECT_EQ(machine.detection_time(), 4 * 500ms);
}

// ---- §6.8.4, §6.8.1: detection

TEST_F(BfdMachine, Section6_8_4_DetectionTimeIsTheNeighborsMultiplierTimesTheSlowerOfTwo) {
  up();
  EXPECT_EQ(machine.detection_time(), 4 * 350ms);
  auto packet = from_neighbor(State::up);
  packet.desired_min_tx_us = 600'000;
  packet.detect_multiplier = 2;
  machine.input(now, packet);
  EXPECT_EQ(machine.detection_time(), 2 * 600ms);
}

TEST_F(BfdMachine, Section6_8_4_SilenceEndsTheSession) {
  up();
  pass(4 * 350ms - 1ms);
  EXPECT_EQ(machine.state(), State::up);
  pass(1ms);
  EXPECT_EQ(machine.state(), State::down);
  EXPECT_EQ(machine.diagnostic(), Diagnostic::detection_time_expired);
  const auto packet = machine.packet(false);
  EXPECT_EQ(packet.your_discriminator, 0u);  // §6.8.1
  EXPECT_EQ(packet.desired_min_tx_us, 1'000'000u);
  EXPECT_FALSE(packet.poll);
}

TEST_F(BfdMachine, Section6_8_4_InInitToo) {
  machine.start(now);
  machine.input(now, from_neighbor(State::down, 0));
  pass(2s);
  EXPECT_EQ(machine.state(), State::down);
  EXPECT_EQ(machine.remote_discriminator(), 0u);
}

// A worker that had no core for a while looks into its receive queue before it calls the neighbour dead; but not twice.
TEST_F(BfdMachine, ALateWorkerExcusesTheNeighborOnce) {
  up();
  now += 4 * 350ms + 50ms;
  machine.expire(now);
  EXPECT_EQ(machine.state(), State::up);
  machine.input(now + 5ms, from_neighbor(State::up));  // it was in the queue
  EXPECT_EQ(machine.state(), State::up);
  now += 5ms + 4 * 350ms + 50ms;
  machine.expire(now);
  EXPECT_EQ(machine.state(), State::up);
  now += kExcuse + 50ms;  // late again, and nothing came
  machine.expire(now);
  EXPECT_EQ(machine.state(), State::down);
}

// ---- §6.8.16: administrative control

TEST_F(BfdMachine, Section6_8_16_AdminDownIsToldAndKeptUp) {
  up();
  const Outcome outcome = machine.set_admin_down(now, true);
  EXPECT_TRUE(outcome.send);
  EXPECT_TRUE(outcome.changed);
  EXPECT_EQ(machine.packet(false).state, State::admin_down);
  EXPECT_EQ(machine.packet(false).diagnostic, Diagnostic::administratively_down);
  EXPECT_GE(pass(4s).size(), 3u);  // §6.8.16: for a detection time at least
  EXPECT_EQ(machine.state(), State::admin_down);
  machine.set_admin_down(now, false);
  EXPECT_EQ(machine.state(), State::down);
  EXPECT_EQ(machine.packet(false).your_discriminator, 0u);
}

// ---- two machines over a lossy link

struct Pair {
  explicit Pair(std::uint64_t seed) : random(seed) {
    a.start(now);
    b.start(now);
  }
  void send(const Machine& from, bool final, bool to_b) {
    if (!random.chance(loss)) flying.push_back({now + 1ms, to_b, from.packet(final)});
  }
  void settle(Machine& machine, const Outcome& outcome) {
    if (outcome.send) send(machine, outcome.final, &machine == &a);
  }
  void pass(Duration duration) {
    for (const Instant end = now + duration;;) {
      Instant next = std::min(a.deadline(), b.deadline());
      if (!flying.empty()) next = std::min(next, flying.front().at);
      if (next > end) return void(now = end);
      now = std::max(now, next);
      if (!flying.empty() && flying.front().at <= now) {
        const auto packet = flying.front();
        flying.pop_front();
        Machine& to = packet.to_b ? b : a;
        if (!to.is_admin_down()) settle(to, to.input(now, packet.packet));
      }
      if (a.deadline() <= now) settle(a, a.expire(now));
      if (b.deadline() <= now) settle(b, b.expire(now));
    }
  }
  struct Flying {
    Instant at;
    bool to_b;
    ControlPacket packet;
  };
  Instant now = instant_ns(0);
  Rng random;
  double loss = 0;
  Machine a{{100ms, 100ms, 3}, kMine, 1}, b{{50ms, 150ms, 5}, kTheirs, 2};
  std::deque<Flying> flying;
};

TEST(BfdPair, ComesUpWithinTwoSlowIntervalsAndNegotiates) {
  Pair pair(1);
  pair.pass(2s);
  EXPECT_EQ(pair.a.state(), State::up);
  EXPECT_EQ(pair.b.state(), State::up);
  EXPECT_FALSE(pair.a.is_polling());
  EXPECT_FALSE(pair.b.is_polling());
  EXPECT_EQ(pair.a.transmit_interval(), 150ms);
  EXPECT_EQ(pair.b.transmit_interval(), 100ms);
  EXPECT_EQ(pair.a.detection_time(), 500ms);
  EXPECT_EQ(pair.b.detection_time(), 450ms);
}

TEST(BfdPair, LossOfAThirdNeitherFlapsWithMultiplier10NorHindersComingUp) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Pair pair(seed);
    pair.loss = 0.33;
    pair.a.configure(pair.now, {100ms, 100ms, 20});
    pair.b.configure(pair.now, {100ms, 100ms, 20});
    pair.pass(15s);
    ASSERT_EQ(pair.a.state(), State::up) << seed;
    ASSERT_EQ(pair.b.state(), State::up) << seed;
    pair.pass(60s);
    EXPECT_EQ(pair.a.state(), State::up) << seed;
    EXPECT_EQ(pair.b.state(), State::up) << seed;
  }
}

TEST(BfdPair, ACutLinkIsSeenByBothAndComesBack) {
  Pair pair(3);
  pair.pass(5s);
  pair.loss = 1;
  pair.pass(520ms);
  EXPECT_EQ(pair.a.state(), State::down);
  EXPECT_EQ(pair.b.state(), State::down);
  pair.loss = 0;
  pair.pass(3s);
  EXPECT_EQ(pair.a.state(), State::up);
  EXPECT_EQ(pair.b.state(), State::up);
}

TEST(BfdPair, AdminDownOnOneSideTakesTheOtherDownAndBack) {
  Pair pair(4);
  pair.pass(5s);
  pair.settle(pair.a, pair.a.set_admin_down(pair.now, true));
  pair.pass(10ms);
  EXPECT_EQ(pair.b.state(), State::down);
  EXPECT_EQ(pair.b.diagnostic(), Diagnostic::neighbor_signaled_down);
  EXPECT_EQ(pair.b.remote_state(), State::admin_down);
  pair.settle(pair.a, pair.a.set_admin_down(pair.now, false));
  pair.pass(3s);
  EXPECT_EQ(pair.a.state(), State::up);
  EXPECT_EQ(pair.b.state(), State::up);
}

}  // namespace
}  // namespace sluice::bfd
