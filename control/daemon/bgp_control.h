// BGP in the daemon: speaker and transport, announcements out of availability.
//
// Called by: control/daemon. Runs on: control thread. Tested by: tests/lab
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "control/admin/backend.h"
#include "control/bgp/speaker.h"
#include "control/config/model.h"
#include "control/daemon/bgp_settings.h"
#include "control/daemon/restart_state.h"
#include "control/daemon/route_health.h"
#include "control/daemon/routes.h"
#include "control/io/bgp_transport.h"
#include "control/io/loop.h"

namespace sluice::daemon {

class BgpControl {
 public:
  BgpControl(io::Loop& loop, Routes& routes);
  ~BgpControl();

  // Before the first configure(): we come back, and neighbors still have our routes. `kept`: routes of before, in use
  // until the neighbors have sent theirs; `planned`: nothing of the forwarding was lost.
  void come_back(std::vector<SavedRoute> kept, bool planned);
  // What we announce is known; until then neighbors keep what they have (RFC 4724 4.1).
  void ready();
  // Takes back kept routes that no neighbor has sent again, once all have sent; now and then.
  void check_kept();
  // Ends all sessions without a word, for the process after us.
  void abandon() { transport_.abandon(); }

  bool configured() const { return configured_; }
  // What cannot be carried out (an address that cannot be bound) comes back; the rest works.
  Errors configure(const config::Config& config);
  // Announces what the state of the virtual addresses asks for, and goes on doing so as time passes.
  void follow(const config::Config& config, const lb::Snapshot& snapshot);
  void withdraw_all();  // for good
  // RFC 8326, until it is taken back; nullopt: everything.
  Status drain(const std::optional<Ipv4Address>& address, bool on);
  const RouteHealth& health() const { return health_; }
  // Called with the configuration that configure() is about to carry out.
  void before_configure(std::function<void(const config::Config&)> hook) { before_configure_ = std::move(hook); }
  bgp::Speaker& speaker() { return speaker_; }
  bool refresh(const IpAddress& peer) { return transport_.refresh(peer); }
  void next_hops_changed();
  void catch_up() { transport_.catch_up(); }  // once Routes::behind() is over
  // BFD: whom it is wanted for, and what it found.
  std::vector<bgp::Speaker::BfdPeer> bfd_peers() const { return speaker_.bfd_peers(); }
  void path_down(Ipv4Address peer, bool path_is_dead, const std::string& reason) {
    transport_.path_down(peer, path_is_dead, reason);
  }
  Status clear(const std::optional<Ipv4Address>& neighbor, admin::Backend::BgpClear how);
  // Withdraws everything, ends every session; `done` runs when the last byte has gone.
  void shutdown(std::function<void()> done);

  admin::BgpStatus status() const;
  std::vector<admin::BgpPathStatus> paths() const;
  Result<std::string> text(admin::Backend::BgpText what, const std::string& argument) const;
  Result<std::vector<admin::BgpPathStatus>> neighbor_routes(const std::string& neighbor,
                                                            admin::Backend::BgpRoutes which) const;

 private:
  void on_event(const bgp::Output& event);
  void announce();

  Routes& routes_;
  bgp::Speaker speaker_;
  io::BgpTransport transport_;
  RouteHealth health_;
  io::Alarm health_alarm_;
  RouteHealth::Announcements announced_;
  std::function<void(const config::Config&)> before_configure_;
  bool configured_ = false, ended_ = false;
  std::vector<SavedRoute> kept_;
  bool restarted_ = false, planned_ = false;
};

}  // namespace sluice::daemon
