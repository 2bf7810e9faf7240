// A daemon that is none: fixed statistics for the admin API, and a record of what it was asked to do.
//
// Called by: tests of control/admin and control/cli, tests/fuzz/admin_api_fuzz.cc.
#pragma once

#include <string>
#include <vector>

#include "control/admin/backend.h"
#include "control/admin/exchange.h"

namespace sluice::admin {

class FakeBackend : public Backend {
 public:
  FakeBackend();  // with the scenario's numbers

  std::vector<VirtualStatus> virtuals() override { return virtuals_; }
  std::vector<VirtualAddressStatus> virtual_addresses() override { return virtual_addresses_; }
  std::vector<PoolStatus> pools() override { return pools_; }
  std::vector<NodeStatus> nodes() override { return nodes_; }
  std::vector<MonitorStatus> monitors() override { return monitors_; }
  std::vector<RouteStatus> routes() override { return routes_; }
  BgpStatus bgp() override { return bgp_; }
  std::vector<BgpPathStatus> bgp_paths() override { return bgp_paths_; }
  std::vector<BfdStatus> bfd() override { return bfd_; }
  Result<std::vector<BgpPathStatus>> bgp_neighbor_routes(const std::string& neighbor, BgpRoutes which) override;
  Result<std::string> bgp_text(BgpText what, const std::string& argument) override;
  std::vector<WorkerStatus> workers() override { return workers_; }
  std::vector<PortStatus> ports() override { return ports_; }
  DropsStatus drops() override { return drops_; }
  std::vector<TcpWorkerStatus> tcp() override { return tcp_; }
  AccessLogStatus access_log() override { return access_log_; }
  VersionStatus version() override { return version_; }
  std::string config_yaml() override { return "engine:\n  workers: 1\n"; }
  void neighbor_entries(std::function<void(std::vector<NeighborEntryStatus>)> answer) override { answer(arp_); }
  void http_errors(const std::string& virtual_server, std::size_t limit,
                   std::function<void(HttpErrorsStatus)> answer) override;
  void list_flows(const FlowFilter& filter, std::function<void(Result<FlowsStatus>)> answer) override;
  void delete_flows(const FlowFilter& filter, std::function<void(Result<std::uint64_t>)> answer) override;
  tl::expected<ApplyReport, Errors> apply(const std::optional<ConfigText>& config, bool check_only) override;
  Status modify_member(const std::string& pool, Ipv4Endpoint member, MemberAdminState state) override;
  Status modify_virtual(const std::string& name, bool enabled) override;
  void dump_rib(const std::string& path, std::function<void(Result<RibDumpReport>)> answer) override {
    asked.push_back("dump " + path);
    answer(RibDumpReport{3, 250});
  }
  Status drain(const std::optional<Ipv4Address>& address, bool on) override;
  Status clear_bgp(const std::optional<Ipv4Address>& neighbor, BgpClear how) override;
  Status ping(const PingRequest& request, std::shared_ptr<Stream> stream) override;
  Status capture(const CaptureRequest& request, std::shared_ptr<Stream> stream) override;
  void shutdown() override { asked.push_back("shutdown"); }
  void restart() override { asked.push_back("restart"); }

  std::vector<std::string> asked;  // "modify member web 10.0.0.1:80 offline"
  FlowFilter last_filter;

  std::vector<VirtualStatus> virtuals_;
  std::vector<VirtualAddressStatus> virtual_addresses_;
  std::vector<PoolStatus> pools_;
  std::vector<NodeStatus> nodes_;
  std::vector<MonitorStatus> monitors_;
  std::vector<RouteStatus> routes_;
  BgpStatus bgp_;
  std::vector<BgpPathStatus> bgp_paths_;
  std::vector<BfdStatus> bfd_;
  std::vector<WorkerStatus> workers_;
  std::vector<PortStatus> ports_;
  DropsStatus drops_;
  std::vector<TcpWorkerStatus> tcp_;
  AccessLogStatus access_log_;
  HttpErrorsStatus http_errors_;
  VersionStatus version_;
  std::vector<NeighborEntryStatus> arp_;
  FlowsStatus flows_;
};

// Keeps its answer.
class FakeExchange : public Exchange {
 public:
  FakeExchange(std::string method, std::string target, std::string body = "")
      : method_(std::move(method)), target_(std::move(target)), body_(std::move(body)) {}
  const std::string& method() const override { return method_; }
  const std::string& target() const override { return target_; }
  const std::string& body() const override { return body_; }
  void respond(unsigned status, std::string_view content_type, std::string body) override;
  void stream(std::string_view content_type) override;
  bool write(std::string data) override;
  void finish() override;
  void on_gone(std::function<void()> gone) override { gone_ = std::move(gone); }

  unsigned status = 0;  // 0: no answer yet
  std::string content_type, answer;
  unsigned answers = 0;  // how often it was answered: must be once
  bool finished = false;

 private:
  std::string method_, target_, body_;
  std::function<void()> gone_;
};

}  // namespace sluice::admin
