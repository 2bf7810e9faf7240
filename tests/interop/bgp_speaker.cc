// bgp_speaker: the BGP speaker, its transport and the routing table on plain kernel sockets, for tests against other
// daemons.
//
//   bgp_speaker --as 64512 --id 172.16.40.202 --self 172.16.40.202/24 --neighbor 172.16.40.199 [--password X] …
//
// Reads commands from stdin, one a line, and prints the answer followed by a line "."; prints events as they happen:
//   announce PREFIX [med N] [local-pref N] [prepend N] [community A:B] | withdraw PREFIX | neighbors | routes | bgp |
//   paths | summary | clear A | refresh A | flip PREFIX | turns (the longest of the loop) | shutdown TEXT
//
// Called by: tests/interop/bgp*, tests/interop/matrix. Runs on: its own process.
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include "control/io/bgp_transport.h"

namespace {

using namespace sluice;

Instant now() { return instant_ns(std::chrono::steady_clock::now().time_since_epoch() / 1ns); }

std::uint64_t cpu_ns() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(t.tv_nsec);
}

void say(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

std::string text_of(const routing::RouteInfo& r) {
  std::string out = fmt::format("{} {}{} [{}/{}]", code_of(r.source), r.prefix.text(), r.selected ? "" : " (unused)",
                                r.distance, r.metric);
  for (const auto& hop : r.hops) {
    out += hop.gateway.is_zero() ? " directly connected" : " via " + hop.gateway.text();
    out += hop.interface.empty() ? " inactive" : ", " + hop.interface;
  }
  return out;
}

// One line a path, for programs: `10.244.0.0/24 via=172.16.40.199 lp=100 med=- as=64512,64513 stale=0 id=0`.
std::string text_of(const bgp::PathFacts& p) {
  const auto number = [](const auto& v) { return v ? fmt::format("{}", *v) : std::string("-"); };
  auto as_path = p.as_path;
  std::replace(as_path.begin(), as_path.end(), ' ', ',');
  auto communities = p.communities;
  std::replace(communities.begin(), communities.end(), ' ', ',');
  return fmt::format("path {} via={} lp={} med={} as={} communities={} stale={:d} best={:d} id={}", p.prefix.text(),
                     p.next_hop.text(), number(p.local_pref), number(p.med), as_path, communities, p.stale, p.best,
                     p.path_id);
}

// "med 10 community 64512:7": what goes with an announcement.
bgp::AnnounceAttributes attributes_from(std::istream& words) {
  bgp::AnnounceAttributes out;
  std::string key, value;
  while (words >> key >> value) {
    const auto colon = value.find(':');
    const auto number = static_cast<std::uint32_t>(std::stoul(value));
    if (key == "med") out.med = number;
    if (key == "local-pref") out.local_pref = number;
    if (key == "prepend") out.prepend = number;
    if (key == "community" && colon != std::string::npos) {
      out.communities.push_back(number << 16 | static_cast<std::uint32_t>(std::stoul(value.substr(colon + 1))));
    }
  }
  return out;
}

struct Program {
  boost::asio::io_context context;
  routing::RoutingTable table;
  bgp::Speaker speaker{table};
  bgp::SpeakerSettings settings;
  std::unique_ptr<io::BgpTransport> transport;
  boost::asio::posix::stream_descriptor in{context, ::dup(0)};
  boost::asio::streambuf buffer;
  std::set<routing::IpPrefix> flipped;
  std::uint64_t updates = 0, turns = 0, longest_turn = 0;

  void start() {
    io::BgpTransport::Hooks hooks;
    hooks.now = now;
    hooks.routes_changed = [this](Instant) {
      while (table.has_updates()) updates += table.take_updates(65536).size();
    };
    hooks.event = [](const bgp::Output& output) {
      if (const auto* up = std::get_if<bgp::output::SessionUp>(&output)) say("event up " + up->peer.text());
      if (const auto* down = std::get_if<bgp::output::SessionDown>(&output)) {
        say("event down " + down->peer.text() + ": " + down->reason);
      }
      if (const auto* log = std::get_if<bgp::output::Log>(&output)) say("log " + log->peer.text() + ": " + log->text);
    };
    transport = std::make_unique<io::BgpTransport>(context, speaker, table, hooks);
    for (const auto& error : transport->configure(settings)) say("error " + error.text());
    say("ready");
    read();
  }

  void read() {
    boost::asio::async_read_until(in, buffer, '\n', [this](boost::system::error_code error, std::size_t) {
      if (error) return context.stop();
      std::istream stream(&buffer);
      std::string line;
      std::getline(stream, line);
      command(line);
      read();
    });
  }

  void command(const std::string& line) {
    std::istringstream words(line);
    std::string verb, word;
    words >> verb >> word;
    const auto prefix = routing::IpPrefix::parse(word);
    const auto address = IpAddress::parse(word);
    if (verb == "announce" && prefix) transport->announce(*prefix, attributes_from(words));
    if (verb == "withdraw" && prefix) transport->withdraw(*prefix);
    if (verb == "clear" && address) transport->clear(*address);
    if (verb == "refresh" && address) say(transport->refresh(*address) ? "sent" : "not sent");
    if (verb == "neighbors") {
      for (const auto& facts : speaker.peers(now())) say(text_of(facts));
    }
    if (verb == "summary") say(text_of(speaker.summary(now())));
    if (verb == "bgp")
      say(bgp::table_text(speaker.paths(now()), settings.router_id, speaker.summary(now()).table_version));
    if (verb == "paths") {
      for (const auto& path : speaker.paths(now())) {
        if (!path.local) say(text_of(path));
      }
    }
    if (verb == "path" && prefix) say(bgp::detail_text(speaker.paths(now(), *prefix)));
    if (verb == "flip" && prefix) {  // announced or withdrawn: how long until the last neighbour's bytes are written
      const auto start = now();
      const bool there = flipped.erase(*prefix) != 0;
      if (!there) flipped.insert(*prefix);
      there ? transport->withdraw(*prefix) : transport->announce(*prefix, {});
      boost::asio::post(context, [start] {
        say(fmt::format("told in {:.1f} ms", static_cast<double>((now() - start) / 1us) / 1e3));
      });
    }
    if (verb == "turns") {
      say(fmt::format("{} turns, the longest {:.1f} ms", turns, static_cast<double>(longest_turn) / 1e6));
      turns = longest_turn = 0;
    }
    if (verb == "count") say(fmt::format("{} {}", speaker.summary(now()).prefixes, table.size()));
    if (verb == "routes") {
      for (const auto& route : table.show(now())) say(text_of(route));
    }
    if (verb == "shutdown") {
      const auto text = line.substr(std::min(line.size(), line.find(' ') + 1));
      transport->shutdown(line.find(' ') == std::string::npos ? "" : text, [this] { context.stop(); });
    }
    say(".");
  }
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("BGP speaker for interoperability tests");
  std::uint32_t as = 64512, remote_as = 0;
  std::string id, interface = "eth0", password;
  std::vector<std::string> selves, neighbors, ranges;
  bool passive = false, ipv6 = false, add_path = false, restarting = false;
  unsigned ttl_security = 0, hold = 90, port = 179, restart_time = 120, prefixes_max = 2000000, neighbors_max = 5000;
  app.add_option("--as", as);
  app.add_option("--remote-as", remote_as);
  app.add_option("--id", id)->required();
  app.add_option("--self", selves)->required();
  app.add_option("--neighbor", neighbors);
  app.add_option("--listen-range", ranges);
  app.add_option("--password", password);
  app.add_option("--ttl-security", ttl_security);
  app.add_option("--hold", hold);
  app.add_option("--port", port);
  app.add_option("--restart-time", restart_time);
  app.add_option("--maximum-prefix", prefixes_max);
  app.add_option("--neighbors-max", neighbors_max);
  app.add_flag("--passive", passive);
  app.add_flag("--ipv6", ipv6);
  app.add_flag("--add-path", add_path);
  app.add_flag("--restarting", restarting);
  CLI11_PARSE(app, argc, argv);

  rlimit files{20000, 20000};  // a neighbour is a descriptor
  (void)setrlimit(RLIMIT_NOFILE, &files);
  Program program;
  auto& s = program.settings;
  s.local_as = as;
  s.router_id = Ipv4Address::parse(id).value().value;
  s.listen_port = static_cast<std::uint16_t>(port);
  s.graceful_restart_time = std::chrono::seconds(restart_time);
  s.restarting = restarting;
  program.table.set_interface(0, interface, true);
  for (const auto& self : selves) {
    if (const auto v4 = Ipv4Interface::parse(self)) {
      program.table.add_connected(*v4, 0, now());
      s.self_ips.push_back({v4->address, v4->length});
    } else {
      const auto slash = self.find('/');
      s.self_ips.push_back({Ipv6Address::parse(self.substr(0, slash)).value(),
                            static_cast<std::uint8_t>(std::stoi(self.substr(slash + 1)))});
    }
  }
  bgp::SessionSettings session;
  session.remote_as = remote_as == 0 ? as : remote_as;
  session.password = password;
  session.passive = passive;
  session.ttl_security = ttl_security;
  session.hold_time = std::chrono::seconds(hold);
  session.keepalive = session.hold_time / 3;
  session.ipv6_unicast = ipv6;
  session.add_path_receive = session.add_path_send = add_path;
  session.prefixes_max = prefixes_max;
  for (const auto& n : neighbors) s.neighbors.push_back({IpAddress::parse(n).value(), true, session});
  for (const auto& r : ranges) {
    s.listen_ranges.push_back({routing::IpPrefix::parse(r).value(), session});
    s.listen_ranges.back().neighbors_max = neighbors_max;
  }
  program.start();
  // One handler at a time: what a turn takes of the processor is what everybody else waits for.
  for (auto before = cpu_ns(); program.context.run_one() != 0;) {
    const auto after = cpu_ns();
    program.longest_turn = std::max(program.longest_turn, after - before);
    ++program.turns;
    before = after;
  }
  return 0;
}
