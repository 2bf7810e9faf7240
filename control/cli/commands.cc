// sluicectl's command tree; see commands.h.
#include "control/cli/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "control/admin/request.h"
#include "control/cli/abbreviations.h"

#ifndef SLUICE_VERSION
#define SLUICE_VERSION "unknown"
#endif

namespace sluice::cli {
namespace {

using admin::percent_encode;

// What the words are read into. One object for all commands: a command line is one command.
struct Words {
  Invocation invocation;
  std::string name, second, third, fourth;
  std::vector<std::string> rest;
  std::string file, host_interface;
  std::uint64_t count = 0, size = 56, snaplen = 0;
  double interval_s = 1.0;
  unsigned ttl = 64;
  bool check = false;
};

class Tree {
 public:
  Tree() : app_("Looks at and steers a running sluiced.", "sluicectl") {
    app_.require_subcommand(1);
    app_.set_version_flag("--version", std::string("sluicectl ") + SLUICE_VERSION);
    app_.add_option("--socket", words_.invocation.socket, "Admin socket of sluiced")
        ->capture_default_str()
        ->envname("SLUICE_SOCKET");
    app_.add_flag("--json", words_.invocation.json, "Print the daemon's answer as JSON");
    app_.fallthrough();
    app_.footer(
        "Words may be shortened as in tmsh: \"sluicectl sh vi\" is \"sluicectl show virtual\".\n"
        "Exit codes: 0 done, 1 failed or not found, 2 wrong usage, 3 sluiced not reachable.");
    add_show();
    add_modify();
    add_clear();
    add_drain();
    add_delete();
    add_ping();
    add_capture();
    add_dump();
    add_apply();
    add_end("shutdown", "End sluiced: withdraw its routes, clean up, exit");
    add_end("restart", "Restart sluiced: neighbors keep its routes, L4 connections go on");
  }

  CLI::App& app() { return app_; }
  Words& words() { return words_; }

 private:
  Invocation& call() { return words_.invocation; }

  void add_parameter(const char* name, const std::string& value) {
    std::string& target = call().target;
    target += fmt::format("{}{}={}", target.find('?') == std::string::npos ? "?" : "&", name, percent_encode(value));
  }

  // A command that reads one resource, perhaps by name.
  CLI::App* add_get(CLI::App* parent, const char* name, const char* help, std::string path, Renderer render,
                    const char* parameter = nullptr, const char* metavar = "NAME") {
    CLI::App* command = parent->add_subcommand(name, help);
    command->fallthrough();
    if (parameter != nullptr) command->add_option(metavar, words_.name, fmt::format("Only this one"));
    command->final_callback([this, path = std::move(path), render, parameter] {
      if (!call().target.empty()) return;  // a subcommand of this one was meant
      call().target = path;
      if (!words_.name.empty()) add_parameter(parameter, words_.name);
      if (words_.count != 0) add_parameter("limit", std::to_string(words_.count));
      call().render = render;
    });
    return command;
  }

  void add_show() {
    CLI::App* show = app_.add_subcommand("show", "Show state and statistics");
    show->require_subcommand(1);
    show->fallthrough();
    show->add_option("-w,--watch", call().watch_s, "Repeat every N seconds")->check(CLI::Range(0.1, 3600.0));
    show->add_flag("-b,--brief", call().options.brief, "A line for each virtual server, pool, node or monitor");
    show->add_flag("-d,--detail", call().options.detail, "A block for each member; also drop reasons that are zero");
    add_get(show, "virtual", "Virtual servers", "/v1/virtual", render_virtuals, "name");
    add_get(show, "virtual-address", "Virtual addresses and their announcement", "/v1/virtual-address",
            render_virtual_addresses, "name", "ADDRESS");
    add_get(show, "pool", "Pools and their members", "/v1/pool", render_pools, "name");
    add_get(show, "member", "Pool members", "/v1/member", render_members, "pool", "POOL");
    add_get(show, "node", "Nodes: members by address", "/v1/node", render_nodes, "name", "ADDRESS");
    add_get(show, "monitor", "Health monitors and what they found", "/v1/monitor", render_monitors, "name");
    add_show_ip(show);
    add_get(show, "bfd", "BFD sessions of the BGP neighbors", "/v1/bfd", render_bfd, "neighbor", "ADDRESS");
    add_get(show, "arp", "The engine's ARP table", "/v1/arp", render_arp);
    add_flows(show->add_subcommand("flows", "Flows of the L4 virtual servers"), "GET", render_flows);
    add_get(show, "workers", "Workers: packets, cycles, buffers", "/v1/worker", render_workers);
    add_get(show, "ports", "Ports of the engine", "/v1/port", render_ports, "name");
    add_get(show, "drops", "Dropped packets by reason", "/v1/drop", render_drops);
    CLI::App* errors = add_get(show, "errors", "The last bad requests and responses of mode http", "/v1/error",
                               render_errors, "virtual", "VIRTUAL");
    errors->add_option("-n,--limit", words_.count, "At most so many (default: 100)")->check(CLI::Range(1, 100000));
    add_get(show, "tcp", "TCP endpoints of mode http: conns, retransmissions, cookies, resets", "/v1/tcp", render_tcp);
    add_get(show, "access-log", "The access log of mode http: its file, lines written and lost", "/v1/access-log",
            render_access_log);
    add_get(show, "config", "The running configuration", "/v1/config", render_config);
    add_get(show, "version", "Versions and uptime of sluiced", "/v1/version", render_version);
  }

  void add_show_ip(CLI::App* show) {
    CLI::App* ip = show->add_subcommand("ip", "Routes and BGP");
    ip->require_subcommand(1);
    ip->fallthrough();
    add_get(ip, "route", "Routing table", "/v1/route", render_routes, "prefix", "PREFIX");
    CLI::App* bgp =
        add_get(ip, "bgp", "BGP table; or summary, neighbors", "/v1/bgp/route", render_text, "prefix", "PREFIX");
    bgp->add_option("FILTER", words_.rest, "longer-prefixes, best, or pairs: community C, from NEIGHBOR, as NUMBER");
    bgp->final_callback([this] { show_bgp(); });
    add_get(bgp, "summary", "One line for each neighbor", "/v1/bgp", render_text);
    CLI::App* neighbors = add_get(bgp, "neighbors", "All about the neighbors; what they sent, or were told",
                                  "/v1/bgp/neighbor", render_text, "address", "ADDRESS");
    neighbors->add_option("WHAT", words_.second,
                          "received-routes (before policy), routes (accepted) or advertised-routes");
    neighbors->final_callback([this] { show_neighbors(); });
  }

  // A prefix alone is explained path by path; whatever else is asked is a table.
  void show_bgp() {
    if (!call().target.empty()) return;  // a subcommand of this one was meant
    call().target = "/v1/bgp/route";
    call().render = render_text;
    std::string query;
    const auto add = [&query](const std::string& key, const std::string& value) {
      query += fmt::format("{}{}={}", query.empty() ? "?" : "&", key, percent_encode(value));
    };
    static const std::vector<std::string> keys = {"longer-prefixes", "best", "community", "from", "as"};
    auto& rest = words_.rest;
    if (complete_word(words_.name, keys)) {  // no prefix
      rest.insert(rest.begin(), words_.name);
    } else if (!words_.name.empty()) {
      add("prefix", words_.name);
    }
    for (std::size_t i = 0; i < rest.size(); ++i) {
      const auto key = complete_word(rest[i], keys);
      if (!key)
        throw CLI::ValidationError("FILTER", fmt::format("\"{}\" is none of {}", rest[i], fmt::join(keys, ", ")));
      call().render = render_bgp_table;
      if (*key == "longer-prefixes") continue;
      if (*key == "best") {
        add("best", "1");
        continue;
      }
      if (i + 1 == rest.size()) throw CLI::ValidationError("FILTER", fmt::format("\"{}\" needs a value", *key));
      add(*key, rest[++i]);
    }
    call().target += query;
  }

  void show_neighbors() {
    call().render = render_text;
    call().target = "/v1/bgp/neighbor";
    if (!words_.name.empty()) call().target += "?address=" + percent_encode(words_.name);
    if (words_.second.empty()) return;
    const std::vector<std::string> known = {"received-routes", "advertised-routes", "routes"};
    const auto what = complete_word(words_.second, known);
    if (!what)
      throw CLI::ValidationError("WHAT", fmt::format("\"{}\" is none of {}", words_.second, fmt::join(known, ", ")));
    call().render = render_bgp_table;
    call().target = fmt::format("/v1/bgp/neighbor/route?address={}&which={}", percent_encode(words_.name),
                                *what == "routes" ? "accepted" : what->substr(0, what->find('-')));
  }

  // "protocol tcp client 10.0.0.1 ..."
  void add_flows(CLI::App* command, const char* method, Renderer render) {
    command->fallthrough();
    command->add_option("FILTER", words_.rest,
                        "all, or pairs: protocol tcp|udp, client A, member A, address A, destination A:PORT, port N, "
                        "virtual NAME, pool NAME, limit N");
    command->final_callback([this, method, render] {
      call().method = method;
      call().target = "/v1/flow" + flow_query(method);
      call().render = render;
    });
  }

  std::string flow_query(std::string_view method) {
    auto& rest = words_.rest;
    const bool all = rest.size() == 1 && rest[0] == "all";
    if (method == "DELETE" && rest.empty()) throw CLI::ValidationError("FILTER", "say which flows, or \"all\"");
    if (all || rest.empty()) return "";
    if (rest.size() % 2 != 0) throw CLI::ValidationError("FILTER", fmt::format("\"{}\" needs a value", rest.back()));
    std::map<std::string, std::string> query;
    std::string text;
    for (std::size_t i = 0; i < rest.size(); i += 2) {
      static const std::vector<std::string> kKeys = {"protocol", "client",  "member", "address", "destination",
                                                     "port",     "virtual", "pool",   "limit"};
      const std::string key = complete_word(rest[i], kKeys).value_or(rest[i]);
      query[key] = rest[i + 1];
      text += fmt::format("{}{}={}", text.empty() ? "?" : "&", percent_encode(key), percent_encode(rest[i + 1]));
    }
    if (const auto filter = admin::parse_flow_filter(query); !filter) {
      throw CLI::ValidationError("FILTER", filter.error().text());
    }
    return text;
  }

  // The words "state enabled": the first must be `state`, the second one of `values`.
  std::string state_word(const std::vector<std::string>& values) {
    static const std::vector<std::string> kState = {"state"};
    if (!complete_word(words_.third, kState)) {
      throw CLI::ValidationError(words_.third, "the word here is \"state\"");
    }
    const auto value = complete_word(words_.fourth, values);
    if (!value) throw CLI::ValidationError(words_.fourth, fmt::format("must be one of {}", fmt::join(values, ", ")));
    return *value;
  }

  void add_modify() {
    CLI::App* modify = app_.add_subcommand("modify", "Change the state of a member or virtual server");
    modify->require_subcommand(1);
    modify->fallthrough();
    CLI::App* member =
        modify->add_subcommand("member", "modify member POOL ADDRESS:PORT state enabled|disabled|offline");
    member->fallthrough();
    member->add_option("POOL", words_.name)->required();
    member->add_option("ADDRESS:PORT", words_.second)->required();
    member->add_option("state", words_.third, "the word \"state\"")->required();
    member->add_option("VALUE", words_.fourth, "enabled, disabled (finish what it has) or offline")->required();
    member->final_callback([this] {
      call().method = "PATCH";
      call().target = "/v1/member";
      if (!Ipv4Endpoint::parse(words_.second))
        throw CLI::ValidationError("ADDRESS:PORT", words_.second + " is no address:port");
      call().body = Json{{"pool", words_.name},
                         {"member", words_.second},
                         {"state", state_word({"enabled", "disabled", "offline"})}}
                        .dump();
      call().render = render_ok;
    });
    CLI::App* server = modify->add_subcommand("virtual", "modify virtual NAME state enabled|disabled");
    server->fallthrough();
    server->add_option("NAME", words_.name)->required();
    server->add_option("state", words_.third, "the word \"state\"")->required();
    server->add_option("VALUE", words_.fourth, "enabled or disabled")->required();
    server->final_callback([this] {
      call().method = "PATCH";
      call().target = "/v1/virtual";
      call().body = Json{{"name", words_.name}, {"state", state_word({"enabled", "disabled"})}}.dump();
      call().render = render_ok;
    });
  }

  void add_clear() {
    CLI::App* clear = app_.add_subcommand("clear", "Reset BGP sessions");
    clear->require_subcommand(1);
    clear->fallthrough();
    CLI::App* ip = clear->add_subcommand("ip", "clear ip bgp ...");
    ip->require_subcommand(1);
    ip->fallthrough();
    CLI::App* bgp = ip->add_subcommand("bgp", "clear ip bgp {ADDRESS|*} [soft [in|out]]");
    bgp->fallthrough();
    bgp->add_option("NEIGHBOR", words_.name, "address of the neighbor, or * for all")->required();
    bgp->add_option("HOW", words_.rest, "nothing (the session is reset), or: soft, soft in, soft out")->expected(0, 2);
    bgp->final_callback([this] {
      call().method = "POST";
      call().target = "/v1/bgp/clear";
      call().body = Json{{"neighbor", words_.name}, {"how", clear_how()}}.dump();
      call().render = render_ok;
      if (words_.name != "*" && !Ipv4Address::parse(words_.name)) {
        throw CLI::ValidationError("NEIGHBOR", fmt::format("\"{}\" is no address and not *", words_.name));
      }
    });
  }

  std::string clear_how() {
    const auto& rest = words_.rest;
    if (rest.empty()) return "hard";
    const auto direction = rest.size() == 2 ? complete_word(rest[1], {"in", "out"}) : std::optional<std::string>("");
    if (!complete_word(rest[0], {"soft"}) || !direction) {
      throw CLI::ValidationError("HOW",
                                 fmt::format("\"{}\" is none of: soft, soft in, soft out", fmt::join(rest, " ")));
    }
    return direction->empty() ? "soft" : "soft-" + *direction;
  }

  void add_drain() {
    CLI::App* drain = app_.add_subcommand(
        "drain", "Announce an address so that others take its traffic over (RFC 8326): drain {ADDRESS|*} [on|off]");
    drain->fallthrough();
    drain->add_option("ADDRESS", words_.name, "virtual address, or * for all")->required();
    drain->add_option("STATE", words_.second, "on (the default) or off");
    drain->final_callback([this] {
      const auto state = complete_word(words_.second.empty() ? "on" : words_.second, {"on", "off"});
      if (!state) throw CLI::ValidationError("STATE", fmt::format("\"{}\" is neither on nor off", words_.second));
      if (words_.name != "*" && !Ipv4Address::parse(words_.name))
        throw CLI::ValidationError("ADDRESS", fmt::format("\"{}\" is no address and not *", words_.name));
      call().method = "POST";
      call().target = "/v1/bgp/drain";
      call().body = Json{{"address", words_.name}, {"state", *state}}.dump();
      call().render = render_ok;
    });
  }

  void add_delete() {
    CLI::App* remove = app_.add_subcommand("delete", "End flows");
    remove->require_subcommand(1);
    remove->fallthrough();
    add_flows(remove->add_subcommand("flows", "End flows that match, or all"), "DELETE", render_deleted);
  }

  void add_ping() {
    CLI::App* ping = app_.add_subcommand("ping", "Ping an address through the packet engine");
    ping->fallthrough();
    ping->add_option("ADDRESS", words_.name)->required();
    ping->add_option("-c,--count", words_.count, "Stop after N (default: until Ctrl-C)")->check(CLI::Range(0, 1000000));
    ping->add_option("-s,--size", words_.size, "Bytes of payload")->capture_default_str()->check(CLI::Range(0, 65507));
    ping->add_option("-i,--interval", words_.interval_s, "Seconds between two")
        ->capture_default_str()
        ->check(CLI::Range(0.01, 3600.0));
    ping->add_option("-t,--ttl", words_.ttl, "TTL of the requests")->capture_default_str()->check(CLI::Range(1, 255));
    ping->add_option("-I,--source", words_.second, "Self IP to send from");
    ping->final_callback([this] {
      call().kind = Invocation::Kind::ping;
      call().method = "POST";
      call().target = "/v1/ping";
      for (const auto& address : {words_.name, words_.second}) {
        if (!address.empty() && !Ipv4Address::parse(address)) {
          throw CLI::ValidationError("ADDRESS", fmt::format("\"{}\" is no IPv4 address", address));
        }
      }
      Json body{{"address", words_.name},
                {"count", words_.count},
                {"size", words_.size},
                {"interval_s", words_.interval_s},
                {"ttl", words_.ttl}};
      if (!words_.second.empty()) body["source"] = words_.second;
      call().body = body.dump();
    });
  }

  void add_capture() {
    CLI::App* capture = app_.add_subcommand("capture", "Record packets of the engine's ports into a pcapng file");
    capture->fallthrough();
    capture->add_option("FILTER", words_.rest, "as tcpdump takes it: host 10.0.0.1 and tcp port 80");
    capture->add_option("-c,--count", words_.count, "Stop after N packets (default: until Ctrl-C)");
    capture->add_option("-s,--snaplen", words_.snaplen, "Bytes kept of each packet (default: all)")
        ->check(CLI::Range(0, 262144));
    capture->add_option("-i,--interface", words_.host_interface, "Only this port (default: all)");
    capture->add_option("-w,--write", words_.file, "File to write; sluiced writes it")->required();
    capture->final_callback([this] {
      call().kind = Invocation::Kind::capture;
      call().method = "POST";
      call().target = "/v1/capture";
      call().body = Json{{"filter", fmt::format("{}", fmt::join(words_.rest, " "))},
                         {"port", words_.host_interface},
                         {"path", std::filesystem::absolute(words_.file).string()},
                         {"count", words_.count},
                         {"snaplen", words_.snaplen}}
                        .dump();
    });
  }

  void add_dump() {
    CLI::App* dump = app_.add_subcommand("dump", "Write tables into files for other tools");
    dump->require_subcommand(1);
    dump->fallthrough();
    CLI::App* bgp = dump->add_subcommand("bgp", "dump bgp rib -w FILE");
    bgp->require_subcommand(1);
    bgp->fallthrough();
    CLI::App* rib = bgp->add_subcommand("rib", "The BGP table as MRT (RFC 6396), for bgpdump and the like");
    rib->fallthrough();
    rib->add_option("-w,--write", words_.file, "File to write; sluiced writes it")->required();
    rib->final_callback([this] {
      call().method = "POST";
      call().target = "/v1/bgp/dump";
      call().body = Json{{"path", std::filesystem::absolute(words_.file).string()}}.dump();
      call().render = render_dumped;
    });
  }

  void add_apply() {
    CLI::App* apply = app_.add_subcommand("apply", "Make a changed configuration take effect, whole or not at all");
    apply->fallthrough();
    apply->add_option("FILE", words_.file,
                      "Configuration to use until the daemon reads its own file again (default: read that now)");
    apply->add_flag("-n,--check", words_.check, "Only say what would change, or what is wrong");
    apply->final_callback([this] {
      call().method = "POST";
      call().target = "/v1/apply";
      call().render = render_apply;
      Json body{{"check", words_.check}};
      if (!words_.file.empty()) {
        std::ifstream in(words_.file, std::ios::binary);
        std::ostringstream text;
        if (!in || !(text << in.rdbuf())) throw CLI::FileError::Missing(words_.file);
        body["name"] = std::filesystem::absolute(words_.file).string();
        body["text"] = text.str();
      }
      call().body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
    });
  }

  void add_end(const std::string& verb, const std::string& help) {
    CLI::App* end = app_.add_subcommand(verb, help);
    end->fallthrough();
    end->final_callback([this, verb] {
      call().method = "POST";
      call().target = "/v1/" + verb;
      call().render = render_ok;
    });
  }

  CLI::App app_;
  Words words_;
};

void collect_paths(CLI::App& app, const std::string& prefix, std::vector<std::string>& out) {
  for (CLI::App* sub : app.get_subcommands([](CLI::App*) { return true; })) {
    const std::string path = prefix.empty() ? sub->get_name() : prefix + " " + sub->get_name();
    out.push_back(path);
    collect_paths(*sub, path, out);
  }
}

// BGP answers are rendered by the daemon: ask it to, unless JSON is wanted.
void ask_for_text(Invocation& invocation) {
  if (invocation.render != render_text || invocation.json) return;
  invocation.target += invocation.target.find('?') == std::string::npos ? "?text=1" : "&text=1";
}

}  // namespace

Parsed parse(std::vector<std::string> words) {
  Tree tree;
  tree.words().invocation.socket = "/run/sluice/sluiced.sock";
  Parsed parsed;
  if (auto expanded = expand_words(tree.app(), words)) {
    words = std::move(*expanded);
  } else {
    return {std::nullopt, kExitUsage, "sluicectl: " + expanded.error().text() + "\n"};
  }
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the end
  try {
    tree.app().parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    std::ostringstream out, err;
    const int code = tree.app().exit(error, out, err);
    return {std::nullopt, code == 0 ? kExitOk : kExitUsage, code == 0 ? out.str() : "sluicectl: " + err.str()};
  }
  ask_for_text(tree.words().invocation);
  parsed.invocation = std::move(tree.words().invocation);
  return parsed;
}

std::vector<std::string> command_paths() {
  Tree tree;
  std::vector<std::string> out;
  collect_paths(tree.app(), "", out);
  return out;
}

}  // namespace sluice::cli
