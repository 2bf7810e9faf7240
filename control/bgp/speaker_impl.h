// Speaker::Impl: the speaker's parts and the functions that the .cc files beside it share.
//
//   speaker.cc    the public face: settings, inputs, timers
//   session.cc    events of the state machine and what they cause
//   receive.cc    messages of a neighbour: OPEN, UPDATE, ROUTE-REFRESH, NOTIFICATION
//   received.cc   what was received but not taken as it came, for show
//   advertise.cc  what we announce: the log of changes, update groups, shared encodings
//   restart.cc    graceful restart: keeping a neighbour's routes while it is away
//   observe.cc    what MRT and BMP see
//   bfd.cc        BFD: which neighbours want it, and what its failures do
//   facts.cc      show
//
// Called by: those files. Runs on: control thread. Tested by: tests/control/bgp/speaker*_test.cc
#pragma once

#include <map>
#include <memory>
#include <random>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "control/bgp/fsm.h"
#include "control/bgp/message.h"
#include "control/bgp/peer.h"
#include "control/bgp/recording.h"
#include "control/bgp/speaker.h"
#include "control/bgp/update.h"

namespace sluice::bgp {

inline constexpr std::size_t kPathsPerTurn = 20000;     // swept or decided anew in one turn: a few milliseconds
inline constexpr std::size_t kOutputHigh = 128 * 1024;  // no UPDATE is made for a neighbour that has more waiting
inline constexpr std::size_t kChangesPerTurn = 2000;    // announcements of ours to one neighbour in one turn
inline constexpr Duration kLargeHold = 240s;            // RFC 4271 8.2.2
inline constexpr Duration kRefuseAfterFailure = 1s;
inline constexpr Duration kCollisionMax = 10s;  // a connection begun before the session came up is found by then
inline constexpr std::size_t kPeersMax = 20000;
inline constexpr std::size_t kPathsMax = 16u << 20;            // of all neighbours
inline constexpr std::size_t kAttributeBytesMax = 512u << 20;  // of all attribute sets
inline constexpr std::size_t kAsideMax = 1000;                 // routes set aside for show, of one neighbour
inline constexpr std::size_t kAsideTotalMax = 100000;          // of all

// Next hops as the routing table has them; the answers are inputs, too, and written down when somebody does.
class RecordedAnswers final : public routing::NextHopResolver {
 public:
  explicit RecordedAnswers(const routing::NextHopResolver& resolver) : resolver_(resolver) {}
  routing::NextHopState resolve_next_hop(const IpAddress& next_hop) const override {
    const auto state = resolver_.resolve_next_hop(next_hop);
    if (recorder != nullptr) recorder->resolved(next_hop, state);
    return state;
  }
  Recorder* recorder = nullptr;

 private:
  const routing::NextHopResolver& resolver_;
};

struct Speaker::Impl {
  explicit Impl(const routing::NextHopResolver& resolver) : next_hops(resolver), rib(next_hops) {}

  // ---- speaker.cc
  void configure(Instant now, const SpeakerSettings& next, Outputs& out);
  void configure_neighbor(Instant now, const NeighborSettings& neighbor, bool all_changed, Outputs& out);
  void configure_dynamic(Instant now, Peer& peer, bool all_changed, Outputs& out);
  void change_settings(Instant now, Peer& peer, const SessionSettings& session, bool enabled, bool all_changed,
                       Outputs& out);
  const ListenRange* range_of(const IpAddress& address) const;
  Peer& add_peer(const IpAddress& address, const SessionSettings& session, bool enabled);
  void remove_peer(Instant now, Peer& peer, std::uint8_t cease_subcode, Outputs& out);
  void start(Instant now, Peer& peer, Outputs& out);
  void stop(Instant now, Peer& peer, std::uint8_t cease_subcode, std::string_view reason, Outputs& out);
  bool ask_again(Instant now, Peer& peer, Outputs& out);
  void accepted(Instant now, const input::Accepted& input, Outputs& out);
  Peer* dynamic_peer(Instant now, const IpAddress& address);
  void tick(Instant now, Outputs& out);
  void expire(Instant now, Peer& peer, Outputs& out);
  void schedule(Peer& peer);
  Instant earliest(const Peer& peer) const;
  void finish_step(Instant now, Outputs& out);
  std::optional<IpAddress> local_address_for(const Peer& peer) const;
  Duration jittered(Duration duration);

  // ---- session.cc
  void event(Instant now, Peer& peer, Connection& conn, Event event, Outputs& out,
             std::optional<Notification> notification = std::nullopt, std::string reason = {});
  void connect(Peer& peer, Connection& conn, Outputs& out);
  void send(Instant now, Peer& peer, Connection& conn, SharedBytes bytes, Outputs& out);
  void send_open(Instant now, Peer& peer, Connection& conn, Outputs& out);
  void drop(Peer& peer, Connection& conn, bool flush, Outputs& out);
  void promote(Peer& peer);
  void session_up(Instant now, Peer& peer, Outputs& out);
  void session_down(Instant now, Peer& peer, const std::string& reason, bool graceful, Outputs& out);
  void log(Outputs& out, const Peer& peer, bool warning, std::string text) const;

  // ---- receive.cc
  void received(Instant now, Peer& peer, const input::Received& input, Outputs& out);
  void message(Instant now, Peer& peer, Connection& conn, const Frame& frame, Outputs& out);
  void open_message(Instant now, Peer& peer, Connection& conn, ByteSpan body, Outputs& out);
  bool resolve_collision(Instant now, Peer& peer, Connection& conn, Outputs& out);
  void notification_message(Instant now, Peer& peer, Connection& conn, ByteSpan body, Outputs& out);
  void update_message(Instant now, Peer& peer, Connection& conn, ByteSpan body, Outputs& out);
  void apply_update(Instant now, Peer& peer, Connection& conn, const UpdateMessage& update, Outputs& out);
  void announce_routes(Instant now, Peer& peer, ByteSpan nlri, Family family, const PathAttributes& attributes,
                       Outputs& out);
  template <typename F>
  void for_each_route(ByteSpan nlri, Family family, bool add_path, F&& f);
  void withdraw_routes(Peer& peer, ByteSpan nlri, Family family, Outputs& out);
  bool next_hop_is_near(const Peer& peer, const IpAddress& next_hop) const;
  std::string_view refusal(const Peer& peer, const PathAttributes& attributes) const;
  std::string_view refusal(const routing::IpPrefix& prefix) const;
  bool over_prefix_limit(Instant now, Peer& peer, Outputs& out);
  void over_memory_limit(Instant now, Peer& peer, Outputs& out);
  void refresh_message(Instant now, Peer& peer, Connection& conn, const Frame& frame, Outputs& out);
  void end_of_rib(Instant now, Peer& peer, Family family, Outputs& out);

  // ---- received.cc
  void set_aside(Peer& peer, const Nlri& route, const PathAttributes& attributes, std::string_view refused);
  void forget_aside(Peer& peer, const Nlri& route);
  void forget_aside(Peer& peer);

  // ---- advertise.cc
  struct GroupKey {
    EncodeContext encode;
    std::uint32_t local_as = 0;
    std::uint32_t hidden_as = 0;  // the speaker's own, put behind a neighbour's local_as (0: none)
    std::optional<IpAddress> next_hop_v4, next_hop_v6;
    std::array<bool, kFamilyCount> family{}, add_path{};
    std::size_t message_max = kMessageMax;
    Policy export_policy;
    Role role = Role::none;
    bool withhold = false;  // RFC 8212: there must be an export policy, and is none
    bool operator==(const GroupKey& other) const;
  };
  struct Group {
    GroupKey key;
    std::size_t members = 0;
  };
  struct Origination {
    AnnounceAttributes attributes;
    bool withdrawn = false;
    std::uint64_t version = 0;
  };
  void change(const routing::IpPrefix& prefix, const AnnounceAttributes& attributes, bool withdrawn);
  void set_own(const IpAddress& address, bool ours);
  void join_group(Peer& peer);
  void leave_group(Peer& peer);
  void start_sync(Peer& peer);
  void flush(Instant now, Outputs& out);
  bool flush_peer(Instant now, Peer& peer, Outputs& out);
  struct Encoded {
    SharedBytes bytes;
    std::uint64_t to = 0;
    std::size_t announced = 0, withdrawn = 0, messages = 0;
  };
  const Encoded& encode(std::size_t group, std::uint64_t from, bool syncing, std::uint64_t target);
  std::optional<PathAttributes> exported(const GroupKey& key, const routing::IpPrefix& prefix,
                                         const AnnounceAttributes& attributes) const;
  std::optional<IpAddress> next_hop_for(const Peer& peer, Family family) const;
  void forget_old_withdrawals();

  // ---- restart.cc
  bool helps_restart(const Peer& peer, Family family) const;
  bool helps_long_lived(const Peer& peer, Family family) const;
  void start_long_lived(Instant now, Peer& peer, Family family);
  void keep_routes(Instant now, Peer& peer, Outputs& out);
  void restart_expired(Instant now, Peer& peer, Outputs& out);
  void check_forwarding_preserved(Instant now, Peer& peer, Outputs& out);
  void drop_stale(Peer& peer, Family family);
  void update_deferral(Instant now, Outputs& out);

  // ---- observe.cc
  PeerView view_of(const Peer& peer, const Connection& conn) const;
  void observe_message(Instant now, const Peer& peer, const Connection& conn, bool received, ByteSpan messages) const;

  // ---- bfd.cc
  void path_down(Instant now, Peer& peer, const input::PathDown& down, Outputs& out);

  // ---- facts.cc
  PeerFacts facts(Instant now, const Peer& peer) const;
  PathFacts path_facts(Instant now, const Rib::PathView& view) const;
  static PathFacts attribute_facts(const PathAttributes& attributes);
  std::vector<CapabilityFact> capability_facts(const Peer& peer) const;

  Peer* find(const IpAddress& address) const {
    const auto at = by_address.find(address);
    return at == by_address.end() ? nullptr : at->second.get();
  }
  Peer* find(ConnId conn) const {
    const auto at = by_conn.find(conn);
    return at == by_conn.end() ? nullptr : at->second;
  }
  std::uint32_t seconds(Instant now) const {
    return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(now - epoch).count());
  }
  std::uint32_t local_as(const Peer& peer) const {
    return peer.settings.local_as != 0 ? peer.settings.local_as : settings.local_as;
  }
  bool internal(const Peer& peer) const { return peer.settings.remote_as == local_as(peer); }
  // RFC 8212: an external neighbour that must have a policy of this direction, and has none.
  bool lacks_policy(const Peer& peer, const Policy& policy) const {
    return peer.settings.require_policy && !internal(peer) && policy.empty();
  }

  SpeakerSettings settings;
  bool configured = false, shut_down = false;
  Instant epoch{};  // the first `now`: ages are kept as 32-bit seconds since
  std::map<IpAddress, std::unique_ptr<Peer>> by_address;
  std::vector<std::size_t> range_neighbors;  // dynamic ones, by listen range
  std::unordered_map<ConnId, Peer*> by_conn;
  ConnId next_conn = 2;
  std::set<std::pair<Instant, IpAddress>> timers;
  std::unordered_set<std::uint32_t> own_v4;  // self IPs and virtual addresses: never learned
  std::set<IpAddress> own_v6;
  RecordedAnswers next_hops;
  Rib rib;
  std::minstd_rand random{1};  // jitter only

  std::map<routing::IpPrefix, Origination> originated;
  std::map<std::uint64_t, routing::IpPrefix> changes;  // version → prefix, one entry a prefix
  std::uint64_t version = 0;
  std::vector<Group> groups;
  std::vector<IpAddress> behind;  // neighbours that have not all of our announcements
  std::map<std::tuple<std::size_t, std::uint64_t, bool, std::uint64_t>, Encoded> encodings;  // of this turn

  std::vector<Observer*> observers;

  std::size_t aside_count = 0;  // of all neighbours
  bool deferring = false;  // restarting speaker: nothing is decided or announced until the neighbours have sent all
  bool held = false;       // … and what we announce is known
  Instant defer_deadline = kInstantMax;
};

}  // namespace sluice::bgp
