// Facts as text, in the shape of BIG-IP's imish.
#include <fmt/format.h>

#include "control/bgp/attributes.h"
#include "control/bgp/facts.h"

namespace sluice::bgp {
namespace {

std::int64_t whole_seconds(Duration d) { return std::chrono::duration_cast<std::chrono::seconds>(d).count(); }

// "00:22:53", "3d04h05m", as imish prints ages.
std::string age_text(Duration d) {
  const auto s = whole_seconds(d);
  if (s < 86400) return fmt::format("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}d{:02}h{:02}m", s / 86400, s / 3600 % 24, s / 60 % 60);
}

std::string id_text(std::uint32_t id) { return Ipv4Address{id}.text(); }

std::string both_ways(bool advertised, bool received) {
  return advertised && received ? "advertised and received" : advertised ? "advertised" : "received";
}

std::string counts_text(const MessageCounts& c) {
  return fmt::format("{} messages: {} open, {} update, {} keepalive, {} route refresh, {} notification", c.total(),
                     c.open, c.update, c.keepalive, c.route_refresh, c.notification);
}

}  // namespace

std::string text_of(const PeerFacts& f) {
  std::string out;
  const auto line = [&out]<typename... Args>(fmt::format_string<Args...> format, Args&&... args) {
    out += fmt::format(format, std::forward<Args>(args)...);
    out += '\n';
  };
  line("BGP neighbor is {}, remote AS {}, local AS {}, {} link{}", f.address.text(), f.remote_as, f.local_as,
       f.internal ? "internal" : "external",
       f.listen_range ? ", dynamic: by listen range " + f.listen_range->text() : "");
  if (!f.description.empty()) line("  Description: {}", f.description);
  line("  BGP version 4, remote router ID {}", f.remote_router_id ? id_text(*f.remote_router_id) : "0.0.0.0");
  if (f.state == State::established) {
    line("  BGP state = Established, up for {}", age_text(f.in_state));
  } else {
    line("  BGP state = {}{}", name_of(f.state), f.state_reason.empty() ? "" : " (" + f.state_reason + ")");
  }
  line("  Last read {}, last write {}", f.since_read ? age_text(*f.since_read) : "never",
       f.since_write ? age_text(*f.since_write) : "never");
  line("  Hold time is {} s, keepalive interval is {} s; configured {} s and {} s", whole_seconds(f.hold_time),
       whole_seconds(f.keepalive), whole_seconds(f.configured_hold_time), whole_seconds(f.configured_keepalive));
  if (!f.capabilities.empty()) {
    line("  Neighbor capabilities:");
    for (const auto& c : f.capabilities) line("    {}: {}", c.name, both_ways(c.advertised, c.received));
  }
  line("  Received {}", counts_text(f.in));
  line("  Sent {}", counts_text(f.out));
  line("  {} bytes received, {} sent, {} waiting", f.bytes_in, f.bytes_out, f.output_queue_bytes);
  line("  Minimum time between advertisement runs is 0 seconds");
  line("  For address family: IPv4 Unicast");
  line("    BGP table version {}, neighbor version {}", f.table_version, f.neighbor_version);
  line("    Community attribute sent to this neighbor (both)");
  line("    {} accepted prefixes, {} announced prefixes", f.accepted_prefixes, f.announced_prefixes);
  const auto policy = [](std::size_t rules, bool lacking, const char* nothing) {
    if (lacking) return fmt::format("missing: {} (RFC 8212)", nothing);
    return rules == 0 ? std::string("none") : fmt::format("{} rule{}", rules, rules == 1 ? "" : "s");
  };
  line("    Import policy: {}; export policy: {}", policy(f.import_rules, f.import_lacking, "nothing is accepted"),
       policy(f.export_rules, f.export_lacking, "nothing is announced"));
  if (f.stale_prefixes != 0) line("    {} stale prefixes", f.stale_prefixes);
  if (f.rejected_prefixes != 0) line("    {} announcements rejected", f.rejected_prefixes);
  if (f.treated_as_withdraw + f.discarded_attributes != 0) {
    line("    {} UPDATEs treated as withdraw, {} attributes discarded; last: {}", f.treated_as_withdraw,
         f.discarded_attributes, f.last_update_error);
  }
  line("    End-of-RIB {}, {}", f.end_of_rib_sent ? "sent" : "not sent",
       f.end_of_rib_received ? "received" : "not received");
  if (f.restart_advertised || f.restart_received) {
    line("  Graceful restart: {}", both_ways(f.restart_advertised, f.restart_received));
    if (f.restart_received) {
      line("    Remote restart time {} s, forwarding state {}", whole_seconds(f.remote_restart_time),
           f.forwarding_preserved ? "preserved" : "not preserved");
    }
    if (f.restarting) {
      line("    Neighbor is restarting; its routes are stale{}",
           f.restart_remaining ? fmt::format(", {} s left", whole_seconds(*f.restart_remaining)) : "");
    }
  }
  line("  Connections established {}; dropped {}", f.connections_established, f.connections_dropped);
  if (f.last_reset.empty()) {
    line("  Last reset never");
  } else {
    line("  Last reset {}, due to {}", f.since_last_reset ? age_text(*f.since_last_reset) : "never", f.last_reset);
  }
  if (f.local_address) {
    line("Local host: {}, Local port: {}", f.local_address->text(), f.local_port);
    line("Foreign host: {}, Foreign port: {}", f.address.text(), f.remote_port);
  }
  if (f.next_hop) line("Nexthop: {}", f.next_hop->text());
  if (f.password_set) line("TCP MD5 signature is on");
  return out;
}

std::string text_of(const SummaryFacts& s) {
  std::string out = fmt::format(
      "BGP router identifier {}, local AS number {}\nBGP table version is {}\n{} prefixes, {} paths, {} attribute "
      "sets\n\n",
      id_text(s.router_id), s.local_as, s.table_version, s.prefixes, s.paths, s.attribute_sets);
  out += fmt::format("{:<15} {:>1} {:>10} {:>7} {:>7} {:>8} {:>4} {:>10}  {}\n", "Neighbor", "V", "AS", "MsgRcvd",
                     "MsgSent", "TblVer", "OutQ", "Up/Down", "State/PfxRcd");
  bool dynamic = false;
  for (const auto& p : s.peers) {
    const auto state = p.state == State::established ? fmt::format("{}", p.accepted_prefixes)
                       : p.enabled                   ? std::string(name_of(p.state))
                                                     : std::string("Idle (Admin)");
    dynamic = dynamic || p.dynamic;
    out += fmt::format("{:<15} 4 {:>10} {:>7} {:>7} {:>8} {:>4} {:>10}  {}\n",
                       (p.dynamic ? "*" : "") + p.address.text(), p.remote_as, p.messages_in, p.messages_out,
                       p.neighbor_version, p.output_queue_bytes, age_text(p.in_state), state);
  }
  if (dynamic) out += "\n* dynamic: came by a listen range\n";
  return out + fmt::format("\nTotal number of neighbors {}\n", s.peers.size());
}

std::string table_text(const std::vector<PathFacts>& paths, std::uint32_t router_id, std::uint64_t table_version) {
  std::string out = fmt::format("BGP table version is {}, local router ID is {}\n", table_version, id_text(router_id));
  out +=
      "Status codes: * valid, > best, = multipath, i internal, S stale\nOrigin codes: i IGP, e EGP, ? incomplete\n\n";
  out += fmt::format("     {:<18} {:<15} {:>10} {:>10}  {}\n", "Network", "Next Hop", "Metric", "LocPrf", "Path");
  const routing::IpPrefix* last = nullptr;
  for (const auto& p : paths) {
    const auto number = [](const auto& v) { return v ? fmt::format("{}", *v) : std::string(); };
    const bool repeated = last != nullptr && *last == p.prefix;
    out += fmt::format("{}{}{}{} {:<18} {:<15} {:>10} {:>10}  {}{}{}\n", p.stale ? 'S' : ' ', p.valid ? '*' : ' ',
                       p.best        ? '>'
                       : p.multipath ? '='
                                     : ' ',
                       p.internal ? 'i' : ' ', repeated ? "" : p.prefix.text(), p.next_hop.text(), number(p.med),
                       number(p.local_pref), p.as_path, p.as_path.empty() ? "" : " ", p.origin);
    last = &p.prefix;
  }
  return out + fmt::format("\nTotal number of paths {}\n", paths.size());
}

std::string detail_text(const std::vector<PathFacts>& paths) {
  if (paths.empty()) return "% Network not in table\n";
  std::string out = fmt::format("BGP routing table entry for {}\n{} path{}\n", paths[0].prefix.text(), paths.size(),
                                paths.size() == 1 ? "" : "s");
  for (const auto& p : paths) {
    out += fmt::format("  {}\n", p.local ? "Local" : p.as_path.empty() ? "Internal" : p.as_path);
    if (p.local) {
      out += "    our own announcement";
    } else {
      out += fmt::format("    {} from {} ({})", p.next_hop.text(), p.peer.text(), id_text(p.peer_router_id));
    }
    if (!p.valid) out += " (inaccessible)";
    out +=
        fmt::format("\n      Origin {}{}{}, {}{}{}\n",
                    p.origin == 'i'   ? "IGP"
                    : p.origin == 'e' ? "EGP"
                                      : "incomplete",
                    p.med ? fmt::format(", metric {}", *p.med) : "",
                    p.local_pref ? fmt::format(", localpref {}", *p.local_pref) : "", p.valid ? "valid" : "not valid",
                    p.internal ? ", internal"
                    : p.local  ? ""
                               : ", external",
                    p.stale ? ", stale" : "");
    if (!p.communities.empty()) out += fmt::format("      Community: {}\n", p.communities);
    if (p.originator_id)
      out +=
          fmt::format("      Originator: {}, cluster list of {}\n", id_text(*p.originator_id), p.cluster_list.size());
    out += fmt::format("      {}, last update {} ago\n", p.why, age_text(p.age));
  }
  return out;
}

}  // namespace sluice::bgp
