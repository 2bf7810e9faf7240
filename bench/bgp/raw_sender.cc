// bgp-raw-sender: many BGP neighbours in one process that do nothing but send bytes made beforehand and note when bytes
// came back.
//
//   bgp-raw-sender --target 10.98.0.1 --peers 5000 --routes 2
//
// Neighbour i connects from 10.99.0.1 + i (AnyIP) with AS 64512 and announces `routes` /32s. Commands on stdin, an
// answer line each: "up" (all connected, OPEN and KEEPALIVE seen), "announce", "withdraw" (all bytes handed to the
// kernel), "drip N US" (one more route N times, every US microseconds, in turn announced and withdrawn), "watch N" (N
// neighbours have had an UPDATE since the last "watch"; prints when the last came), "quit". Keepalives are answered all
// the time. Times are CLOCK_MONOTONIC seconds.
//
// Called by: bench/bgp/compare. Runs on: its own process.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "control/bgp/message.h"
#include "control/bgp/open.h"
#include "control/bgp/update.h"

namespace {

using namespace sluice;
using namespace sluice::bgp;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

struct Neighbour {
  int fd = -1;
  bool up = false;
  Bytes input;
  Bytes output;
  std::size_t sent = 0;
  double last_update = 0, last_sent = 0, last_message = 0;
  std::size_t updates = 0;
};

class Sender {
 public:
  std::string target = "10.98.0.1";
  unsigned peers = 1, routes = 1'000'000, port = 179, hold = 240;
  std::uint32_t first_peer = 0x0a630001, first_route = 0x14000000, next_hop = 0x0a6200fe;

  int run() {
    rlimit files{20000, 20000};
    setrlimit(RLIMIT_NOFILE, &files);
    epoll_ = epoll_create1(0);
    watch_fd(0, EPOLLIN, ~0u);
    all_.resize(peers);
    for (unsigned i = 0; i < peers; ++i) {
      connect_one(i);
      if (i % 64 == 63) poll_once(0);
    }
    while (!done_) poll_once(200);
    return 0;
  }

 private:
  void watch_fd(int fd, unsigned events, unsigned id, int operation = EPOLL_CTL_ADD) {
    epoll_event event{};
    event.events = events;
    event.data.u32 = id;
    epoll_ctl(epoll_, operation, fd, &event);
  }
  static sockaddr_in address(std::uint32_t ip, unsigned port) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(ip);
    a.sin_port = htons(static_cast<std::uint16_t>(port));
    return a;
  }

  void connect_one(unsigned i) {
    auto& n = all_[i];
    n.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const int one = 1;
    setsockopt(n.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(n.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    const auto from = address(first_peer + i, 0);
    auto to = address(0, port);
    inet_pton(AF_INET, target.c_str(), &to.sin_addr);
    if (bind(n.fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0) std::perror("bind");
    connect(n.fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    OpenMessage open;
    open.as = 64512;
    open.hold_time_s = static_cast<std::uint16_t>(hold);
    open.identifier = first_peer + i;
    open.capabilities.multiprotocol = {true, false};
    open.capabilities.route_refresh = true;
    open.capabilities.four_octet_as = 64512;
    n.output = encode_open(open);
    watch_fd(n.fd, EPOLLIN | EPOLLOUT, i);
  }

  void poll_once(int wait_ms) {
    epoll_event events[512];
    if (drips_ != 0) wait_ms = std::clamp(static_cast<int>((next_drip_ - now()) * 1000), 0, wait_ms);
    const int count = epoll_wait(epoll_, events, 512, wait_ms);
    for (int e = 0; e < count; ++e) {
      if (events[e].data.u32 == ~0u) {
        command();
        continue;
      }
      const auto i = events[e].data.u32;
      if ((events[e].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) read_some(i);
      if ((events[e].events & EPOLLOUT) != 0) write_some(i);
    }
    const auto t = now();
    if (t - last_keepalives_ > 20) {
      last_keepalives_ = t;
      for (unsigned i = 0; i < peers; ++i) {
        if (all_[i].up) queue(i, encode_keepalive());
      }
    }
    drip();
    answer();
  }
  void drip() {
    if (drips_ == 0 || now() < next_drip_) return;
    next_drip_ += drip_every_;
    queue(0, updates_of(first_route + peers * routes, 1, --drips_ % 2 != 0));
  }

  void queue(unsigned i, const Bytes& bytes) {
    auto& n = all_[i];
    if (n.fd < 0) return;
    n.output.insert(n.output.end(), bytes.begin(), bytes.end());
    write_some(i);
  }
  void write_some(unsigned i) {
    auto& n = all_[i];
    while (n.fd >= 0 && n.sent < n.output.size()) {
      const auto w = ::send(n.fd, n.output.data() + n.sent, n.output.size() - n.sent, MSG_NOSIGNAL);
      if (w < 0) {
        if (errno == EAGAIN || errno == ENOTCONN) return watch_fd(n.fd, EPOLLIN | EPOLLOUT, i, EPOLL_CTL_MOD);
        return lost(i);
      }
      n.sent += static_cast<std::size_t>(w);
    }
    n.output.clear();
    n.sent = 0;
    if (n.fd >= 0) watch_fd(n.fd, EPOLLIN, i, EPOLL_CTL_MOD);
  }
  void lost(unsigned i) {
    auto& n = all_[i];
    if (n.fd < 0) return;
    std::fprintf(stderr, "neighbour %u lost: %s\n", i, std::strerror(errno));
    close(n.fd);
    n.fd = -1;
    n.up = false;
  }
  void read_some(unsigned i) {
    auto& n = all_[i];
    static std::uint8_t buffer[65536];
    if (n.fd < 0) return;
    const auto got = recv(n.fd, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      // The listener may not be there yet, or its queue full.
      const bool again = !n.up;
      lost(i);
      if (again) connect_one(i);
      return;
    }
    n.input.insert(n.input.end(), buffer, buffer + got);
    std::size_t at = 0;
    while (true) {
      const auto result = next_frame(ByteSpan(n.input).subspan(at), kExtendedMessageMax);
      const auto* frame = std::get_if<Frame>(&result);
      if (frame == nullptr) break;
      if (frame->type == MessageType::open) queue(i, encode_keepalive());
      if (frame->type == MessageType::keepalive) n.up = true;
      if (frame->type == MessageType::update && frame->body.size() > 4) {
        ++n.updates;
        n.last_update = now();
      }
      if (frame->type == MessageType::notification) {
        std::fprintf(stderr, "neighbour %u: %s\n", i, decode_notification(frame->body)->text().c_str());
      }
      at += frame->message.size();
    }
    n.input.erase(n.input.begin(), n.input.begin() + static_cast<std::ptrdiff_t>(at));
  }

  void command() {
    char line[128];
    const auto got = read(0, line, sizeof line - 1);
    if (got <= 0) {
      done_ = true;
      return;
    }
    line[got] = 0;
    waiting_ = std::string(line, std::string_view(line).find('\n'));
    if (waiting_ == "quit") done_ = true;
    if (waiting_ == "announce" || waiting_ == "withdraw") {
      start_ = now();
      for (unsigned i = 0; i < peers; ++i) {
        queue(i, updates_of(first_route + i * routes, routes, waiting_ == "announce"));
      }
    }
    if (unsigned count = 0, us = 0; std::sscanf(line, "drip %u %u", &count, &us) == 2) {
      drips_ = count;
      drip_every_ = us / 1e6;
      start_ = next_drip_ = now();
    }
    if (waiting_.starts_with("watch")) {
      start_ = now();
      wanted_ = std::stoul("0" + waiting_.substr(std::min<std::size_t>(6, waiting_.size())));
      for (auto& n : all_) n.updates = 0;
    }
  }
  Bytes updates_of(std::uint32_t first, unsigned count, bool announce) const {
    std::vector<Nlri> list;
    list.reserve(count);
    for (unsigned r = 0; r < count; ++r) list.push_back({Ipv4Prefix{Ipv4Address{first + r}, 32}, 0});
    PathAttributes a;
    a.origin = Origin::igp;
    a.next_hop = Ipv4Address{next_hop};
    a.local_pref = 100;
    Bytes out;
    if (announce) {
      encode_announcements(out, a, {true, true}, list, false, kMessageMax);
    } else {
      encode_withdrawals(out, list, false, kMessageMax);
    }
    return out;
  }
  void answer() {
    if (waiting_.empty()) return;
    double when = now();
    if (waiting_ == "up") {
      for (const auto& n : all_) {
        if (!n.up) return;
      }
    } else if (waiting_.starts_with("watch")) {
      std::size_t seen = 0;
      when = 0;
      for (const auto& n : all_) {
        seen += n.updates != 0 ? 1 : 0;
        when = std::max(when, n.last_update);
      }
      if (seen < wanted_) return;
    } else {
      if (drips_ != 0) return;
      for (const auto& n : all_) {
        if (n.sent < n.output.size()) return;
      }
    }
    std::printf("%s %.6f %.6f\n", waiting_.c_str(), start_, when);
    std::fflush(stdout);
    waiting_.clear();
  }

  int epoll_ = -1;
  std::vector<Neighbour> all_;
  std::string waiting_;
  double start_ = 0, last_keepalives_ = now();
  std::size_t wanted_ = 0;
  unsigned drips_ = 0;
  double next_drip_ = 0, drip_every_ = 0;
  bool done_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("BGP neighbours that send what was made beforehand");
  Sender sender;
  std::string first_peer, first_route, next_hop;  // empty: as they are
  app.add_option("--target", sender.target);
  app.add_option("--port", sender.port);
  app.add_option("--peers", sender.peers);
  app.add_option("--routes", sender.routes);
  app.add_option("--hold", sender.hold);
  app.add_option("--first-peer", first_peer);
  app.add_option("--first-route", first_route);
  app.add_option("--next-hop", next_hop);
  CLI11_PARSE(app, argc, argv);
  const auto address = [](const std::string& text, std::uint32_t& out) {
    if (const auto parsed = Ipv4Address::parse(text)) out = parsed->value;
  };
  address(first_peer, sender.first_peer);
  address(first_route, sender.first_route);
  address(next_hop, sender.next_hop);
  return sender.run();
}
