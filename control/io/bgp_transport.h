// BgpTransport: carries the BGP speaker's connections over kernel sockets and its routes into the routing table.
//
// Owns the listeners (one per self IP, TCP MD5 keys and TTL set), the outgoing connections (bound to the self IP, local
// port 61440–65535) and one timer. Reads at most 8 KiB of a connection a turn and takes connections in turn, so that
// no peer starves another; a connection whose peer does not read keeps at most 1 MiB waiting, then is dropped with a
// reason.
//
//   BgpTransport transport(io_context, speaker, routing_table, {.self_ips = …});
//   transport.configure(settings);          // speaker + listeners; errors: cannot bind …
//   transport.on_routes = [&] { push table.take_updates() to the workers };
//
// Called by: control/daemon. Runs on: control thread (one io_context). Follows: RFC 2385, RFC 5082.
// Tested by: tests/interop/bgp*
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "control/bgp/speaker.h"
#include "control/routing/routing_table.h"
#include "dataplane/base/result.h"
#include "dataplane/base/time.h"

namespace boost::asio {
class io_context;
}

namespace sluice::io {

class BgpTransport {
 public:
  struct Hooks {
    std::function<Instant()> now;  // CLOCK_MONOTONIC in the daemon
    // The routing table has updates to take, of what was read from a neighbour (or fell due) at `since`.
    std::function<void(Instant since)> routes_changed;
    // Whoever takes them has too many waiting: nothing more is read until catch_up(). Optional.
    std::function<bool()> behind;
    std::function<void(const bgp::Output&)> event;  // SessionUp, SessionDown, Log
  };

  BgpTransport(boost::asio::io_context& context, bgp::Speaker& speaker, routing::RoutingTable& routes, Hooks hooks);
  ~BgpTransport();
  BgpTransport(const BgpTransport&) = delete;
  BgpTransport& operator=(const BgpTransport&) = delete;

  // Settings → speaker, and a listener on every self IP. What cannot be bound is an error; the rest works on.
  Errors configure(const bgp::SpeakerSettings& settings);
  void announce(const routing::IpPrefix& prefix, const bgp::AnnounceAttributes& attributes);
  void withdraw(const routing::IpPrefix& prefix);
  // Hooks::behind has become false: connections that were not read meanwhile have their turns, one after the other.
  void catch_up();
  void next_hops_changed();  // after changes of connected or static routes
  void path_down(const IpAddress& peer, bool path_is_dead, const std::string& reason);  // BFD
  bool clear(const IpAddress& peer);
  bool refresh(const IpAddress& peer);
  bool resend(const IpAddress& peer);
  // The same for Speaker::ready.
  void ready();
  // Closes every connection without a word: the neighbours keep our routes, for whoever comes after us (RFC 4724).
  void abandon();
  // Cease to all; `done` runs when the last byte has gone, at most 2 s later.
  void shutdown(std::string_view reason, std::function<void()> done);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::io
