// What probing costs the control thread, the kernel's part included: N members on loopback addresses, one responder.
//
//   probe-cost [http|tcp|half-open|udp|icmp|refused] [members=10000] [interval_s=5] [seconds=20]
//
// A forked child answers on every address of 127.64.0.0/10; this thread runs io::ProbeIo and measures its own CPU time.
// On loopback the kernel runs the far end's receive path inside our system calls, so this is more than the same probes
// cost over the host port, where a packet is only queued for the engine.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <string_view>

#include "control/io/probe_io.h"

namespace {

using namespace sluice;
using namespace sluice::monitors;

constexpr std::string_view kAnswer =
    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 18\r\n\r\nhello from cka 76\n";

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

int bound_socket(int type, std::uint16_t& port) {
  const int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_port = htons(port);
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&local), sizeof local) != 0) die("bind");
  socklen_t length = sizeof local;
  getsockname(fd, reinterpret_cast<sockaddr*>(&local), &length);
  port = ntohs(local.sin_port);
  return fd;
}

// The far end: answers every request with one small page and leaves closing to the prober.
[[noreturn]] void respond(int listener, int datagrams) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int poll = epoll_create1(0);
  auto add = [&](int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
  };
  add(listener);
  add(datagrams);
  std::array<char, 4096> buffer;
  std::array<epoll_event, 256> events;
  for (;;) {
    const int count = epoll_wait(poll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == listener) {
        for (int accepted; (accepted = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;) add(accepted);
      } else if (fd == datagrams) {
        // Answering from the asked address needs its own socket; recv-less monitors need no answer.
        while (recv(fd, buffer.data(), buffer.size(), 0) >= 0) {
        }
      } else if (recv(fd, buffer.data(), buffer.size(), 0) > 0) {
        (void)!send(fd, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL);
      } else {
        close(fd);
      }
    }
  }
}

Monitor monitor_of(std::string_view type, double interval_s) {
  Monitor m;
  m.name = std::string(type);
  m.interval = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(interval_s));
  m.timeout = 3 * m.interval + 1s;
  m.type = type == "half-open" ? MonitorType::tcp_half_open
           : type == "udp"     ? MonitorType::udp
           : type == "icmp"    ? MonitorType::gateway_icmp
           : type == "tcp"     ? MonitorType::tcp
                               : MonitorType::http;
  if (m.type == MonitorType::http) m.send = "GET / HTTP/1.1\r\nHost: 1.1.1.1\r\n\r\n", m.recv = "cka";
  if (m.type == MonitorType::udp) m.send = "x";
  return m;
}

double cpu_seconds(const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; }

struct Usage {
  double user, system;
  static Usage now() {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return {cpu_seconds(usage.ru_utime), cpu_seconds(usage.ru_stime)};
  }
};

}  // namespace

int main(int argc, char** argv) {
  const std::string_view type = argc > 1 ? argv[1] : "http";
  const auto members = static_cast<std::uint32_t>(argc > 2 ? std::atoi(argv[2]) : 10000);
  const double interval_s = argc > 3 ? std::atof(argv[3]) : 5;
  const int seconds = argc > 4 ? std::atoi(argv[4]) : 20;

  std::uint16_t port = 0;
  const int listener = bound_socket(SOCK_STREAM, port);
  if (listen(listener, 4096) != 0) die("listen");
  const int datagrams = bound_socket(SOCK_DGRAM, port);
  const pid_t child = fork();
  if (child == 0) respond(listener, datagrams);
  close(listener);
  close(datagrams);

  io::Loop loop;
  Engine engine(io::probe_limits());
  std::uint64_t changes = 0;
  io::ProbeIo probes(loop, engine, {.source_for = [](Ipv4Address) { return Ipv4Address::from_octets(127, 0, 0, 9); }},
                     [&](const Change&) { ++changes; });
  Plan plan;
  plan.monitors = {monitor_of(type, interval_s)};
  plan.groups = {{{0}, 0}};
  const std::uint16_t asked = type == "refused" ? std::uint16_t{1} : port;
  for (std::uint32_t i = 0; i < members; ++i) plan.targets.push_back({i, {Ipv4Address{0x7f400001 + i}, asked}, 0});
  for (const Error& error : probes.configure(plan)) fmt::print(stderr, "{}\n", error.text());

  loop.context().run_for(2 * plan.monitors[0].interval);  // past the first, steeper start
  const Stats before = engine.stats();
  const Usage usage_before = Usage::now();
  const Instant start = io::now();
  loop.context().run_for(std::chrono::seconds(seconds));
  const double wall = to_seconds(io::now() - start);
  const Usage usage = Usage::now();
  const Stats after = engine.stats();

  const double user = usage.user - usage_before.user, system = usage.system - usage_before.system;
  const auto attempts = static_cast<double>(after.attempts - before.attempts);
  fmt::print(
      "{:<9} {} members every {} s: {:.0f} probes/s, {} ok, {} failed, {} local errors; control thread {:.1f} % of a "
      "core "
      "(user {:.1f} %, kernel {:.1f} %), {:.1f} us a probe; {} changes, {} stalls\n",
      type, members, interval_s, attempts / wall, after.successes - before.successes, after.failures - before.failures,
      after.local_errors - before.local_errors, 100 * (user + system) / wall, 100 * user / wall, 100 * system / wall,
      1e6 * (user + system) / attempts, changes, after.stalls - before.stalls);
  probes.stop();
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}
