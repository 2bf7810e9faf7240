// The monitors' sockets against real ones on loopback: good, slow, rude, silent and half servers; UDP, ICMP, half-open.
#include "control/io/probe_io.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <thread>

#include "control/io/probe_socket.h"

namespace sluice::io {
namespace {

using namespace monitors;

const Ipv4Address kLoopback = Ipv4Address::from_octets(127, 0, 0, 1);
const Ipv4Address kSource = Ipv4Address::from_octets(127, 0, 0, 9);

std::size_t open_descriptors() {
  const auto folder = std::filesystem::directory_iterator("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(folder), end(folder)));
}

// Who asked: the source of an accepted connection or of a datagram.
Ipv4Endpoint endpoint_of(const sockaddr_in& address) {
  return {Ipv4Address{ntohl(address.sin_addr.s_addr)}, ntohs(address.sin_port)};
}

// A server on loopback that does one thing to each connection. Its sockets are driven by the test's own loop.
class Server {
 public:
  using Behaviour = std::function<void(Server&, int fd)>;

  Server(int type, Behaviour behaviour) : type_(type), behaviour_(std::move(behaviour)) {
    fd_ = UniqueFd(socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_in local{};
    local.sin_family = AF_INET;
    local.sin_addr.s_addr = htonl(kLoopback.value);
    EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&local), sizeof local), 0);
    EXPECT_TRUE(type != SOCK_STREAM || listen(fd_.get(), 64) == 0);
    socklen_t length = sizeof local;
    getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&local), &length);
    endpoint_ = endpoint_of(local);
  }

  Ipv4Endpoint endpoint() const { return endpoint_; }
  // Accepts what came and lets the behaviour act on every connection that has something to read.
  void poll() {
    if (type_ == SOCK_DGRAM) {
      behaviour_(*this, fd_.get());
      return;
    }
    sockaddr_in peer{};
    socklen_t length = sizeof peer;
    while (true) {
      UniqueFd accepted(accept4(fd_.get(), reinterpret_cast<sockaddr*>(&peer), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!accepted) break;
      ++accepted_count;
      last_peer = endpoint_of(peer);
      connections_.push_back(std::move(accepted));
    }
    for (UniqueFd& connection : connections_) {
      if (connection) behaviour_(*this, connection.get());
    }
  }
  // Ends this connection; `abort`: by RST.
  void end(int fd, bool abort = false) {
    const linger option{.l_onoff = 1, .l_linger = 0};
    if (abort) setsockopt(fd, SOL_SOCKET, SO_LINGER, &option, sizeof option);
    for (UniqueFd& connection : connections_) {
      if (connection.get() == fd) connection.reset();
    }
  }

  int accepted_count = 0;
  Ipv4Endpoint last_peer;
  std::string seen;

 private:
  int type_;
  Behaviour behaviour_;
  UniqueFd fd_;
  Ipv4Endpoint endpoint_;
  std::vector<UniqueFd> connections_;
};

// Reads what is there into server.seen; true: something was.
bool read_some(Server& server, int fd) {
  std::array<char, 4096> buffer;
  const ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
  if (got > 0) server.seen.append(buffer.data(), static_cast<std::size_t>(got));
  return got > 0;
}
void write_all(int fd, std::string_view bytes) { (void)!::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL); }

Server::Behaviour answers(std::string answer, bool then_close = false) {
  return [=](Server& server, int fd) {
    if (!read_some(server, fd)) return;
    write_all(fd, answer);
    if (then_close) server.end(fd);
  };
}

class ProbeIoTest : public testing::Test {
 protected:
  ProbeIoTest()
      : probes_(loop_, engine_, {.source_for = [](Ipv4Address) { return std::optional(kSource); }},
                [this](const Change& change) { changes_[change.key] = change; }) {}

  static Monitor monitor(MonitorType type = MonitorType::http) {
    Monitor m;
    m.name = "m";
    m.type = type;
    m.interval = 100ms;
    m.timeout = 700ms;
    if (type == MonitorType::http) m.send = "GET / HTTP/1.1\r\nHost: x\r\n\r\n", m.recv = "cka";
    return m;
  }
  void watch(const Monitor& m, Ipv4Endpoint to) {
    Plan plan;
    plan.monitors = {m};
    plan.groups = {{{0}, 0}};
    plan.targets = {{1, to, 0}};
    for (const Error& error : probes_.configure(plan)) ADD_FAILURE() << error.text();
  }
  // Runs the loop (and the server) until the condition holds.
  bool run_until(const std::function<bool()>& condition, Duration time = 5s) {
    const Instant end = now() + time;
    while (!condition() && now() < end) {
      if (server_) server_->poll();
      loop_.context().run_for(std::chrono::milliseconds(2));
    }
    return condition();
  }
  void run_for(Duration time) {
    run_until([] { return false; }, time);
  }
  bool await(Health health) {
    return run_until([&] { return engine_.status(1)->health == health; });
  }
  std::string reason() const { return engine_.status(1)->reason; }

  Loop loop_;
  Engine engine_{probe_limits()};
  ProbeIo probes_;
  std::map<TargetKey, Change> changes_;
  std::unique_ptr<Server> server_;
};

TEST_F(ProbeIoTest, HttpIsUpAndComesFromTheSelfIpAndThePortRange) {
  server_ = std::make_unique<Server>(SOCK_STREAM, answers("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ncka"));
  watch(monitor(), server_->endpoint());
  ASSERT_TRUE(await(Health::up)) << reason();
  EXPECT_EQ(server_->last_peer.address, kSource);
  EXPECT_GE(server_->last_peer.port, 61440);
  EXPECT_EQ(changes_.at(1).health, Health::up);
  EXPECT_TRUE(server_->seen.starts_with("GET / HTTP/1.1\r\n"));
  EXPECT_EQ(probes_.stats().sockets, 0U) << "keep-alive is not waited out";
  const Instant start = now();
  ASSERT_TRUE(run_until([&] { return server_->accepted_count >= 6; }));
  EXPECT_GE(now() - start, 180ms) << "at least half an interval of 100 ms each, even when catching up";
}

TEST_F(ProbeIoTest, ASlowServerInPieces) {
  std::map<int, std::size_t> sent;  // by connection: a probe that a busy machine starves gives way to the next one
  const std::string answer = "HTTP/1.1 200 OK\r\n\r\nxcka";
  server_ = std::make_unique<Server>(SOCK_STREAM, [&](Server& server, int fd) {
    read_some(server, fd);
    if (sent[fd] < answer.size()) write_all(fd, {&answer[sent[fd]++], 1});
  });
  Monitor m = monitor();
  m.interval = 2s, m.timeout = 60s;
  watch(m, server_->endpoint());
  ASSERT_TRUE(run_until([&] { return engine_.status(1)->health == Health::up; }, 30s)) << reason();
  EXPECT_TRUE(std::ranges::any_of(sent, [&](const auto& one) { return one.second == answer.size(); }));
}

TEST_F(ProbeIoTest, RefusedIsDownAtOnce) {
  const Ipv4Endpoint gone = Server(SOCK_STREAM, [](Server&, int) {}).endpoint();
  Monitor m = monitor();
  m.interval = 1s, m.timeout = 60s;
  watch(m, gone);
  ASSERT_TRUE(await(Health::down));
  EXPECT_TRUE(reason().starts_with("m: connection refused. @20")) << reason();
}

TEST_F(ProbeIoTest, ResetIsDownAtOnce) {
  server_ = std::make_unique<Server>(SOCK_STREAM, [](Server& server, int fd) {
    if (read_some(server, fd)) server.end(fd, true);
  });
  Monitor m = monitor();
  m.interval = 1s, m.timeout = 60s;
  watch(m, server_->endpoint());
  ASSERT_TRUE(await(Health::down));
  EXPECT_TRUE(reason().starts_with("m: connection reset before a match.")) << reason();
}

TEST_F(ProbeIoTest, AServerThatNeverAnswers) {
  server_ = std::make_unique<Server>(SOCK_STREAM, [](Server& server, int fd) { read_some(server, fd); });
  watch(monitor(), server_->endpoint());
  ASSERT_TRUE(await(Health::down));
  EXPECT_NE(reason().find("no answer in "), std::string::npos) << reason();
}

TEST_F(ProbeIoTest, HalfAnAnswerAndGarbage) {
  server_ = std::make_unique<Server>(SOCK_STREAM, answers("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nck", true));
  watch(monitor(), server_->endpoint());
  ASSERT_TRUE(await(Health::down));
  EXPECT_NE(reason().find("no match for \"cka\" in 42 bytes: HTTP/1.1 200 OK"), std::string::npos) << reason();

  server_ = std::make_unique<Server>(SOCK_STREAM, answers(std::string(100000, '\xff')));
  watch(monitor(), server_->endpoint());
  ASSERT_TRUE(run_until([&] { return reason().find("in 5120 bytes: ....") != std::string::npos; })) << reason();
}

TEST_F(ProbeIoTest, ABacklogThatIsFullTimesOut) {
  server_ = nullptr;
  UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_addr.s_addr = htonl(kLoopback.value);
  socklen_t length = sizeof local;
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&local), sizeof local), 0);
  ASSERT_EQ(listen(listener.get(), 0), 0);
  getsockname(listener.get(), reinterpret_cast<sockaddr*>(&local), &length);
  std::vector<UniqueFd> fillers;
  for (int i = 0; i < 4; ++i) {
    fillers.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    (void)connect(fillers.back().get(), reinterpret_cast<sockaddr*>(&local), sizeof local);
  }
  watch(monitor(), endpoint_of(local));
  ASSERT_TRUE(await(Health::down));
  EXPECT_NE(reason().find("connect timed out after "), std::string::npos) << reason();
  EXPECT_EQ(probes_.stats().sockets, engine_.stats().in_flight);
}

TEST_F(ProbeIoTest, HalfOpenIsAbortedByReset) {
  server_ = std::make_unique<Server>(SOCK_STREAM, [](Server& server, int fd) {
    std::array<char, 16> buffer;
    if (recv(fd, buffer.data(), buffer.size(), 0) < 0 && errno == ECONNRESET) {
      server.seen += "reset ";
      server.end(fd);
    }
  });
  watch(monitor(MonitorType::tcp_half_open), server_->endpoint());
  ASSERT_TRUE(await(Health::up)) << reason();
  EXPECT_TRUE(run_until([&] { return server_->seen.starts_with("reset"); })) << server_->seen;
}

TEST_F(ProbeIoTest, UdpAnswersAndIsRefusedByIcmp) {
  server_ = std::make_unique<Server>(SOCK_DGRAM, [](Server& server, int fd) {
    std::array<char, 64> buffer;
    sockaddr_in peer{};
    socklen_t length = sizeof peer;
    const ssize_t got = recvfrom(fd, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&peer), &length);
    if (got < 0) return;
    server.last_peer = endpoint_of(peer);
    sendto(fd, "pong", 4, 0, reinterpret_cast<sockaddr*>(&peer), length);
  });
  Monitor m = monitor(MonitorType::udp);
  m.send = "ping", m.recv = "^pong$";
  watch(m, server_->endpoint());
  ASSERT_TRUE(await(Health::up)) << reason();
  EXPECT_EQ(server_->last_peer.address, kSource);
  EXPECT_GE(server_->last_peer.port, 61440);
  server_ = nullptr;
  ASSERT_TRUE(await(Health::down));
  EXPECT_TRUE(reason().starts_with("m: connection refused.")) << reason();
}

TEST_F(ProbeIoTest, IcmpEcho) {
  if (geteuid() != 0) GTEST_SKIP() << "needs CAP_NET_RAW";
  watch(monitor(MonitorType::gateway_icmp), {Ipv4Address::from_octets(127, 0, 0, 77), 0});
  ASSERT_TRUE(await(Health::up)) << reason();
  const auto successes = engine_.stats().successes;
  ASSERT_TRUE(run_until([&] { return engine_.stats().successes >= successes + 3; }));
}

TEST_F(ProbeIoTest, RunningOutOfDescriptorsIsNoVerdict) {
  server_ = std::make_unique<Server>(SOCK_STREAM, answers("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ncka"));
  watch(monitor(), server_->endpoint());
  ASSERT_TRUE(await(Health::up));
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlimit none{.rlim_cur = 3, .rlim_max = limit.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  run_for(1s);  // longer than the timeout
  EXPECT_TRUE(run_until([&] { return engine_.stats().local_errors > 5; }));
  setrlimit(RLIMIT_NOFILE, &limit);
  EXPECT_EQ(engine_.status(1)->health, Health::up);
  const auto successes = engine_.stats().successes;
  EXPECT_TRUE(run_until([&] { return engine_.stats().successes > successes; })) << "and it recovers";
}

TEST_F(ProbeIoTest, AForeignSourceAddressIsAFaultOfOurs) {
  Engine engine;
  ProbeIo probes(loop_, engine, {.source_for = [](Ipv4Address) { return std::optional(Ipv4Address{0x08080808}); }},
                 [](const Change&) {});
  Plan plan;
  plan.monitors = {monitor()};
  plan.groups = {{{0}, 0}};
  plan.targets = {{1, {kLoopback, 9}, 0}};
  ASSERT_TRUE(probes.configure(plan).empty());
  ASSERT_TRUE(run_until([&] { return engine.stats().local_errors > 0; }));
  EXPECT_EQ(engine.status(1)->reason, "m: probe not possible here: Cannot assign requested address");
}

TEST_F(ProbeIoTest, StopClosesEverything) {
  server_ = std::make_unique<Server>(SOCK_STREAM, [](Server& server, int fd) { read_some(server, fd); });
  const std::size_t before = open_descriptors();
  {
    Engine engine;
    ProbeIo probes(loop_, engine, {}, [](const Change&) {});
    Plan plan;
    plan.monitors = {monitor()};
    plan.groups = {{{0}, 0}};
    for (std::uint32_t i = 0; i < 50; ++i) {
      plan.targets.push_back({i, {Ipv4Address{kLoopback.value}, server_->endpoint().port}, 0});
    }
    ASSERT_TRUE(probes.configure(plan).empty());
    ASSERT_TRUE(run_until([&] { return probes.stats().sockets > 0; }));
    probes.stop();
    EXPECT_EQ(probes.stats().sockets, 0U);
    run_for(50ms);
  }
  server_ = nullptr;
  EXPECT_LT(open_descriptors(), before);
}

TEST_F(ProbeIoTest, OnChangeMayReconfigureAndStop) {
  server_ = std::make_unique<Server>(SOCK_STREAM, answers("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ncka"));
  Engine engine;
  int calls = 0;
  std::unique_ptr<ProbeIo> probes;
  probes = std::make_unique<ProbeIo>(loop_, engine, ProbeIoOptions{}, [&](const Change&) {
    if (++calls == 1) {
      EXPECT_TRUE(probes->configure({}).empty());
      probes->stop();
    }
  });
  Plan plan;
  plan.monitors = {monitor()};
  plan.groups = {{{0}, 0}};
  plan.targets = {{1, server_->endpoint(), 0}, {2, server_->endpoint(), 0}};
  ASSERT_TRUE(probes->configure(plan).empty());
  ASSERT_TRUE(run_until([&] { return calls > 0; }));
  run_for(300ms);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(probes->stats().sockets, 0U);
}

// ---- ICMP bytes

TEST(ProbeSocket, IcmpAnswersAreParsedStrictly) {
  std::vector<std::uint8_t> reply = {0x45, 0, 0, 30, 0, 0, 0, 0, 64, 1,    0,    0, 10, 0,   0,
                                     7,    9, 9, 9,  9, 0, 0, 0, 0,  0x12, 0x34, 0, 5,  'h', 'i'};
  const std::uint32_t sum = 0x1234 + 5 + ('h' << 8 | 'i');
  reply[22] = static_cast<std::uint8_t>(~sum >> 8), reply[23] = static_cast<std::uint8_t>(~sum);
  const auto answer = parse_icmp_answer(reply);
  ASSERT_TRUE(answer.has_value());
  EXPECT_FALSE(answer->is_error);
  EXPECT_EQ(answer->id, 0x1234);
  EXPECT_EQ(answer->seq, 5);
  EXPECT_EQ(answer->from.text(), "10.0.0.7");
  EXPECT_EQ(answer->payload, "hi");
  for (std::size_t length = 0; length < reply.size(); ++length) {
    EXPECT_FALSE(parse_icmp_answer(std::span(reply).first(length)).has_value()) << length;
  }
  reply[29] = 'x';
  EXPECT_FALSE(parse_icmp_answer(reply).has_value()) << "checksum";
}

TEST(ProbeSocket, ExplicitBindsWorkWhereTheKernelCannotChoose) {
  Server server(SOCK_STREAM, [](Server&, int) {});
  SourcePorts ports;
  std::vector<UniqueFd> open;
  for (int i = 0; i < 10; ++i) {
    OpenedSocket opened = open_probe_socket(Transport::tcp, server.endpoint(), kSource, ports);
    ASSERT_TRUE(opened.fd) << opened.error;
    sockaddr_in local{};
    socklen_t length = sizeof local;
    getsockname(opened.fd.get(), reinterpret_cast<sockaddr*>(&local), &length);
    EXPECT_EQ(endpoint_of(local).address, kSource);
    EXPECT_GE(endpoint_of(local).port, 61440);
    open.push_back(std::move(opened.fd));
  }
}

}  // namespace
}  // namespace sluice::io
