// Networks of up to 300 speakers over a simulated TCP, with crashes, partitions, graceful restarts, refreshes and flaps
// drawn from a seed: when faults stop, everybody knows exactly what everybody announces; a seed repeats to the bit.
#include <gtest/gtest.h>

#include <deque>

#include "tests/control/bgp/support.h"
#include "tests/support/random.h"

namespace sluice::bgp::simulation_test {
namespace {

using namespace testing;

// Node 0 is the load balancer; the others are nodes that each know only it. Connections carry bytes in chunks with a
// delay, are refused, cut, or stop delivering (the hold timer must find out).
class Network {
 public:
  Network(unsigned nodes, unsigned seed) : random_(seed) {
    for (unsigned i = 0; i < nodes; ++i) nodes_.push_back(std::make_unique<Node>());
    for (unsigned i = 0; i < nodes; ++i) configure(i, false);
  }
  static IpAddress address(unsigned node) { return Ipv4Address{0xac102800 + 1 + node}; }

  void configure(unsigned i, bool restarting) {
    SpeakerSettings s;
    s.restarting = restarting;
    s.local_as = 64512;
    s.router_id = address(i).v4().value;
    s.self_ips = {{address(i), 24}};
    for (unsigned j = 0; j < nodes_.size(); ++j) {
      if (i == j || (i != 0 && j != 0)) continue;
      NeighborSettings n;
      n.address = address(j);
      n.session.remote_as = 64512;
      n.session.hold_time = 9s;
      n.session.keepalive = 3s;
      n.session.passive = passive_ && i == 0;
      s.neighbors.push_back(n);
    }
    act(i, [&](Outputs& out) { nodes_[i]->speaker->configure(now_, s, out); });
  }

  // The process dies and starts anew with nothing; `graceful`: it says that it has kept forwarding (RFC 4724 4.1).
  enum class How { crash, clean, graceful };
  void restart(unsigned i, How how) {
    auto& node = *nodes_[i];
    if (how == How::clean) act(i, [&](Outputs& out) { node.speaker->shutdown(now_, "bye", out); });
    for (auto& [id, c] : connections_) {
      for (const unsigned end : {0u, 1u}) {
        if (c.node[end] == i && !c.closed[end]) close(c, end);
      }
    }
    node.speaker = std::make_unique<Speaker>(node.resolver);
    node.routes.clear();
    configure(i, how == How::graceful);
    for (const auto& p : node.announced) act(i, [&](Outputs& out) { node.speaker->announce(now_, p, {}, out); });
  }

  void announce(unsigned i, const routing::IpPrefix& p) {
    nodes_[i]->announced.insert(p);
    act(i, [&](Outputs& out) { nodes_[i]->speaker->announce(now_, p, {}, out); });
  }
  // Nothing reaches it or leaves it, and connections that were open then are dead for good.
  void partition(unsigned i, bool off) {
    nodes_[i]->cut_off = off;
    for (auto& [id, c] : connections_) c.silent = c.silent || (off && (c.node[0] == i || c.node[1] == i));
  }
  void refresh(unsigned i, unsigned j) {
    act(i, [&](Outputs& out) { nodes_[i]->speaker->refresh(now_, address(j), out); });
  }
  void clear(unsigned i, unsigned j) {
    act(i, [&](Outputs& out) { nodes_[i]->speaker->clear(now_, address(j), out); });
  }
  std::uint64_t digest() const { return digest_; }
  void withdraw(unsigned i, const routing::IpPrefix& p) {
    nodes_[i]->announced.erase(p);
    act(i, [&](Outputs& out) { nodes_[i]->speaker->withdraw(now_, p, out); });
  }

  void run(Duration d) {
    const auto end = now_ + d;
    while (true) {
      auto next = end;
      if (!wakes_.empty()) next = std::min(next, wakes_.begin()->first);
      if (!events_.empty()) next = std::min(next, events_.begin()->first);
      now_ = std::max(now_, next);
      if (now_ >= end) break;
      if (!events_.empty() && events_.begin()->first <= now_) {
        const auto f = std::move(events_.begin()->second);
        events_.erase(events_.begin());
        f();
      }
      while (!wakes_.empty() && wakes_.begin()->first <= now_) step(wakes_.begin()->second, input::Tick{});
    }
    now_ = end;
  }

  void cut_something() {
    if (connections_.empty()) return;
    auto at = connections_.begin();
    std::advance(at, random_() % connections_.size());
    auto& c = at->second;
    if (random_() % 3 == 0) {
      c.silent = true;  // partition: nothing arrives any more
    } else {
      for (const unsigned end : {0u, 1u}) {
        if (!c.closed[end]) close(c, end);
      }
    }
  }

  RouteView expected_at(unsigned i) const {
    RouteView view;
    for (unsigned j = 0; j < nodes_.size(); ++j) {
      if (i == j || (i != 0 && j != 0)) continue;
      for (const auto& p : nodes_[j]->announced) view[p].insert(address(j));
    }
    return view;
  }
  const RouteView& routes(unsigned i) const { return nodes_[i]->routes; }
  PeerFacts facts(unsigned i, unsigned j) { return nodes_[i]->speaker->peer(now_, address(j)).value(); }
  sluice::testing::Random& random() { return random_; }
  void faults(bool on) { faults_ = on; }
  void passive(bool on) { passive_ = on; }

 private:
  struct Node {
    FakeResolver resolver;
    std::unique_ptr<Speaker> speaker = std::make_unique<Speaker>(resolver);
    RouteView routes;
    std::set<routing::IpPrefix> announced;
    Instant wake = kInstantMax;
    bool cut_off = false;
  };
  // Ends: 0 opened it, 1 accepted it.
  struct Connection {
    std::uint64_t key = 0;
    unsigned node[2]{};
    ConnId id[2]{};
    bool open = false, silent = false;
    bool closed[2]{};
    Instant free[2]{};  // when the direction from this end has delivered what was sent
  };

  void step(unsigned i, const Input& input) {
    act(i, [&](Outputs& out) { nodes_[i]->speaker->step(now_, input, out); });
  }
  template <typename F>
  void act(unsigned i, F&& f) {
    Outputs out;
    f(out);
    bgp::testing::apply(out.routes, nodes_[i]->routes);
    note(i, out);
    for (const auto& action : out.actions) {
      if (const auto* c = std::get_if<output::Connect>(&action)) connect(i, *c);
      if (const auto* s = std::get_if<output::Send>(&action)) send(i, s->conn, *s->bytes);
      if (const auto* x = std::get_if<output::Close>(&action)) {
        if (auto [c, end] = find(i, x->conn); c != nullptr) close(*c, end);
      }
    }
    auto& node = *nodes_[i];
    wakes_.erase({node.wake, i});
    node.wake = node.speaker->has_work() ? now_ : std::max(now_, node.speaker->deadline());
    if (node.wake != kInstantMax) wakes_.insert({node.wake, i});
  }
  // Everything that comes out of a speaker, and when, in one number.
  void note(unsigned i, const Outputs& out) {
    const auto mix = [this](std::uint64_t value) { digest_ = (digest_ ^ value) * 0x100000001b3; };
    mix(i);
    mix(static_cast<std::uint64_t>(now_.time_since_epoch() / 1ns));
    for (const auto& action : out.actions) {
      mix(action.index());
      if (const auto* s = std::get_if<output::Send>(&action)) {
        for (const auto byte : *s->bytes) mix(byte);
      }
    }
    for (std::size_t r = 0; r < out.routes.size(); ++r) {
      mix(out.routes[r].prefix.address.v4().value);
      for (const auto& hop : out.routes[r].next_hops) mix(hop.v4().value);
    }
  }
  std::pair<Connection*, unsigned> find(unsigned node, ConnId id) {
    const auto at = by_id_.find({node, id});
    if (at == by_id_.end()) return {nullptr, 0};
    auto* c = get(at->second);
    if (c == nullptr) {
      by_id_.erase(at);
      return {nullptr, 0};
    }
    const unsigned end = c->node[0] == node && c->id[0] == id ? 0 : 1;
    return c->closed[end] ? std::pair<Connection*, unsigned>{nullptr, 0} : std::pair{c, end};
  }
  Connection* get(std::uint64_t key) {
    const auto at = connections_.find(key);
    return at == connections_.end() ? nullptr : &at->second;
  }
  Duration delay() { return std::chrono::microseconds(100 + random_() % (faults_ ? 300000 : 2000)); }
  void at(Instant when, std::function<void()> f) { events_.emplace(when, std::move(f)); }

  void connect(unsigned i, const output::Connect& request) {
    const unsigned j = request.remote.address.v4().value - 0xac102800 - 1;
    const auto key = next_key_++;
    auto& c = connections_[key];
    c.key = key;
    by_id_[{i, request.conn}] = key;
    c.node[0] = i;
    c.node[1] = j;
    c.id[0] = request.conn;
    c.closed[1] = true;
    const bool refused = (faults_ && random_() % 5 == 0) || nodes_[i]->cut_off || nodes_[j]->cut_off;
    at(now_ + delay(), [this, key, i, j, refused] {
      auto* conn = get(key);
      if (conn == nullptr || conn->closed[0]) return void(connections_.erase(key));
      if (refused) {
        const auto id = conn->id[0];
        connections_.erase(key);
        return step(i, input::ConnectFailed{id, "connection refused"});
      }
      conn->open = true;
      conn->closed[1] = false;
      conn->id[1] = next_accepted_;
      by_id_[{j, next_accepted_}] = key;
      next_accepted_ += 2;
      conn->free[0] = now_ + 400ms;  // nothing arrives before Accepted
      conn->free[1] = now_;
      const Endpoint a{address(i), 61440}, b{address(j), 179};
      const auto id1 = conn->id[1];
      step(i, input::Connected{conn->id[0], a, b});
      at(now_ + delay(), [this, j, id1, a, b, key] {
        auto* still = get(key);
        if (still != nullptr && !still->closed[1]) step(j, input::Accepted{id1, b, a});
      });
    });
  }

  void send(unsigned i, ConnId id, const Bytes& bytes) {
    auto [c, end] = find(i, id);
    if (c == nullptr) return;
    const auto key = key_of(c);
    const unsigned other = 1 - end;
    for (std::size_t from = 0; from < bytes.size();) {
      const auto n = std::min<std::size_t>(bytes.size() - from, 1 + random_() % (faults_ ? 40 : 4000));
      auto chunk = std::make_shared<Bytes>(bytes.begin() + static_cast<std::ptrdiff_t>(from),
                                           bytes.begin() + static_cast<std::ptrdiff_t>(from + n));
      c->free[end] = std::max(c->free[end], now_) + delay() / 20;
      at(c->free[end], [this, key, other, chunk] {
        auto* conn = get(key);
        if (conn == nullptr || conn->silent || conn->closed[other]) return;
        step(conn->node[other], input::Received{conn->id[other], *chunk});
      });
      from += n;
    }
    at(c->free[end], [this, key, end = end] {
      auto* conn = get(key);
      if (conn != nullptr && !conn->closed[end] && !conn->silent)
        step(conn->node[end], input::Written{conn->id[end], 0});
    });
  }

  // One end closes; the other hears of it when all before has arrived.
  void close(Connection& c, unsigned end) {
    c.closed[end] = true;
    const auto key = key_of(&c);
    const unsigned other = 1 - end;
    at(std::max(c.free[end], now_) + delay(), [this, key, other] {
      auto* conn = get(key);
      if (conn == nullptr) return;
      if (!conn->closed[other] && !conn->silent && conn->open) {
        conn->closed[other] = true;
        step(conn->node[other], input::Closed{conn->id[other], "connection closed by the neighbour"});
      }
      conn = get(key);
      if (conn != nullptr && conn->closed[0] && conn->closed[1]) connections_.erase(key);
    });
  }
  static std::uint64_t key_of(const Connection* c) { return c->key; }

  std::vector<std::unique_ptr<Node>> nodes_;
  std::map<std::uint64_t, Connection> connections_;
  std::map<std::pair<unsigned, ConnId>, std::uint64_t> by_id_;
  std::multimap<Instant, std::function<void()>> events_;
  std::set<std::pair<Instant, unsigned>> wakes_;
  std::uint64_t digest_ = 0xcbf29ce484222325;
  sluice::testing::Random random_;
  Instant now_ = instant_ns(1'000'000'000);
  std::uint64_t next_key_ = 1;
  ConnId next_accepted_ = 1;
  bool faults_ = false, passive_ = false;
};

class Simulation : public ::testing::TestWithParam<unsigned> {};

// Faults for a while, then none: the digest of all that happened.
std::uint64_t simulate(unsigned seed, unsigned nodes, int steps) {
  Network net(nodes, seed);
  auto& random = net.random();
  net.faults(true);
  const auto some_prefix = [&](unsigned node) {
    return routing::IpPrefix(Ipv4Prefix::of(Ipv4Address{0x0a000000 + (node << 12) + (random() % 8 << 8)}, 24));
  };
  std::set<unsigned> cut_off;
  for (int i = 0; i < steps; ++i) {
    const unsigned node = random() % nodes;
    switch (random() % 16) {
      case 0:
      case 1:
        net.cut_something();
        break;
      case 2:
        net.restart(node, Network::How::crash);
        break;
      case 3:
        net.restart(node, random() % 2 == 0 ? Network::How::clean : Network::How::graceful);
        break;
      case 4:  // several at once, for a while
        for (unsigned n = 1 + random() % (1 + nodes / 4); n > 0; --n) cut_off.insert(random() % nodes);
        for (const auto n : cut_off) net.partition(n, true);
        break;
      case 5:
        for (const auto n : cut_off) net.partition(n, false);
        cut_off.clear();
        break;
      case 6:
        node == 0 ? net.refresh(0, nodes - 1) : net.refresh(node, 0);
        break;
      case 7:
        node == 0 ? net.clear(0, nodes - 1) : net.clear(node, 0);
        break;
      case 8: {  // a virtual address flaps
        const auto p = some_prefix(0);
        for (unsigned n = random() % 8; n > 0; --n) {
          n % 2 == 0 ? net.announce(0, p) : net.withdraw(0, p);
          net.run(std::chrono::milliseconds(random() % 50));
        }
        break;
      }
      case 9:
      case 10:
      case 11:
        net.withdraw(node, some_prefix(node));
        break;
      default:
        net.announce(node, some_prefix(node));
        break;
    }
    net.run(std::chrono::milliseconds(random() % 3000));
  }
  for (const auto n : cut_off) net.partition(n, false);
  net.faults(false);
  net.run(400s);  // OpenSent (240 s), hold time, back-off (30 s) and restart time (120 s) are over
  for (unsigned i = 0; i < nodes; ++i) {
    EXPECT_EQ(net.routes(i), net.expected_at(i)) << "node " << i << ", seed " << seed;
  }
  for (unsigned j = 1; j < nodes; ++j) {
    EXPECT_EQ(net.facts(0, j).state, State::established) << text_of(net.facts(0, j)) << "seed " << seed;
    EXPECT_EQ(net.facts(0, j).treated_as_withdraw, 0u);
    EXPECT_EQ(net.facts(0, j).stale_prefixes, 0u);
  }
  return net.digest();
}

TEST_P(Simulation, ConvergesWhenFaultsStop) { simulate(GetParam(), 2 + GetParam() % 7, 60); }

INSTANTIATE_TEST_SUITE_P(Seeds, Simulation, ::testing::Range(1u, 151u));

TEST(SimulationLarge, ThreeHundredSpeakers) { simulate(7, 300, 60); }
TEST(SimulationLarge, HundredAndFiftySpeakers) { simulate(40, 150, 80); }

TEST(SimulationSeed, SameSeedSameDigest) {
  for (const unsigned seed : {3u, 11u, 60u}) EXPECT_EQ(simulate(seed, 6, 60), simulate(seed, 6, 60)) << seed;
  EXPECT_NE(simulate(3, 6, 60), simulate(4, 6, 60));
}

TEST(SimulationQuiet, BothSidesConnectAtOnceAndOneSessionStays) {
  Network net(2, 5);
  net.announce(0, prefix("172.16.40.80/32"));
  net.announce(1, prefix("10.244.1.0/24"));
  net.run(10s);
  EXPECT_EQ(net.routes(0), net.expected_at(0));
  EXPECT_EQ(net.routes(1), net.expected_at(1));
  EXPECT_EQ(net.facts(0, 1).connections_dropped, 0u);
  net.run(600s);
  EXPECT_EQ(net.facts(0, 1).connections_dropped, 0u);
}

}  // namespace
}  // namespace sluice::bgp::simulation_test
