// BGP in the daemon; see bgp_control.h.
#include "control/daemon/bgp_control.h"

#include "control/daemon/statistics.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace sluice::daemon {
namespace {

constexpr Duration kRestartDeferMax = 30s;  // a node that is away now shall not hold up the others for long

std::string router_id_text(std::uint32_t id) { return Ipv4Address{id}.text(); }

std::string_view origin_text(char origin) { return origin == 'i' ? "igp" : origin == 'e' ? "egp" : "incomplete"; }

std::vector<std::string> split_words(const std::string& text) {
  std::vector<std::string> out;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto end = std::min(text.find(' ', at), text.size());
    if (end > at) out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

admin::BgpMessageCounts counts_of(const bgp::MessageCounts& counts) {
  return {counts.open, counts.notification, counts.update, counts.keepalive, counts.route_refresh};
}

std::optional<double> seconds_of(const std::optional<Duration>& duration) {
  return duration ? std::optional(to_seconds(*duration)) : std::nullopt;
}

std::string text_of(const std::optional<IpAddress>& address) { return address ? address->text() : std::string(); }

std::string restart_text(const bgp::PeerFacts& facts) {
  if (!facts.restart_advertised && !facts.restart_received) return "not negotiated";
  std::string out = fmt::format("{}{}", facts.restart_advertised ? "advertised" : "not advertised",
                                facts.restart_received ? ", received" : ", not received");
  if (facts.restarting) out += ", neighbor is restarting";
  if (facts.restart_remaining) out += fmt::format(", stale for {:.0f} s more", to_seconds(*facts.restart_remaining));
  return out;
}

std::string policy_text(std::size_t rules, bool lacking) {
  if (lacking) return "missing (RFC 8212)";
  return rules == 0 ? std::string("none") : fmt::format("{} rule{}", rules, rules == 1 ? "" : "s");
}

admin::BgpPathStatus status_of(const bgp::PathFacts& facts) {
  admin::BgpPathStatus path;
  path.prefix = facts.prefix.text();
  path.next_hop = facts.next_hop.text();
  path.from = facts.local ? "local" : facts.peer.text();
  path.origin = origin_text(facts.origin);
  path.as_path = facts.as_path;
  path.valid = facts.valid;
  path.best = facts.best;
  path.multipath = facts.multipath;
  path.internal = facts.internal;
  path.stale = facts.stale;
  path.local = facts.local;
  path.rejected = facts.rejected;
  path.path_id = facts.path_id;
  path.med = facts.med;
  path.local_pref = facts.local_pref;
  path.weight = facts.local ? 32768 : 0;
  path.reason = facts.why;
  path.age_s = to_seconds(facts.age);
  path.communities = split_words(facts.communities);
  return path;
}

admin::BgpNeighborStatus status_of(const bgp::PeerFacts& facts) {
  admin::BgpNeighborStatus out;
  out.address = facts.address.text();
  out.description = facts.description;
  out.remote_as = facts.remote_as;
  out.local_as = facts.local_as;
  out.internal = facts.internal;
  out.enabled = facts.enabled;
  out.passive = facts.passive;
  out.dynamic = facts.dynamic;
  if (facts.listen_range) out.listen_range = facts.listen_range->text();
  out.import_policy = policy_text(facts.import_rules, facts.import_lacking);
  out.export_policy = policy_text(facts.export_rules, facts.export_lacking);
  out.authenticated = facts.password_set;
  out.state = bgp::name_of(facts.state);
  out.established = facts.state == bgp::State::established;
  out.uptime_s = to_seconds(facts.in_state);
  if (facts.remote_router_id) out.remote_router_id = router_id_text(*facts.remote_router_id);
  out.local_router_id = router_id_text(facts.local_router_id);
  out.hold_time_s = to_seconds(facts.hold_time);
  out.keepalive_s = to_seconds(facts.keepalive);
  out.configured_hold_time_s = to_seconds(facts.configured_hold_time);
  out.configured_keepalive_s = to_seconds(facts.configured_keepalive);
  out.last_read_s = seconds_of(facts.since_read);
  out.last_write_s = seconds_of(facts.since_write);
  for (const auto& c : facts.capabilities) out.capabilities.push_back({c.name, c.advertised, c.received});
  out.sent = counts_of(facts.out);
  out.received = counts_of(facts.in);
  out.bytes_sent = facts.bytes_out;
  out.bytes_received = facts.bytes_in;
  out.out_queue = facts.output_queue_bytes;
  out.table_version = facts.table_version;
  out.neighbor_version = facts.neighbor_version;
  out.graceful_restart = restart_text(facts);
  out.remote_restart_time_s = to_seconds(facts.remote_restart_time);
  out.received_prefixes = facts.accepted_prefixes + facts.rejected_prefixes;
  out.accepted_prefixes = facts.accepted_prefixes;
  out.rejected_prefixes = facts.rejected_prefixes;
  out.stale_prefixes = facts.stale_prefixes;
  out.treated_as_withdraw = facts.treated_as_withdraw;
  out.discarded_attributes = facts.discarded_attributes;
  out.last_update_error = facts.last_update_error;
  out.end_of_rib_sent = facts.end_of_rib_sent;
  out.end_of_rib_received = facts.end_of_rib_received;
  out.announced_prefixes = facts.announced_prefixes;
  out.connections_established = facts.connections_established;
  out.connections_dropped = facts.connections_dropped;
  out.last_reset_s = seconds_of(facts.since_last_reset);
  out.last_reset_reason = facts.last_reset;
  out.last_error = facts.state_reason;
  out.local_address = text_of(facts.local_address);
  out.local_port = facts.local_port;
  out.foreign_address = facts.address.text();
  out.foreign_port = facts.remote_port;
  out.next_hop = text_of(facts.next_hop);
  return out;
}

}  // namespace

BgpControl::BgpControl(io::Loop& loop, Routes& routes)
    : routes_(routes),
      speaker_(routes.table()),
      transport_(loop.context(), speaker_, routes.table(),
                 {.now = io::now,
                  .routes_changed = [this](Instant since) { routes_.learned(since); },
                  .behind = [this] { return routes_.behind(); },
                  .event = [this](const bgp::Output& event) { on_event(event); }}),
      health_alarm_(loop, [this] {
        health_.advance(io::now());
        announce();
      }) {}

BgpControl::~BgpControl() = default;

Errors BgpControl::configure(const config::Config& config) {
  if (config.bgp.local_as == 0 && !configured_) return {};
  configured_ = config.bgp.local_as != 0;
  if (before_configure_) before_configure_(config);
  bgp::SpeakerSettings settings = make_settings(config);
  settings.restarting = settings.hold_announcements = restarted_;
  settings.forwarding_preserved = planned_;
  settings.restart_defer_max = kRestartDeferMax;
  return transport_.configure(settings);
}

void BgpControl::come_back(std::vector<SavedRoute> kept, bool planned) {
  restarted_ = true;
  planned_ = planned;
  kept_ = std::move(kept);
  for (const SavedRoute& route : kept_)
    routes_.table().set_bgp(route.prefix, route.gateways, route.external, io::now());
}

void BgpControl::ready() { transport_.ready(); }

void BgpControl::check_kept() {
  if (kept_.empty() || speaker_.restarting()) return;
  const Instant now = io::now();
  std::size_t gone = 0;
  for (const SavedRoute& route : kept_) {
    if (!speaker_.paths(now, routing::IpPrefix(route.prefix)).empty()) continue;
    routes_.table().set_bgp(route.prefix, {}, route.external, now);
    ++gone;
  }
  spdlog::info("BGP: of {} routes of before the restart {} are gone", kept_.size(), gone);
  kept_.clear();
  routes_.push();
}

void BgpControl::follow(const config::Config& config, const lb::Snapshot& snapshot) {
  health_.follow(io::now(), config, snapshot);
  announce();
}

void BgpControl::withdraw_all() {
  ended_ = true;
  announce();
}

Status BgpControl::drain(const std::optional<Ipv4Address>& address, bool on) {
  if (!configured_) return fail("", "BGP is not configured");
  if (!health_.drain(io::now(), address, on))
    return fail("", fmt::format("no virtual address \"{}\"", address->text()));
  spdlog::info("BGP: {} {}", address ? address->text() : "everything", on ? "is drained" : "is no longer drained");
  announce();
  return {};
}

// Brings the speaker in line with what is to be announced now.
void BgpControl::announce() {
  const RouteHealth::Announcements wanted = ended_ ? RouteHealth::Announcements{} : health_.announced();
  for (const auto& [prefix, with] : announced_) {
    if (wanted.contains(prefix)) continue;
    if (configured_) spdlog::info("BGP: withdrawing {}", prefix.text());
    transport_.withdraw(prefix);
  }
  for (const auto& [prefix, with] : wanted) {
    const auto before = announced_.find(prefix);
    if (before != announced_.end() && before->second == with) continue;
    if (configured_) spdlog::info("BGP: announcing {}", prefix.text());
    transport_.announce(prefix, make_attributes(with));
  }
  announced_ = wanted;
  health_alarm_.set(ended_ ? kInstantMax : health_.deadline());
}

void BgpControl::next_hops_changed() { transport_.next_hops_changed(); }

Status BgpControl::clear(const std::optional<Ipv4Address>& neighbor, admin::Backend::BgpClear how) {
  using How = admin::Backend::BgpClear;
  if (!configured_) return fail("", "BGP is not configured");
  std::vector<IpAddress> peers;
  for (const bgp::PeerFacts& facts : speaker_.peers(io::now())) {
    if (!neighbor || facts.address == IpAddress(*neighbor)) peers.push_back(facts.address);
  }
  if (peers.empty())
    return fail("", neighbor ? fmt::format("no BGP neighbor \"{}\"", neighbor->text()) : "no BGP neighbors");
  for (const IpAddress& peer : peers) {
    bool done = true;
    if (how == How::hard) done = transport_.clear(peer);
    if (how == How::soft_in || how == How::soft_both) done = transport_.refresh(peer);
    if (how == How::soft_out || how == How::soft_both) done = transport_.resend(peer) && done;
    if (!done && neighbor)
      return fail("", fmt::format("{} is not Established, or does not know route refresh", peer.text()));
  }
  return {};
}

void BgpControl::shutdown(std::function<void()> done) { transport_.shutdown("sluiced is shut down", std::move(done)); }

void BgpControl::on_event(const bgp::Output& event) {
  if (const auto* log = std::get_if<bgp::output::Log>(&event)) {
    spdlog::log(log->warning ? spdlog::level::warn : spdlog::level::info, "BGP {}: {}", log->peer.text(), log->text);
  } else if (const auto* up = std::get_if<bgp::output::SessionUp>(&event)) {
    spdlog::info("BGP {}: session Established", up->peer.text());
  } else if (const auto* down = std::get_if<bgp::output::SessionDown>(&event)) {
    spdlog::warn("BGP {}: session down: {}", down->peer.text(), down->reason);
  }
}

admin::BgpStatus BgpControl::status() const {
  admin::BgpStatus out;
  out.configured = configured_;
  if (!configured_) return out;
  const Instant now = io::now();
  const bgp::SummaryFacts summary = speaker_.summary(now);
  out.router_id = router_id_text(summary.router_id);
  out.local_as = summary.local_as;
  out.table_version = summary.table_version;
  out.prefixes = summary.prefixes;
  out.paths = summary.paths;
  out.announced = announced_.size();
  out.draining = health_.draining_all();
  out.routes_reach = to_status(routes_.reach_time());
  out.route_task = to_status(routes_.task_time());
  for (const routing::IpPrefix& prefix : speaker_.settings().accept) out.accept.push_back(prefix.text());
  for (const bgp::PeerFacts& facts : speaker_.peers(now)) out.neighbors.push_back(status_of(facts));
  return out;
}

std::vector<admin::BgpPathStatus> BgpControl::paths() const {
  std::vector<admin::BgpPathStatus> out;
  for (const bgp::PathFacts& facts : speaker_.paths(io::now())) out.push_back(status_of(facts));
  return out;
}

Result<std::vector<admin::BgpPathStatus>> BgpControl::neighbor_routes(const std::string& neighbor,
                                                                      admin::Backend::BgpRoutes which) const {
  using Which = admin::Backend::BgpRoutes;
  const Instant now = io::now();
  const auto address = IpAddress::parse(neighbor);
  if (!address || !speaker_.peer(now, *address)) return fail("", fmt::format("no BGP neighbor \"{}\"", neighbor));
  const auto facts = which == Which::received     ? speaker_.received_from(now, *address)
                     : which == Which::advertised ? speaker_.advertised_to(now, *address)
                                                  : speaker_.routes_from(now, *address);
  std::vector<admin::BgpPathStatus> out;
  for (const bgp::PathFacts& path : facts) out.push_back(status_of(path));
  return out;
}

Result<std::string> BgpControl::text(admin::Backend::BgpText what, const std::string& argument) const {
  const Instant now = io::now();
  const bgp::SummaryFacts summary = speaker_.summary(now);
  if (what == admin::Backend::BgpText::summary) {
    std::string out = bgp::text_of(summary) + "Learned routes: ";
    const auto& accept = speaker_.settings().accept;
    if (accept.empty()) out += "any prefix but the default route, our own addresses and subnets";
    for (std::size_t i = 0; i < accept.size(); ++i) out += (i == 0 ? "inside " : ", ") + accept[i].text();
    if (const lb::Latency reach = routes_.reach_time(); reach.count() != 0) {
      const admin::LatencyStatus ms = to_status(reach);
      out += fmt::format("\nRoutes are in every worker's FIB within {:.3f} ms (p50), {:.3f} (p99), {:.3f} (max)",
                         ms.p50_ms, ms.p99_ms, ms.max_ms);
    }
    return out + (health_.draining_all() ? "\nEverything is drained (RFC 8326)\n" : "\n");
  }
  if (what == admin::Backend::BgpText::neighbors) {
    std::string out;
    for (const bgp::PeerFacts& facts : speaker_.peers(now)) {
      if (argument.empty() || facts.address.text() == argument) out += (out.empty() ? "" : "\n") + bgp::text_of(facts);
    }
    if (out.empty() && !argument.empty()) return fail("", fmt::format("no BGP neighbor \"{}\"", argument));
    return out;
  }
  if (argument.empty()) return bgp::table_text(speaker_.paths(now), summary.router_id, summary.table_version);
  const auto asked = Ipv4Address::parse(argument);
  const auto prefix = asked ? std::optional(Ipv4Prefix::of(*asked, 32)) : Ipv4Prefix::parse(argument);
  if (!prefix) return fail("", fmt::format("\"{}\" is no address and no prefix", argument));
  // An address is looked up: its longest prefix.
  for (int length = prefix->length; length >= (asked ? 0 : int{prefix->length}); --length) {
    const auto paths = speaker_.paths(now, Ipv4Prefix::of(prefix->address, static_cast<unsigned>(length)));
    if (!paths.empty()) return bgp::detail_text(paths);
  }
  return fail("", fmt::format("% Network not in table: {}", argument));
}

}  // namespace sluice::daemon
