// Our TCP against Linux's: both ends in this process, a TUN device between them, faults from a seed on the way.
//
// The test runs in a network namespace of its own that ends with it. Packets of the kernel's sockets (10.77.0.1) come
// out of the TUN device, cross a relay that loses, doubles, reorders and is too narrow as told, and enter our stack
// (10.77.0.2); and back. Time is real: what takes long is waited for, up to generous deadlines.
// Called by: ./test (netns). Follows: RFC 9293, 7323, 2018, 4987, 1191. Tested by: -
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <list>
#include <map>
#include <queue>

#include "dataplane/base/rng.h"
#include "dataplane/packet/chain.h"
#include "dataplane/tcp/stack.h"
#include "tests/support/eal.h"
#include "tests/support/packets.h"

namespace sluice::tcp::test {
namespace {

using sluice::test::Bytes;

const Ipv4Address kLinux{0x0a4d0001};   // 10.77.0.1
const Ipv4Address kOurs{0x0a4d0002};    // 10.77.0.2
const Ipv4Address kRouter{0x0a4d00fe};  // 10.77.0.254, who says that a packet is too large
constexpr std::uint16_t kPort = 8080;

Instant monotonic() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return instant_ns(std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec);
}

std::uint8_t pattern(std::uint64_t place, std::uint32_t salt) {
  return static_cast<std::uint8_t>((place * 2654435761U >> 8) ^ place ^ salt);
}

// ---- the namespace and its device, made once

int tun_device() {
  static const int fd = [] {
    if (unshare(CLONE_NEWNET) != 0) return -1;
    const int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tun < 0) return -1;
    ifreq request{};
    std::strcpy(request.ifr_name, "stcp0");
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    if (ioctl(tun, TUNSETIFF, &request) != 0) return -1;
    const int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const auto set = [&](unsigned long what, std::uint32_t value) {
      ifreq r{};
      std::strcpy(r.ifr_name, "stcp0");
      auto* in = reinterpret_cast<sockaddr_in*>(&r.ifr_addr);
      in->sin_family = AF_INET;
      in->sin_addr.s_addr = htonl(value);
      return ioctl(control, what, &r) == 0;
    };
    bool fine = set(SIOCSIFADDR, kLinux.value) && set(SIOCSIFNETMASK, 0xffffff00);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    fine = fine && ioctl(control, SIOCSIFFLAGS, &request) == 0;
    close(control);
    return fine ? tun : -1;
  }();
  return fd;
}

void sysctl(const std::string& name, const std::string& value) {
  std::ofstream out("/proc/sys/net/ipv4/" + name);
  out << value;
  out.flush();
  ASSERT_TRUE(out.good()) << name;
}

void set_mtu(int mtu) {
  const int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::strcpy(request.ifr_name, "stcp0");
  request.ifr_mtu = mtu;
  EXPECT_EQ(ioctl(control, SIOCSIFMTU, &request), 0);
  close(control);
}

struct Faults {
  double lose = 0, duplicate = 0, reorder = 0;
  Duration delay = 0us, reorder_by = 3ms;
  std::uint32_t mtu = 0;  // the path's, told by ICMP
};

// A stream that one side writes and the other checks.
struct Stream {
  std::uint64_t to_write = 0, written = 0, read = 0;
  bool close_when_written = true;
  bool reading = true;
  bool peer_closed = false, closed = false;
};

struct OurEnd : Stream {
  Conn* conn = nullptr;
  bool timestamps = false, sack = false, scale = false;  // as negotiated
  CloseReason reason = CloseReason::none;
};

struct LinuxEnd : Stream {
  ~LinuxEnd() {
    if (fd >= 0) ::close(fd);
  }
  int fd = -1;
  bool shut = false;
  int error = 0;
};

class TcpLinux : public ::testing::Test, public Network {
 protected:
  void SetUp() override {
    tun_ = tun_device();
    ASSERT_GE(tun_, 0) << "needs root and /dev/net/tun: " << std::strerror(errno);
    for (const auto& [name, value] : {std::pair{"tcp_window_scaling", "1"},
                                      {"tcp_sack", "1"},
                                      {"tcp_timestamps", "1"},
                                      {"tcp_syncookies", "1"},
                                      {"tcp_fin_timeout", "2"}})
      sysctl(name, value);
    options_.time_wait = 50ms;
    make_stack();
    pattern_of_linux_ = 0x11;
    pattern_of_ours_ = 0x77;
  }
  void TearDown() override {
    linux_ends_.clear();
    if (stack_) {
      faults_ = {};
      stack_->visit(0, UINT32_MAX, [&](Conn& conn) {
        if (!conn.owner_released) stack_->abort(monotonic(), conn);
      });
      run_until([&] { return stack_->conns_in_use() == 0 && flights_.empty(); }, 10s);
      EXPECT_EQ(stack_->conns_in_use(), 0u);
      EXPECT_EQ(stack_->chunks_in_use(), 0u);
      stack_.reset();
    }
    if (listener_ >= 0) ::close(listener_);
    set_mtu(1500);
    Bytes rest(2000);
    while (read(tun_, rest.data(), rest.size()) > 0) {
    }
  }

  void make_stack(const Limits& limits = {.conns_max = 2048, .chunks_max = 8192}) {
    stack_ = std::make_unique<Stack>(monotonic(), limits, HashSeed{seed_, 9}, *this, *pool_, drops_);
  }

  // ---- Network: our segments to the relay
  void output(Instant at, Conn& conn, packet::Packet segment) override { output_reply(at, conn.tuple, segment); }
  void output_reply(Instant at, const Tuple& tuple, packet::Packet segment) override {
    const auto length = static_cast<std::uint16_t>(segment.length());
    Bytes l3(wire::kIpv4Length);
    wire::emit_ipv4(l3.data(), {.total_length = static_cast<std::uint16_t>(length + wire::kIpv4Length),
                                .dont_fragment = true,
                                .protocol = wire::kProtocolTcp,
                                .source = tuple.local.address,
                                .destination = tuple.remote.address});
    const Bytes bytes = sluice::test::to_bytes(segment);
    l3.insert(l3.end(), bytes.begin(), bytes.end());
    std::uint8_t* tcp = l3.data() + wire::kIpv4Length;
    wire::store_be16(tcp + wire::kTcpChecksum,
                     wire::l4_checksum(tuple.local.address, tuple.remote.address, wire::kProtocolTcp, {tcp, length}));
    drops_.consume(segment);
    relay(at, false, std::move(l3));
  }

  // ---- the relay
  struct Flight {
    Instant at;
    std::uint64_t number;
    bool to_ours;
    Bytes l3;
    bool operator>(const Flight& other) const { return std::pair(at, number) > std::pair(other.at, other.number); }
  };

  void relay(Instant now, bool to_ours, Bytes l3) {
    ++relayed_;
    if (rng_.chance(faults_.lose)) return;
    if (faults_.mtu != 0 && l3.size() > faults_.mtu) return too_large(now, to_ours, l3);
    for (int copies = rng_.chance(faults_.duplicate) ? 2 : 1; copies > 0; --copies) {
      Duration delay = faults_.delay;
      if (rng_.chance(faults_.reorder))
        delay +=
            Duration(static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(faults_.reorder_by.count()))));
      flights_.push({now + delay, number_++, to_ours, l3});
    }
  }

  void too_large(Instant now, bool from_linux, const Bytes& l3) {
    const std::uint8_t* tcp = l3.data() + wire::kIpv4Length;
    if (from_linux) {
      Bytes quoted(l3.begin(), l3.begin() + 28);
      flights_.push(
          {now, number_++, false,
           sluice::test::Frame().ip(kRouter, kLinux).icmp(3, 4, faults_.mtu).payload(std::move(quoted)).l3()});
      return;
    }
    const Tuple tuple{.local = {kOurs, wire::load_be16(tcp)}, .remote = {kLinux, wire::load_be16(tcp + 2)}};
    too_large_.push_back({tuple, wire::load_be32(tcp + wire::kTcpSequence)});
  }

  void deliver(Instant now, const Flight& flight) {
    if (!flight.to_ours) {
      if (write(tun_, flight.l3.data(), flight.l3.size()) < 0) {
        EXPECT_TRUE(errno == EAGAIN || errno == ENOBUFS) << std::strerror(errno);
      }
      return;
    }
    const packet::Packet packet = sluice::test::to_packet(*pool_, flight.l3);
    wire::Layers layers;
    if (wire::parse_ipv4_layers(packet.bytes(), packet.length(), 0, true, layers) ||
        layers.kind != wire::PacketKind::tcp || layers.destination != kOurs)
      return drops_.consume(packet);
    wire::ChecksumSum sum;
    sum.add_pseudo_header(layers.source, layers.destination, wire::kProtocolTcp, layers.l4_length());
    packet::add_to_checksum(packet, layers.l4_offset, layers.l4_length(), sum);
    EXPECT_EQ(sum.finish(), 0) << "Linux's checksum";
    const Tuple tuple{.local = {layers.destination, layers.dst_port}, .remote = {layers.source, layers.src_port}};
    Conn* conn = stack_->find(tuple);
    if (conn && stack_->recycle(now, *conn, packet, layers)) conn = nullptr;
    if (conn) return stack_->input(now, *conn, packet, layers);
    if (tuple.local.port != kPort) return stack_->refuse(now, tuple, packet, layers);
    if (Conn* fresh = stack_->accept(now, tuple, packet, layers, options_, nullptr)) {
      OurEnd& end = our_ends_.emplace_back();
      end.conn = fresh;
      end.to_write = accepted_writes_;
      end.close_when_written = accepted_closes_;
      fresh->owner = &end;
    }
  }

  // ---- the applications
  void our_turn(Instant now) {
    while (Conn* conn = stack_->take_ready()) {
      const std::uint8_t events = std::exchange(conn->events, std::uint8_t{0});
      OurEnd& end = *static_cast<OurEnd*>(conn->owner);
      if (events & kEstablished) {
        end.timestamps = conn->timestamps_on;
        end.sack = conn->sack_permitted;
        end.scale = conn->window_scale_on;
      }
      if (end.reading) our_read(end);
      if (events & kPeerClosed) end.peer_closed = true;
      if (events & kClosed) {
        end.closed = true;
        end.reason = conn->close_reason;
        end.conn = nullptr;
        stack_->release(now, *conn);
      }
    }
    for (OurEnd& end : our_ends_) {
      if (!end.conn) continue;
      while (end.to_write > 0 && end.conn->can_send()) {
        const auto n =
            static_cast<std::size_t>(std::min<std::uint64_t>({end.to_write, 8000, stack_->send_room(*end.conn)}));
        if (n == 0) break;
        Bytes bytes(n);
        for (std::size_t i = 0; i < n; ++i) bytes[i] = pattern(end.written + i, pattern_of_ours_);
        const packet::Packet packet = packet::from_bytes(*pool_, bytes);
        if (!packet) break;
        if (!stack_->send(now, *end.conn, packet)) {
          drops_.consume(packet);
          break;
        }
        end.written += n;
        end.to_write -= n;
      }
      if (end.to_write == 0 && end.close_when_written && end.conn->can_send()) stack_->close(now, *end.conn);
    }
    stack_->flush(now);
  }

  void our_read(OurEnd& end) {
    while (const packet::Packet packet = stack_->receive(*end.conn)) {
      const Bytes bytes = sluice::test::to_bytes(packet);
      drops_.consume(packet);
      for (const std::uint8_t byte : bytes) {
        if (byte != pattern(end.read++, pattern_of_linux_)) {
          ADD_FAILURE() << "we read a wrong byte at " << end.read - 1;
          return;
        }
      }
    }
  }

  void linux_turn() {
    for (LinuxEnd& end : linux_ends_) {
      if (end.fd < 0 || end.closed) continue;
      while (end.to_write > 0) {
        Bytes bytes(std::min<std::uint64_t>(end.to_write, 16'000));
        for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = pattern(end.written + i, pattern_of_linux_);
        const ssize_t n = ::send(end.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0) {
          note_error(end, n);
          break;
        }
        end.written += static_cast<std::uint64_t>(n);
        end.to_write -= static_cast<std::uint64_t>(n);
      }
      if (end.to_write == 0 && end.close_when_written && !end.shut && end.error == 0)
        end.shut = ::shutdown(end.fd, SHUT_WR) == 0;
      while (end.reading && !end.peer_closed && !end.closed) {
        Bytes bytes(16'000);
        const ssize_t n = ::recv(end.fd, bytes.data(), bytes.size(), 0);
        if (n == 0) end.peer_closed = true;
        if (n <= 0) {
          note_error(end, n);
          break;
        }
        for (ssize_t i = 0; i < n; ++i) {
          if (bytes[static_cast<std::size_t>(i)] != pattern(end.read++, pattern_of_ours_)) {
            ADD_FAILURE() << "Linux reads a wrong byte at " << end.read - 1;
            end.closed = true;
            return;
          }
        }
      }
      if (end.peer_closed && end.shut) close_linux(end);
    }
  }
  static void note_error(LinuxEnd& end, ssize_t n) {
    if (n < 0 && errno != EAGAIN && errno != ENOTCONN) {
      end.error = errno;
      end.closed = true;
    }
  }
  static void close_linux(LinuxEnd& end) {
    ::close(end.fd);
    end.fd = -1;
    end.closed = true;
  }

  bool run_until(const std::function<bool()>& condition, Duration limit) {
    const Instant until = monotonic() + limit;
    for (;;) {
      Instant now = monotonic();
      Bytes l3(2048);
      for (int i = 0; i < 64; ++i) {
        const ssize_t n = read(tun_, l3.data(), l3.size());
        if (n <= 0) break;
        if (l3[0] >> 4 == 4 && l3[9] == wire::kProtocolTcp) relay(now, true, Bytes(l3.begin(), l3.begin() + n));
      }
      while (!flights_.empty() && flights_.top().at <= now) {
        const Flight flight = flights_.top();
        flights_.pop();
        deliver(now, flight);
      }
      for (const auto& [tuple, sequence] : std::exchange(too_large_, {}))
        if (Conn* conn = stack_->find(tuple))
          stack_->on_icmp_error(now, *conn, sequence, static_cast<std::uint16_t>(faults_.mtu), false);
      stack_->on_timers(now, 1000);
      our_turn(now);
      linux_turn();
      if (condition()) return true;
      if (now > until) return false;
      pollfd fd{tun_, POLLIN, 0};
      if (flights_.empty() || flights_.top().at > now) poll(&fd, 1, 1);
    }
  }

  // ---- opening
  LinuxEnd& linux_connects(std::uint64_t writes, std::uint16_t port = kPort) {
    LinuxEnd& end = linux_ends_.emplace_back();
    end.to_write = writes;
    end.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(kOurs.value);
    if (receive_buffer_ != 0) {
      EXPECT_EQ(setsockopt(end.fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer_, sizeof receive_buffer_), 0);
    }
    EXPECT_TRUE(::connect(end.fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 || errno == EINPROGRESS);
    return end;
  }
  void linux_listens() {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(kPort);
    at.sin_addr.s_addr = htonl(kLinux.value);
    ASSERT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    ASSERT_EQ(listen(listener_, 512), 0);
  }
  bool linux_accepts(std::uint64_t writes) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return false;
    LinuxEnd& end = linux_ends_.emplace_back();
    end.fd = fd;
    end.to_write = writes;
    return true;
  }
  OurEnd& we_connect(std::uint64_t writes, std::uint16_t port = kPort) {
    OurEnd& end = our_ends_.emplace_back();
    end.to_write = writes;
    end.conn = stack_->connect(monotonic(), {.local = {kOurs, next_port_++}, .remote = {kLinux, port}}, options_, &end);
    EXPECT_NE(end.conn, nullptr);
    stack_->flush(monotonic());
    return end;
  }

  // Both ends opened by `ours` or by Linux, `bytes` each way, to the end of both.
  void transfer(bool ours, std::uint64_t bytes, Duration limit) {
    SCOPED_TRACE(ours ? "we connect" : "Linux connects");
    const std::size_t ours_before = our_ends_.size(), linux_before = linux_ends_.size();
    accepted_writes_ = bytes;
    accepted_closes_ = true;
    const Instant begin = monotonic();
    if (ours) {
      if (listener_ < 0) linux_listens();
      we_connect(bytes);
    } else {
      linux_connects(bytes);
    }
    const bool done = run_until(
        [&] {
          if (ours && linux_ends_.size() == linux_before) linux_accepts(bytes);
          return our_ends_.size() > ours_before && our_ends_.back().closed && linux_ends_.size() > linux_before &&
                 linux_ends_.back().closed;
        },
        limit);
    ASSERT_TRUE(our_ends_.size() > ours_before && linux_ends_.size() > linux_before) << "no handshake";
    const OurEnd& our = our_ends_.back();
    const LinuxEnd& linux_end = linux_ends_.back();
    EXPECT_TRUE(done) << "we read " << our.read << " Linux read " << linux_end.read << " of " << bytes;
    EXPECT_EQ(our.read, bytes);
    EXPECT_EQ(linux_end.read, bytes);
    EXPECT_EQ(linux_end.error, 0) << std::strerror(linux_end.error);
    EXPECT_EQ(name_of(our.reason), name_of(CloseReason::finished));
    seconds_ = to_seconds(monotonic() - begin);
  }

  const std::uint64_t seed_ = 20261125;
  Rng rng_{seed_};
  Faults faults_;
  Options options_;
  sluice::test::TestPool pool_{8191};
  packet::Drops drops_;
  std::unique_ptr<Stack> stack_;
  int tun_ = -1, listener_ = -1;
  int receive_buffer_ = 0;  // of sockets that connect; 0: Linux's own choice
  std::list<OurEnd> our_ends_;
  std::list<LinuxEnd> linux_ends_;
  std::uint64_t accepted_writes_ = 0;
  bool accepted_closes_ = true;
  std::priority_queue<Flight, std::vector<Flight>, std::greater<>> flights_;
  std::vector<std::pair<Tuple, std::uint32_t>> too_large_;
  std::uint64_t number_ = 0, relayed_ = 0;
  static inline std::uint16_t next_port_ = 40000;  // Linux remembers the ones used before in TIME-WAIT
  std::uint32_t pattern_of_linux_ = 0, pattern_of_ours_ = 0;
  double seconds_ = 0;
};

TEST_F(TcpLinux, BulkBothWaysOverACleanPath) {
  for (const bool ours : {false, true}) {
    transfer(ours, 4'000'000, 30s);
    fmt::print("{}: {:.0f} Mbit/s each way\n", ours ? "we connect" : "Linux connects", 32.0 / seconds_);
    EXPECT_EQ(stack_->counters().timeouts.get(), 0u) << "a clean path has no timeouts";
  }
}

TEST_F(TcpLinux, BulkBothWaysOverABadPath) {
  faults_ = {.lose = 0.02, .duplicate = 0.02, .reorder = 0.1, .delay = 1ms};
  for (const CongestionControl congestion : {CongestionControl::cubic, CongestionControl::newreno}) {
    options_.congestion = congestion;
    for (const bool ours : {false, true}) {
      transfer(ours, 300'000, 60s);
      fmt::print("{}: {:.1f} Mbit/s each way through 2 % loss, 10 % reordering\n",
                 ours ? "we connect" : "Linux connects", 2.4 / seconds_);
    }
  }
}

TEST_F(TcpLinux, EveryCombinationOfOptions) {
  faults_ = {.lose = 0.005, .delay = 200us};
  for (unsigned bits = 0; bits < 8; ++bits) {
    SCOPED_TRACE(bits);
    sysctl("tcp_window_scaling", bits & 1 ? "1" : "0");
    sysctl("tcp_sack", bits & 2 ? "1" : "0");
    sysctl("tcp_timestamps", bits & 4 ? "1" : "0");
    for (const bool ours : {false, true}) {
      transfer(ours, 100'000, 30s);
      EXPECT_EQ(our_ends_.back().scale, (bits & 1) != 0);
      EXPECT_EQ(our_ends_.back().sack, (bits & 2) != 0);
      EXPECT_EQ(our_ends_.back().timestamps, (bits & 4) != 0);
    }
  }
}

TEST_F(TcpLinux, EveryCombinationThatWeRefuse) {
  for (unsigned bits = 0; bits < 8; ++bits) {
    SCOPED_TRACE(bits);
    options_.window_scale = bits & 1;
    options_.sack = bits & 2;
    options_.timestamps = bits & 4;
    for (const bool ours : {false, true}) {
      transfer(ours, 50'000, 30s);
      EXPECT_EQ(our_ends_.back().scale, (bits & 1) != 0);
      EXPECT_EQ(our_ends_.back().sack, (bits & 2) != 0);
      EXPECT_EQ(our_ends_.back().timestamps, (bits & 4) != 0);
    }
  }
}

TEST_F(TcpLinux, ManyShortConns) {
  faults_ = {.lose = 0.01, .delay = 100us};
  accepted_writes_ = 500;
  linux_listens();
  for (int i = 0; i < 150; ++i) linux_connects(100);
  for (int i = 0; i < 150; ++i) we_connect(100);
  const auto all = [](const auto& ends, std::size_t n) {
    return ends.size() == n && std::ranges::all_of(ends, [](const auto& end) { return end.closed; });
  };
  EXPECT_TRUE(run_until(
      [&] {
        while (linux_accepts(500)) {
        }
        return all(our_ends_, 300) && all(linux_ends_, 300);
      },
      60s))
      << our_ends_.size() << " " << linux_ends_.size();
  std::uint64_t ours = 0, theirs = 0;
  for (const OurEnd& end : our_ends_) {
    ours += end.read;
    EXPECT_EQ(name_of(end.reason), name_of(CloseReason::finished));
  }
  for (const LinuxEnd& end : linux_ends_) {
    theirs += end.read;
    EXPECT_EQ(end.error, 0);
  }
  EXPECT_EQ(ours, 150u * 600);
  EXPECT_EQ(theirs, 150u * 600);
}

TEST_F(TcpLinux, HalfCloseOfLinuxAndOfOurs) {
  accepted_writes_ = 0;
  accepted_closes_ = false;
  LinuxEnd& linux_end = linux_connects(1000);  // writes, shuts, and goes on reading
  ASSERT_TRUE(run_until([&] { return !our_ends_.empty() && our_ends_.back().peer_closed; }, 20s));
  our_ends_.back().to_write = 300'000;
  our_ends_.back().close_when_written = true;
  EXPECT_TRUE(run_until([&] { return linux_end.closed; }, 20s));
  EXPECT_EQ(linux_end.read, 300'000u);

  linux_listens();
  OurEnd& our = we_connect(1000);
  ASSERT_TRUE(run_until([&] { return linux_accepts(0); }, 20s));
  LinuxEnd& server = linux_ends_.back();
  server.close_when_written = false;
  ASSERT_TRUE(run_until([&] { return server.peer_closed; }, 20s));
  server.to_write = 300'000;
  server.close_when_written = true;
  EXPECT_TRUE(run_until([&] { return our.closed; }, 20s));
  EXPECT_EQ(our.read, 300'000u);
  EXPECT_EQ(name_of(our.reason), name_of(CloseReason::finished));
}

TEST_F(TcpLinux, ResetsAndRefusals) {
  accepted_closes_ = false;
  LinuxEnd& first = linux_connects(1000);
  first.close_when_written = false;
  ASSERT_TRUE(run_until([&] { return !our_ends_.empty() && our_ends_.back().read == 1000; }, 20s));
  const linger hard{.l_onoff = 1, .l_linger = 0};
  setsockopt(first.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  close_linux(first);
  EXPECT_TRUE(run_until([&] { return our_ends_.back().closed; }, 20s));
  EXPECT_EQ(name_of(our_ends_.back().reason), name_of(CloseReason::reset_by_peer));

  LinuxEnd& second = linux_connects(1000);
  second.close_when_written = false;
  ASSERT_TRUE(run_until([&] { return our_ends_.size() == 2 && our_ends_.back().read == 1000; }, 20s));
  stack_->abort(monotonic(), *our_ends_.back().conn);
  EXPECT_TRUE(run_until([&] { return second.closed; }, 20s));
  EXPECT_EQ(second.error, ECONNRESET);

  LinuxEnd& third = linux_connects(1, 1);  // nobody listens there
  EXPECT_TRUE(run_until([&] { return third.closed; }, 20s));
  EXPECT_EQ(third.error, ECONNREFUSED);
  OurEnd& fourth = we_connect(1, 1);
  EXPECT_TRUE(run_until([&] { return fourth.closed; }, 20s));
  EXPECT_EQ(name_of(fourth.reason), name_of(CloseReason::refused));
}

TEST_F(TcpLinux, ReadersThatStopShutTheWindowAndOpenItAgain) {
  accepted_writes_ = 0;
  accepted_closes_ = false;
  receive_buffer_ = 20'000;
  LinuxEnd& linux_end = linux_connects(0);
  linux_end.close_when_written = false;
  ASSERT_TRUE(run_until([&] { return !our_ends_.empty() && our_ends_.back().conn->state == State::established; }, 20s));
  OurEnd& our = our_ends_.back();
  linux_end.reading = false;
  our.to_write = 2'000'000;
  ASSERT_TRUE(run_until([&] { return stack_->counters().window_probes.get() >= 2; }, 20s)) << "Linux does not shut";
  linux_end.reading = true;
  EXPECT_TRUE(run_until([&] { return linux_end.read == 2'000'000; }, 20s)) << linux_end.read;

  our.reading = false;
  linux_end.to_write = 1'000'000;
  ASSERT_TRUE(run_until([&] { return our.conn->rcv_adv - our.conn->rcv_nxt < 1460 && flights_.empty(); }, 20s));
  run_until([] { return false; }, 500ms);  // Linux probes
  our.reading = true;
  our_read(our);
  EXPECT_TRUE(run_until([&] { return our.read == 1'000'000; }, 20s)) << our.read;
}

TEST_F(TcpLinux, MtusThatDifferAndAPathThatIsNarrower) {
  set_mtu(700);
  for (const bool ours : {false, true}) {
    transfer(ours, 100'000, 30s);
    SCOPED_TRACE("MTU 700");
  }
  set_mtu(1500);
  options_.mss_max = 500;  // as behind a port with a small MTU
  for (const bool ours : {false, true}) transfer(ours, 100'000, 30s);
  options_.mss_max = 1460;
  faults_.mtu = 900;
  for (const bool ours : {false, true}) transfer(ours, 200'000, 30s);
}

TEST_F(TcpLinux, CookiesOfOursAndOfLinux) {
  make_stack({.conns_max = 64, .chunks_max = 4096, .half_open_max = 0});
  transfer(false, 200'000, 30s);
  EXPECT_EQ(stack_->counters().cookies_accepted.get(), 1u);
  EXPECT_TRUE(our_ends_.back().sack && our_ends_.back().timestamps && our_ends_.back().scale);
  sysctl("tcp_timestamps", "0");
  transfer(false, 200'000, 30s);
  EXPECT_EQ(stack_->counters().cookies_accepted.get(), 2u);
  EXPECT_FALSE(our_ends_.back().sack || our_ends_.back().timestamps || our_ends_.back().scale);
  sysctl("tcp_timestamps", "1");
  sysctl("tcp_syncookies", "2");  // for every SYN
  transfer(true, 200'000, 30s);
}

}  // namespace
}  // namespace sluice::tcp::test
