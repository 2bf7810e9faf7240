// Fuzz target: the whole life of sessions with three neighbours, from OPEN on, by a grammar of operations.
//
// An input is two bytes of options and a list of operations (kind, neighbour, length, data): a neighbour connects,
// sends a message of its own or of our encoder, closes; time passes; the transport is slow; we announce; a next hop
// goes away. The custom mutator recombines operations and, inside UPDATEs, attributes. Beside the speaker runs a model
// as simple as maps are. Always: nothing of ours is malformed, no NOTIFICATION answers what is valid, nothing is sent
// on a closed connection, Adj-RIB-In is what the model says, what is reported to the FIB is what a fresh decision over
// all paths gives, and a neighbour that reads knows exactly what we announce. After the end nothing is left.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <set>

#include "control/bgp/message.h"
#include "control/bgp/open.h"
#include "control/bgp/speaker.h"
#include "control/bgp/update.h"
#include "tests/fuzz/bgp_session_mutator.h"

namespace {

using namespace sluice;
using namespace sluice::bgp;
using namespace sluice::bgp::fuzz;

#define require(truth) ((truth) ? void() : std::abort())

class Resolver : public routing::NextHopResolver {
 public:
  routing::NextHopState resolve_next_hop(const IpAddress& a) const override {
    const unsigned last = a.is_v4() ? a.v4().value & 7 : a.v6().bytes[15] & 7u;
    const bool reachable = (unreachable >> last & 1) == 0;
    return {reachable, reachable && last < 4, last < 4 ? 0u : last};
  }
  unsigned unreachable = 0;
};

const IpAddress kUs = Ipv4Address{0xac1028ca};
routing::IpPrefix own_prefix(unsigned i) {
  if (i % 4 != 3) return Ipv4Prefix::of(Ipv4Address{0xac102850 + i % 8}, 32);
  Ipv6Address a;
  a.bytes[0] = 0xfd;
  a.bytes[15] = static_cast<std::uint8_t>(i % 8);
  return Ipv6Prefix::of(a, 128);
}

class World {
 public:
  explicit World(const Script& script) : speaker_(resolver_) {
    const unsigned a = script.options[0], b = script.options[1];
    settings_.local_as = 64512;
    settings_.router_id = kUs.v4().value;
    settings_.self_ips = {{kUs, 24}};
    settings_.multipath_max = (b & 1) != 0 ? 4 : 1;
    settings_.stale_time_max = 200s;
    settings_.restarting = (b & 2) != 0;
    settings_.hold_announcements = (b & 8) != 0;
    settings_.forwarding_preserved = (b & 16) != 0;
    policy_ = (b & 4) != 0;
    for (unsigned i = 0; i < kNeighbours; ++i) {
      NeighborSettings n;
      n.address = neighbour_address(i);
      auto& s = n.session;
      s.remote_as = (a >> i & 1) != 0 ? 64512 : 64513 + i;
      s.passive = true;
      s.ipv6_unicast = s.extended_next_hop = (a & 8) != 0;
      s.add_path_receive = s.add_path_send = (a & 16) != 0;
      s.long_lived_graceful_restart = (a & 32) != 0;
      s.extended_messages = (a & 64) != 0;
      if ((a & 128) != 0 && i == 2) s.role = Role::peer;
      if (policy_) s.import_policy = *parse_policy({"prefix 10.0.0.0/8 length 8..32 set med 1 accept", "any reject"});
      settings_.neighbors.push_back(n);
    }
    act([&] { speaker_.configure(now_, settings_, out_); });
  }

  void run(const Operation& op) {
    auto& n = neighbours_[op.neighbour];
    const auto number = [&op] { return op.data.size() < 2 ? 0u : op.data[0] * 256u + op.data[1]; };
    switch (op.kind) {
      case kConnect:
        return connect(op.neighbour, static_cast<std::uint16_t>(number()));
      case kMessage: {
        if (op.data.empty()) return;
        Bytes message;
        MessageWriter writer(message, static_cast<MessageType>(op.data[0]));
        writer.bytes(ByteSpan(op.data).subspan(1).first(std::min<std::size_t>(op.data.size() - 1, 65000)));
        writer.finish();
        return receive(n.conn, message);
      }
      case kRaw:
        return receive(n.conn, op.data);
      case kOwn:
        return own(n.conn, op.data);
      case kClose:
        if (auto* c = conn(n.conn)) {
          c->closed = true;
          act([&] { speaker_.step(now_, input::Closed{n.conn, "gone"}, out_); });
        }
        return;
      case kAdvance:
        return advance(number() * 250ms);
      case kWritten:
        if (conn(n.conn) == nullptr) return;
        return act([&] { speaker_.step(now_, input::Written{n.conn, number() * 4}, out_); });
      case kAnnounce: {
        const auto prefix = own_prefix(number() >> 8);
        const unsigned how = number() & 255;
        if (how % 3 == 0) {
          announced_.erase(prefix);
          return act([&] { speaker_.withdraw(now_, prefix, out_); });
        }
        AnnounceAttributes a;
        if (how % 2 == 0) a.med = how;
        a.prepend = how % 5;
        if (how % 7 == 0) a.communities = {community::kGracefulShutdown};
        announced_[prefix] = a;
        if (prefix.is_v4()) own_.insert(prefix.v4().address.value);
        return act([&] { speaker_.announce(now_, prefix, a, out_); });
      }
      case kOperator:
        switch (number() >> 8 & 7) {
          case 0:
            return act([&] { speaker_.clear(now_, neighbour_address(op.neighbour), out_); });
          case 1:
            return act([&] { speaker_.refresh(now_, neighbour_address(op.neighbour), out_); });
          case 2:
            return act([&] { speaker_.resend(neighbour_address(op.neighbour)); });
          case 4:
            return act([&] { speaker_.ready(now_, out_); });
          default:
            settings_.neighbors[op.neighbour].enabled = !settings_.neighbors[op.neighbour].enabled;
            return act([&] { speaker_.configure(now_, settings_, out_); });
        }
      case kNextHops:
        resolver_.unreachable = number() >> 8;
        return act([&] { speaker_.step(now_, input::NextHopsChanged{}, out_); });
      case kPiece:
        piece_ = number() == 0 ? 65536 : number() % 600 + 1;
        return;
      default:
        return check();
    }
  }

  // Everybody has read all and nothing is left to do: compare.
  void check() {
    for (auto& [id, c] : conns_) {
      if (!c.closed) act([&, id = id] { speaker_.step(now_, input::Written{id, 0}, out_); });
    }
    settle();
    std::map<routing::IpPrefix, std::size_t> all;
    for (unsigned i = 0; i < kNeighbours; ++i) {
      auto& n = neighbours_[i];
      std::map<std::pair<routing::IpPrefix, std::uint32_t>, bool> current;
      for (const auto& path : speaker_.routes_from(now_, neighbour_address(i))) {
        ++all[path.prefix];
        if (!path.stale) current[{path.prefix, path.path_id}] = true;
      }
      if (n.established && !n.uncertain) {
        require(current.size() == n.paths.size());
        for (const auto& [key, there] : n.paths) require(current.contains(key));
      }
      if (!n.established) continue;
      if (speaker_.restarting()) {  // RFC 4724 4.1: announcements come last
        require(conns_.at(n.conn).told.empty());
        continue;
      }
      std::size_t told = 0;
      const auto& negotiated = conns_.at(n.conn).negotiated;
      for (const auto& [prefix, a] : announced_) {
        const bool carried = negotiated.family[prefix.is_v4() ? 0 : 1];
        require(conns_.at(n.conn).told.contains(prefix) == (carried && (prefix.is_v4() || next_hop_v6())));
        told += conns_.at(n.conn).told.contains(prefix) ? 1 : 0;
      }
      require(told == conns_.at(n.conn).told.size());
    }
    for (const auto& [prefix, hops] : fib_) require(all.contains(prefix));
    if (speaker_.restarting() && settings_.forwarding_preserved) return;  // the routes of before stay until the end
    for (const auto& [prefix, count] : all) compare_decision(prefix);
  }

  void end() {
    check();
    act([&] { speaker_.shutdown(now_, "end", out_); });
    settle();
    for (auto& [id, c] : conns_) c.closed = true;
    advance(2000s);
    require(fib_.empty());
    require(speaker_.summary(now_).paths == 0 && speaker_.summary(now_).attribute_sets == 0);
  }

 private:
  struct Conn {
    unsigned neighbour = 0;
    bool closed = false;
    std::optional<OpenMessage> ours, theirs;
    Negotiated negotiated;
    Bytes input;  // what the speaker has not been able to frame yet
    std::set<routing::IpPrefix> told;
  };
  struct Neighbour {
    ConnId conn = 0;
    bool established = false;
    bool uncertain = false;  // the model has lost track: a path was refused
    std::map<std::pair<routing::IpPrefix, std::uint32_t>, bool> paths;
    std::array<bool, kFamilyCount> end_of_rib{}, refreshing{};
  };

  static bool next_hop_v6() { return false; }  // we have no IPv6 self IP

  Conn* conn(ConnId id) {
    const auto at = conns_.find(id);
    return at == conns_.end() || at->second.closed ? nullptr : &at->second;
  }
  template <typename F>
  void act(F&& f) {
    f();
    for (const auto& action : out_.actions) std::visit([this](const auto& a) { this->output(a); }, action);
    for (std::size_t i = 0; i < out_.routes.size(); ++i) {
      const auto change = out_.routes[i];
      if (change.next_hops.empty()) {
        require(fib_.erase(change.prefix) == 1);
      } else {
        fib_[change.prefix] = {change.next_hops.begin(), change.next_hops.end()};
      }
    }
    out_.clear();
  }
  void settle() {
    for (int turns = 0; speaker_.has_work(); ++turns) {
      require(turns < 1000);
      act([&] { speaker_.step(now_, input::Tick{}, out_); });
    }
  }
  void advance(Duration d) {
    const auto end = now_ + d;
    for (int ticks = 0; speaker_.deadline() <= end && ticks < 2000; ++ticks) {
      now_ = std::max(now_, speaker_.deadline());
      act([&] { speaker_.step(now_, input::Tick{}, out_); });
    }
    now_ = std::max(now_, end);
    settle();
  }

  void output(const output::Connect&) { std::abort(); }  // all are passive
  void output(const output::Log&) {}
  void output(const output::SessionUp& up) {
    auto& n = neighbours_[up.peer.v4().value - 0xac1028c0];
    require(!n.established);
    n = Neighbour{};
    n.established = true;
    n.conn = receiving_;  // only a KEEPALIVE on it brings a session up
    require(receiving_ != 0);
  }
  void output(const output::SessionDown& down) {
    auto& n = neighbours_[down.peer.v4().value - 0xac1028c0];
    require(n.established);
    n.established = false;
    n.paths.clear();
  }
  void output(const output::Close& close) {
    auto* c = conn(close.conn);
    require(c != nullptr);
    c->closed = true;
  }
  void output(const output::Send& send) {
    auto* c = conn(send.conn);
    require(c != nullptr);
    ByteSpan bytes = *send.bytes;
    while (!bytes.empty()) {
      const bool may_be_long = c->theirs && c->theirs->capabilities.extended_message;
      const auto frame = next_frame(bytes, may_be_long ? kExtendedMessageMax : kMessageMax);
      require(std::holds_alternative<Frame>(frame));
      ours(*c, std::get<Frame>(frame));
      bytes = bytes.subspan(std::get<Frame>(frame).message.size());
    }
  }
  // What we send is well-formed, read as the neighbour reads it.
  void ours(Conn& c, const Frame& frame) {
    const auto& session = settings_.neighbors[c.neighbour].session;
    if (frame.type == MessageType::open) {
      auto open = decode_open(frame.body);
      require(std::holds_alternative<OpenMessage>(open));
      c.ours = std::get<OpenMessage>(open);
    } else if (frame.type == MessageType::notification) {
      require(decode_notification(frame.body).has_value());
      (void)decode_notification(frame.body)->text();
      require(!valid_);
    } else if (frame.type == MessageType::update) {
      DecodeContext context;
      context.internal = c.negotiated.internal;
      context.four_octet_as = c.negotiated.four_octet_as;
      context.add_path = c.negotiated.add_path_send;
      context.remote_as = 64512;
      const auto update = decode_update(frame.body, context);
      require(update.action() == ErrorAction::none);
      const auto each = [&](ByteSpan nlri, Family family, bool present) {
        NlriReader reader(nlri, family, context.add_path[index_of(family)]);
        for (Nlri route; reader.next(route);)
          present ? void(c.told.insert(route.prefix)) : void(c.told.erase(route.prefix));
      };
      each(update.withdrawn, Family::ipv4, false);
      if (update.path.mp_unreach) each(update.path.mp_unreach->nlri, *update.path.mp_unreach->family, false);
      each(update.nlri, Family::ipv4, true);
      if (update.path.mp_reach) each(update.path.mp_reach->nlri, *update.path.mp_reach->family, true);
      (void)session;
    } else if (frame.type == MessageType::route_refresh) {
      require(std::holds_alternative<RouteRefresh>(decode_route_refresh(frame)));
    }
  }

  void connect(unsigned i, std::uint16_t bits) {
    const ConnId id = next_conn_;
    next_conn_ += 2;
    auto& c = conns_[id];
    c.neighbour = i;
    act([&] { speaker_.step(now_, input::Accepted{id, {kUs, 179}, {neighbour_address(i), 40000}}, out_); });
    if (c.closed) return;
    if (!neighbours_[i].established) neighbours_[i].conn = id;
    receive(id, encode_open(open_of(i, settings_.neighbors[i].session.remote_as, bits)));
    receive(id, encode_keepalive());
  }

  // In pieces as the transport may read them; the model sees whole messages.
  void receive(ConnId id, ByteSpan bytes) {
    while (!bytes.empty()) {
      auto* c = conn(id);
      if (c == nullptr) return;
      const auto n = std::min(piece_, bytes.size());
      c->input.insert(c->input.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
      // One message a step: then what a step does has one cause.
      std::size_t given = c->input.size() - n;
      const auto stream = std::exchange(c->input, {});
      std::size_t at = 0;
      while (true) {
        c = conn(id);
        if (c == nullptr) return;
        const auto rest = ByteSpan(stream).subspan(at);
        const auto frame = next_frame(rest, c->negotiated.receive_max());
        if (std::holds_alternative<NeedMore>(frame)) {
          give(id, ByteSpan(stream).subspan(std::max(given, at)), false);
          if (auto* still = conn(id)) still->input.assign(rest.begin(), rest.end());
          break;
        }
        if (std::holds_alternative<Notification>(frame)) {
          give(id, ByteSpan(stream).subspan(std::max(given, at)), false);
          require(conn(id) == nullptr);  // a broken stream ends it
          return;
        }
        const auto& whole = std::get<Frame>(frame);
        const bool valid = expect(id, *c, whole);
        const auto end = at + whole.message.size();
        give(id, ByteSpan(stream).subspan(std::max(given, at), end - std::max(given, at)), valid);
        if (valid) require(conn(id) != nullptr);
        if (conn(id) != nullptr) apply(id, whole);
        at = end;
        given = std::max(given, at);
      }
      bytes = bytes.subspan(n);
    }
  }
  void give(ConnId id, ByteSpan bytes, bool valid) {
    receiving_ = id;
    valid_ = valid;
    act([&] { speaker_.step(now_, input::Received{id, bytes}, out_); });
    valid_ = false;
    receiving_ = 0;
    settle();
  }
  bool is_established(ConnId id) {
    const auto& n = neighbours_[conns_.at(id).neighbour];
    return n.established && n.conn == id;
  }
  DecodeContext context_of(const Conn& c) const {
    DecodeContext context;
    context.internal = c.negotiated.internal;
    context.four_octet_as = c.negotiated.four_octet_as;
    context.extended_next_hop = c.negotiated.extended_next_hop;
    context.add_path = c.negotiated.add_path_receive;
    context.remote_as = settings_.neighbors[c.neighbour].session.remote_as;
    return context;
  }
  // Must the session live on? Also notes the OPEN.
  bool expect(ConnId id, Conn& c, const Frame& frame) {
    if (frame.type == MessageType::open && !c.theirs) {
      auto open = decode_open(frame.body);
      if (auto* good = std::get_if<OpenMessage>(&open); good != nullptr && c.ours) {
        c.theirs = *good;
        c.negotiated = negotiate(*c.ours, *good);
      }
      return false;
    }
    if (!is_established(id)) return false;
    switch (frame.type) {
      case MessageType::keepalive:
        return true;
      case MessageType::update:
        return decode_update(frame.body, context_of(c)).action() != ErrorAction::session_reset;
      case MessageType::route_refresh:
        return frame.body.size() == 4 || (frame.body.size() > 2 && frame.body[2] > 2);
      default:
        return false;
    }
  }
  // What an established session's message does to the model.
  void apply(ConnId id, const Frame& frame) {
    if (!is_established(id)) return;
    const auto& c = conns_.at(id);
    auto& n = neighbours_[c.neighbour];
    if (frame.type == MessageType::route_refresh && frame.body.size() == 4) return refresh(c, n, frame);
    if (frame.type != MessageType::update) return;
    const auto context = context_of(c);
    const auto update = decode_update(frame.body, context);
    if (update.end_of_rib) {
      n.end_of_rib[index_of(update.end_of_rib_family)] = true;
      return;
    }
    const bool bad = update.action() == ErrorAction::treat_as_withdraw;
    const auto each = [&](ByteSpan nlri, Family family, const PathAttributes* attributes) {
      if (!c.negotiated.family[index_of(family)]) return;
      NlriReader reader(nlri, family, context.add_path[index_of(family)]);
      for (Nlri route; reader.next(route);) {
        if (attributes != nullptr && acceptable(c, *attributes) && prefix_acceptable(route.prefix)) {
          n.paths[{route.prefix, route.path_id}] = true;
          n.uncertain = n.uncertain || n.paths.size() > 60;
        } else {
          n.paths.erase({route.prefix, route.path_id});
        }
      }
    };
    each(update.withdrawn, Family::ipv4, nullptr);
    if (const auto& mp = update.path.mp_unreach; mp && mp->family) each(mp->nlri, *mp->family, nullptr);
    each(update.nlri, Family::ipv4, bad ? nullptr : &update.path.attributes);
    if (const auto& mp = update.path.mp_reach; mp && mp->family) {
      auto attributes = update.path.attributes;
      attributes.next_hop = mp->next_hop;
      each(mp->nlri, *mp->family, bad ? nullptr : &attributes);
    }
  }
  void refresh(const Conn& c, Neighbour& n, const Frame& frame) {
    const auto message = std::get<RouteRefresh>(decode_route_refresh(frame));
    if (message.safi != kSafiUnicast || message.afi < 1 || message.afi > 2) return;
    const auto i = message.afi - 1u;
    if (!c.negotiated.family[i]) return;
    if (message.kind != 1 || (c.theirs->capabilities.graceful_restart && !n.end_of_rib[i])) return;
    std::erase_if(n.paths, [i](const auto& path) { return path.first.first.is_v4() == (i == 0); });
  }
  bool acceptable(const Conn& c, const PathAttributes& a) const {
    if (a.as_path.contains(64512) || a.originator_id == settings_.router_id) return false;
    if (a.next_hop.is_v4() && (a.next_hop == kUs || own_now(a.next_hop.v4().value))) return false;
    if (a.next_hop.is_v6() && own_now(a.next_hop)) return false;
    // RFC 4271 6.3: all neighbours are on our /24.
    if (!c.negotiated.internal && a.next_hop.is_v4() && (a.next_hop.v4().value ^ kUs.v4().value) >> 8 != 0)
      return false;
    const auto& session = settings_.neighbors[c.neighbour].session;
    return c.negotiated.internal || session.role != Role::peer || !a.only_to_customer ||
           *a.only_to_customer == session.remote_as;
  }
  bool own_now(std::uint32_t address) const {
    return announced_.contains(routing::IpPrefix::host(IpAddress(Ipv4Address{address})));
  }
  bool own_now(const IpAddress& address) const { return announced_.contains(routing::IpPrefix::host(address)); }
  bool prefix_acceptable(const routing::IpPrefix& p) const {
    if (p.length == 0 || announced_.contains(p)) return false;
    if (policy_ && !(p.is_v4() && p.length >= 8 && p.v4().address.value >> 24 == 10)) return false;
    if (!p.is_v4()) return !p.v6().address.is_multicast();
    const auto value = p.v4().address.value;
    return value >> 28 != 0xe && value >> 24 != 127 && !(p.length == 32 && p.address == kUs);
  }

  // Valid by construction: made by our encoder of what the data says.
  void own(ConnId id, ByteSpan data) {
    auto* c = conn(id);
    if (c == nullptr || !is_established(id)) return;
    Reader reader(data);
    PathAttributes a;
    a.origin = static_cast<Origin>(reader.u8() % 3);
    const auto bits = reader.u8();
    const auto& session = settings_.neighbors[c->neighbour].session;
    if (!c->negotiated.internal) a.as_path.prepend(session.remote_as, 1 + bits % 4);
    if (c->negotiated.internal) a.local_pref = reader.u8();
    a.next_hop = Ipv4Address{0xac102880u + reader.u8() % 16};
    if ((bits & 16) != 0) a.med = reader.u16();
    if ((bits & 32) != 0) a.communities = {reader.u32(), reader.u32()};
    if ((bits & 64) != 0) a.large_communities = {{reader.u32(), 1, 2}};
    if ((bits & 128) != 0) a.aggregator = Aggregator{1 + reader.u32() % 100000, 1};
    std::vector<Nlri> routes;
    while (!reader.empty() && routes.size() < 40) {
      const auto x = reader.u16();
      routes.push_back({Ipv4Prefix::of(Ipv4Address{0x0af40000u | (x & 0x7fu) << 9}, 17 + (x >> 8 & 15)),
                        c->negotiated.add_path_receive[0] ? x >> 12 & 3u : 0u});
    }
    if (!c->negotiated.family[0] || routes.empty()) return;
    Bytes bytes;
    const EncodeContext context{c->negotiated.internal, c->negotiated.four_octet_as};
    encode_announcements(bytes, a, context, routes, c->negotiated.add_path_receive[0], kMessageMax);
    const auto frame = std::get<Frame>(next_frame(bytes, kMessageMax));
    require(decode_update(frame.body, context_of(*c)).action() == ErrorAction::none);
    if (c->input.empty()) receive(id, bytes);
  }

  // The FIB has what a fresh decision over all paths gives, and the best is not worse than another.
  void compare_decision(const routing::IpPrefix& prefix) {
    std::set<IpAddress> hops;
    const auto paths = speaker_.paths(now_, prefix);
    const PathFacts* best = nullptr;
    bool stale = false;
    for (const auto& path : paths) {
      if (path.local) continue;
      stale = stale || path.stale || path.communities.find("llgr-stale") != std::string::npos;
      if (path.best) best = &path;
      if (path.best || path.multipath) hops.insert(path.next_hop);
    }
    const auto at = fib_.find(prefix);
    require((at == fib_.end()) == hops.empty());
    if (at != fib_.end()) require(std::set<IpAddress>(at->second.begin(), at->second.end()) == hops);
    for (const auto& path : paths) {
      if (best == nullptr) require(path.local || !path.valid);
      if (path.local || !path.valid || stale || best == nullptr) continue;
      require(best->local_pref.value_or(100) >= path.local_pref.value_or(100));
      if (best->local_pref.value_or(100) == path.local_pref.value_or(100) && best->as_path == path.as_path) {
        require(std::string_view("ie?").find(best->origin) <= std::string_view("ie?").find(path.origin));
      }
    }
  }

  Resolver resolver_;
  SpeakerSettings settings_;
  Speaker speaker_;
  Outputs out_;
  Instant now_ = instant_ns(1'000'000'000);
  bool policy_ = false, valid_ = false;
  std::size_t piece_ = 65536;
  ConnId next_conn_ = 1, receiving_ = 0;
  std::map<ConnId, Conn> conns_;
  std::array<Neighbour, kNeighbours> neighbours_;
  std::map<routing::IpPrefix, AnnounceAttributes> announced_;
  std::set<std::uint32_t> own_;
  std::map<routing::IpPrefix, std::vector<IpAddress>> fib_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto script = parse({data, size});
  World world(script);
  for (const auto& op : script.operations) world.run(op);
  world.end();
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max, unsigned seed) {
  return mutate(data, size, max, seed);
}

extern "C" std::size_t LLVMFuzzerCustomCrossOver(const std::uint8_t* a, std::size_t a_size, const std::uint8_t* b,
                                                 std::size_t b_size, std::uint8_t* out, std::size_t max,
                                                 unsigned seed) {
  return cross_over(a, a_size, b, b_size, out, max, seed);
}
