// setsockopt() for the many options that are one int.
//
// Called by: control/io (bgp_socket, probe_socket). Runs on: control thread. Follows: setsockopt(2).
// Tested by: tests/control/io/*
#pragma once

#include <sys/socket.h>

namespace sluice::io {

// True: set. Otherwise errno tells why not.
inline bool set_option(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

}  // namespace sluice::io
