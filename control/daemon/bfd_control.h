// BFD in the daemon: makes the sessions that BGP's neighbours want, has workers run them, tells BGP of failures.
//
// The sessions run on the workers, so nothing that keeps the control thread busy can end one; here they are only made,
// watched (every few ms, by one counter a worker) and taken away.
//
// Called by: control/daemon/daemon. Runs on: control thread; its Tasks on workers. Follows: RFC 5882.
// Tested by: tests/interop/bfd_bird.py
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/admin/status.h"
#include "control/bgp/speaker.h"
#include "control/daemon/packet_engine.h"
#include "dataplane/bfd/table.h"

namespace sluice::daemon {

class BfdControl {
 public:
  struct Failure {
    Ipv4Address peer;
    bool path_is_dead = false;  // the neighbour's C bit: it was not just its control plane
    std::string reason;
  };
  BfdControl(PacketEngine& engine, std::function<void(const Failure&)> failed);
  ~BfdControl();
  BfdControl(const BfdControl&) = delete;
  BfdControl& operator=(const BfdControl&) = delete;

  // Exactly these sessions from now on; those that go are AdminDown for a detection time first (RFC 5880 6.8.16).
  void configure(Instant now, const std::vector<bgp::Speaker::BfdPeer>& peers);
  // Every few ms: what has changed since.
  void poll(Instant now);
  // The end: AdminDown to all, so that nobody takes it for a failure.
  void shutdown();

  std::vector<admin::BfdStatus> status(Instant now) const;

 private:
  struct Entry {
    std::shared_ptr<bfd::Session> session;
    bfd::Settings settings;
    std::uint32_t failures = 0, ups = 0;  // as last seen
    bfd::State state = bfd::State::down;
    Instant erase_at = kInstantMax;  // on its way out
  };
  using Work = std::function<void(Instant, bfd::Table&)>;
  void post(unsigned worker, Work work);
  void post(const bfd::Session& session, Work work);
  void add(const bfd::SessionKey& key, const bfd::Settings& settings);
  void look(Entry& entry);
  void erase_due(Instant now);
  void enable(bool on);

  PacketEngine& engine_;
  std::function<void(const Failure&)> failed_;
  std::map<bfd::SessionKey, Entry> entries_;
  std::vector<std::uint64_t> seen_;  // Table::changes() of each worker
  std::uint32_t made_ = 0;
  std::uint64_t seed_;
  bool enabled_ = false, ended_ = false;
};

}  // namespace sluice::daemon
