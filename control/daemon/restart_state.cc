// What goes from one process to the next; see restart_state.h.
#include "control/daemon/restart_state.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <tuple>

namespace sluice::daemon {
namespace {

#ifndef SLUICE_VERSION
#define SLUICE_VERSION "unknown"
#endif

// Another version, or another layout, is another program.
std::string head() { return fmt::format("sluice restart {} {}", SLUICE_VERSION, sizeof(lb::SavedFlowFacts)); }

class Out {
 public:
  template <typename T>
  void value(const T& v) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes.append(reinterpret_cast<const char*>(&v), sizeof v);
  }
  void text(std::string_view t) {
    value(static_cast<std::uint32_t>(t.size()));
    bytes.append(t);
  }
  std::string bytes;
};

// Reading past the end makes it bad, and all that follows empty.
class In {
 public:
  explicit In(std::string_view bytes) : rest_(bytes) {}
  template <typename T>
  T value() {
    T out{};
    if (rest_.size() < sizeof out) {
      bad_ = true;
      rest_ = {};
      return out;
    }
    std::memcpy(static_cast<void*>(&out), rest_.data(), sizeof out);
    rest_.remove_prefix(sizeof out);
    return out;
  }
  std::string text() {
    const auto size = value<std::uint32_t>();
    if (size > rest_.size()) {
      bad_ = true;
      return {};
    }
    std::string out(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return out;
  }
  std::uint32_t count() {
    const auto n = value<std::uint32_t>();
    if (n > rest_.size()) bad_ = true;  // each has a byte at least
    return bad_ ? 0 : n;
  }
  bool good() const { return !bad_; }
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  bool bad_ = false;
};

std::string errno_text() { return std::strerror(errno); }

}  // namespace

std::size_t RestartState::flow_count() const {
  std::size_t n = 0;
  for (const auto& worker : flows) n += worker.size();
  return n;
}

std::string encode(const RestartState& state) {
  Out out;
  out.text(head());
  out.value(static_cast<std::uint32_t>(state.flows.size()));
  for (const auto& worker : state.flows) {
    out.value(static_cast<std::uint32_t>(worker.size()));
    for (const lb::SavedFlow& flow : worker) {
      out.value(flow.facts);
      out.text(flow.virtual_server);
      out.text(flow.pool);
    }
  }
  out.value(static_cast<std::uint32_t>(state.routes.size()));
  for (const SavedRoute& route : state.routes) {
    out.value(route.prefix.address.value);
    out.value(route.prefix.length);
    out.value(route.external);
    out.value(static_cast<std::uint32_t>(route.gateways.size()));
    for (const Ipv4Address gateway : route.gateways) out.value(gateway.value);
  }
  out.value(static_cast<std::uint32_t>(state.up.size()));
  for (const MemberName& member : state.up) {
    out.text(member.pool);
    out.value(member.endpoint.address.value);
    out.value(member.endpoint.port);
  }
  out.value(static_cast<std::uint32_t>(state.neighbors.size()));
  for (const SavedNeighbor& neighbor : state.neighbors) {
    out.text(neighbor.port);
    out.value(neighbor.address.value);
    out.value(neighbor.mac);
  }
  out.value(static_cast<std::uint32_t>(state.kept.size()));
  for (const auto& [port, descriptor] : state.kept) {
    out.text(port);
    out.value(descriptor);
  }
  return std::move(out.bytes);
}

Result<RestartState> decode(std::string_view bytes) {
  In in(bytes);
  if (in.text() != head()) return fail("--restore", "this is not the state of a sluiced of this version");
  RestartState state;
  state.flows.resize(in.count());
  for (auto& worker : state.flows) {
    worker.resize(in.count());
    for (lb::SavedFlow& flow : worker) {
      flow.facts = in.value<lb::SavedFlowFacts>();
      flow.virtual_server = in.text();
      flow.pool = in.text();
    }
  }
  state.routes.resize(in.count());
  for (SavedRoute& route : state.routes) {
    const Ipv4Address address{in.value<std::uint32_t>()};
    route.prefix = Ipv4Prefix::of(address, std::min<unsigned>(in.value<decltype(route.prefix.length)>(), 32));
    route.external = in.value<bool>();
    route.gateways.resize(in.count());
    for (Ipv4Address& gateway : route.gateways) gateway.value = in.value<std::uint32_t>();
  }
  state.up.resize(in.count());
  for (MemberName& member : state.up) {
    member.pool = in.text();
    member.endpoint.address.value = in.value<std::uint32_t>();
    member.endpoint.port = in.value<std::uint16_t>();
  }
  state.neighbors.resize(in.count());
  for (SavedNeighbor& neighbor : state.neighbors) {
    neighbor.port = in.text();
    neighbor.address.value = in.value<std::uint32_t>();
    neighbor.mac = in.value<MacAddress>();
  }
  for (std::uint32_t left = in.count(); left > 0; --left) {
    std::string port = in.text();
    state.kept[std::move(port)] = in.value<int>();
  }
  if (!in.good() || !in.at_end()) return fail("--restore", "the state is cut off or has more than it should");
  return state;
}

std::vector<SavedRoute> routes_by_bgp(const routing::RoutingTable& table, Instant now) {
  std::vector<SavedRoute> out;
  for (const routing::RouteInfo& route : table.show(now)) {
    if (route.source != routing::Source::ebgp && route.source != routing::Source::ibgp) continue;
    SavedRoute& saved = out.emplace_back();
    saved.prefix = route.prefix;
    saved.external = route.source == routing::Source::ebgp;
    for (const routing::RouteInfo::Hop& hop : route.hops) saved.gateways.push_back(hop.gateway);
  }
  return out;
}

std::vector<SavedNeighbor> merge_neighbors(std::span<const std::vector<ip::NeighborInfo>> workers,
                                           std::span<const packet::PortInfo> ports) {
  std::map<std::pair<packet::PortId, Ipv4Address>, const ip::NeighborInfo*> newest;
  for (const auto& worker : workers) {
    for (const ip::NeighborInfo& entry : worker) {
      using enum ip::NeighborState;
      if (entry.port >= ports.size() || (entry.state != reachable && entry.state != stale && entry.state != probe))
        continue;
      const ip::NeighborInfo*& known = newest[{entry.port, entry.address}];
      if (known == nullptr || entry.since_confirmed < known->since_confirmed) known = &entry;
    }
  }
  std::vector<SavedNeighbor> out;
  for (const auto& [key, entry] : newest) out.push_back({ports[key.first].name, key.second, entry->mac});
  return out;
}

std::vector<RestoredFlow> find_owners(const std::vector<lb::SavedFlow>& flows, const lb::Snapshot& snapshot) {
  std::map<std::string_view, lb::VirtualServerRuntime*> servers;
  for (const lb::VirtualServer& server : snapshot.virtual_servers()) {
    servers.emplace(server.runtime->name, server.runtime.get());
  }
  std::map<std::tuple<std::string_view, Ipv4Address, std::uint16_t>, lb::MemberRuntime*> members;
  for (const auto& pool : snapshot.pools()) {
    for (const auto& member : pool->runtimes) {
      members.emplace(std::tuple(std::string_view(pool->spec.name), member->endpoint.address, member->endpoint.port),
                      member.get());
    }
  }
  std::vector<RestoredFlow> out;
  out.reserve(flows.size());
  for (const lb::SavedFlow& flow : flows) {
    const auto server = servers.find(flow.virtual_server);
    const auto member = members.find({flow.pool, flow.facts.member.address, flow.facts.member.port});
    if (server != servers.end() && member != members.end()) {
      out.push_back({flow.facts, server->second, member->second});
    }
  }
  return out;
}

Result<int> to_descriptor(std::string_view bytes) {
  const int fd = memfd_create("sluice-restart", 0);
  if (fd < 0) return fail("restart", "cannot make a memfd: " + errno_text());
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const std::string why = errno_text();
      ::close(fd);
      return fail("restart", "cannot save the state: " + why);
    }
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return fd;
}

Result<std::string> from_descriptor(int descriptor) {
  std::string out;
  if (::lseek(descriptor, 0, SEEK_SET) < 0) {
    return fail("--restore", fmt::format("descriptor {}: {}", descriptor, errno_text()));
  }
  char piece[65536];
  for (;;) {
    const ssize_t n = ::read(descriptor, piece, sizeof piece);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail("--restore", fmt::format("descriptor {}: {}", descriptor, errno_text()));
    if (n == 0) break;
    out.append(piece, static_cast<std::size_t>(n));
  }
  ::close(descriptor);
  return out;
}

Error execute_again(int descriptor, const std::map<std::string, int>& kept) {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string line{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::string> words;
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t end = std::min(line.find('\0', at), line.size());
    words.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  for (std::size_t i = 1; i + 1 < words.size();) {  // that of the restart before
    if (words[i] == "--restore") {
      words.erase(words.begin() + static_cast<std::ptrdiff_t>(i), words.begin() + static_cast<std::ptrdiff_t>(i) + 2);
    } else {
      ++i;
    }
  }
  words.insert(words.end(), {"--restore", std::to_string(descriptor)});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  // Whatever a library left open is not the next process's; nor are the signals that this thread has blocked.
  for (int fd = 3; fd < static_cast<int>(::sysconf(_SC_OPEN_MAX)); ++fd) {
    const bool stays =
        fd == descriptor || std::any_of(kept.begin(), kept.end(), [fd](const auto& k) { return k.second == fd; });
    if (!stays) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGUSR2, SIG_IGN);  // stays so over exec: a second one before sluiced listens again would end it
  ::execv("/proc/self/exe", argv.data());
  return {"restart", "cannot execute sluiced anew: " + errno_text()};
}

}  // namespace sluice::daemon
