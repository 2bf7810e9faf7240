// Carries the monitor engine's probes to the network: executes commands, turns socket events into inputs.
//
// One epoll of our own holds the probes' sockets, and Asio watches only that one descriptor: a probe costs the few
// system calls that it needs and no handler, timer or allocation of Asio's.
#include "control/io/probe_io.h"

#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <deque>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/io/probe_socket.h"

namespace sluice::io {
namespace {

using namespace monitors;

// Deadlines are served together: a probe may start this much late, and the loop wakes so much less often.
constexpr Duration kTickGrain = 5ms;
// Work done before the loop's other handlers get their turn.
constexpr int kTicksPerTurn = 2;
constexpr int kEventsPerTurn = 256;
constexpr std::uint64_t kIcmpTag = ~std::uint64_t{0};

// Local time, as BIG-IP prints it.
std::chrono::sys_seconds local_wall_clock() {
  const std::time_t utc = std::time(nullptr);
  std::tm local{};
  localtime_r(&utc, &local);
  return std::chrono::sys_seconds(std::chrono::seconds(utc + local.tm_gmtoff));
}

std::string error_text(int error) { return std::error_code(error, std::generic_category()).message(); }

}  // namespace

struct ProbeIo::Impl : std::enable_shared_from_this<ProbeIo::Impl> {
  struct Socket {
    UniqueFd fd;
    std::uint32_t generation = 0;  // 0: free
    Transport transport = Transport::tcp;
    Ipv4Address to;
    bool connected = false;
    std::uint16_t echo_seq = 0;
    bool echo_sent = false;
    std::string unsent;
  };
  // What became of a command at once; told to the engine when all commands of its step are done.
  struct Pending {
    AttemptId attempt;
    bool connected = false;
    CloseReason reason = CloseReason::eof;
    std::string detail;
  };

  Impl(Loop& l, Engine& e, ProbeIoOptions o, OnChange change);

  void watch();
  void tick();
  void rearm();
  void feed(const Input& input);
  void execute();
  void open(const Command& command);
  void send(const Command& command);
  void close(AttemptId attempt);
  void fail_open(const Command& command, int error, bool by_network);
  void on_events();
  void on_socket(AttemptId attempt, std::uint32_t events);
  bool finish_connect(AttemptId attempt);
  void receive(AttemptId attempt);
  void flush_unsent(AttemptId attempt);
  void end_socket(AttemptId attempt, int error);
  void on_icmp();
  bool ensure_icmp(int& error);
  void echo(Socket& socket, AttemptId attempt, std::string_view payload);
  Socket* find(AttemptId attempt);
  void release(Socket& socket);
  std::optional<Ipv4Address> source_for(Ipv4Address to) const {
    return options.source_for ? options.source_for(to) : std::nullopt;
  }

  Loop& loop;
  Engine& engine;
  ProbeIoOptions options;
  OnChange on_change;
  Alarm alarm;
  boost::asio::posix::stream_descriptor poller;  // owns the epoll descriptor
  SourcePorts ports;
  std::vector<Socket> sockets;  // by slot
  std::deque<Pending> pending;  // <= commands of one step
  Outputs outputs;
  bool stopped = false;
  Instant last_tick;

  UniqueFd icmp;
  std::uint16_t echo_id = 0, echo_seq = 0;
  std::unordered_map<std::uint16_t, AttemptId> echoes;  // by sequence number; <= in flight

  ProbeIoStats stats;
  std::array<char, 8192> buffer;
};

ProbeIo::Impl::Impl(Loop& l, Engine& e, ProbeIoOptions o, OnChange change)
    : loop(l),
      engine(e),
      options(std::move(o)),
      on_change(std::move(change)),
      alarm(l, [this] { tick(); }),
      poller(l.context(), epoll_create1(EPOLL_CLOEXEC)),
      ports(SourcePorts::of(options.source_port_first, options.source_port_last)),
      echo_id(static_cast<std::uint16_t>(std::random_device{}())) {}

// ---- driving the engine

void ProbeIo::Impl::watch() {
  poller.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                    [weak = weak_from_this()](const boost::system::error_code& error) {
                      const auto self = weak.lock();
                      if (!self || error || self->stopped) return;
                      self->watch();
                      self->on_events();
                    });
}

void ProbeIo::Impl::tick() {
  const auto alive = shared_from_this();
  if (stopped) return;
  last_tick = now();
  engine.set_wall_clock(last_tick, local_wall_clock());
  for (int i = 0; i < kTicksPerTurn && !stopped && engine.next_deadline() <= last_tick; ++i) feed(Input::tick());
  rearm();
}

void ProbeIo::Impl::rearm() {
  if (stopped) return;
  const Instant wanted = engine.next_deadline();
  const Instant at = wanted == kInstantMax ? wanted : std::max(wanted, last_tick + kTickGrain);
  // A tick that comes too early does no harm, moving the timer at every input does.
  if (at < alarm.at()) alarm.set(at);
}

// Steps the engine and does all it asks for, and what follows from that.
void ProbeIo::Impl::feed(const Input& input) {
  if (stopped) return;
  engine.step(now(), input, outputs);
  execute();
  while (!pending.empty() && !stopped) {
    const Pending next = std::move(pending.front());
    pending.pop_front();
    engine.step(now(),
                next.connected ? Input::connected(next.attempt) : Input::closed(next.attempt, next.reason, next.detail),
                outputs);
    execute();
  }
}

void ProbeIo::Impl::execute() {
  for (const Command& command : outputs.commands) {
    switch (command.kind) {
      case Command::Kind::open:
        open(command);
        break;
      case Command::Kind::send:
        send(command);
        break;
      case Command::Kind::close:
        close(command.attempt);
        break;
    }
  }
  outputs.commands.clear();
  if (outputs.changes.empty()) return;
  std::vector<Change> changes;  // on_change may call configure() or stop()
  changes.swap(outputs.changes);
  outputs.changes.reserve(Outputs::kChangesMax);
  for (const Change& change : changes) {
    if (stopped) return;
    try {
      on_change(change);
    } catch (const std::exception& error) {  // probing goes on
      spdlog::error("monitors: a change of health was not taken: {}", error.what());
    }
  }
}

// ---- commands

ProbeIo::Impl::Socket* ProbeIo::Impl::find(AttemptId attempt) {
  if (attempt.slot >= sockets.size() || attempt.generation == 0) return nullptr;
  Socket& socket = sockets[attempt.slot];
  return socket.generation == attempt.generation ? &socket : nullptr;
}

void ProbeIo::Impl::open(const Command& command) {
  if (command.attempt.slot >= sockets.size()) sockets.resize(command.attempt.slot + 1);
  Socket& socket = sockets[command.attempt.slot];
  ++stats.opened;
  if (command.transport == Transport::icmp_echo) {
    int error = 0;
    if (!ensure_icmp(error)) return fail_open(command, error, false);
  } else {
    OpenedSocket opened = open_probe_socket(command.transport, command.to, source_for(command.to.address), ports);
    if (!opened.fd) return fail_open(command, opened.error, opened.refused_at_once);
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.u64 = std::uint64_t{command.attempt.generation} << 32 | command.attempt.slot;
    if (epoll_ctl(poller.native_handle(), EPOLL_CTL_ADD, opened.fd.get(), &event) != 0) {
      return fail_open(command, errno, false);
    }
    socket.fd = std::move(opened.fd);
    ++stats.sockets;
  }
  socket.generation = command.attempt.generation;
  socket.transport = command.transport;
  socket.to = command.to.address;
  socket.connected = command.transport == Transport::udp || command.transport == Transport::icmp_echo;
  socket.echo_sent = false;
  if (socket.connected) pending.push_back({.attempt = command.attempt, .connected = true});
}

void ProbeIo::Impl::fail_open(const Command& command, int error, bool by_network) {
  ++stats.open_failures;
  pending.push_back({.attempt = command.attempt,
                     .reason = by_network ? close_reason(error) : CloseReason::local_error,
                     .detail = error_text(error)});
}

void ProbeIo::Impl::send(const Command& command) {
  Socket* socket = find(command.attempt);
  if (socket == nullptr) return;
  if (socket->transport == Transport::icmp_echo) return echo(*socket, command.attempt, command.bytes);
  const ssize_t sent = ::send(socket->fd.get(), command.bytes.data(), command.bytes.size(), MSG_NOSIGNAL);
  if (sent >= 0) stats.tx_bytes += static_cast<std::uint64_t>(sent);
  if (sent == static_cast<ssize_t>(command.bytes.size())) return;
  if (sent >= 0 || errno == EAGAIN) {
    socket->unsent = command.bytes.substr(static_cast<std::size_t>(std::max<ssize_t>(sent, 0)));
    return;
  }
  const int error = errno;
  release(*socket);
  pending.push_back({.attempt = command.attempt, .reason = close_reason(error), .detail = error_text(error)});
}

void ProbeIo::Impl::close(AttemptId attempt) {
  if (Socket* socket = find(attempt)) release(*socket);
}

void ProbeIo::Impl::release(Socket& socket) {
  if (socket.fd) --stats.sockets;
  if (socket.echo_sent) echoes.erase(socket.echo_seq);
  socket.fd.reset();  // also leaves the epoll
  socket.generation = 0;
  socket.connected = socket.echo_sent = false;
  std::string().swap(socket.unsent);
}

// ---- events

void ProbeIo::Impl::on_events() {
  std::array<epoll_event, kEventsPerTurn> events;
  const int count = epoll_wait(poller.native_handle(), events.data(), kEventsPerTurn, 0);
  for (int i = 0; i < count && !stopped; ++i) {
    const std::uint64_t tag = events[i].data.u64;
    if (tag == kIcmpTag) {
      on_icmp();
    } else {
      on_socket({static_cast<std::uint32_t>(tag), static_cast<std::uint32_t>(tag >> 32)}, events[i].events);
    }
  }
  rearm();
}

void ProbeIo::Impl::on_socket(AttemptId attempt, std::uint32_t events) {
  const Socket* socket = find(attempt);
  if (socket == nullptr) return;
  if (!socket->connected) {
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0 || !finish_connect(attempt)) return;
  } else if ((events & EPOLLOUT) != 0) {
    flush_unsent(attempt);
  }
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) != 0) receive(attempt);
}

// True: connected, and still open after the engine was told.
bool ProbeIo::Impl::finish_connect(AttemptId attempt) {
  Socket& socket = sockets[attempt.slot];
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(socket.fd.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  if (error != 0) {
    end_socket(attempt, error);
    return false;
  }
  socket.connected = true;
  feed(Input::connected(attempt));
  return find(attempt) != nullptr;
}

void ProbeIo::Impl::receive(AttemptId attempt) {
  while (Socket* socket = find(attempt)) {
    const ssize_t got = recv(socket->fd.get(), buffer.data(), buffer.size(), 0);
    const bool is_stream = socket->transport != Transport::udp;
    if (got > 0 || (got == 0 && !is_stream)) {
      stats.rx_bytes += static_cast<std::uint64_t>(got);
      feed(Input::received(attempt, {buffer.data(), static_cast<std::size_t>(got)}));
    } else if (got == 0) {
      return end_socket(attempt, 0);
    } else if (errno == EINTR) {
      continue;
    } else {
      return errno == EAGAIN ? void() : end_socket(attempt, errno);
    }
  }
}

void ProbeIo::Impl::flush_unsent(AttemptId attempt) {
  Socket* socket = find(attempt);
  if (socket == nullptr || socket->unsent.empty()) return;
  const ssize_t sent = ::send(socket->fd.get(), socket->unsent.data(), socket->unsent.size(), MSG_NOSIGNAL);
  if (sent > 0) {
    stats.tx_bytes += static_cast<std::uint64_t>(sent);
    socket->unsent.erase(0, static_cast<std::size_t>(sent));
  } else if (sent < 0 && errno != EAGAIN) {
    end_socket(attempt, errno);
  }
}

// The socket is over by itself: close it and say so. `error`: 0 is end of file.
void ProbeIo::Impl::end_socket(AttemptId attempt, int error) {
  release(sockets[attempt.slot]);
  const std::string detail = error == 0 ? "" : error_text(error);
  feed(Input::closed(attempt, close_reason(error), detail));
}

// ---- ICMP echo

bool ProbeIo::Impl::ensure_icmp(int& error) {
  if (icmp) return true;
  icmp = open_icmp_socket(error);
  if (!icmp) return false;
  epoll_event event{};
  event.events = EPOLLIN;  // level: what one turn leaves comes in the next
  event.data.u64 = kIcmpTag;
  if (epoll_ctl(poller.native_handle(), EPOLL_CTL_ADD, icmp.get(), &event) == 0) return true;
  error = errno;
  icmp.reset();
  return false;
}

void ProbeIo::Impl::echo(Socket& socket, AttemptId attempt, std::string_view payload) {
  if (echoes.size() > 0xffff) {
    release(socket);
    pending.push_back(
        {.attempt = attempt, .reason = CloseReason::local_error, .detail = "65536 echo requests are open"});
    return;
  }
  while (echoes.contains(++echo_seq)) {
  }
  const int error = send_echo(icmp.get(), socket.to, source_for(socket.to), echo_id, echo_seq, payload);
  if (error != 0) {
    release(socket);
    pending.push_back({.attempt = attempt, .reason = CloseReason::local_error, .detail = error_text(error)});
    return;
  }
  stats.tx_bytes += payload.size();
  socket.echo_seq = echo_seq;
  socket.echo_sent = true;
  echoes.emplace(echo_seq, attempt);
}

void ProbeIo::Impl::on_icmp() {
  for (int i = 0; i < kEventsPerTurn && !stopped; ++i) {
    const ssize_t got = recv(icmp.get(), buffer.data(), buffer.size(), 0);
    if (got < 0) return;
    const auto answer =
        parse_icmp_answer({reinterpret_cast<const std::uint8_t*>(buffer.data()), static_cast<std::size_t>(got)});
    if (!answer || answer->id != echo_id) continue;  // somebody else's ping
    const auto found = echoes.find(answer->seq);
    if (found == echoes.end()) continue;
    const AttemptId attempt = found->second;
    const Socket* socket = find(attempt);
    if (socket == nullptr || socket->to != answer->from) continue;
    if (answer->is_error) {
      end_socket(attempt, EHOSTUNREACH);
    } else {
      stats.rx_bytes += answer->payload.size();
      feed(Input::received(attempt, answer->payload));
    }
  }
}

// ---- the outside

Limits probe_limits() {
  rlimit files{};
  Limits limits;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return limits;
  if (files.rlim_cur < files.rlim_max) {
    rlimit raised = files;
    raised.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) files = raised;
  }
  limits.in_flight_max = static_cast<std::uint32_t>(std::clamp<rlim_t>(files.rlim_cur / 2, 64, limits.in_flight_max));
  return limits;
}

ProbeIo::ProbeIo(Loop& loop, Engine& engine, ProbeIoOptions options, OnChange on_change)
    : impl_(std::make_shared<Impl>(loop, engine, std::move(options), std::move(on_change))) {
  impl_->watch();
}

ProbeIo::~ProbeIo() { stop(); }

Errors ProbeIo::configure(const Plan& plan) {
  Errors errors = impl_->engine.configure(now(), plan);
  impl_->rearm();
  return errors;
}

bool ProbeIo::resume(TargetKey key) {
  const bool known = impl_->engine.resume(now(), key);
  impl_->rearm();
  return known;
}

void ProbeIo::stop() {
  Impl& impl = *impl_;
  if (impl.stopped) return;
  impl.stopped = true;
  impl.alarm.cancel();
  for (Impl::Socket& socket : impl.sockets) impl.release(socket);
  impl.pending.clear();
  impl.echoes.clear();
  impl.icmp.reset();
  boost::system::error_code ignored;
  impl.poller.close(ignored);
}

ProbeIoStats ProbeIo::stats() const { return impl_->stats; }

}  // namespace sluice::io
