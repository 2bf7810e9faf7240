// The sockets of probes: opening them as the control plane's (source address and port range), ICMP echo, errors in
// words.
//
// Called by: control/io/probe_io. Runs on: control thread. Follows: ip(7), raw(7), RFC 792.
// Tested by: tests/control/io/probe_io_test.cc
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "dataplane/base/address.h"
#include "monitors/step.h"

namespace sluice::io {

// A file descriptor that closes itself.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  ~UniqueFd() { reset(); }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset();

 private:
  int fd_ = -1;
};

// Where source ports come from. The kernel can choose within a socket's own range (IP_LOCAL_PORT_RANGE, since 6.3), but
// it silently ignores one that is not inside net.ipv4.ip_local_port_range, whose default ends at 60999. Unless the
// range fits, ports are bound one after the other.
struct SourcePorts {
  std::uint16_t first = 61440, last = 65535;
  std::uint16_t next = 0;  // of explicit binds: the last one used
  bool kernel_chooses = false;

  // Looks at this network namespace's range.
  static SourcePorts of(std::uint16_t first, std::uint16_t last);
};

// A non-blocking socket bound and connected (TCP: connecting) to `to`. On failure: no descriptor, and errno's value.
struct OpenedSocket {
  UniqueFd fd;
  int error = 0;
  bool bound = false;            // it was connect() that failed
  bool refused_at_once = false;  // the error came from the network, not from here
};
OpenedSocket open_probe_socket(monitors::Transport transport, Ipv4Endpoint to, std::optional<Ipv4Address> source,
                               SourcePorts& ports);

// What errno's value of a socket tells about the member.
monitors::CloseReason close_reason(int error);

// ---- ICMP echo over one raw socket

UniqueFd open_icmp_socket(int& error);
// 0, or errno's value.
int send_echo(int fd, Ipv4Address to, std::optional<Ipv4Address> source, std::uint16_t id, std::uint16_t seq,
              std::string_view payload);

struct IcmpAnswer {
  bool is_error = false;  // destination unreachable or time exceeded, about our request
  std::uint16_t id = 0, seq = 0;
  Ipv4Address from;  // whom we had pinged
  std::string_view payload;
};
// From a whole IPv4 packet as a raw socket delivers it. nullopt: not an answer to an echo request, or broken.
std::optional<IcmpAnswer> parse_icmp_answer(std::span<const std::uint8_t> packet);

}  // namespace sluice::io
