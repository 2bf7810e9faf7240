// ICMP echo over a raw socket; see ping.h.
#include "control/io/ping.h"

#include <fmt/format.h>

#include <boost/asio/ip/icmp.hpp>
#include <boost/asio/ip/unicast.hpp>
#include <map>
#include <random>
#include <utility>
#include <vector>

namespace sluice::io {

namespace asio = boost::asio;
using Icmp = asio::ip::icmp;

namespace {

constexpr std::size_t kHeader = 8;

std::uint16_t read16(std::span<const std::uint8_t> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

void write16(std::vector<std::uint8_t>& bytes, std::size_t at, unsigned value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}

std::uint16_t checksum(std::span<const std::uint8_t> bytes) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum += read16(bytes, i);
  if (bytes.size() % 2 != 0) sum += bytes.back() << 8;
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

std::uint8_t pattern(std::size_t i) { return static_cast<std::uint8_t>(0x10 + i); }

std::vector<std::uint8_t> make_request(std::uint16_t identifier, std::uint16_t seq, std::size_t size) {
  std::vector<std::uint8_t> bytes(kHeader + size);
  bytes[0] = 8;
  write16(bytes, 4, identifier);
  write16(bytes, 6, seq);
  for (std::size_t i = 0; i < size; ++i) bytes[kHeader + i] = pattern(i);
  write16(bytes, 2, checksum(bytes));
  return bytes;
}

std::string error_text(unsigned type, unsigned code) {
  if (type == 11) return code == 0 ? "Time to live exceeded" : "Fragment reassembly time exceeded";
  if (type == 12) return "Parameter problem";
  static constexpr const char* kUnreachable[] = {"Destination Net Unreachable",      "Destination Host Unreachable",
                                                 "Destination Protocol Unreachable", "Destination Port Unreachable",
                                                 "Frag needed and DF set",           "Source Route Failed"};
  if (code < std::size(kUnreachable)) return kUnreachable[code];
  if (code == 9 || code == 10 || code == 13) return "Packet filtered";
  return fmt::format("Destination Unreachable, code {}", code);
}

}  // namespace

EchoAnswer parse_echo_answer(std::span<const std::uint8_t> packet, std::uint16_t identifier) {
  EchoAnswer answer;
  if (packet.size() < 20 || packet[0] >> 4 != 4) return answer;
  const std::size_t header = (packet[0] & 15u) * 4u;
  if (header < 20 || packet.size() < header + kHeader || packet[9] != 1) return answer;
  answer.ttl = packet[8];
  const auto icmp = packet.subspan(header);
  if (icmp[0] == 0) {
    answer.ours = read16(icmp, 4) == identifier;
    answer.seq = read16(icmp, 6);
    answer.icmp_bytes = static_cast<std::uint32_t>(icmp.size());
    answer.payload = icmp.subspan(kHeader);
    return answer;
  }
  if (icmp[0] != 3 && icmp[0] != 11 && icmp[0] != 12) return answer;
  const auto quoted = icmp.subspan(kHeader);
  if (quoted.size() < 20) return answer;
  const std::size_t quoted_header = (quoted[0] & 15u) * 4u;
  if (quoted_header < 20 || quoted.size() < quoted_header + kHeader || quoted[9] != 1) return answer;
  const auto request = quoted.subspan(quoted_header);
  answer.ours = request[0] == 8 && read16(request, 4) == identifier;
  answer.is_error = true;
  answer.seq = read16(request, 6);
  answer.message = error_text(icmp[0], icmp[1]);
  return answer;
}

struct Ping::State : std::enable_shared_from_this<Ping::State> {
  State(Loop& loop, const PingOptions& o, std::function<void(const PingEvent&)> fn)
      : options(o), on_event(std::move(fn)), socket(loop.context()), timer(loop.context()) {
    std::random_device device;
    identifier = static_cast<std::uint16_t>(device());
  }

  Status open() {
    boost::system::error_code error;
    socket.open(Icmp::v4(), error);
    if (error) return fail("ping", fmt::format("cannot open a raw socket: {}", error.message()));
    if (!options.source.is_zero()) {
      socket.bind({asio::ip::address_v4(options.source.value), 0}, error);
      if (error) return fail("ping", fmt::format("cannot send from {}: {}", options.source.text(), error.message()));
    }
    socket.set_option(asio::ip::unicast::hops(static_cast<int>(options.ttl)), error);
    socket.set_option(asio::socket_base::receive_buffer_size(1 << 20), error);
    return {};
  }

  void run() {
    receive();
    next_send = io::now();
    tick();
  }

  void emit(const PingEvent& event) {
    if (!ended) on_event(event);
  }

  void finish() {
    if (ended) return;
    boost::system::error_code ignored;
    socket.close(ignored);
    timer.cancel();
    auto report = on_event;
    ended = true;
    PingEvent event;
    event.kind = PingEvent::Kind::done;
    report(event);
  }

  void stop() {
    ended = true;
    boost::system::error_code ignored;
    socket.close(ignored);
    timer.cancel();
  }

  // Sends what is due, times out what is late, sleeps until the next of either.
  void tick() {
    const Instant now = io::now();
    while (!ended && !waiting.empty() && waiting.begin()->second + options.timeout <= now) {
      PingEvent event;
      event.kind = PingEvent::Kind::timeout;
      event.seq = waiting.begin()->first;
      waiting.erase(waiting.begin());
      emit(event);
    }
    if (ended) return;
    const bool all_sent = options.count != 0 && sent == options.count;
    if (all_sent && waiting.empty()) return finish();
    if (!all_sent && next_send <= now) {
      next_send = now + options.interval;
      send(now);
      if (ended) return;
    }
    const bool more = options.count == 0 || sent < options.count;
    Instant wake = more ? next_send : kInstantMax;
    if (!waiting.empty()) wake = std::min(wake, waiting.begin()->second + options.timeout);
    if (wake == kInstantMax) wake = now;
    timer.expires_at(std::chrono::steady_clock::time_point(std::chrono::nanoseconds(to_ns(wake))));
    timer.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (!error && !self->ended) self->tick();
    });
  }

  void send(Instant now) {
    ++sent;
    const auto request = make_request(identifier, static_cast<std::uint16_t>(sent), options.size);
    boost::system::error_code error;
    socket.send_to(asio::buffer(request), {asio::ip::address_v4(options.address.value), 0}, 0, error);
    waiting.emplace(sent, now);
    if (!error) return;
    waiting.erase(sent);
    PingEvent event;
    event.kind = PingEvent::Kind::error;
    event.seq = sent;
    event.from = options.source;
    event.message = error.message();
    emit(event);
  }

  void receive() {
    socket.async_receive_from(asio::buffer(buffer), sender,
                              [self = shared_from_this()](const boost::system::error_code& error, std::size_t n) {
                                if (self->ended || error == asio::error::operation_aborted) return;
                                if (!error) self->on_packet(n);
                                if (!self->ended) self->receive();
                              });
  }

  void on_packet(std::size_t n) {
    const EchoAnswer answer = parse_echo_answer({buffer.data(), n}, identifier);
    if (!answer.ours) return;
    const auto it = std::find_if(waiting.begin(), waiting.end(), [&](const auto& entry) {
      return static_cast<std::uint16_t>(entry.first) == answer.seq;
    });
    PingEvent event;
    event.from = Ipv4Address{sender.address().to_v4().to_uint()};
    event.seq = it == waiting.end() ? answer.seq : it->first;
    event.ttl = answer.ttl;
    if (answer.is_error) {
      if (it == waiting.end()) return;
      event.kind = PingEvent::Kind::error;
      event.message = answer.message;
    } else {
      event.bytes = answer.icmp_bytes;
      event.duplicate = it == waiting.end();
      event.rtt_ms = it == waiting.end() ? 0 : to_seconds(io::now() - it->second) * 1000;
      for (std::size_t i = 0; i < answer.payload.size(); ++i) {
        event.damaged = event.damaged || answer.payload[i] != pattern(i);
      }
    }
    if (it != waiting.end()) waiting.erase(it);
    emit(event);
    if (!ended && options.count != 0 && sent == options.count && waiting.empty()) finish();
  }

  const PingOptions options;
  std::function<void(const PingEvent&)> on_event;
  Icmp::socket socket;
  asio::steady_timer timer;
  std::uint16_t identifier = 0;
  std::uint32_t sent = 0;
  Instant next_send;
  std::map<std::uint32_t, Instant> waiting;  // by sequence number: when sent; bounded by timeout / interval
  Icmp::endpoint sender;
  std::vector<std::uint8_t> buffer = std::vector<std::uint8_t>(65536);
  bool ended = false;
};

Result<std::unique_ptr<Ping>> Ping::start(Loop& loop, const PingOptions& options,
                                          std::function<void(const PingEvent&)> on_event) {
  auto state = std::make_shared<State>(loop, options, std::move(on_event));
  if (auto ok = state->open(); !ok) return tl::unexpected(ok.error());
  loop.post([state] {
    if (!state->ended) state->run();
  });
  return std::unique_ptr<Ping>(new Ping(std::move(state)));
}

Ping::~Ping() { state_->stop(); }

}  // namespace sluice::io
