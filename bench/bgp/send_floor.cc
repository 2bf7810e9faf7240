// bgp-send-floor: what the kernel alone takes to write one UPDATE to thousands of connections: the floor of a flip.
//
//   bgp-send-floor --listen 10.98.0.1
//
// Answers OPEN and keepalives as far as bgp-raw-sender needs it, with bytes made beforehand, and has no timers, routes
// or neighbours. "flip PREFIX" on stdin writes the same UPDATE as Sluice would, by one bare send() a connection, and
// prints how long that took, in the words of tests/interop/bgp_speaker.
//
// Called by: bench/bgp/compare. Runs on: its own process.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "control/bgp/message.h"
#include "control/bgp/open.h"
#include "control/bgp/update.h"
#include "control/routing/ip_prefix.h"

namespace {

using namespace sluice;
using namespace sluice::bgp;

class Floor {
 public:
  std::string listen_address = "10.98.0.1";
  unsigned port = 179;

  int run() {
    rlimit files{20000, 20000};
    setrlimit(RLIMIT_NOFILE, &files);
    epoll_ = epoll_create1(0);
    if (!listen_there()) return 1;
    watch(0);
    watch(listener_);
    while (!done_) {
      epoll_event events[512];
      const int count = epoll_wait(epoll_, events, 512, -1);
      for (int e = 0; e < count; ++e) {
        const int fd = events[e].data.fd;
        if (fd == 0) {
          command();
        } else if (fd == listener_) {
          take();
        } else {
          read_some(fd);
        }
      }
    }
    return 0;
  }

 private:
  void watch(int fd) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }
  bool listen_there() {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const int one = 1;
    setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(static_cast<std::uint16_t>(port));
    inet_pton(AF_INET, listen_address.c_str(), &a.sin_addr);
    if (bind(listener_, reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0 && listen(listener_, 8192) == 0) {
      return true;
    }
    std::perror("listen");
    return false;
  }
  void take() {
    for (int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK); fd >= 0;
         fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK)) {
      const int one = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      OpenMessage open;
      open.as = 64512;
      open.hold_time_s = 240;
      open.identifier = 0x0a620001;
      open.capabilities.multiprotocol = {true, false};
      open.capabilities.four_octet_as = 64512;
      auto bytes = encode_open(open);
      const auto keepalive = encode_keepalive();
      bytes.insert(bytes.end(), keepalive.begin(), keepalive.end());
      (void)::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      all_.push_back(fd);
      watch(fd);
    }
  }
  void read_some(int fd) {
    static char buffer[65536];
    const auto n = recv(fd, buffer, sizeof buffer, 0);
    if (n > 0 || (n < 0 && errno == EAGAIN)) return;
    std::erase(all_, fd);
    close(fd);
  }
  void command() {
    char line[128];
    const auto got = read(0, line, sizeof line - 1);
    if (got <= 0) {
      done_ = true;
      return;
    }
    line[got] = 0;
    const std::string words(line, std::string_view(line).find('\n'));
    if (words.starts_with("flip ")) {
      if (const auto prefix = routing::IpPrefix::parse(words.substr(5))) flip(*prefix);
    } else if (words == "turns") {
      std::puts("0 turns, the longest 0.0 ms");
    }
    std::fflush(stdout);
  }
  void flip(const routing::IpPrefix& prefix) {
    const Nlri route{prefix, 0};
    PathAttributes a;
    a.origin = Origin::incomplete;
    a.next_hop = Ipv4Address{0x0a620001};
    a.local_pref = 100;
    Bytes bytes;
    there_ ? encode_withdrawals(bytes, std::span(&route, 1), false, kMessageMax)
           : encode_announcements(bytes, a, {true, true}, std::span(&route, 1), false, kMessageMax);
    there_ = !there_;
    const auto start = std::chrono::steady_clock::now();
    std::size_t failed = 0;
    for (const int fd : all_) {
      failed += ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? 1 : 0;
    }
    const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
    if (failed != 0) std::fprintf(stderr, "%zu sends failed\n", failed);
    std::printf("told in %.1f ms\n", taken.count());
  }

  int epoll_ = -1, listener_ = -1;
  std::vector<int> all_;
  bool there_ = false, done_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("What the kernel alone takes to write to thousands of connections");
  Floor floor;
  app.add_option("--listen", floor.listen_address);
  app.add_option("--port", floor.port);
  CLI11_PARSE(app, argc, argv);
  return floor.run();
}
