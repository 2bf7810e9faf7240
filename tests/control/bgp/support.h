// What the BGP tests share: hex, attributes by hand, a resolver that knows everything, and a neighbour made of bytes.
//
// Called by: tests/control/bgp/*.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "control/bgp/message.h"
#include "control/bgp/open.h"
#include "control/bgp/speaker.h"
#include "control/bgp/update.h"

namespace sluice::bgp::testing {

inline Bytes hex(std::string_view text) {
  Bytes out;
  int high = -1;
  for (const char c : text) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) continue;
    if (high < 0) {
      high = digit;
    } else {
      out.push_back(static_cast<std::uint8_t>(high << 4 | digit));
      high = -1;
    }
  }
  return out;
}

inline Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// flags, type, length, value
inline Bytes attr(unsigned flags, unsigned type, const Bytes& value) {
  Bytes out;
  Writer w(out);
  w.u8(flags);
  w.u8(type);
  if (flags & attribute::kFlagExtended) {
    w.u16(static_cast<unsigned>(value.size()));
  } else {
    w.u8(static_cast<unsigned>(value.size()));
  }
  w.bytes(value);
  return out;
}

// The body of an UPDATE.
inline Bytes update_body(const Bytes& withdrawn, const Bytes& attributes, const Bytes& nlri) {
  Bytes out;
  Writer w(out);
  w.u16(static_cast<unsigned>(withdrawn.size()));
  w.bytes(withdrawn);
  w.u16(static_cast<unsigned>(attributes.size()));
  w.bytes(attributes);
  w.bytes(nlri);
  return out;
}

inline Bytes message_of(MessageType type, const Bytes& body) {
  Bytes out;
  MessageWriter w(out, type);
  w.bytes(body);
  w.finish();
  return out;
}

inline IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }
inline routing::IpPrefix prefix(std::string_view text) { return routing::IpPrefix::parse(text).value(); }

// Every next hop is connected, except those said to be unreachable.
class FakeResolver : public routing::NextHopResolver {
 public:
  routing::NextHopState resolve_next_hop(const IpAddress& next_hop) const override {
    if (unreachable.contains(next_hop)) return {};
    const auto far = metric.find(next_hop);
    return {true, far == metric.end(), far == metric.end() ? 0 : far->second};
  }
  std::set<IpAddress> unreachable;
  std::map<IpAddress, std::uint32_t> metric;
};

// Keeps what the speaker's route changes amount to.
using RouteView = std::map<routing::IpPrefix, std::set<IpAddress>>;
inline void apply(const RouteBatch& batch, RouteView& view) {
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const auto change = batch[i];
    if (change.next_hops.empty()) {
      view.erase(change.prefix);
    } else {
      view[change.prefix] = {change.next_hops.begin(), change.next_hops.end()};
    }
  }
}

// One speaker and, at the other end of its connections, whatever the test writes.
class Bench {
 public:
  explicit Bench(SpeakerSettings s) : settings(std::move(s)) { reconfigure(); }

  void reconfigure() {
    run([this](Outputs& o) { speaker.configure(now, settings, o); });
  }
  template <typename F>
  void run(F&& f) {
    out.clear();
    f(out);
    collect();
    while (speaker.has_work()) step(input::Tick{});
  }
  void step(const Input& input) {
    out.clear();
    speaker.step(now, input, out);
    collect();
  }
  // Lets time pass, deadline by deadline.
  void advance(Duration d) {
    const auto end = now + d;
    while (speaker.deadline() <= end) {
      now = std::max(now, speaker.deadline());
      step(input::Tick{});
    }
    now = end;
    while (speaker.has_work()) step(input::Tick{});
  }
  void collect() {
    for (const auto& action : out.actions) {
      if (const auto* c = std::get_if<output::Connect>(&action)) {
        connects.push_back(*c);
      } else if (const auto* s = std::get_if<output::Send>(&action)) {
        sent[s->conn].insert(sent[s->conn].end(), s->bytes->begin(), s->bytes->end());
      } else if (const auto* x = std::get_if<output::Close>(&action)) {
        closed.insert(x->conn);
      } else if (const auto* d = std::get_if<output::SessionDown>(&action)) {
        downs.push_back(d->reason);
      } else if (std::get_if<output::SessionUp>(&action)) {
        ++ups;
      }
    }
    bgp::testing::apply(out.routes, routes);
  }
  void receive(ConnId conn, const Bytes& bytes) {
    step(input::Received{conn, bytes});
    while (speaker.has_work()) step(input::Tick{});
  }
  // The messages sent on `conn` since the last call.
  std::vector<Bytes> take(ConnId conn) {
    std::vector<Bytes> messages;
    ByteSpan bytes = sent[conn];
    while (!bytes.empty()) {
      const auto frame = std::get<Frame>(next_frame(bytes, kExtendedMessageMax));
      messages.emplace_back(frame.message.begin(), frame.message.end());
      bytes = bytes.subspan(frame.message.size());
    }
    sent[conn].clear();
    step(input::Written{conn, 0});
    return messages;
  }
  // The neighbour connects to us and the session comes up with `open`.
  ConnId accept_from(std::string_view address, const OpenMessage& open) {
    const auto conn = next_accepted;
    next_accepted += 2;
    step(input::Accepted{conn, {ip("172.16.40.202"), 179}, {ip(address), 40000}});
    receive(conn, encode_open(open));
    receive(conn, encode_keepalive());
    return conn;
  }
  PeerFacts facts(std::string_view address) { return speaker.peer(now, ip(address)).value(); }

  Instant now = instant_ns(1'000'000'000);
  FakeResolver resolver;
  SpeakerSettings settings;
  Speaker speaker{resolver};
  Outputs out;
  std::vector<output::Connect> connects;
  std::map<ConnId, Bytes> sent;
  std::set<ConnId> closed;
  std::vector<std::string> downs;
  unsigned ups = 0;
  RouteView routes;
  ConnId next_accepted = 1;
};

// The reference deployment: we are 172.16.40.202 in AS 64512; the nodes 198 and 199 are passive neighbours.
inline SpeakerSettings reference_settings() {
  SpeakerSettings s;
  s.local_as = 64512;
  s.router_id = ip("172.16.40.202").v4().value;
  s.self_ips = {{ip("172.16.40.202"), 24}};
  for (const auto* a : {"172.16.40.198", "172.16.40.199"}) {
    NeighborSettings n;
    n.address = ip(a);
    n.session.remote_as = 64512;
    n.session.passive = true;
    s.neighbors.push_back(n);
  }
  return s;
}

// As Calico's BIRD opens (calico/README.md, fact 1).
inline OpenMessage calico_open(std::string_view address, bool after_restart = true) {
  OpenMessage open;
  open.as = 64512;
  open.hold_time_s = 240;
  open.identifier = ip(address).v4().value;
  auto& caps = open.capabilities;
  caps.multiprotocol = {true, false};
  caps.any_multiprotocol = true;
  caps.route_refresh = caps.enhanced_refresh = true;
  caps.graceful_restart = GracefulRestart{after_restart, false, 120, {{{true, after_restart}, {}}}};
  caps.four_octet_as = 64512;
  caps.add_path[0] = {true, true};
  caps.long_lived_restart = LongLivedRestart{};
  return open;
}

// The UPDATE of a block, from calico/README.md's bytes, with its next hop and prefix replaced.
inline Bytes block_update(std::string_view next_hop, std::string_view block) {
  PathAttributes a;
  a.origin = Origin::igp;
  a.next_hop = ip(next_hop);
  a.local_pref = 100;
  Bytes out;
  const Nlri route{prefix(block), 0};
  encode_announcements(out, a, {true, true}, std::span(&route, 1), false, kMessageMax);
  return out;
}
inline Bytes withdraw_update(std::string_view block) {
  Bytes out;
  const Nlri route{prefix(block), 0};
  encode_withdrawals(out, std::span(&route, 1), false, kMessageMax);
  return out;
}
inline Bytes end_of_rib() {
  Bytes out;
  encode_end_of_rib(out, Family::ipv4);
  return out;
}

}  // namespace sluice::bgp::testing
