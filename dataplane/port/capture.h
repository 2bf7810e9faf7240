// Capture: copies of the frames that enter and leave the engine's own ports, filtered, as a pcapng file.
//
// A worker offers every frame of a batch while a capture runs; matching ones are cut to `snaplen` and copied into a
// bounded ring; the control thread drains the ring into a file descriptor. A full ring or an empty buffer pool loses
// the copy and counts it: the packet path never waits. When no capture runs it costs one load and branch a batch.
//
// Called by: control/daemon (start, drain, stop), worker (offer). Runs on: see each member.
// Follows: pcap-filter(7), the pcapng draft. Tested by: tests/dataplane/port/capture_test.cc
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/base/result.h"
#include "dataplane/packet/packet.h"

namespace sluice::port {

enum class Direction : std::uint8_t { in, out };

struct CaptureOptions {
  std::string filter;                          // as tcpdump takes it; empty: everything
  std::uint32_t snaplen = 0;                   // bytes kept of each frame; 0: whole frames
  std::uint64_t limit = 0;                     // frames; 0: until stopped
  packet::PortId only_port = packet::kNoPort;  // frames of this port only; kNoPort: of all
  int fd = -1;                                 // where the pcapng goes; owned by the capture from start() on
  std::vector<packet::PortInfo> ports;         // become the file's interfaces
};

struct CaptureStatistics {
  std::uint64_t captured = 0;  // copied
  std::uint64_t lost = 0;      // matched, but ring or buffers were full
  std::uint64_t written = 0;
  bool finished = false;  // the limit is reached
};

class Capture {
 public:
  // Control thread. Errors: a filter that does not compile (with pcap's words), no memory, the descriptor fails.
  static Result<std::unique_ptr<Capture>> start(const CaptureOptions& options);
  ~Capture();  // only when no worker can offer any more: detach first (Engine::set_capture(nullptr))
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  // Any worker. Copies those that match; the packets stay the caller's.
  void offer(packet::PortId port, Direction direction, std::span<packet::Packet> packets);

  // Control thread: writes what waits, a bounded amount. An Error ends the capture (disk full, reader gone).
  Status drain();
  CaptureStatistics statistics() const;

 private:
  Capture() = default;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::port
