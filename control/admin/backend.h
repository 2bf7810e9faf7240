// What the admin API needs of the daemon: read its state, and ask it for things.
//
// Called by: admin/api, admin/prometheus (call it), control/daemon (implements it). Runs on: control thread.
// Tested by: tests/control/admin/api_test.cc (with a fake)
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/admin/status.h"
#include "dataplane/base/address.h"
#include "dataplane/base/result.h"

namespace sluice::admin {

// All set fields must match. Addresses match either side.
struct FlowFilter {
  std::optional<std::string> protocol;  // "tcp" | "udp"
  std::optional<Ipv4Address> client, member, address;
  std::optional<Ipv4Endpoint> destination;
  std::optional<std::uint16_t> port;
  std::optional<std::string> virtual_server, pool;
  std::uint32_t limit = 1000;  // flows listed; all are counted
};

// A new configuration: the text of a file, or absent to read the daemon's own file again.
struct ConfigText {
  std::string name;  // for messages
  std::string text;
};

struct ApplyReport {
  std::vector<std::string> changes;        // "pool web: member 10.0.0.3:80 added"
  std::vector<std::string> needs_restart;  // "engine.workers: 1 -> 2"
  std::vector<std::string> warnings;       // "manifests/x.yaml: ... (rejected; the rest is applied)"
};

struct RibDumpReport {
  std::uint64_t prefixes = 0, bytes = 0;
};

enum class MemberAdminState : std::uint8_t { enabled, disabled, offline };

struct PingRequest {
  Ipv4Address address;
  std::optional<Ipv4Address> source;
  std::uint32_t count = 0;  // 0: until the client goes away
  std::uint32_t size = 56;  // bytes of payload
  double interval_s = 1.0;
  double timeout_s = 1.0;
  unsigned ttl = 64;
};

struct CaptureRequest {
  std::string filter;       // pcap filter expression; empty: all
  std::string port;         // empty: all ports
  std::string path;         // absolute
  std::uint64_t count = 0;  // packets; 0: until the client goes away
  std::uint32_t snaplen = 262144;
};

// Lines of a running command, as JSON text; see api.h for what they hold.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual bool write(std::string json) = 0;  // false: the client is gone
  virtual void finish() = 0;
  virtual void on_gone(std::function<void()> gone) = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::vector<VirtualStatus> virtuals() = 0;
  virtual std::vector<VirtualAddressStatus> virtual_addresses() = 0;
  virtual std::vector<PoolStatus> pools() = 0;
  virtual std::vector<NodeStatus> nodes() = 0;
  virtual std::vector<MonitorStatus> monitors() = 0;
  virtual std::vector<RouteStatus> routes() = 0;
  virtual BgpStatus bgp() = 0;
  virtual std::vector<BgpPathStatus> bgp_paths() = 0;
  // What a neighbor sent (before policy, rejected ones with the reason), was told, or has in the table (after policy).
  enum class BgpRoutes : std::uint8_t { received, advertised, accepted };
  virtual Result<std::vector<BgpPathStatus>> bgp_neighbor_routes(const std::string& neighbor, BgpRoutes which) = 0;
  // As imish prints it; `argument`: a prefix or address (table), a neighbor's address (neighbors), or empty for all.
  enum class BgpText : std::uint8_t { table, summary, neighbors };
  virtual Result<std::string> bgp_text(BgpText what, const std::string& argument) = 0;
  virtual std::vector<BfdStatus> bfd() = 0;
  virtual std::vector<WorkerStatus> workers() = 0;
  virtual std::vector<PortStatus> ports() = 0;
  virtual DropsStatus drops() = 0;
  virtual std::vector<TcpWorkerStatus> tcp() = 0;
  virtual AccessLogStatus access_log() = 0;
  virtual VersionStatus version() = 0;
  virtual std::string config_yaml() = 0;  // the running configuration, defaults filled in

  // Workers are asked; the answer comes later. `virtual_server` empty: of all.
  virtual void http_errors(const std::string& virtual_server, std::size_t limit,
                           std::function<void(HttpErrorsStatus)> answer) = 0;
  virtual void neighbor_entries(std::function<void(std::vector<NeighborEntryStatus>)> answer) = 0;
  virtual void list_flows(const FlowFilter& filter, std::function<void(Result<FlowsStatus>)> answer) = 0;
  virtual void delete_flows(const FlowFilter& filter, std::function<void(Result<std::uint64_t>)> answer) = 0;

  // `check_only`: parse, validate and diff, change nothing.
  virtual tl::expected<ApplyReport, Errors> apply(const std::optional<ConfigText>& config, bool check_only) = 0;
  virtual Status modify_member(const std::string& pool, Ipv4Endpoint member, MemberAdminState state) = 0;
  virtual Status modify_virtual(const std::string& name, bool enabled) = 0;
  // Announces with the community of RFC 8326 so that others take over; absent address: everything.
  virtual Status drain(const std::optional<Ipv4Address>& address, bool on) = 0;
  enum class BgpClear : std::uint8_t { hard, soft_in, soft_out, soft_both };
  // The BGP table as MRT into a file; the answer comes when it is whole.
  virtual void dump_rib(const std::string& path, std::function<void(Result<RibDumpReport>)> answer) = 0;
  virtual Status clear_bgp(const std::optional<Ipv4Address>& neighbor, BgpClear how) = 0;
  virtual Status ping(const PingRequest& request, std::shared_ptr<Stream> stream) = 0;
  virtual Status capture(const CaptureRequest& request, std::shared_ptr<Stream> stream) = 0;
  virtual void shutdown() = 0;
  // Planned: neighbours keep our routes, L4 flows go on. The file must be sound: see apply().
  virtual void restart() = 0;
};

}  // namespace sluice::admin
