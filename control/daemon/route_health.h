// RouteHealth: what is to be announced now, with what, and why: virtual addresses by their mode, aggregates over them.
//
//   selective, any: while an enabled virtual server on the address can serve; all: while each of them can; always;
//   never
// An address that ceases to be fit stays announced for its hold-down; one that was withdrawn comes back after its
// hold-up without a break. An aggregate is announced while an address inside it is; with summary-only it stands in
// their place.
//
//   health.follow(now, config, snapshot);   // the configuration or a monitor's verdict changed
//   at health.deadline(): health.advance(now)
//   announce exactly health.announced()
//
// Called by: control/daemon/bgp_control, statistics. Runs on: control thread. Follows: F5 BIG-IP route advertisement,
// RFC 8326 (drain). Tested by: tests/control/daemon/route_health_test.cc
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control/config/model.h"
#include "dataplane/base/time.h"
#include "lb/snapshot/snapshot.h"

namespace sluice::daemon {

class RouteHealth {
 public:
  using Announcements = std::map<Ipv4Prefix, config::Announcement>;

  void follow(Instant now, const config::Config& config, const lb::Snapshot& snapshot);
  void advance(Instant now);
  Instant deadline() const { return deadline_; }
  const Announcements& announced() const { return announced_; }

  // Announced with RFC 8326's community until it is taken back; nullopt: everything. False: no such address.
  bool drain(Instant now, const std::optional<Ipv4Address>& address, bool on);
  bool draining(Ipv4Address address) const { return drain_all_ || drained_.contains(address); }
  bool draining_all() const { return drain_all_; }

  // "announced", or in words why not.
  struct State {
    bool announced = false;
    std::string reason;
  };
  State state(Instant now, Ipv4Address address) const;

 private:
  struct Entry {
    config::VirtualAddress configured;
    unsigned enabled = 0, serving = 0;  // its virtual servers
    bool fit = false;
    Instant fit_since{};  // or unfit since
    bool announced = false;
    bool withdrawn_before = false;      // so the hold-up applies
    std::optional<Ipv4Prefix> summary;  // the summary-only aggregate that stands for it
  };
  static bool is_fit(const Entry& entry);
  static std::string fitness(const Entry& entry);
  Instant due(const Entry& entry) const;

  std::map<Ipv4Address, Entry> entries_;
  std::vector<config::BgpAggregate> aggregates_;
  bool graceful_shutdown_ = false;
  bool drain_all_ = false;
  std::set<Ipv4Address> drained_;
  Announcements announced_;
  Instant deadline_ = kInstantMax;
};

}  // namespace sluice::daemon
