// What goes into the speaker and what comes out of it: plain values, so that a test can be the network.
//
// Called by: control/io/bgp_transport, tests. Runs on: control thread. Tested by: tests/control/bgp/speaker*_test.cc
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "control/routing/ip_prefix.h"
#include "dataplane/base/address.h"

namespace sluice::bgp {

// A TCP connection. The speaker numbers those it asks for (even), the transport those it accepts (odd); never 0.
using ConnId = std::uint64_t;

struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// Bytes on their way to one or many neighbours, encoded once.
using SharedBytes = std::shared_ptr<const std::vector<std::uint8_t>>;

// ---- inputs
namespace input {
struct Tick {};  // a deadline (Speaker::deadline) has passed, or there is work left (Speaker::has_work)
struct Connected {
  ConnId conn;
  Endpoint local, remote;
};
struct ConnectFailed {
  ConnId conn;
  std::string reason;  // "connection refused"
};
struct Accepted {
  ConnId conn;
  Endpoint local, remote;
};
struct Received {
  ConnId conn;
  std::span<const std::uint8_t> bytes;  // what one read gave, at most 64 KiB
};
struct Closed {  // by the other side, or broken; never after output::Close
  ConnId conn;
  std::string reason;  // "closed by peer", "connection reset by peer"
};
struct Written {  // the transport still holds `pending` bytes of the connection
  ConnId conn;
  std::size_t pending;
};
struct PathDown {  // BFD: packets to the neighbour do not arrive any more
  IpAddress peer;
  bool path_is_dead = false;  // BFD does not share the fate of the neighbour's control plane (its C bit)
  std::string reason;         // "control detection time expired"
};
struct NextHopsChanged {};  // answers of the NextHopResolver may have changed
}  // namespace input
using Input = std::variant<input::Tick, input::Connected, input::ConnectFailed, input::Accepted, input::Received,
                           input::Closed, input::Written, input::PathDown, input::NextHopsChanged>;

// ---- outputs
namespace output {
struct Connect {
  ConnId conn;
  Endpoint remote;
  IpAddress local;  // bind to it; zero: whatever
};
struct Send {
  ConnId conn;
  SharedBytes bytes;
};
struct Close {  // after what was sent has gone (at most a second), or at once
  ConnId conn;
  bool flush;
};
struct SessionUp {
  IpAddress peer;
};
struct SessionDown {
  IpAddress peer;
  std::string reason;
};
struct Log {  // one line for the daemon's log
  bool warning;
  IpAddress peer;
  std::string text;
};
}  // namespace output
using Output =
    std::variant<output::Connect, output::Send, output::Close, output::SessionUp, output::SessionDown, output::Log>;

// A prefix whose decision changed: its next hops now (several: ECMP); none: no route.
struct RouteChange {
  routing::IpPrefix prefix;
  bool external = false;  // the best path is eBGP
  std::span<const IpAddress> next_hops;
};

// Route changes of one step, without an allocation per route: next hops that repeat are stored once.
class RouteBatch {
 public:
  void add(const routing::IpPrefix& prefix, bool external, std::span<const IpAddress> next_hops);
  std::size_t size() const { return records_.size(); }
  RouteChange operator[](std::size_t i) const {
    const auto& r = records_[i];
    return {r.prefix, r.external, std::span(next_hops_).subspan(r.first, r.count)};
  }
  void clear() {
    records_.clear();
    next_hops_.clear();
  }

 private:
  struct Record {
    routing::IpPrefix prefix;
    bool external;
    std::uint16_t count;
    std::uint32_t first;
  };
  std::vector<Record> records_;
  std::vector<IpAddress> next_hops_;
};

// The caller keeps one and clears it after use, so that its memory is reused.
struct Outputs {
  std::vector<Output> actions;  // to be carried out in this order
  RouteBatch routes;            // in this order; independent of actions

  void clear() {
    actions.clear();
    routes.clear();
  }
};

}  // namespace sluice::bgp
