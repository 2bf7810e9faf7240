// The daemon as the admin API sees it: answers from the statistics, carries verbs out.
//
// Called by: admin/api, admin/prometheus. Runs on: control thread. Tested by: tests/lab, tests/interop/daemon_smoke.py
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "control/admin/backend.h"
#include "control/daemon/access_log.h"
#include "control/daemon/bfd_control.h"
#include "control/daemon/bgp_export.h"
#include "control/daemon/capture_session.h"
#include "control/daemon/reconfigure.h"
#include "control/daemon/statistics.h"
#include "control/io/ping.h"

namespace sluice::daemon {

class Backend final : public admin::Backend {
 public:
  struct Parts {
    io::Loop& loop;
    PacketEngine& engine;
    Balancing& balancing;
    Health& health;
    Routes& routes;
    BgpControl& bgp;
    BfdControl& bfd;
    BgpExport& bgp_export;
    Reconfigure& reconfigure;
    Statistics& statistics;
    AccessLog& access_log;
    std::string config_path;
    std::function<void()> shutdown, restart;
  };
  explicit Backend(Parts parts);
  ~Backend() override;
  // Ends running commands, for the shutdown.
  void stop();

  std::vector<admin::VirtualStatus> virtuals() override;
  std::vector<admin::VirtualAddressStatus> virtual_addresses() override;
  std::vector<admin::PoolStatus> pools() override;
  std::vector<admin::NodeStatus> nodes() override;
  std::vector<admin::MonitorStatus> monitors() override;
  std::vector<admin::RouteStatus> routes() override;
  admin::BgpStatus bgp() override;
  std::vector<admin::BgpPathStatus> bgp_paths() override;
  Result<std::vector<admin::BgpPathStatus>> bgp_neighbor_routes(const std::string& neighbor, BgpRoutes which) override;
  Result<std::string> bgp_text(BgpText what, const std::string& argument) override;
  std::vector<admin::BfdStatus> bfd() override;
  std::vector<admin::WorkerStatus> workers() override;
  std::vector<admin::PortStatus> ports() override;
  admin::DropsStatus drops() override;
  std::vector<admin::TcpWorkerStatus> tcp() override;
  admin::AccessLogStatus access_log() override;
  admin::VersionStatus version() override;
  std::string config_yaml() override;
  void neighbor_entries(std::function<void(std::vector<admin::NeighborEntryStatus>)> answer) override;
  void http_errors(const std::string& virtual_server, std::size_t limit,
                   std::function<void(admin::HttpErrorsStatus)> answer) override;
  void list_flows(const admin::FlowFilter& filter, std::function<void(Result<admin::FlowsStatus>)> answer) override;
  void delete_flows(const admin::FlowFilter& filter, std::function<void(Result<std::uint64_t>)> answer) override;
  tl::expected<admin::ApplyReport, Errors> apply(const std::optional<admin::ConfigText>& config,
                                                 bool check_only) override;
  Status modify_member(const std::string& pool, Ipv4Endpoint member, admin::MemberAdminState state) override;
  Status modify_virtual(const std::string& name, bool enabled) override;
  void dump_rib(const std::string& path, std::function<void(Result<admin::RibDumpReport>)> answer) override;
  Status drain(const std::optional<Ipv4Address>& address, bool on) override;
  Status clear_bgp(const std::optional<Ipv4Address>& neighbor, BgpClear how) override;
  Status ping(const admin::PingRequest& request, std::shared_ptr<admin::Stream> stream) override;
  Status capture(const admin::CaptureRequest& request, std::shared_ptr<admin::Stream> stream) override;
  void shutdown() override;
  void restart() override;

 private:
  Parts parts_;
  CaptureSession capture_;
  std::map<std::uint64_t, std::unique_ptr<io::Ping>> pings_;  // running, at most kPingsMax
  std::uint64_t next_ping_ = 1;
  Instant started_;
};

}  // namespace sluice::daemon
