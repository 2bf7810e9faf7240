// What is to be announced now, and why; see route_health.h.
#include "control/daemon/route_health.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::daemon {

bool RouteHealth::is_fit(const Entry& e) {
  switch (e.configured.route_advertisement) {
    case config::RouteAdvertisement::selective:
    case config::RouteAdvertisement::any:
      return e.serving > 0;
    case config::RouteAdvertisement::all:
      return e.serving > 0 && e.serving == e.enabled;
    case config::RouteAdvertisement::always:
      return true;
    case config::RouteAdvertisement::never:
      return false;
  }
  return false;
}

std::string RouteHealth::fitness(const Entry& e) {
  switch (e.configured.route_advertisement) {
    case config::RouteAdvertisement::always:
      return "always";
    case config::RouteAdvertisement::never:
      return "never";
    default:
      return e.enabled == 0 ? std::string("no enabled virtual server")
                            : fmt::format("{} of {} virtual servers can serve", e.serving, e.enabled);
  }
}

// When the entry's own clock changes what is announced; kInstantMax: never.
Instant RouteHealth::due(const Entry& e) const {
  if (e.fit == e.announced) return kInstantMax;
  if (e.fit) return e.fit_since + (e.withdrawn_before ? e.configured.hold_up : Duration(0s));
  const bool never = e.configured.route_advertisement == config::RouteAdvertisement::never;
  return e.fit_since + (never ? Duration(0s) : e.configured.hold_down);
}

void RouteHealth::follow(Instant now, const config::Config& config, const lb::Snapshot& snapshot) {
  std::map<Ipv4Address, Entry> before = std::move(entries_);
  entries_.clear();
  for (const config::VirtualAddress& address : config.virtual_addresses) {
    const auto old = before.find(address.address);
    Entry& entry = entries_[address.address];
    if (old != before.end()) entry = old->second;
    entry.configured = address;
    entry.enabled = entry.serving = 0;
  }
  for (const lb::VirtualServer& server : snapshot.virtual_servers()) {
    const auto at = entries_.find(server.destination.address);
    if (at == entries_.end()) continue;
    if (server.enabled) ++at->second.enabled;
    if (lb::can_serve(server)) ++at->second.serving;
  }
  for (auto& [address, entry] : entries_) {
    const bool fit = is_fit(entry);
    if (fit != entry.fit || !before.contains(address)) entry.fit_since = now;
    entry.fit = fit;
  }
  std::erase_if(drained_, [this](Ipv4Address address) { return !entries_.contains(address); });
  aggregates_ = config.bgp.aggregates;
  graceful_shutdown_ = config.bgp.graceful_shutdown;
  advance(now);
}

void RouteHealth::advance(Instant now) {
  announced_.clear();
  deadline_ = kInstantMax;
  for (auto& [address, entry] : entries_) {
    if (due(entry) <= now) {
      entry.announced = entry.fit;
      entry.withdrawn_before = entry.withdrawn_before || !entry.fit;
    }
    deadline_ = std::min(deadline_, due(entry));
    entry.summary.reset();
    if (!entry.announced) continue;
    for (const config::BgpAggregate& aggregate : aggregates_) {
      if (!aggregate.prefix.contains(address)) continue;
      // An aggregate is drained only as a whole: others inside it may still want its traffic.
      config::Announcement with = aggregate.announcement;
      with.graceful_shutdown = with.graceful_shutdown || graceful_shutdown_ || drain_all_;
      announced_.emplace(aggregate.prefix, std::move(with));
      if (aggregate.summary_only) entry.summary = aggregate.prefix;
    }
    if (entry.summary) continue;
    config::Announcement with = entry.configured.announcement;
    with.graceful_shutdown = with.graceful_shutdown || graceful_shutdown_ || draining(address);
    announced_.emplace(Ipv4Prefix::of(address, 32), std::move(with));
  }
}

bool RouteHealth::drain(Instant now, const std::optional<Ipv4Address>& address, bool on) {
  if (!address) {
    drain_all_ = on;
    if (!on) drained_.clear();
  } else if (!entries_.contains(*address)) {
    return false;
  } else if (on) {
    drained_.insert(*address);
  } else {
    drained_.erase(*address);
  }
  advance(now);
  return true;
}

RouteHealth::State RouteHealth::state(Instant now, Ipv4Address address) const {
  const auto at = entries_.find(address);
  if (at == entries_.end()) return {false, "no such virtual address"};
  const Entry& e = at->second;
  State out{e.announced, fitness(e)};
  if (const Instant when = due(e); when != kInstantMax) {
    const double left = to_seconds(std::max<Duration>(when - now, 0s));
    out.reason += e.fit ? fmt::format("; hold-up: announced in {:.1f} s", left)
                        : fmt::format("; hold-down: withdrawn in {:.1f} s", left);
  }
  if (e.summary) out = {false, fmt::format("{}; {} is announced in its place", out.reason, e.summary->text())};
  if (e.announced && (draining(address) || graceful_shutdown_ || e.configured.announcement.graceful_shutdown))
    out.reason += "; drained (RFC 8326)";
  return out;
}

}  // namespace sluice::daemon
