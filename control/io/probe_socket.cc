// The sockets of probes: system calls and the bytes of ICMP echo.
#include "control/io/probe_socket.h"

#include <arpa/inet.h>
#include <linux/icmp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include "control/io/socket_option.h"
#include "dataplane/wire/checksum.h"

namespace sluice::io {
namespace {

using monitors::CloseReason, monitors::Transport;

#ifndef IP_LOCAL_PORT_RANGE
constexpr int IP_LOCAL_PORT_RANGE = 51;  // linux/in.h since 6.3; Debian 12's headers are older
#endif
constexpr int kExplicitBindTries = 64;
constexpr int kConnectTries = 8;  // a port may be in TIME_WAIT towards this very member

sockaddr_in to_sockaddr(Ipv4Address address, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  out.sin_addr.s_addr = htonl(address.value);
  return out;
}

int bind_to(int fd, Ipv4Address address, std::uint16_t port) {
  const sockaddr_in local = to_sockaddr(address, port);
  return bind(fd, reinterpret_cast<const sockaddr*>(&local), sizeof local) == 0 ? 0 : errno;
}

int bind_to_next_port(int fd, Ipv4Address source, SourcePorts& ports) {
  int error = EADDRINUSE;
  for (int i = 0; i < kExplicitBindTries && error == EADDRINUSE; ++i) {
    ports.next =
        ports.next < ports.first || ports.next >= ports.last ? ports.first : static_cast<std::uint16_t>(ports.next + 1);
    error = bind_to(fd, source, ports.next);
  }
  return error;
}

int bind_source(int fd, std::optional<Ipv4Address> source, SourcePorts& ports) {
  // SO_REUSEADDR lets sockets to different members share a port (UDP, and explicit TCP binds).
  if (!set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1)) return errno;
  if (ports.kernel_chooses) {
    const std::uint32_t range = std::uint32_t{ports.last} << 16 | ports.first;
    if (setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &range, sizeof range) != 0) {
      if (errno != ENOPROTOOPT) return errno;
      ports.kernel_chooses = false;
    }
  }
  if (!ports.kernel_chooses) return bind_to_next_port(fd, source.value_or(Ipv4Address{}), ports);
  if (!source) return 0;
  if (!set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)) return errno;
  return bind_to(fd, *source, 0);
}

std::uint16_t get16(std::span<const std::uint8_t> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

Ipv4Address get_address(std::span<const std::uint8_t> bytes, std::size_t at) {
  return Ipv4Address::from_octets(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
}

// The payload of an IPv4 packet that carries ICMP; empty: it does not, or it is broken.
std::span<const std::uint8_t> icmp_of(std::span<const std::uint8_t> packet) {
  if (packet.size() < 20 || packet[0] >> 4 != 4) return {};
  const std::size_t header = std::size_t{packet[0]} % 16 * 4;
  if (header < 20 || packet.size() < header + 8 || packet[9] != IPPROTO_ICMP) return {};
  return packet.subspan(header);
}

constexpr std::size_t kEchoHeader = 8;

OpenedSocket open_once(Transport transport, Ipv4Endpoint to, std::optional<Ipv4Address> source, SourcePorts& ports) {
  OpenedSocket opened;
  const int type = transport == Transport::udp ? SOCK_DGRAM : SOCK_STREAM;
  UniqueFd fd(socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) {
    opened.error = errno;
    return opened;
  }
  // ICMP errors end the attempt at once instead of being remembered for later.
  set_option(fd.get(), IPPROTO_IP, IP_RECVERR, 1);
  if (transport == Transport::tcp_half_open) {
    const linger abort{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  }
  opened.error = bind_source(fd.get(), source, ports);
  if (opened.error != 0) return opened;
  opened.bound = true;
  const sockaddr_in remote = to_sockaddr(to.address, to.port);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&remote), sizeof remote) != 0 && errno != EINPROGRESS) {
    opened.error = errno;
    opened.refused_at_once = errno == ECONNREFUSED || errno == ECONNRESET;
    return opened;
  }
  opened.error = 0;
  opened.fd = std::move(fd);
  return opened;
}

}  // namespace

void UniqueFd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

SourcePorts SourcePorts::of(std::uint16_t first, std::uint16_t last) {
  std::ifstream file("/proc/sys/net/ipv4/ip_local_port_range");
  unsigned low = 0, high = 0;
  const bool fits = file >> low >> high && low <= first && last <= high;
  return {first, last, 0, fits};
}

OpenedSocket open_probe_socket(Transport transport, Ipv4Endpoint to, std::optional<Ipv4Address> source,
                               SourcePorts& ports) {
  OpenedSocket opened;
  for (int i = 0; i < kConnectTries; ++i) {
    opened = open_once(transport, to, source, ports);
    if (opened.fd || opened.error != EADDRNOTAVAIL || !opened.bound) break;
  }
  return opened;
}

CloseReason close_reason(int error) {
  switch (error) {
    case 0:
      return CloseReason::eof;
    case ECONNREFUSED:
      return CloseReason::refused;
    case ECONNRESET:
    case EPIPE:
      return CloseReason::reset;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENONET:
    case EPROTO:
    case ENOPROTOOPT:  // ICMP protocol unreachable
    case EACCES:       // ICMP administratively prohibited
      return CloseReason::unreachable;
    case ETIMEDOUT:
      return CloseReason::timed_out;
    default:
      return CloseReason::local_error;
  }
}

UniqueFd open_icmp_socket(int& error) {
  UniqueFd fd(socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP));
  if (!fd) {
    error = errno;
    return fd;
  }
  icmp_filter filter{};
  filter.data = ~(1U << ICMP_ECHOREPLY | 1U << ICMP_DEST_UNREACH | 1U << ICMP_TIME_EXCEEDED);
  setsockopt(fd.get(), SOL_RAW, ICMP_FILTER, &filter, sizeof filter);
  set_option(fd.get(), SOL_SOCKET, SO_RCVBUF, 1 << 20);
  return fd;
}

int send_echo(int fd, Ipv4Address to, std::optional<Ipv4Address> source, std::uint16_t id, std::uint16_t seq,
              std::string_view payload) {
  std::vector<std::uint8_t> packet(kEchoHeader + payload.size());
  const std::array<std::uint8_t, kEchoHeader> head = {ICMP_ECHO,
                                                      0,
                                                      0,
                                                      0,
                                                      static_cast<std::uint8_t>(id >> 8),
                                                      static_cast<std::uint8_t>(id),
                                                      static_cast<std::uint8_t>(seq >> 8),
                                                      static_cast<std::uint8_t>(seq)};
  std::copy(head.begin(), head.end(), packet.begin());
  std::copy(payload.begin(), payload.end(), packet.begin() + kEchoHeader);
  const std::uint16_t sum = wire::internet_checksum(packet);
  packet[2] = static_cast<std::uint8_t>(sum >> 8);
  packet[3] = static_cast<std::uint8_t>(sum);

  sockaddr_in remote = to_sockaddr(to, 0);
  iovec data{packet.data(), packet.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(in_pktinfo))> control{};
  msghdr message{};
  message.msg_name = &remote;
  message.msg_namelen = sizeof remote;
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (source) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = IPPROTO_IP;
    header->cmsg_type = IP_PKTINFO;
    header->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
    in_pktinfo info{};
    info.ipi_spec_dst.s_addr = htonl(source->value);
    std::memcpy(CMSG_DATA(header), &info, sizeof info);
  }
  return sendmsg(fd, &message, MSG_NOSIGNAL) >= 0 ? 0 : errno;
}

std::optional<IcmpAnswer> parse_icmp_answer(std::span<const std::uint8_t> packet) {
  const auto icmp = icmp_of(packet);
  if (icmp.empty() || wire::internet_checksum(icmp) != 0) return std::nullopt;
  IcmpAnswer answer;
  if (icmp[0] == ICMP_ECHOREPLY) {
    answer.from = get_address(packet, 12);
    answer.id = get16(icmp, 4);
    answer.seq = get16(icmp, 6);
    answer.payload = {reinterpret_cast<const char*>(icmp.data() + kEchoHeader), icmp.size() - kEchoHeader};
    return answer;
  }
  if (icmp[0] != ICMP_DEST_UNREACH && icmp[0] != ICMP_TIME_EXCEEDED) return std::nullopt;
  const auto inner = icmp.subspan(kEchoHeader);
  const auto request = icmp_of(inner);
  if (request.empty() || request[0] != ICMP_ECHO) return std::nullopt;
  answer.is_error = true;
  answer.from = get_address(inner, 16);
  answer.id = get16(request, 4);
  answer.seq = get16(request, 6);
  return answer;
}

}  // namespace sluice::io
