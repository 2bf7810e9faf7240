// A daemon that is none; see admin_fake.h.
#include "tests/support/admin_fake.h"

#include <fmt/format.h>

namespace sluice::admin {
namespace {

Traffic traffic(std::uint64_t n) {
  return {n * 1000, n * 5000, n * 10, n * 12, n, n + 2, n * 7, 1234.5, 98765.4, 12.25, 15.5, 3.5};
}

MemberStatus member(const char* endpoint, State state, const char* session, const char* monitor_state) {
  MemberStatus out;
  out.pool = "cfgmap_default_nginx-vs_nginx-deploy-svc";
  out.partition = "k8s";
  out.endpoint = endpoint;
  out.state = std::move(state);
  out.session = session;
  out.monitor_state = monitor_state;
  out.since_s = 3723;
  out.traffic = traffic(2);
  return out;
}

LatencyStatus latency(std::uint64_t n, double scale) {
  return {n, 0.5 * scale, 0.125 * scale, 2.5 * scale, 75.25 * scale, 1234.5 * scale, {{0.001, n - 2}, {0.002, n - 1}}};
}

HttpStatus http() {
  HttpStatus out;
  out.requests = 70;
  out.requests_rate = 17.5;
  out.responses = {1, 60, 2, 4, 1};
  out.own_answers = 3;
  out.retries = 1;
  out.server_connects = 9;
  out.server_reuse = 61;
  out.server_idle = 5;
  out.errors = {{"bad_requests", "refused for what they said", 2},
                {"no_member", "no member was available", 0},
                {"response_timeouts", "the member did not answer the request", 1}};
  out.connect = latency(9, 0.1);
  out.first_byte = latency(68, 1);
  out.total = latency(70, 2);
  return out;
}

void fill_http(FakeBackend& fake) {
  HttpErrorStatus bad;
  bad.time = "2026-11-22T17:36:01.123456Z";
  bad.age_s = 61.5;
  bad.side = "request";
  bad.status = 400;
  bad.client = "10.0.0.9:51234";
  bad.destination = "172.16.40.80:80";
  bad.virtual_server = "default_nginx-vs";
  bad.offset = 16;
  bad.reason = "a header line without a colon";
  HttpErrorStatus silent = bad;
  silent.time = "2026-11-22T17:35:01.000007Z";
  silent.age_s = 121.6;
  silent.side = "response";
  silent.status = 0;
  silent.member = "10.244.0.76:80";
  silent.offset = 0;
  silent.reason = "the member did not answer the request in time";
  silent.worker = 1;
  fake.http_errors_ = {{bad, silent}, 12};
  fake.tcp_ = {{0,
                12,
                1,
                6,
                5,
                {{"segments_in", "Segments received", 4000},
                 {"timeouts", "Retransmission timeouts", 0},
                 {"cookies_sent", "SYN cookies sent", 3}}},
               {1,
                0,
                0,
                0,
                0,
                {{"segments_in", "Segments received", 17},
                 {"timeouts", "Retransmission timeouts", 0},
                 {"cookies_sent", "SYN cookies sent", 0}}}};
  fake.access_log_ = {"/var/log/sluice/access.log", true, "", 68, 24000, 2};
}

void fill_balancing(FakeBackend& fake) {
  VirtualStatus nginx;
  nginx.name = "default_nginx-vs";
  nginx.partition = "k8s";
  nginx.destination = "172.16.40.80:80";
  nginx.mode = "http";
  nginx.pool = "cfgmap_default_nginx-vs_nginx-deploy-svc";
  nginx.snat = "automap";
  nginx.persistence = "none";
  nginx.state = {Availability::available, true, "The virtual server is available"};
  nginx.note = "what the user should know";
  nginx.origin = "nginx.yaml ConfigMap default/nginx-vs";
  nginx.traffic = traffic(4);
  nginx.http = http();
  VirtualStatus dns;
  dns.name = "dns";
  dns.partition = "Common";
  dns.destination = "172.16.99.99:53";
  dns.mode = "udp";
  dns.snat = "none";
  dns.persistence = "source-address, 180 s";
  dns.state = {Availability::offline, false, "The children pool member(s) are down"};
  dns.connection_limit = 100;
  fake.virtuals_ = {nginx, dns};
  fake.virtual_addresses_ = {{"172.16.40.80",
                              "enabled",
                              "selective",
                              nginx.state,
                              true,
                              true,
                              {"default_nginx-vs"},
                              "1 of 1 virtual servers can serve"},
                             {"172.16.99.99", "selective", "never", dns.state, false, false, {"dns"}, "never"}};
  PoolStatus pool;
  pool.name = nginx.pool;
  pool.partition = "k8s";
  pool.balance = "least-connections-member";
  pool.monitor = "cfgmap_default_nginx-vs_nginx-deploy-svc_0_http";
  pool.service_down_action = "none";
  pool.state = {Availability::available, true, "The pool is available"};
  pool.current_active_members = pool.available_members = 1;
  pool.total_members = 2;
  pool.traffic = traffic(4);
  pool.members = {
      member("10.244.0.76:80", {Availability::available, true, "Pool member is available"}, "monitor-enabled", "up"),
      member("10.244.1.37:80", {Availability::offline, true, "Pool member has been marked down by a monitor"},
             "monitor-enabled", "down")};
  fake.pools_ = {pool};
  fake.nodes_ = {{"10.244.0.76",
                  {Availability::unknown, true, "Node address does not have service checking enabled"},
                  {"cfgmap_default_nginx-vs_nginx-deploy-svc 10.244.0.76:80"},
                  traffic(2)}};
  MonitorStatus monitor;
  monitor.name = pool.monitor;
  monitor.type = "http";
  monitor.send = "GET / HTTP/1.1\\r\\nConnection: close\\r\\nHost: 1.1.1.1\\r\\n\\r\\n";
  monitor.recv = "cka";
  monitor.interval_s = 15;
  monitor.timeout_s = 30;
  monitor.instances = {{pool.name, "10.244.0.76:80", "up", "match for \"cka\"", 3723, 250, 0},
                       {pool.name, "10.244.1.37:80", "down",
                        "http: No successful responses received before deadline. "
                        "@2026/11/22 17:36:01. no match for \"cka\" in 312 bytes: 404 Not Found\x1b[31m",
                        61.5, 250, 12}};
  fake.monitors_ = {monitor};
}

void fill_routing(FakeBackend& fake) {
  RouteStatus pods{'B', true, "10.244.0.0/24", 200, 0, false, {{"172.16.40.199", "int_vlan"}}, 1373.0};
  RouteStatus both{
      'B',    true, "10.244.9.0/24", 200, 0, false, {{"172.16.40.198", "int_vlan"}, {"172.16.40.199", "int_vlan"}},
      90061.0};
  RouteStatus lost{'B', false, "10.250.0.0/16", 200, 0, false, {{"192.0.2.1", ""}}, 5.0};
  RouteStatus fallback{'S', true, "0.0.0.0/0", 1, 0, false, {{"172.16.40.254", "int_vlan"}}, std::nullopt};
  RouteStatus hole{'S', true, "203.0.113.0/24", 1, 0, true, {}, std::nullopt};
  RouteStatus connected{'C', true, "172.16.40.0/24", 0, 0, false, {{"", "int_vlan"}}, std::nullopt};
  RouteStatus address{'K', true, "172.16.99.99/32", 0, 0, false, {{"", "sluice"}}, std::nullopt};
  fake.routes_ = {fallback, pods, both, lost, connected, address, hole};
  fake.arp_ = {{"172.16.40.198", "-", "int_vlan", "incomplete", 0},
               {"172.16.40.199", "02:00:ac:10:28:c7", "int_vlan", "reachable", 12.34}};
  fake.bgp_.configured = true;
  fake.bgp_.router_id = "172.16.40.202";
  fake.bgp_.local_as = 64512;
  BgpNeighborStatus neighbor;
  neighbor.address = "172.16.40.199";
  neighbor.remote_as = neighbor.local_as = 64512;
  neighbor.state = "Established";
  neighbor.established = true;
  neighbor.accepted_prefixes = 1;
  neighbor.received.update = 3;
  fake.bgp_.neighbors = {neighbor};
  BgpPathStatus path;
  path.prefix = "10.244.0.0/24";
  path.next_hop = path.from = "172.16.40.199";
  path.origin = "igp";
  path.best = true;
  path.local_pref = 100;
  fake.bgp_paths_ = {path};
  BfdStatus session;
  session.neighbor = "172.16.40.199";
  session.local_address = "172.16.40.202";
  session.state = session.remote_state = "Up";
  session.up = true;
  session.diagnostic = session.remote_diagnostic = "no diagnostic";
  session.last_failure = "control detection time expired";
  session.since_s = 75;
  session.local_discriminator = 16909060;
  session.remote_discriminator = 7;
  session.min_tx_ms = session.min_rx_ms = session.remote_min_tx_ms = session.remote_min_rx_ms = 300;
  session.transmit_interval_ms = 300;
  session.detection_time_ms = 900;
  session.multiplier = session.remote_multiplier = 3;
  session.ups = 2;
  session.failures = 1;
  session.packets_in = 250;
  session.packets_out = 260;
  BfdStatus down;
  down.neighbor = "192.0.2.1";
  down.local_address = "172.16.40.202";
  down.multihop = true;
  down.state = down.remote_state = "Down";
  down.diagnostic = down.remote_diagnostic = "no diagnostic";
  fake.bfd_ = {session, down};
}

void fill_engine(FakeBackend& fake) {
  WorkerStatus worker;
  worker.core = 1;
  worker.rx_packets = 1'000'000;
  worker.tx_packets = 999'000;
  worker.drops = 900;
  worker.consumed = 100;
  worker.rx_rate = 12345.6;
  worker.tx_rate = 12340;
  worker.drop_rate = 0.5;
  worker.cycles_per_packet = 213.4;
  worker.busy_percent = 12.34;
  worker.turns = 5'000'000;
  worker.sleeps = 400;
  worker.tasks = 77;
  worker.pool_in_use = 1023;
  worker.pool_size = 16384;
  worker.flows = 4;
  worker.flows_max = 262144;
  fake.workers_ = {worker};
  PortStatus port;
  port.name = "int_vlan";
  port.device = "net_af_packet0,iface=int0";
  port.description = "net_af_packet, 1 queue";
  port.kind = "network";
  port.mac = "02:00:ac:10:28:ca";
  port.addresses = {"172.16.40.202/24"};
  port.rx_packets = 1'000'000;
  port.rx_bytes = 640'000'000;
  port.rx_rate = 12345.6;
  port.rx_bytes_rate = 7.9e6;
  port.rx_missed = 3;
  fake.ports_ = {port};
  fake.drops_.rx = 1'000'000;
  fake.drops_.tx = 999'000;
  fake.drops_.consumed = 100;
  fake.drops_.total = 900;
  fake.drops_.reasons = {{"ttl_exceeded", "the TTL ran out here", 0, 0},
                         {"no_virtual_server", "no virtual server on this address, port and protocol", 900, 0.5}};
  FlowStatus flow;
  flow.protocol = "tcp";
  flow.client = "172.16.40.7:40000";
  flow.virtual_destination = "172.16.40.80:80";
  flow.snat = "172.16.40.202:40000";
  flow.member = "10.244.0.76:80";
  flow.virtual_server = "default_nginx-vs";
  flow.state = "established";
  flow.age_s = 61.25;
  flow.idle_s = 0.5;
  flow.bytes_in = 394;
  flow.bytes_out = 51000;
  fake.flows_.flows = {flow};
  fake.flows_.matched = 12;
  fake.version_ = {"0.1.0",
                   "12.2.0",
                   "22.11.11",
                   "/etc/sluice/sluice.yaml",
                   93784.5,
                   4242,
                   "2026-11-22 17:05:01 UTC: 2 changes (SIGHUP)",
                   ""};
}

}  // namespace

FakeBackend::FakeBackend() {
  fill_balancing(*this);
  fill_routing(*this);
  fill_http(*this);
  fill_engine(*this);
}

Result<std::vector<BgpPathStatus>> FakeBackend::bgp_neighbor_routes(const std::string& neighbor, BgpRoutes which) {
  if (neighbor != bgp_.neighbors[0].address) return fail("", fmt::format("no BGP neighbor \"{}\"", neighbor));
  if (which == BgpRoutes::advertised) return std::vector<BgpPathStatus>{};
  auto paths = bgp_paths_;
  if (which == BgpRoutes::received) {
    paths.push_back(paths[0]);
    paths.back().prefix = "0.0.0.0/0";
    paths.back().rejected = true;
    paths.back().valid = paths.back().best = false;
    paths.back().reason = "rejected: the default route";
  }
  return paths;
}

Result<std::string> FakeBackend::bgp_text(BgpText what, const std::string& argument) {
  if (argument == "192.0.2.0/24") return fail("", "% Network not in table: 192.0.2.0/24");
  return fmt::format("text {} {}\n", static_cast<int>(what), argument);
}

void FakeBackend::http_errors(const std::string& virtual_server, std::size_t limit,
                              std::function<void(HttpErrorsStatus)> answer) {
  HttpErrorsStatus out = http_errors_;
  std::erase_if(out.errors,
                [&](const auto& e) { return !virtual_server.empty() && e.virtual_server != virtual_server; });
  if (out.errors.size() > limit) out.errors.resize(limit);
  answer(std::move(out));
}

void FakeBackend::list_flows(const FlowFilter& filter, std::function<void(Result<FlowsStatus>)> answer) {
  last_filter = filter;
  answer(flows_);
}

void FakeBackend::delete_flows(const FlowFilter& filter, std::function<void(Result<std::uint64_t>)> answer) {
  last_filter = filter;
  asked.push_back("delete flows");
  answer(std::uint64_t{12});
}

tl::expected<ApplyReport, Errors> FakeBackend::apply(const std::optional<ConfigText>& config, bool check_only) {
  asked.push_back(fmt::format("apply {} {}", config ? config->name : "-", check_only ? "check" : "real"));
  if (config && config->text.find("bad") != std::string::npos) {
    return tl::unexpected(
        Errors{{config->name + ":1:1 pools.web", "first"}, {config->name + ":2:1 pools.api", "second"}});
  }
  return ApplyReport{{"+ pools.web: 2 members"}, {"~ engine.workers: 1 -> 2   (needs a restart)"}, {"x.yaml: odd"}};
}

Status FakeBackend::modify_member(const std::string& pool, Ipv4Endpoint endpoint, MemberAdminState state) {
  if (pool != "web") return fail("", fmt::format("no pool \"{}\"", pool));
  asked.push_back(fmt::format("modify member {} {} {}", pool, endpoint.text(), static_cast<int>(state)));
  return {};
}

Status FakeBackend::modify_virtual(const std::string& name, bool enabled) {
  if (name != "dns") return fail("", fmt::format("no virtual server \"{}\"", name));
  asked.push_back(fmt::format("modify virtual {} {}", name, enabled));
  return {};
}

Status FakeBackend::drain(const std::optional<Ipv4Address>& address, bool on) {
  asked.push_back(fmt::format("drain {} {}", address ? address->text() : "*", on ? "on" : "off"));
  return {};
}

Status FakeBackend::clear_bgp(const std::optional<Ipv4Address>& neighbor, BgpClear how) {
  asked.push_back(fmt::format("clear {} {}", neighbor ? neighbor->text() : "*", static_cast<int>(how)));
  return {};
}

Status FakeBackend::ping(const PingRequest& request, std::shared_ptr<Stream> stream) {
  if (request.address.is_multicast()) return fail("ping", "not to a group");
  stream->write(fmt::format(R"({{"event":"start","address":"{}","source":"172.16.40.202","size":{}}})",
                            request.address.text(), request.size));
  for (std::uint32_t seq = 1; seq <= request.count; ++seq) {
    if (seq == 2) {
      stream->write(R"({"event":"timeout","seq":2})");
      continue;
    }
    stream->write(fmt::format(R"({{"event":"reply","seq":{},"from":"{}","bytes":{},"ttl":63,"rtt_ms":{}}})", seq,
                              request.address.text(), request.size + 8, 0.25 * seq));
  }
  stream->write(R"({"event":"done"})");
  stream->finish();
  return {};
}

Status FakeBackend::capture(const CaptureRequest& request, std::shared_ptr<Stream> stream) {
  if (request.filter == "banana") return fail("capture filter \"banana\"", "syntax error");
  stream->write(fmt::format(R"({{"event":"start","path":"{}"}})", request.path));
  stream->write(R"({"captured":20,"lost":1,"done":true})");
  stream->finish();
  return {};
}

void FakeExchange::respond(unsigned code, std::string_view type, std::string text) {
  ++answers;
  status = code;
  content_type = type;
  answer = std::move(text);
  finished = true;
}

void FakeExchange::stream(std::string_view type) {
  ++answers;
  status = 200;
  content_type = type;
}

bool FakeExchange::write(std::string data) {
  answer += data;
  return true;
}

void FakeExchange::finish() { finished = true; }

}  // namespace sluice::admin
