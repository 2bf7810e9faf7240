// Fuzz target: whatever a neighbour sends, from OPEN on: the codec alone, and a whole session of the speaker.
//
// The first byte chooses: 0 the decoders on the raw rest; otherwise a session (bits: iBGP, OPEN made for it, ADD-PATH,
// IPv6, policy) to which the rest is sent in pieces, wrapped into messages if bit 7 says so. What is established may
// never crash, read too far, or leave a route behind after the session's end.
#include <cstdint>
#include <cstdlib>
#include <map>
#include <set>

#include "control/bgp/message.h"
#include "control/bgp/open.h"
#include "control/bgp/speaker.h"
#include "control/bgp/update.h"

namespace {

using namespace sluice;
using namespace sluice::bgp;

class Everything : public routing::NextHopResolver {
 public:
  routing::NextHopState resolve_next_hop(const IpAddress&) const override { return {true, true, 0}; }
};

void require(bool truth) {
  if (!truth) std::abort();
}

void decoders(ByteSpan bytes) {
  (void)decode_open(bytes);
  (void)decode_notification(bytes).value_or(Notification{}).text();
  for (const bool internal : {true, false}) {
    for (const bool four : {true, false}) {
      DecodeContext context;
      context.internal = internal;
      context.four_octet_as = four;
      context.extended_next_hop = four;
      context.add_path = {!four, !four};
      const auto update = decode_update(bytes, context);
      if (update.action() == ErrorAction::session_reset) {
        require(update.path.notification.has_value());
        require(!update.path.error.empty());
        continue;
      }
      // What was accepted can be read to its end, and comes back the same when written again.
      NlriReader reader(update.nlri, Family::ipv4, context.add_path[0]);
      std::vector<Nlri> routes;
      for (Nlri route; reader.next(route);) routes.push_back(route);
      require(!reader.failed());
      if (update.action() != ErrorAction::none || routes.empty() || update.path.attributes.next_hop.is_v6()) continue;
      auto attributes = update.path.attributes;
      if (!internal) attributes.local_pref.reset();
      Bytes again;
      encode_announcements(again, attributes, {internal, four}, routes, context.add_path[0], kExtendedMessageMax);
      if (again.empty()) continue;
      context.enforce_first_as = false;
      const auto back = decode_update(std::get<Frame>(next_frame(again, kExtendedMessageMax)).body, context);
      require(back.action() == ErrorAction::none);
      if (four) require(back.path.attributes == attributes);
    }
  }
  for (std::size_t left = bytes.size(); left > 0; --left) {
    const auto result = next_frame(bytes.first(left), kMessageMax);
    if (const auto* frame = std::get_if<Frame>(&result)) require(frame->message.size() <= left);
  }
}

void session(std::uint8_t options, ByteSpan bytes) {
  Everything resolver;
  Speaker speaker(resolver);
  Instant now = instant_ns(1'000'000'000);
  Outputs out;
  std::map<routing::IpPrefix, bool> routes;
  const IpAddress us = Ipv4Address{0xac1028ca}, peer = Ipv4Address{0xac1028c7};
  SpeakerSettings settings;
  settings.local_as = 64512;
  settings.router_id = us.v4().value;
  settings.self_ips = {{us, 24}};
  NeighborSettings neighbor;
  neighbor.address = peer;
  auto& s = neighbor.session;
  s.remote_as = (options & 1) != 0 ? 64512 : 64513;
  s.passive = true;
  s.add_path_receive = s.add_path_send = (options & 4) != 0;
  s.ipv6_unicast = s.extended_next_hop = (options & 8) != 0;
  if ((options & 16) != 0)
    s.import_policy = *parse_policy({"prefix 10.0.0.0/8 length 8..32 set med 1 accept", "any reject"});
  settings.neighbors = {neighbor};
  bool closed = false;
  std::size_t sent = 0;
  const auto done = [&] {
    for (const auto& action : out.actions) {
      if (std::holds_alternative<output::Close>(action)) closed = true;
      if (const auto* send = std::get_if<output::Send>(&action)) {
        sent += send->bytes->size();
        require(!closed);
      }
    }
    for (std::size_t i = 0; i < out.routes.size(); ++i) routes[out.routes[i].prefix] = !out.routes[i].next_hops.empty();
    out.clear();
  };
  speaker.configure(now, settings, out);
  done();
  speaker.announce(now, routing::IpPrefix::host(Ipv4Address{0xac102850}), {}, out);
  speaker.step(now, input::Accepted{1, {us, 179}, {peer, 40000}}, out);
  done();
  const auto receive = [&](ByteSpan piece) {
    if (!closed) speaker.step(now, input::Received{1, piece}, out);
    done();
    now += 10ms;
  };
  if ((options & 2) != 0) {
    OpenMessage open;
    open.as = s.remote_as;
    open.hold_time_s = 240;
    open.identifier = peer.v4().value;
    open.capabilities.multiprotocol = {true, true};
    open.capabilities.four_octet_as = (options & 32) != 0 ? std::optional(open.as) : std::nullopt;
    open.capabilities.add_path = {AddPath{true, true}, AddPath{true, true}};
    open.capabilities.route_refresh = open.capabilities.enhanced_refresh = open.capabilities.extended_next_hop = true;
    open.capabilities.graceful_restart = GracefulRestart{true, true, 120, {{{true, true}, {true, true}}}};
    receive(encode_open(open));
    receive(encode_keepalive());
  }
  // Pieces: one length byte, then that many bytes; as a message of its own (type from the length byte) or raw.
  while (!bytes.empty() && !closed) {
    const std::size_t n = std::min<std::size_t>(bytes[0] * 4u, bytes.size() - 1);
    const auto piece = bytes.subspan(1, n);
    if ((options & 128) != 0) {
      Bytes message;
      MessageWriter writer(message, n % 16 == 15   ? MessageType::route_refresh
                                    : n % 16 == 14 ? MessageType::open
                                                   : MessageType::update);
      writer.bytes(piece);
      writer.finish();
      receive(message);
    } else {
      receive(piece);
    }
    bytes = bytes.subspan(1 + n);
  }
  require(sent < 1 << 20);
  (void)speaker.peers(now);
  (void)speaker.paths(now);
  speaker.shutdown(now, "end", out);
  done();
  while (speaker.has_work()) {
    speaker.step(now, input::Tick{}, out);
    done();
  }
  for (const auto& [prefix, present] : routes) require(!present);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteSpan rest(data + 1, size - 1);
  data[0] == 0 ? decoders(rest) : session(data[0], rest);
  return 0;
}
