// BFD in the daemon; see bfd_control.h.
#include "control/daemon/bfd_control.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>

namespace sluice::daemon {
namespace {

class TableTask : public worker::Task {
 public:
  TableTask(lb::Datapath& datapath, std::function<void(Instant, bfd::Table&)> work)
      : datapath_(datapath), work_(std::move(work)) {}
  void run(Instant now) noexcept override { work_(now, datapath_.bfd_table()); }

 private:
  lb::Datapath& datapath_;
  std::function<void(Instant, bfd::Table&)> work_;
};

std::uint64_t seed_from_device() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

}  // namespace

BfdControl::BfdControl(PacketEngine& engine, std::function<void(const Failure&)> failed)
    : engine_(engine), failed_(std::move(failed)), seen_(engine.workers()), seed_(seed_from_device()) {}

BfdControl::~BfdControl() = default;

void BfdControl::post(unsigned worker, Work work) {
  engine_.engine().post(worker, std::make_unique<TableTask>(engine_.datapath(worker), std::move(work)));
}

void BfdControl::post(const bfd::Session& session, Work work) {
  post(bfd::owner_of(session.key().remote, engine_.workers()), std::move(work));
}

void BfdControl::enable(bool on) {
  if (std::exchange(enabled_, on) == on) return;
  for (unsigned worker = 0; worker < engine_.workers(); ++worker) {
    post(worker, [on](Instant, bfd::Table& table) { table.set_enabled(on); });
  }
}

void BfdControl::add(const bfd::SessionKey& key, const bfd::Settings& settings) {
  if (entries_.size() >= bfd::kSessionsMax) {
    return spdlog::error("BFD {}: no session, there are {} already", key.remote.text(), entries_.size());
  }
  // RFC 5880 6.3: not 0, unique here; random, so that nobody off the path can guess it (RFC 5880 9).
  std::uint32_t discriminator = 0;
  const auto taken = [&](std::uint32_t d) {
    return d == 0 || std::any_of(entries_.begin(), entries_.end(),
                                 [d](const auto& entry) { return entry.second.session->discriminator() == d; });
  };
  do {
    discriminator = static_cast<std::uint32_t>(hash_u64({seed_, ~seed_}, made_++) >> 16);
  } while (taken(discriminator));
  // RFC 5881 4: one of 49152 to 65535, another one for each session as long as there are.
  constexpr unsigned kPorts = bfd::kSourcePortLast - bfd::kSourcePortFirst + 1;
  const auto port = static_cast<std::uint16_t>(bfd::kSourcePortFirst + (made_ + seed_) % kPorts);
  Entry entry;
  entry.session = std::make_shared<bfd::Session>(key, port, settings, discriminator, seed_ + made_);
  entry.settings = settings;
  post(*entry.session, [session = entry.session](Instant now, bfd::Table& table) { table.insert(now, *session); });
  entries_.emplace(key, std::move(entry));
}

void BfdControl::configure(Instant now, const std::vector<bgp::Speaker::BfdPeer>& peers) {
  if (ended_) return;
  std::map<bfd::SessionKey, bfd::Settings> wanted;
  for (const auto& peer : peers) {
    if (!peer.address.is_v4() || !peer.local.is_v4()) continue;  // the packet engine has no IPv6
    wanted[{peer.local.v4(), peer.address.v4(), peer.multihop}] = peer.settings.timers;
  }
  if (!wanted.empty()) enable(true);
  for (auto& [key, entry] : entries_) {
    if (wanted.contains(key) || entry.erase_at != kInstantMax) continue;
    entry.erase_at = now + std::max<Duration>(entry.session->facts().detection_time, bfd::kSlowInterval);
    post(*entry.session,
         [session = entry.session](Instant at, bfd::Table& table) { table.set_admin_down(at, *session, true); });
  }
  for (const auto& [key, settings] : wanted) {
    const auto at = entries_.find(key);
    if (at == entries_.end()) {
      add(key, settings);
      continue;
    }
    Entry& entry = at->second;
    if (std::exchange(entry.erase_at, kInstantMax) != kInstantMax) {  // it is wanted again
      post(*entry.session,
           [session = entry.session](Instant then, bfd::Table& table) { table.set_admin_down(then, *session, false); });
    }
    if (entry.settings == settings) continue;
    entry.settings = settings;
    post(*entry.session, [session = entry.session, settings = settings](Instant then, bfd::Table& table) {
      table.configure(then, *session, settings);
    });
  }
}

void BfdControl::poll(Instant now) {
  bool changed = false;
  for (unsigned worker = 0; worker < engine_.workers(); ++worker) {
    const auto changes = engine_.datapath(worker).bfd_table().changes();
    changed |= std::exchange(seen_[worker], changes) != changes;
  }
  if (changed) {
    for (auto& [key, entry] : entries_) look(entry);
  }
  erase_due(now);
}

void BfdControl::look(Entry& entry) {
  const bfd::SessionFacts facts = entry.session->facts();
  const Ipv4Address peer = entry.session->key().remote;
  const bool failed = std::exchange(entry.failures, facts.failures) != facts.failures;
  const bool came_up = std::exchange(entry.ups, facts.ups) != facts.ups;
  const bfd::State before = std::exchange(entry.state, facts.state);
  if (failed) {
    const std::string reason(bfd::text_of(facts.failure));
    spdlog::warn("BFD {}: session down: {}", peer.text(), reason);
    failed_({peer, facts.failure_independent, reason});
  } else if (before == bfd::State::up && facts.state < bfd::State::init) {
    spdlog::info("BFD {}: session down: {}", peer.text(),
                 facts.state == bfd::State::admin_down ? "administratively down" : "the neighbor is AdminDown");
  }
  if (came_up) spdlog::info("BFD {}: session up", peer.text());
}

void BfdControl::erase_due(Instant now) {
  for (auto at = entries_.begin(); at != entries_.end();) {
    if (at->second.erase_at > now) {
      ++at;
      continue;
    }
    // The task's copy is the last one: it goes when the worker has let go of the session.
    post(*at->second.session, [session = at->second.session](Instant, bfd::Table& table) { table.erase(*session); });
    at = entries_.erase(at);
  }
  if (entries_.empty()) enable(false);
}

void BfdControl::shutdown() {
  ended_ = true;
  for (auto& [key, entry] : entries_) {
    post(*entry.session,
         [session = entry.session](Instant now, bfd::Table& table) { table.set_admin_down(now, *session, true); });
  }
}

std::vector<admin::BfdStatus> BfdControl::status(Instant now) const {
  std::vector<admin::BfdStatus> out;
  for (const auto& [key, entry] : entries_) {
    const bfd::SessionFacts facts = entry.session->facts();
    admin::BfdStatus status;
    status.neighbor = key.remote.text();
    status.local_address = key.local.text();
    status.multihop = key.multihop;
    status.state = bfd::name_of(facts.state);
    status.remote_state = bfd::name_of(facts.remote_state);
    status.up = facts.state == bfd::State::up;
    status.diagnostic = bfd::text_of(facts.diagnostic);
    status.remote_diagnostic = bfd::text_of(facts.remote_diagnostic);
    status.last_failure = facts.failures == 0 ? std::string() : std::string(bfd::text_of(facts.failure));
    status.since_s = to_seconds(std::max(now - facts.since, Duration(0)));
    status.local_discriminator = entry.session->discriminator();
    status.remote_discriminator = facts.remote_discriminator;
    status.min_tx_ms = to_seconds(entry.settings.min_tx) * 1000;
    status.min_rx_ms = to_seconds(entry.settings.min_rx) * 1000;
    status.multiplier = entry.settings.multiplier;
    status.remote_min_tx_ms = to_seconds(facts.remote_min_tx) * 1000;
    status.remote_min_rx_ms = to_seconds(facts.remote_min_rx) * 1000;
    status.remote_multiplier = facts.remote_multiplier;
    status.transmit_interval_ms = to_seconds(facts.transmit_interval) * 1000;
    status.detection_time_ms = to_seconds(facts.detection_time) * 1000;
    status.polling = facts.polling;
    status.control_plane_independent = facts.remote_control_plane_independent;
    status.failures = facts.failures;
    status.ups = facts.ups;
    status.packets_in = facts.packets_in;
    status.packets_out = facts.packets_out;
    status.worker = bfd::owner_of(key.remote, engine_.workers());
    status.leaving = entry.erase_at != kInstantMax;
    out.push_back(std::move(status));
  }
  return out;
}

}  // namespace sluice::daemon
