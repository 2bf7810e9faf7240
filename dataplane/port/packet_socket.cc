// setsockopt() as DPDK's af_packet driver should call it; see packet_socket.h.
#include "dataplane/port/packet_socket.h"

#include <linux/if_packet.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

namespace sluice::port {
namespace {

thread_local PacketSocketScope* scope = nullptr;

long plain_setsockopt(int fd, int level, int name, const void* value, socklen_t length) {
  return syscall(SYS_setsockopt, fd, level, name, value, length);
}

long join_fanout(int fd, int argument) {
  const int on = 1;
  static_cast<void>(plain_setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on));  // kernel >= 4.20
  argument &= ~(PACKET_FANOUT_FLAG_DEFRAG << 16);
  const long result = plain_setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &argument, sizeof argument);
  if (result == 0) scope->add(fd);
  return result;
}

}  // namespace

PacketSocketScope::PacketSocketScope() { scope = this; }
PacketSocketScope::~PacketSocketScope() { scope = nullptr; }

}  // namespace sluice::port

// For everybody else this is libc's function: one system call.
extern "C" int setsockopt(int fd, int level, int name, const void* value, socklen_t length) noexcept {
  if (sluice::port::scope != nullptr && level == SOL_PACKET && name == PACKET_FANOUT && length == sizeof(int)) {
    int argument = 0;
    std::memcpy(&argument, value, sizeof argument);
    return static_cast<int>(sluice::port::join_fanout(fd, argument));
  }
  return static_cast<int>(sluice::port::plain_setsockopt(fd, level, name, value, length));
}
