// Pcapng: turns captured frames into the bytes of a pcapng file; pure.
//
// DPDK's rte_pcapng is not used: it numbers interfaces by ethdev (ours include memory ports, and are named by the
// user), and it writes to its descriptor in a way that blocks the control thread.
//
// Called by: port/capture. Runs on: control thread. Follows: draft-ietf-opsawg-pcapng.
// Tested by: tests/dataplane/port/capture_test.cc (read back with libpcap)
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "dataplane/packet/port_info.h"

namespace sluice::port {

struct CapturedFrame {
  std::uint64_t time_ns = 0;    // since 1970
  std::uint32_t interface = 0;  // place in the list given to pcapng_header
  std::uint32_t original_length = 0;
  bool inbound = true;
};

// Section header, and one interface description a port.
void append_pcapng_header(std::string& out, std::span<const packet::PortInfo> ports, std::uint32_t snaplen);
// An enhanced packet block; its `length` bytes of frame are appended by the caller between begin and end.
void begin_pcapng_frame(std::string& out, const CapturedFrame& frame, std::uint32_t length);
void end_pcapng_frame(std::string& out, const CapturedFrame& frame, std::uint32_t length);

}  // namespace sluice::port
