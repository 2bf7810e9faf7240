// Two TCP stacks of ours over links whose faults, options and applications are drawn from a seed.
//
// Swarm: each seed draws which kinds of trouble it has at all, so that some runs have only one and some have all. After
// a while the link heals and everyone reads; then every byte must arrive, both ends must end, and nothing may be left.
// Called by: ./test (fixed seeds), by hand (--seeds N). Follows: RFC 9293. Tested by: the same seed gives the same
// digest.
#include <gtest/gtest.h>

#include "tests/dataplane/tcp/world.h"
#include "tests/sim/seeds.h"

namespace sluice::tcp::test {
namespace {

constexpr std::uint32_t kWritesMax = 150;  // of 12 conns, in both directions: below chunks_max

struct Plan {
  WorldOptions options;
  bool patient = true;  // nobody gives up, aborts or is refused: every conn must end well
  bool aborts = false;
  bool pauses = false;       // readers that stop reading for a while
  bool moving_mtu = false;   // the path's MTU changes
  bool moving_link = false;  // delay, loss and rate change
  bool clock_jumps = false;  // nobody ran for a while: seconds to hours
  bool half_closes = false;  // one side closes early and goes on reading
  unsigned conns = 1;
  std::uint64_t bytes_max = 50'000;
  Duration trouble = 5s;
};

LinkOptions draw_link(Rng& rng, const LinkOptions& before) {
  LinkOptions link = before;
  const auto some = [&](double most) {
    return rng.chance(0.5) ? most * static_cast<double>(rng.below(1000)) / 1000 : 0;
  };
  link.lose = some(rng.chance(0.2) ? 0.4 : 0.08);
  link.duplicate = some(0.1);
  link.corrupt = some(0.1);
  link.reorder = some(0.4);
  link.reorder_by = Duration(1ms) * rng.between(1, 60);
  link.delay = Duration(100us) * rng.between(1, rng.chance(0.3) ? 1500 : 100);
  link.bits_per_s = rng.chance(0.4) ? rng.between(200'000, 50'000'000) : 0;
  link.queue_max = static_cast<std::uint32_t>(rng.between(3, 200));
  return link;
}

Options draw_options(Rng& rng, bool patient) {
  Options options;
  options.sack = rng.chance(0.75);
  options.timestamps = rng.chance(0.6);
  options.window_scale = rng.chance(0.6);
  options.delayed_ack = rng.chance(0.8);
  options.nagle = rng.chance(0.3);
  options.congestion = rng.chance(0.5) ? CongestionControl::cubic : CongestionControl::newreno;
  options.mss_max = static_cast<std::uint16_t>(rng.chance(0.6) ? 1460 : rng.between(64, 1460));
  const auto buffer = [&] {
    return static_cast<std::uint32_t>(rng.chance(0.3) ? rng.between(1, 4000) : rng.between(4000, 300'000));
  };
  options.receive_buffer_bytes = buffer();
  options.send_buffer_bytes = buffer();
  if (patient) {
    options.retries_max = options.syn_retries_max = 200;
    options.connect_timeout = options.fin_wait_timeout = 100'000h;  // more than the clock jumps
    options.idle_timeout = options.zero_window_timeout = 0s;
    options.time_wait = 300s;  // longer than any back-off: a lost last ACK is always repaired
  } else if (rng.chance(0.5)) {
    options.keepalive_interval = Duration(1s) * rng.between(1, 20);
    options.idle_timeout = Duration(1s) * rng.between(1, 60);
  }
  return options;
}

Plan draw(std::uint64_t seed, Rng& rng) {
  Plan plan;
  plan.patient = rng.chance(0.7);
  plan.options.link.seed = seed;
  plan.options.link = draw_link(rng, plan.options.link);
  plan.options.tcp = draw_options(rng, plan.patient);
  // For the patient, buffers for every chunk there may be (its bytes, its headers) and still some to receive with: who
  // has all of them in send queues can never hear that one of them has arrived.
  plan.options.buffers = plan.patient ? 16383 : rng.chance(0.2) ? 255 : 4095;
  plan.options.limits = {.conns_max = 64, .chunks_max = 4096};
  if (!plan.patient) {
    plan.options.limits.half_open_max = rng.chance(0.5) ? static_cast<std::uint32_t>(rng.below(3)) : 64;
    plan.options.limits.conns_max = static_cast<std::uint32_t>(rng.between(1, 12));
    if (rng.chance(0.3)) plan.options.limits.chunks_max = static_cast<std::uint32_t>(rng.between(4, 40));
    plan.aborts = rng.chance(0.5);
  }
  plan.pauses = rng.chance(0.5);
  plan.moving_mtu = rng.chance(0.3);
  plan.moving_link = rng.chance(0.4);
  plan.clock_jumps = rng.chance(0.3);
  plan.half_closes = rng.chance(0.4);
  plan.conns = static_cast<unsigned>(rng.between(1, rng.chance(0.3) ? 12 : 3));
  plan.bytes_max = rng.chance(0.3) ? 300'000 : 30'000;
  if (plan.options.tcp.mss_max < 300 || plan.options.tcp.receive_buffer_bytes < 2000 ||
      plan.options.tcp.send_buffer_bytes < 2000)
    plan.bytes_max = 5000;
  plan.trouble = Duration(1ms) * rng.between(100, 20'000);
  return plan;
}

class SwarmRun {
 public:
  explicit SwarmRun(std::uint64_t seed)
      : rng_(seed * 0x9e3779b97f4a7c15), plan_(draw(seed, rng_)), world_(plan_.options) {
    world_.check_segments = true;
    world_.trace = sim::seeds().trace;
    for (Host* host : {&world_.a, &world_.b}) {
      host->write_size = static_cast<std::uint32_t>(rng_.chance(0.3) ? rng_.between(1, 200) : rng_.between(200, 6000));
      // Each side has options of its own.
      if (rng_.chance(0.5)) host->options = draw_options(rng_, plan_.patient);
    }
  }

  std::uint64_t go() {
    const Instant begin = world_.now;
    const Instant heals = begin + plan_.trouble;
    unsigned opened = 0;
    while (world_.now < heals || opened < plan_.conns) {
      if (opened < plan_.conns && (opened == 0 || rng_.chance(0.4))) open(opened++);
      world_.run_for(Duration(1ms) * rng_.between(1, 300));
      trouble();
    }
    heal();
    if (sim::seeds().trace) std::printf("healed, mtu %u: %s\n", world_.link.mtu, state().c_str());
    const bool ended = world_.run_until([&] { return is_over(); }, 100h);
    EXPECT_TRUE(ended) << "no progress after the faults stopped: " << state();
    judge();
    return world_.digest;
  }

 private:
  void open(unsigned number) {
    Conn* conn = world_.connect(static_cast<std::uint16_t>(40000 + number));
    if (!conn) {
      EXPECT_FALSE(plan_.patient);
      return;
    }
    begin_flow(world_.a, *conn);
  }

  void begin_flow(Host& host, Conn& conn) {
    if (conn.fin_queued) return;  // the peer was faster, and has had its answer
    Host::Flow& flow = host.flow(&conn);
    flow.to_write = rng_.chance(0.1) ? 0 : rng_.between(1, plan_.bytes_max);
    // The patient never meet the limit on chunks: each write takes one, as does what the other side has not read.
    if (plan_.patient)
      flow.to_write = std::min<std::uint64_t>(flow.to_write, std::uint64_t{host.write_size} * kWritesMax);
    // Someone has to close first; with half-closes it does so while the other still sends.
    flow.close_when_written = &host == &world_.a || (plan_.half_closes && rng_.chance(0.5));
  }

  template <typename Fn>
  void each_open(Host& host, Fn fn) {
    host.stack->visit(0, UINT32_MAX, [&](Conn& conn) {
      if (!conn.owner_released) fn(conn);
    });
  }

  void trouble() {
    for (; accepted_ < world_.b.all_accepted.size(); ++accepted_) {
      Conn* const conn = world_.b.all_accepted[accepted_];
      if (conn->state != State::closed && !world_.b.flow(conn).closed) begin_flow(world_.b, *conn);
    }
    for (Host* host : {&world_.a, &world_.b}) {
      if (plan_.pauses) {
        each_open(*host, [&](Conn& conn) {
          Host::Flow& flow = host->flow(&conn);
          if (rng_.chance(0.3)) flow.reading = !flow.reading;
          if (flow.reading) host->read(conn);
        });
      }
      if (plan_.aborts && rng_.chance(0.03)) {
        each_open(*host, [&](Conn& conn) {
          if (rng_.chance(0.3)) host->stack->abort(world_.now, conn);
        });
      }
    }
    if (plan_.moving_link && rng_.chance(0.2)) {
      const LinkOptions before = world_.link;
      world_.link = draw_link(rng_, before);
      world_.link.mtu = before.mtu;
    }
    if (plan_.moving_mtu && rng_.chance(0.2)) {
      world_.link.mtu = rng_.chance(0.2) ? 0 : static_cast<std::uint32_t>(rng_.between(300, 1500));
      world_.link.icmp = rng_.chance(0.8) ? 1 : 0.3;
    }
    if (plan_.clock_jumps && rng_.chance(0.05)) {
      const bool far = rng_.chance(0.1);
      world_.now += far ? Duration(1h) * rng_.between(1, 1000) : Duration(1ms) * rng_.between(1, 100'000);
      jumped_far_ = jumped_far_ || far;
      if (far) world_.lose_flights();  // an echo of weeks ago would look like one of today
    }
  }

  void heal() {
    const std::uint32_t mtu = world_.link.mtu;  // a small path stays one, but tells so
    world_.link = {.seed = world_.link.seed, .delay = 1ms, .mtu = mtu, .icmp = 1};
    plan_.pauses = plan_.aborts = plan_.moving_link = plan_.moving_mtu = plan_.clock_jumps = false;
    resume();
  }

  void resume() {
    for (Host* host : {&world_.a, &world_.b}) {
      each_open(*host, [&](Conn& conn) {
        Host::Flow& flow = host->flow(&conn);
        if (!flow.reading) {
          flow.reading = true;
          host->read(conn);
        }
      });
    }
  }

  bool is_over() {
    for (; accepted_ < world_.b.all_accepted.size(); ++accepted_) {  // that came only now
      Conn* const conn = world_.b.all_accepted[accepted_];
      if (conn->state != State::closed && !world_.b.flow(conn).closed) begin_flow(world_.b, *conn);
    }
    // What was opened by a cookie and never spoken to again would wait for ever: its idle time is its end.
    if (!plan_.patient && world_.a.stack->conns_in_use() == 0)
      each_open(world_.b, [&](Conn& conn) { world_.b.stack->abort(world_.now, conn); });
    if (!plan_.patient && world_.b.stack->conns_in_use() == 0)
      each_open(world_.a, [&](Conn& conn) { world_.a.stack->abort(world_.now, conn); });
    world_.a.turn(world_.now);
    world_.b.turn(world_.now);
    return world_.a.stack->conns_in_use() == 0 && world_.b.stack->conns_in_use() == 0;
  }

  std::string state() {
    std::string text;
    for (Host* host : {&world_.a, &world_.b}) {
      host->stack->visit(0, UINT32_MAX, [&](Conn& conn) {
        const Host::Flow& flow = host->flow(&conn);
        text += host->name + " " + std::string(name_of(conn.state)) + " flight " + std::to_string(conn.flight()) +
                " unsent " + std::to_string(conn.snd_end - conn.snd_nxt) + " wnd " + std::to_string(conn.snd_wnd) +
                " cwnd " + std::to_string(conn.congestion.cwnd) + " mss " + std::to_string(conn.snd_mss) +
                " to write " + std::to_string(flow.to_write) + " wrote " + std::to_string(flow.written) + " read " +
                std::to_string(flow.read) + " lost " + std::to_string(conn.lost_bytes) + " sacked " +
                std::to_string(conn.sacked_bytes) + " retries " + std::to_string(conn.retries) + "; ";
      });
    }
    return text;
  }

  void judge() {
    for (Host* host : {&world_.a, &world_.b}) {
      EXPECT_EQ(host->stack->conns_in_use(), 0u) << host->name;
      EXPECT_EQ(host->stack->half_open(), 0u) << host->name;
      EXPECT_EQ(host->stack->chunks_in_use(), 0u) << host->name;
      EXPECT_EQ(host->pool->in_use(), 0u) << host->name << " leaked packets";
    }
    for (const auto& [tuple, flow] : world_.a.ended) {
      std::vector<std::string> faults;  // of each conn of b's for this tuple
      for (const auto& [other_tuple, other] : world_.b.ended)
        if (other_tuple.remote == tuple.local && !is_echo(other)) faults.push_back(disagreement(flow, other));
      // An old ACK that carries a SYN cookie opens the tuple once more when its conn is over (RFC 4987 section 3.6):
      // then one of them is a's, and the others have only seen what a once sent.
      EXPECT_TRUE(faults.empty() || std::ranges::count(faults, "") > 0) << "a:" << tuple.local.port << " " << faults[0];
      if (world_.b.stack->counters().cookies_accepted.get() == 0) {
        EXPECT_LE(faults.size(), 1u) << "a:" << tuple.local.port;
      }
      if (plan_.patient) {
        EXPECT_TRUE(ended_well(flow)) << "a:" << tuple.local.port << " " << name_of(flow.reason);
      }
    }
    if (plan_.patient) {
      EXPECT_EQ(world_.a.ended.size(), plan_.conns);
      EXPECT_EQ(std::ranges::count_if(world_.b.ended, [](const auto& one) { return !is_echo(one.second); }),
                plan_.conns);
      for (const auto& [tuple, flow] : world_.b.ended)
        if (!is_echo(flow)) {
          EXPECT_TRUE(ended_well(flow)) << "b:" << tuple.remote.port << " " << name_of(flow.reason);
        }
    }
  }

  // A clock that jumps beyond TIME-WAIT leaves nobody to acknowledge a FIN once more: all had arrived before it.
  bool ended_well(const Host::Flow& flow) const {
    const bool only_the_last_ack =
        jumped_far_ && flow.reason == CloseReason::reset_by_peer && flow.peer_closed && flow.to_write == 0;
    return flow.reason == CloseReason::finished || only_the_last_ack;
  }

  // What a late copy of a SYN opens, when its conn is over on b's side, is reset before anything passes.
  static bool is_echo(const Host::Flow& flow) {
    return !flow.established && flow.read == 0 && flow.reason != CloseReason::finished;
  }

  // "" when both can be the ends of one conn.
  static std::string disagreement(const Host::Flow& a, const Host::Flow& b) {
    const bool well = a.reason == CloseReason::finished && b.reason == CloseReason::finished;
    const bool equal = a.read == b.written && b.read == a.written && a.to_write + b.to_write == 0;
    if (a.read <= b.written && b.read <= a.written && (equal || !well)) return "";
    return "a read " + std::to_string(a.read) + " of " + std::to_string(b.written) + ", b read " +
           std::to_string(b.read) + " of " + std::to_string(a.written) + (well ? ", both ended well" : "");
  }

  Rng rng_;
  Plan plan_;
  World world_;
  std::size_t accepted_ = 0;
  bool jumped_far_ = false;
};

TEST(TcpSim, BytesArriveAndConnsEnd) {
  sim::for_each_seed(40, [](std::uint64_t seed) { return SwarmRun(seed).go(); });
}

}  // namespace
}  // namespace sluice::tcp::test

SLUICE_SIM_MAIN()
