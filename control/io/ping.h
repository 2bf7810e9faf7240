// Ping: ICMP echo from a self IP over a raw kernel socket, so that it crosses the host port and the packet engine.
//
// Called by: control/daemon (sluicectl ping). Runs on: control thread. Follows: RFC 792, RFC 1122 3.2.2.6.
// Tested by: tests/control/io/ping_test.cc, tests/lab
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "control/io/loop.h"
#include "dataplane/base/address.h"
#include "dataplane/base/result.h"

namespace sluice::io {

struct PingOptions {
  Ipv4Address address;
  Ipv4Address source;       // bound to; zero: the kernel chooses
  std::uint32_t count = 0;  // 0: until stopped
  std::uint32_t size = 56;  // bytes of payload
  Duration interval = 1s;
  Duration timeout = 1s;
  unsigned ttl = 64;
};

struct PingEvent {
  enum class Kind : std::uint8_t {
    reply,
    timeout,
    error,  // an ICMP error about our request, or the kernel could not send it
    done,   // the last event
  };
  Kind kind = Kind::reply;
  std::uint32_t seq = 0;  // from 1
  Ipv4Address from;       // reply, error
  std::uint32_t bytes = 0;
  unsigned ttl = 0;
  double rtt_ms = 0;
  bool duplicate = false;
  bool damaged = false;  // the payload came back changed
  std::string message;   // error
};

class Ping {
 public:
  // Fails without CAP_NET_RAW, or when the source is not the machine's. `on_event` may destroy the Ping.
  static Result<std::unique_ptr<Ping>> start(Loop& loop, const PingOptions& options,
                                             std::function<void(const PingEvent&)> on_event);
  ~Ping();
  Ping(const Ping&) = delete;
  Ping& operator=(const Ping&) = delete;

 private:
  struct State;
  explicit Ping(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

// What an ICMP packet (with its IPv4 header) says about the echo request with this identifier. Pure.
struct EchoAnswer {
  bool ours = false;  // an echo reply, or an error that quotes our request
  bool is_error = false;
  std::uint16_t seq = 0;
  unsigned ttl = 0;
  std::uint32_t icmp_bytes = 0;           // reply: ICMP header and payload
  std::span<const std::uint8_t> payload;  // reply
  std::string message;                    // error
};
EchoAnswer parse_echo_answer(std::span<const std::uint8_t> packet, std::uint16_t identifier);

}  // namespace sluice::io
