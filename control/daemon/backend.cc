// What the admin API reads, and verbs that change the daemon; see backend.h.
#include "control/daemon/backend.h"

#include <unistd.h>

#include <algorithm>

#include "control/config/print.h"
#include "control/daemon/ask.h"
#include "control/daemon/flow_walk.h"
#include "control/daemon/http_errors.h"
#include "dataplane/ip/neighbor.h"

namespace sluice::daemon {

Backend::Backend(Parts parts) : parts_(std::move(parts)), capture_(parts_.loop, parts_.engine), started_(io::now()) {}

Backend::~Backend() = default;

void Backend::stop() {
  capture_.stop("sluiced is shutting down");
  pings_.clear();
}

std::vector<admin::VirtualStatus> Backend::virtuals() {
  return parts_.statistics.virtuals(parts_.reconfigure.running());
}

std::vector<admin::VirtualAddressStatus> Backend::virtual_addresses() {
  return parts_.statistics.virtual_addresses(parts_.reconfigure.running(), parts_.bgp.health(),
                                             parts_.bgp.configured());
}

std::vector<admin::PoolStatus> Backend::pools() { return parts_.statistics.pools(parts_.reconfigure.running()); }

std::vector<admin::NodeStatus> Backend::nodes() { return parts_.statistics.nodes(parts_.reconfigure.running()); }

std::vector<admin::MonitorStatus> Backend::monitors() { return parts_.health.status(parts_.reconfigure.running()); }

std::vector<admin::RouteStatus> Backend::routes() { return parts_.statistics.routes(); }

admin::BgpStatus Backend::bgp() { return parts_.bgp.status(); }

std::vector<admin::BgpPathStatus> Backend::bgp_paths() { return parts_.bgp.paths(); }

Result<std::vector<admin::BgpPathStatus>> Backend::bgp_neighbor_routes(const std::string& neighbor, BgpRoutes which) {
  return parts_.bgp.neighbor_routes(neighbor, which);
}

Result<std::string> Backend::bgp_text(BgpText what, const std::string& argument) {
  return parts_.bgp.text(what, argument);
}

std::vector<admin::BfdStatus> Backend::bfd() { return parts_.bfd.status(io::now()); }

std::vector<admin::WorkerStatus> Backend::workers() { return parts_.statistics.workers(); }

std::vector<admin::PortStatus> Backend::ports() { return parts_.statistics.ports(parts_.reconfigure.running()); }

admin::DropsStatus Backend::drops() { return parts_.statistics.drops(); }

std::vector<admin::TcpWorkerStatus> Backend::tcp() { return parts_.statistics.tcp(); }

admin::AccessLogStatus Backend::access_log() { return parts_.access_log.status(); }

void Backend::http_errors(const std::string& virtual_server, std::size_t limit,
                          std::function<void(admin::HttpErrorsStatus)> answer) {
  gather_errors(parts_.engine, virtual_server, limit, std::move(answer));
}

admin::VersionStatus Backend::version() {
  admin::VersionStatus out;
  out.version = SLUICE_VERSION;
  out.dpdk = SLUICE_DPDK_VERSION;
  out.compiler = __VERSION__;
  out.config_path = parts_.config_path;
  out.uptime_s = to_seconds(io::now() - started_);
  out.pid = ::getpid();
  out.last_config_change = parts_.reconfigure.last_change();
  out.last_config_error = parts_.reconfigure.last_error();
  return out;
}

std::string Backend::config_yaml() { return config::print(parts_.reconfigure.running(), {.all = true}); }

void Backend::neighbor_entries(std::function<void(std::vector<admin::NeighborEntryStatus>)> answer) {
  using Entries = std::vector<ip::NeighborInfo>;
  ask_workers<Entries>(
      parts_.engine, [](Instant now, lb::Datapath& datapath) { return datapath.neighbors().list(now); },
      [this, answer = std::move(answer)](std::vector<Entries> all) {
        // What one worker confirmed last stands for all of them.
        std::map<std::pair<packet::PortId, Ipv4Address>, ip::NeighborInfo> merged;
        for (const Entries& entries : all) {
          for (const ip::NeighborInfo& entry : entries) {
            const auto [it, added] = merged.try_emplace({entry.port, entry.address}, entry);
            if (!added && entry.since_confirmed < it->second.since_confirmed) it->second = entry;
          }
        }
        std::vector<admin::NeighborEntryStatus> out;
        for (const auto& [key, entry] : merged) {
          out.push_back({entry.address.text(), entry.mac.is_zero() ? std::string("-") : entry.mac.text(),
                         parts_.statistics.port_name(entry.port), std::string(ip::name_of(entry.state)),
                         entry.mac.is_zero() ? 0 : to_seconds(entry.since_confirmed)});
        }
        answer(std::move(out));
      });
}

void Backend::list_flows(const admin::FlowFilter& filter, std::function<void(Result<admin::FlowsStatus>)> answer) {
  walk_flows(parts_.engine, parts_.balancing, filter, false, std::move(answer));
}

void Backend::delete_flows(const admin::FlowFilter& filter, std::function<void(Result<std::uint64_t>)> answer) {
  walk_flows(parts_.engine, parts_.balancing, filter, true,
             [answer = std::move(answer)](Result<admin::FlowsStatus> ended) {
               if (!ended) return answer(tl::unexpected(ended.error()));
               answer(ended->matched);
             });
}

tl::expected<admin::ApplyReport, Errors> Backend::apply(const std::optional<admin::ConfigText>& config,
                                                        bool check_only) {
  return parts_.reconfigure.apply(config, check_only, "sluicectl apply");
}

Status Backend::modify_member(const std::string& pool, Ipv4Endpoint member, admin::MemberAdminState state) {
  constexpr config::MemberState kStates[] = {config::MemberState::enabled, config::MemberState::disabled,
                                             config::MemberState::forced_offline};
  return parts_.reconfigure.modify_member(pool, member, kStates[static_cast<std::size_t>(state)]);
}

Status Backend::modify_virtual(const std::string& name, bool enabled) {
  return parts_.reconfigure.modify_virtual(name, enabled);
}

void Backend::dump_rib(const std::string& path, std::function<void(Result<admin::RibDumpReport>)> answer) {
  parts_.bgp_export.dump_rib(path, [answer = std::move(answer)](const Result<BgpExport::Dumped>& dumped) {
    if (!dumped) return answer(tl::unexpected(dumped.error()));
    answer(admin::RibDumpReport{dumped->prefixes, dumped->bytes});
  });
}

Status Backend::clear_bgp(const std::optional<Ipv4Address>& neighbor, BgpClear how) {
  return parts_.bgp.clear(neighbor, how);
}

Status Backend::drain(const std::optional<Ipv4Address>& address, bool on) { return parts_.bgp.drain(address, on); }

Status Backend::capture(const admin::CaptureRequest& request, std::shared_ptr<admin::Stream> stream) {
  return capture_.start(request, std::move(stream));
}

void Backend::shutdown() { parts_.shutdown(); }
void Backend::restart() { parts_.restart(); }

}  // namespace sluice::daemon
