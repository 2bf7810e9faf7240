// The one way in which the running daemon changes; see reconfigure.h.
#include "control/daemon/reconfigure.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "control/config/diff.h"
#include "control/io/loop.h"

namespace sluice::daemon {
namespace {

std::string wall_time() {
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC",
                     std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now()));
}

std::string joined(const Errors& errors) {
  std::string out;
  for (const Error& error : errors) out += (out.empty() ? "" : "; ") + error.text();
  return out;
}

admin::ApplyReport report_of(const config::Diff& diff, const LoadedConfig& loaded) {
  admin::ApplyReport report;
  for (const config::Change& change : diff.changes) {
    (change.needs_restart ? report.needs_restart : report.changes).push_back(change.text());
  }
  for (const Error& error : loaded.complaints)
    report.warnings.push_back(error.text() + " (rejected; the rest applies)");
  for (const Error& warning : loaded.warnings) report.warnings.push_back(warning.text());
  return report;
}

}  // namespace

Reconfigure::Reconfigure(Parts parts, std::function<void(const config::Config&)> applied)
    : parts_(parts), applied_(std::move(applied)) {}

Errors Reconfigure::set_self_ips(const config::Config& config) {
  std::vector<Ipv4Address> addresses;
  for (const config::SelfIp& self : config.self_ips) addresses.push_back(self.address.address);
  if (auto ok = parts_.engine.host_port().set_self_ips(addresses); !ok) return {ok.error()};
  return {};
}

Errors Reconfigure::carry_out(const config::Config& next) {
  const std::vector<Step> steps = {
      {"BGP settings",
       [](const config::Config& config) {
         return config.bgp.local_as == 0 ? Errors{} : bgp::Speaker::check(make_settings(config));
       }},
      {"self IPs", [this](const config::Config& config) { return set_self_ips(config); }},
      {"monitors", [this](const config::Config& config) { return parts_.health.configure(config); }},
      {"snapshot", [this](const config::Config& config) {
         auto snapshot = parts_.balancing.compile(io::now(), config);
         if (!snapshot) return Errors{snapshot.error()};
         pending_ = std::move(*snapshot);
         return Errors{};
       }}};
  TransactionOutcome outcome = run_steps(steps, running_, next);
  for (const Error& error : outcome.undo_errors) {
    if (started_) spdlog::error("while going back to the running configuration: {}", error.text());
  }
  if (outcome.errors.empty()) commit(next);
  return std::move(outcome.errors);
}

void Reconfigure::commit(const config::Config& next) {
  parts_.routes.configure(io::now(), next);
  if (auto work = std::exchange(before_install_, nullptr)) work(*pending_);
  parts_.balancing.install(std::move(pending_));
  note_bgp_errors(parts_.bgp.configure(next));
  parts_.bgp.next_hops_changed();
  running_ = next;
  if (!ending_) parts_.bgp.follow(running_, *parts_.balancing.current());
  applied_(running_);
}

Errors Reconfigure::start(config::Config config) {
  base_ = config;
  Errors errors = carry_out(config);
  started_ = errors.empty();
  return errors;
}

tl::expected<admin::ApplyReport, Errors> Reconfigure::apply(const std::optional<admin::ConfigText>& text,
                                                            bool check_only, const std::string& why) {
  LoadedConfig loaded;
  if (check_only) {
    loaded = text ? parts_.source.preview(text->name, text->text) : parts_.source.preview();
  } else {
    loaded = text ? parts_.source.load(text->name, text->text) : parts_.source.load();
  }
  if (!check_only) note_complaints(loaded.complaints);
  const auto reject = [&](Errors errors) {
    if (!check_only) {
      last_error_ = fmt::format("{}: {}", wall_time(), joined(errors));
      for (const Error& error : errors) spdlog::error("{}: rejected: {}", why, error.text());
    }
    return tl::unexpected<Errors>(std::move(errors));
  };
  if (!loaded.config) return reject(std::move(loaded.errors));
  const config::Diff diff = config::diff(base_, *loaded.config);
  admin::ApplyReport report = report_of(diff, loaded);
  if (check_only) return report;
  last_error_.clear();
  if (diff.empty()) return report;

  config::Config next_base = config::applicable(base_, *loaded.config);
  Overrides next_overrides = overrides_;
  next_overrides.follow(base_, next_base);
  if (Errors errors = carry_out(next_overrides.over(next_base)); !errors.empty()) return reject(std::move(errors));
  base_ = std::move(next_base);
  overrides_ = std::move(next_overrides);
  last_change_ = fmt::format("{}: {} changes ({})", wall_time(), report.changes.size(), why);
  for (const std::string& change : report.changes) spdlog::info("{}: {}", why, change);
  for (const std::string& change : report.needs_restart) spdlog::warn("{}: {}", why, change);
  return report;
}

// The same complaints come with every load until they are mended: only what is new is logged.
void Reconfigure::note_complaints(const Errors& complaints) {
  for (const Error& error : complaints) {
    if (std::find(complaints_.begin(), complaints_.end(), error) == complaints_.end()) {
      spdlog::error("manifest rejected: {}", error.text());
    }
  }
  complaints_ = complaints;
}

// An address that cannot be bound stays so at each change: said once.
void Reconfigure::note_bgp_errors(Errors errors) {
  for (const Error& error : errors) {
    if (std::find(bgp_errors_.begin(), bgp_errors_.end(), error) == bgp_errors_.end()) {
      spdlog::error("BGP: {}", error.text());
    }
  }
  bgp_errors_ = std::move(errors);
}

Status Reconfigure::modified() {
  if (Errors errors = carry_out(overrides_.over(base_)); !errors.empty()) return tl::unexpected(errors.front());
  return {};
}

Status Reconfigure::modify_member(const std::string& pool, Ipv4Endpoint member, config::MemberState state) {
  if (auto ok = overrides_.set_member(base_, pool, member, state); !ok) return ok;
  const std::string name = find_pool(base_, pool)->name;
  if (state == config::MemberState::enabled) parts_.health.resume(name, member);
  return modified();
}

Status Reconfigure::modify_virtual(const std::string& name, bool enabled) {
  if (auto ok = overrides_.set_virtual(base_, name, enabled); !ok) return ok;
  return modified();
}

void Reconfigure::verdicts_changed() {
  if (!started_) return;
  auto snapshot = parts_.balancing.compile(io::now(), running_);
  if (!snapshot) return spdlog::error("cannot follow the monitors: {}", snapshot.error().text());
  parts_.balancing.install(std::move(*snapshot));
  if (!ending_) parts_.bgp.follow(running_, *parts_.balancing.current());
}

void Reconfigure::withdraw_all() {
  ending_ = true;
  parts_.bgp.withdraw_all();
}

}  // namespace sluice::daemon
