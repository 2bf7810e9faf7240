// Carries the monitor engine's probes to the network and its verdicts to the daemon: sockets, one epoll, one timer.
//
//   monitors::Engine engine;
//   io::ProbeIo probes(loop, engine, {.source_for = [&](Ipv4Address to) { return routing.self_ip_towards(to); }},
//                      [&](const monitors::Change& change) { … });
//   if (Errors errors = probes.configure(plan); !errors.empty()) …
//   probes.resume(key);                 // manual-resume
//   probes.stop();                      // closes every socket; the destructor does so too
//
// Every probe is a kernel socket bound to the self IP that source_for() names, with a source port of the control
// plane's range, so that it crosses the host port and the packet engine like traffic does. Half-open probes: a SYN of
// our own making would be answered by the kernel with RSTs to the SYN-ACKs it does not know, so the kernel connects,
// and the socket is aborted (SO_LINGER 0: RST, no data, no TIME_WAIT) at the moment it is established. ICMP echo goes
// over one raw socket (CAP_NET_RAW), which also hears ICMP errors about it.
//
// Called by: control/daemon. Runs on: control thread. Follows: RFC 792 (echo). Tested by:
// tests/control/io/probe_io_test.cc; cost: bench/monitors
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "control/io/loop.h"
#include "monitors/engine.h"

namespace sluice::io {

struct ProbeIoOptions {
  // The self IP that probes of this destination leave from; asked at each attempt. Absent or nullopt: the kernel
  // chooses.
  std::function<std::optional<Ipv4Address>(Ipv4Address destination)> source_for;
  std::uint16_t source_port_first = 61440;  // see SourcePorts in probe_socket.h
  std::uint16_t source_port_last = 65535;
};

struct ProbeIoStats {
  std::uint32_t sockets = 0;  // open now
  std::uint64_t opened = 0, open_failures = 0;
  std::uint64_t rx_bytes = 0, tx_bytes = 0;
};

// In-flight limit that fits this process: raises the soft limit of open files to the hard one, takes half, at most
// 8192.
monitors::Limits probe_limits();

class ProbeIo {
 public:
  using OnChange = std::function<void(const monitors::Change&)>;

  // `engine` must outlive this and is stepped by nobody else. `on_change` is called from the loop, never from within
  // configure() or resume(); it may call both, and stop(), but must not destroy this.
  ProbeIo(Loop& loop, monitors::Engine& engine, ProbeIoOptions options, OnChange on_change);
  ~ProbeIo();
  ProbeIo(const ProbeIo&) = delete;
  ProbeIo& operator=(const ProbeIo&) = delete;

  [[nodiscard]] Errors configure(const monitors::Plan& plan);
  bool resume(monitors::TargetKey key);
  // Closes every socket at once; nothing is called any more.
  void stop();
  ProbeIoStats stats() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sluice::io
