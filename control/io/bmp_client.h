// BmpClient: carries a BmpFeed's bytes to its station over a kernel TCP connection, and comes back when that breaks.
//
// It connects by the kernel's own routes: the station is on the management side. After a failure it tries again in 1 s,
// doubling to 60 s. A station that does not read fills the feed's bounded queue; then its connection is dropped with
// that reason, and the next one begins with the neighbours that are up.
//
// Called by: control/daemon/bgp_export. Runs on: control thread. Follows: RFC 7854 §3.2, §4.4-4.5.
// Tested by: tests/control/io/bmp_client_test.cc
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "control/bgp/bmp.h"

namespace boost::asio {
class io_context;
}

namespace sluice::io {

class BmpClient {
 public:
  struct Hooks {
    std::function<Instant()> now;
    std::function<void(bool warning, const std::string& text)> log;
  };
  BmpClient(boost::asio::io_context& context, bgp::BmpFeed& feed, const Ipv4Endpoint& station, Hooks hooks);
  ~BmpClient();  // says Termination if the connection takes it at once
  BmpClient(const BmpClient&) = delete;
  BmpClient& operator=(const BmpClient&) = delete;

  // The feed may have something: every few ms.
  void poll();
  bool connected() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sluice::io
