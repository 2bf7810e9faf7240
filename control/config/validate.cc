// The cross checks, section by section in the order of sluice.yaml; see validate.h.
#include "control/config/validate.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "control/config/normalise.h"
#include "control/config/schema.h"
#include "control/config/tree.h"
#include "control/config/validate_bgp.h"
#include "control/config/validate_http.h"

namespace sluice::config {
namespace {

class Validator {
 public:
  explicit Validator(const Config& config) : config_(config) {}

  Findings run() {
    check_engine();
    check_ports();
    check_self_ips();
    check_routes();
    check_snat_pools();
    check_bgp(config_, findings_);
    check_monitors();
    check_pools();
    check_virtual_servers();
    check_virtual_addresses();
    check_rest();
    return std::move(findings_);
  }

 private:
  void error(std::string path, std::string message) {
    findings_.errors.push_back({std::move(path), std::move(message)});
  }
  void warn(std::string path, std::string message) {
    findings_.warnings.push_back({std::move(path), std::move(message)});
  }

  // Reports a name that nothing in `list` has.
  template <typename T>
  void check_reference(const std::string& path, std::string_view what, const std::string& name,
                       const std::vector<T>& list, const std::unordered_set<std::string_view>& known) {
    if (known.contains(name)) return;
    std::vector<std::string_view> names;
    for (const auto& item : list)
      if (names.size() < 1000) names.push_back(item.name);
    std::string hint = did_you_mean(name, names);
    if (hint.empty() && names.empty()) hint = fmt::format(": no {} is configured", what);
    if (hint.empty()) {
      hint = ": there are ";
      for (std::size_t i = 0; i < names.size() && i < 8; ++i) hint += (i == 0 ? "" : ", ") + std::string(names[i]);
      if (names.size() > 8) hint += ", ...";
    }
    error(path, fmt::format("no {} {}{}", what, in_quotes(name), hint));
  }

  template <typename T>
  static std::unordered_set<std::string_view> names_of(const std::vector<T>& list) {
    std::unordered_set<std::string_view> out;
    for (const auto& item : list) out.insert(item.name);
    return out;
  }

  void check_engine() {
    const auto& engine = config_.engine;
    if (!engine.cores.empty() && engine.cores.size() != engine.workers)
      error("engine.cores",
            fmt::format("names {} cores for {} workers: name one for each", engine.cores.size(), engine.workers));
    if (std::set<unsigned>(engine.cores.begin(), engine.cores.end()).size() != engine.cores.size())
      error("engine.cores", "names a core twice: each worker needs its own");
  }

  void check_ports() {
    if (config_.ports.empty()) warn("ports", "no ports: nothing can be received or sent");
    std::map<std::string_view, std::string_view> devices;
    for (const auto& port : config_.ports) {
      const std::string path = fmt::format("ports.{}.device", port.name);
      if (port.device.empty())
        error(path, "is empty: write a PCI address (0000:03:00.0) or a vdev (net_af_packet0,iface=eth1)");
      // Two vdevs of one kind differ in their name; the whole text is compared.
      const auto [other, fresh] = devices.emplace(port.device, port.name);
      if (!fresh && !port.device.empty())
        error(path,
              fmt::format("{} is already the device of port {}", in_quotes(port.device), in_quotes(other->second)));
    }
  }

  void check_self_ips() {
    const auto ports = names_of(config_.ports);
    std::unordered_set<std::string_view> seen_names;
    for (std::size_t i = 0; i < config_.self_ips.size(); ++i) {
      const auto& self = config_.self_ips[i];
      const std::string path = fmt::format("self-ips[{}]", i);
      check_reference(path + ".port", "port", self.port, config_.ports, ports);
      if (!seen_names.insert(self.name).second && self.name != self.address.address.text())
        error(path + ".name", fmt::format("{} is the name of another self IP too", in_quotes(self.name)));
      check_host_address(path + ".address", self.address);
      for (std::size_t k = 0; k < i; ++k) check_subnets(path + ".address", self, config_.self_ips[k]);
    }
  }

  void check_host_address(const std::string& path, Ipv4Interface interface) {
    const auto address = interface.address;
    if (address.is_zero() || address.is_multicast() || address.is_loopback() || address.is_broadcast())
      error(path, fmt::format("{} can be no host's address", interface.text()));
    else if (interface.length == 0)
      error(path, fmt::format("{} has no subnet: write its real length, for example /24", interface.text()));
    else if (interface.length < 31 && address == interface.subnet().address)
      error(path, fmt::format("{} is the address of the subnet itself", interface.text()));
    else if (interface.length < 31 && address.value == (address.value | ~Ipv4Prefix::mask(interface.length)))
      error(path, fmt::format("{} is the broadcast address of its subnet", interface.text()));
  }

  void check_subnets(const std::string& path, const SelfIp& self, const SelfIp& other) {
    if (self.address.address == other.address.address) {
      error(path, fmt::format("{} is a self IP twice", self.address.address.text()));
      return;
    }
    const auto a = self.address.subnet(), b = other.address.subnet();
    if (a == b && self.port == other.port) return;
    if (a.contains(b) || b.contains(a))
      error(path, fmt::format("the subnet {} clashes with {} of self IP {} on port {}", a.text(), b.text(),
                              other.address.text(), other.port));
  }

  bool on_connected_subnet(Ipv4Address address) const {
    return std::any_of(config_.self_ips.begin(), config_.self_ips.end(),
                       [&](const SelfIp& self) { return self.address.subnet().contains(address); });
  }
  bool is_self_ip(Ipv4Address address) const {
    return std::any_of(config_.self_ips.begin(), config_.self_ips.end(),
                       [&](const SelfIp& self) { return self.address.address == address; });
  }

  void check_routes() {
    std::set<Ipv4Prefix> seen;
    for (std::size_t i = 0; i < config_.routes.size(); ++i) {
      const auto& route = config_.routes[i];
      const std::string path = fmt::format("routes[{}]", i);
      if (!seen.insert(route.prefix).second)
        error(path + ".prefix",
              fmt::format("{} has a route already: write several gateways in one list", to_text(route.prefix)));
      if (route.gateways.empty() && !route.blackhole)
        error(path + ".gateway", "is missing: write gateway: a.b.c.d, or blackhole: true");
      if (!route.gateways.empty() && route.blackhole)
        error(path + ".blackhole", "a blackhole has no gateway: keep one of the two");
      std::set<Ipv4Address> gateways;
      for (const auto gateway : route.gateways) {
        if (!gateways.insert(gateway).second)
          error(path + ".gateway", fmt::format("{} is there twice", gateway.text()));
        else if (is_self_ip(gateway))
          error(path + ".gateway", fmt::format("{} is a self IP of our own", gateway.text()));
        else if (!on_connected_subnet(gateway))
          error(path + ".gateway", fmt::format("{} is on no subnet of a self IP", gateway.text()));
      }
    }
  }

  void check_snat_pools() {
    for (const auto& pool : config_.snat_pools) {
      const std::string path = fmt::format("snat-pools.{}.members", pool.name);
      if (pool.addresses.empty()) error(path, "is empty: write at least one address");
      std::set<Ipv4Address> seen;
      for (const auto address : pool.addresses) {
        if (!seen.insert(address).second) error(path, fmt::format("{} is there twice", address.text()));
        if (address.is_zero() || address.is_multicast() || address.is_loopback() || address.is_broadcast())
          error(path, fmt::format("{} can be no host's address", address.text()));
        snat_addresses_.emplace(address, pool.name);
      }
    }
  }

  void check_monitors() {
    for (const auto& monitor : config_.monitors)
      for (auto& finding : check_monitor(monitor))
        error(fmt::format("monitors.{}.{}", monitor.name, finding.path), std::move(finding.message));
  }

  void check_pools() {
    const auto monitors = names_of(config_.monitors);
    std::size_t total = 0;
    for (const auto& pool : config_.pools) {
      const std::string path = "pools." + pool.name;
      if (auto problem = check_name(pool.partition))
        error(path + ".partition", in_quotes(pool.partition) + ' ' + *problem);
      total += pool.members.size();
      check_members(path, pool);
      std::unordered_set<std::string_view> seen;
      for (const auto& monitor : pool.monitors) {
        if (!seen.insert(monitor).second)
          error(path + ".monitors", fmt::format("{} is there twice", in_quotes(monitor)));
        else
          check_reference(path + ".monitors", "monitor", monitor, config_.monitors, monitors);
      }
      if (pool.monitors_min > pool.monitors.size())
        error(path + ".monitors-min",
              fmt::format("{} of {} monitors can never pass", pool.monitors_min, pool.monitors.size()));
    }
    if (total > kMembersTotalMax)
      error("pools", fmt::format("{} members in all: at most {} are possible", total, kMembersTotalMax));
  }

  void check_members(const std::string& path, const Pool& pool) {
    std::unordered_set<Ipv4Endpoint> seen;
    const bool weighted = pool.balance == Balance::weighted_least_connections_member;
    for (std::size_t i = 0; i < pool.members.size(); ++i) {
      const auto& member = pool.members[i];
      const auto member_path = [&] { return fmt::format("{}.members[{}]", path, i); };
      const auto address = member.endpoint.address;
      if (!seen.insert(member.endpoint).second)
        error(member_path(), fmt::format("{} is a member twice", member.endpoint.text()));
      if (address.is_zero() || address.is_multicast() || address.is_loopback() || address.is_broadcast())
        error(member_path(), fmt::format("{} can be no member's address", address.text()));
      if (weighted && member.connection_limit == 0)
        error(member_path(),
              fmt::format("{} has no connection-limit, which weighted-least-connections-member needs of every member",
                          member.endpoint.text()));
    }
  }

  void check_virtual_servers() {
    const auto pools = names_of(config_.pools);
    const auto snat_pools = names_of(config_.snat_pools);
    std::map<std::pair<Ipv4Endpoint, Protocol>, std::string_view> taken;
    for (const auto& server : config_.virtual_servers) {
      const std::string path = "virtual-servers." + server.name;
      if (auto problem = check_name(server.partition))
        error(path + ".partition", in_quotes(server.partition) + ' ' + *problem);
      if (!server.pool.empty()) check_reference(path + ".pool", "pool", server.pool, config_.pools, pools);
      const Protocol protocol = server.mode == Mode::udp ? Protocol::udp : Protocol::tcp;
      const auto [other, fresh] = taken.emplace(std::pair(server.destination, protocol), server.name);
      if (!fresh)
        error(path + ".destination", fmt::format("{} ({}) is already the destination of {}", server.destination.text(),
                                                 name_of(protocol), in_quotes(other->second)));
      if (auto problem = address_problem(server.destination.address)) error(path + ".destination", *problem);
      check_snat(path, server, snat_pools);
      check_http_of(path, server, pools);
    }
    VirtualServer manifest;  // what every ConfigMap in mode http will be told
    manifest.mode = Mode::http;
    manifest.oneconnect = config_.kubernetes.oneconnect;
    manifest.http = config_.kubernetes.http;
    check_http_of("kubernetes", manifest, pools);
  }

  void check_http_of(const std::string& path, const VirtualServer& server,
                     const std::unordered_set<std::string_view>& pools) {
    for (auto& finding : check_http(server)) error(path + '.' + finding.path, std::move(finding.message));
    for (std::size_t i = 0; i < server.http.routes.size(); ++i)
      check_reference(fmt::format("{}.http.routes[{}].pool", path, i), "pool", server.http.routes[i].pool,
                      config_.pools, pools);
  }

  void check_snat(const std::string& path, const VirtualServer& server,
                  const std::unordered_set<std::string_view>& pools) {
    if (server.snat == SnatKind::pool && server.snat_pool.empty())
      error(path + ".snat-pool", "is missing: snat: pool needs the name of a SNAT pool");
    else if (server.snat != SnatKind::pool && !server.snat_pool.empty())
      error(path + ".snat-pool", fmt::format("{} contradicts snat: {}; write snat: pool", in_quotes(server.snat_pool),
                                             name_of(server.snat)));
    else if (server.snat == SnatKind::pool)
      check_reference(path + ".snat-pool", "SNAT pool", server.snat_pool, config_.snat_pools, pools);
  }

  std::optional<std::string> address_problem(Ipv4Address address) const {
    if (auto problem = check_virtual_address(config_, address)) return problem;
    if (const auto found = snat_addresses_.find(address); found != snat_addresses_.end())
      return fmt::format("{} is an address of SNAT pool {}", address.text(), in_quotes(found->second));
    return std::nullopt;
  }

  void check_virtual_addresses() {
    std::set<Ipv4Address> used;
    for (const auto& server : config_.virtual_servers) used.insert(server.destination.address);
    for (const auto& address : config_.virtual_addresses) {
      check_announcement("virtual-addresses." + address.address.text(), address.announcement, findings_);
      if (used.contains(address.address)) continue;  // its virtual servers were checked
      const std::string path = "virtual-addresses." + address.address.text();
      if (auto problem = address_problem(address.address)) error(path, *problem);
    }
  }

  void check_rest() {
    constexpr std::size_t kSocketPathMax = 107;  // sockaddr_un
    const auto& socket = config_.admin.socket;
    if (socket.empty() || socket.front() != '/')
      error("admin.socket", fmt::format("{} is no absolute path", in_quotes(socket)));
    if (socket.size() > kSocketPathMax)
      error("admin.socket",
            fmt::format("is {} bytes long: unix sockets have at most {}", socket.size(), kSocketPathMax));
    if (config_.manifests.empty() && !(config_.kubernetes == Kubernetes{}))
      warn("kubernetes", "has no effect without `manifests:`");
    if (!config_.access_log.starts_with('/') || config_.access_log.ends_with('/') ||
        config_.access_log.find('\0') != std::string::npos)
      error("access-log", in_quotes(config_.access_log) + " is no absolute path of a file");
    if (config_.manifests.find('\0') != std::string::npos) error("manifests", "has a zero byte in it");
  }

  const Config& config_;
  Findings findings_;
  std::map<Ipv4Address, std::string_view> snat_addresses_;
};

void check_expression(std::vector<Finding>& out, const char* key, const std::string& text) {
  if (text.empty()) return;
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(1 << 20);
  const RE2 expression(text, options);
  if (!expression.ok())
    out.push_back(
        {key, fmt::format("{} is no regular expression: {} (RE2 syntax)", in_quotes(text), expression.error())});
}

}  // namespace

std::vector<Finding> check_monitor(const Monitor& monitor) {
  constexpr std::size_t kSendMax = 5120;
  std::vector<Finding> out;
  if (monitor.interval >= monitor.timeout)
    out.push_back({"timeout", fmt::format("{} must be longer than the interval {}: 3 x interval + 1s is usual",
                                          to_text(monitor.timeout), to_text(monitor.interval))});
  if (monitor.up_interval && *monitor.up_interval >= monitor.timeout)
    out.push_back({"up-interval", fmt::format("{} must be shorter than the timeout {}", to_text(*monitor.up_interval),
                                              to_text(monitor.timeout))});
  check_expression(out, "recv", monitor.recv);
  check_expression(out, "recv-disable", monitor.recv_disable);
  if (monitor.reverse && !monitor.recv_disable.empty())
    out.push_back({"reverse", "cannot be together with recv-disable"});
  if (monitor.reverse && monitor.recv.empty())
    out.push_back({"reverse", "needs recv: what would mark the member down?"});
  const bool silent = monitor.type == MonitorType::tcp_half_open || monitor.type == MonitorType::gateway_icmp;
  if (silent && !monitor.send_written.empty())
    out.push_back({"send", fmt::format("a {} monitor sends nothing", name_of(monitor.type))});
  if (silent && !(monitor.recv.empty() && monitor.recv_disable.empty()))
    out.push_back({"recv", fmt::format("a {} monitor receives nothing to match", name_of(monitor.type))});
  if (monitor.type == MonitorType::gateway_icmp && monitor.destination_port)
    out.push_back({"destination", "a gateway-icmp monitor has no port: write the address only"});
  if (monitor.send.size() > kSendMax)
    out.push_back({"send", fmt::format("is {} bytes long: at most {} are sent", monitor.send.size(), kSendMax)});
  return out;
}

std::optional<std::string> check_virtual_address(const Config& config, Ipv4Address address) {
  if (address.is_zero() || address.is_multicast() || address.is_loopback() || address.is_broadcast())
    return fmt::format("{} can be no virtual address", address.text());
  for (const auto& self : config.self_ips) {
    if (self.address.address == address) return fmt::format("{} is a self IP: take another address", address.text());
    const auto subnet = self.address.subnet();
    if (subnet.length < 31 && subnet.contains(address) &&
        (address == subnet.address || address.value == (address.value | ~Ipv4Prefix::mask(subnet.length))))
      return fmt::format("{} is the {} address of the subnet {}", address.text(),
                         address == subnet.address ? "network" : "broadcast", subnet.text());
  }
  for (const auto& peer : config.bgp.neighbors)
    if (peer.address == address) return fmt::format("{} is the address of a BGP neighbor", address.text());
  for (const auto& route : config.routes)
    for (const auto gateway : route.gateways)
      if (gateway == address)
        return fmt::format("{} is the gateway of the route to {}", address.text(), to_text(route.prefix));
  return std::nullopt;
}

Findings validate(const Config& config) { return Validator(config).run(); }

}  // namespace sluice::config
