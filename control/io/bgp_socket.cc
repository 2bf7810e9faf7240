// Sockets as BGP needs them: the options, one by one.
#include "control/io/bgp_socket.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "control/io/socket_option.h"

namespace sluice::io {
namespace {

// The engine hands TCP to the kernel only on these ports of a self IP (ARCHITECTURE.md, "Self IP ports").
constexpr std::uint32_t kPortFirst = 61440, kPortLast = 65535;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketAddress socket_address(const IpAddress& address, std::uint16_t port) {
  SocketAddress out;
  if (address.is_v4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    in.sin_addr.s_addr = htonl(address.v4().value);
    std::memcpy(&out.storage, &in, sizeof in);
    out.size = sizeof in;
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(port);
    const auto bytes = address.v6().bytes;
    std::memcpy(&in.sin6_addr, bytes.data(), bytes.size());
    std::memcpy(&out.storage, &in, sizeof in);
    out.size = sizeof in;
  }
  return out;
}

std::string errno_text() { return std::strerror(errno); }

bool bind_to(int fd, const IpAddress& address, std::uint16_t port) {
  const auto at = socket_address(address, port);
  return bind(fd, at.get(), at.size) == 0;
}

// IP_LOCAL_PORT_RANGE is no help: it cannot leave the range that the sysctl gives (32768..60999). Several connections
// may share a port (SO_REUSEADDR) as long as their other ends differ, so 5,000 neighbours fit.
bool bind_in_range(int fd, const IpAddress& address) {
  static std::uint32_t next = kPortFirst + static_cast<std::uint32_t>(getpid()) * 97 % (kPortLast - kPortFirst);
  set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  for (std::uint32_t i = kPortFirst; i <= kPortLast; ++i) {
    next = next >= kPortLast ? kPortFirst : next + 1;
    if (bind_to(fd, address, static_cast<std::uint16_t>(next))) return true;
    if (errno != EADDRINUSE) return false;
  }
  return false;
}

}  // namespace

void set_bgp_ttl(int fd, bool is_v4, const bgp::Speaker::Admission& admission) {
  const int ttl = admission.ttl_security != 0 ? 255 : static_cast<int>(admission.multihop);
  set_option(fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_TTL : IPV6_UNICAST_HOPS, ttl);
  if (admission.ttl_security == 0) return;
  const int least = 256 - static_cast<int>(admission.ttl_security);
  set_option(fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_MINTTL : 73 /* IPV6_MINHOPCOUNT */, least);
}

Status set_bgp_md5(int fd, const routing::IpPrefix& remote, std::string_view password) {
  tcp_md5sig key{};
  const auto at = socket_address(remote.address, 0);
  std::memcpy(&key.tcpm_addr, &at.storage, sizeof key.tcpm_addr);
  const auto length = std::min<std::size_t>(password.size(), TCP_MD5SIG_MAXKEYLEN);
  key.tcpm_keylen = static_cast<std::uint16_t>(length);
  std::memcpy(key.tcpm_key, password.data(), length);
  const bool host = remote.length == remote.address.bits();
  if (!host) {
    key.tcpm_flags = TCP_MD5SIG_FLAG_PREFIX;
    key.tcpm_prefixlen = remote.length;
  }
  if (setsockopt(fd, IPPROTO_TCP, host ? TCP_MD5SIG : TCP_MD5SIG_EXT, &key, sizeof key) != 0) {
    return fail("bgp neighbor " + remote.text(), "cannot set the TCP MD5 password: " + errno_text());
  }
  return {};
}

Result<int> open_bgp_client(const IpAddress& remote, const IpAddress& local, const bgp::Speaker::Admission& admission) {
  const int fd = socket(remote.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail("bgp neighbor " + remote.text(), "cannot open a socket: " + errno_text());
  const auto give_up = [&](std::string message) -> Result<int> {
    close(fd);
    return fail("bgp neighbor " + remote.text(), std::move(message));
  };
  if (!local.is_zero()) {
    set_option(fd, IPPROTO_IP, IP_FREEBIND, 1);
    if (!bind_in_range(fd, local)) return give_up(fmt::format("cannot bind {}: {}", local.text(), errno_text()));
  }
  set_bgp_ttl(fd, remote.is_v4(), admission);
  set_option(fd, IPPROTO_IP, IP_TOS, 0xc0);  // CS6: network control
  if (!admission.password.empty()) {
    if (auto status = set_bgp_md5(fd, routing::IpPrefix::host(remote), admission.password); !status) {
      return give_up(status.error().message);
    }
  }
  return fd;
}

Result<int> open_bgp_listener(const IpAddress& address, std::uint16_t port) {
  const auto place = fmt::format("bgp listener {} port {}", address.text(), port);
  const int fd = socket(address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(place, "cannot open a socket: " + errno_text());
  set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  set_option(fd, IPPROTO_IP, IP_FREEBIND, 1);
  set_option(fd, IPPROTO_IP, IP_TOS, 0xc0);
  // The SYN-ACK leaves before we know who it is: with TTL security on the other side it must have 255 already.
  set_option(fd, address.is_v4() ? IPPROTO_IP : IPPROTO_IPV6, address.is_v4() ? IP_TTL : IPV6_UNICAST_HOPS, 255);
  if (!address.is_v4()) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  constexpr int kBacklog = 4096;
  if (!bind_to(fd, address, port) || ::listen(fd, kBacklog) != 0) {
    const auto error = errno_text();
    close(fd);
    return fail(place, "cannot listen: " + error);
  }
  return fd;
}

}  // namespace sluice::io
