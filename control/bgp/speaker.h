// Speaker: the whole of BGP-4 as one pure machine: bytes and time in; bytes, connections and routes out.
//
//   Speaker speaker(routing_table);
//   speaker.configure(now, settings, out);                       // → output::Connect …
//   speaker.step(now, input::Connected{conn, local, remote}, out);  // → output::Send (OPEN) …
//   speaker.step(now, input::Received{conn, bytes}, out);        // → out.routes, output::SessionUp …
//   speaker.announce(now, *IpPrefix::parse("172.16.40.80/32"), {}, out);
//   at speaker.deadline(), and while speaker.has_work(): speaker.step(now, input::Tick{}, out)
//
// README.md beside this file tells how it works and which standards it keeps.
//
// Called by: control/io/bgp_transport, control/daemon. Runs on: control thread. Follows: RFC 4271 and those of
// README.md. Tested by: tests/control/bgp/*, tests/fuzz/bgp_*, tests/interop/bgp*
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "control/bgp/facts.h"
#include "control/bgp/machine.h"
#include "control/bgp/observer.h"
#include "control/bgp/settings.h"
#include "control/routing/ip_prefix.h"
#include "control/routing/next_hop_resolver.h"
#include "dataplane/base/result.h"
#include "dataplane/base/time.h"

namespace sluice::bgp {

// What goes with an announced virtual address; the defaults are what Calico's nodes need (README.md, fact 5).
struct AnnounceAttributes {
  std::uint32_t local_pref = 100;    // iBGP only
  std::optional<std::uint32_t> med;  // active/standby pairs: the lower wins
  unsigned prepend = 0;              // our AS this many more times (eBGP)
  std::vector<std::uint32_t> communities;
  std::vector<config::LargeCommunity> large_communities;
  friend bool operator==(const AnnounceAttributes&, const AnnounceAttributes&) = default;
};

struct PathAttributes;
class Recorder;

class Speaker {
 public:
  explicit Speaker(const routing::NextHopResolver& next_hops);
  ~Speaker();
  Speaker(const Speaker&) = delete;
  Speaker& operator=(const Speaker&) = delete;

  // All mistakes in the settings; empty: fit for configure().
  static Errors check(const SpeakerSettings& settings);
  // Brings the neighbours in line with `settings`: new ones start, missing ones get Cease 6/3, changed ones 6/6, the
  // rest is untouched. Precondition: check(settings) is empty.
  void configure(Instant now, const SpeakerSettings& settings, Outputs& out);

  void step(Instant now, const Input& input, Outputs& out);
  // When Tick is due at the latest; kInstantMax: never.
  Instant deadline() const;
  // Work is left that was cut off to keep this turn short: Tick again soon.
  bool has_work() const;

  // Our own routes: a virtual address that is available, or an aggregate. Idempotent; sent to all at the next step's
  // end.
  void announce(Instant now, const routing::IpPrefix& prefix, const AnnounceAttributes& attributes, Outputs& out);
  void withdraw(Instant now, const routing::IpPrefix& prefix, Outputs& out);

  // Restarting: all that shall be announced has been said, see SpeakerSettings::hold_announcements.
  void ready(Instant now, Outputs& out);
  // Not all neighbours have sent their routes since our restart, or we have not announced ours (RFC 4724 4.1).
  bool restarting() const;

  // Withdraws everything, then Cease 6/2 with `reason` (RFC 9003) to all. Nothing starts again.
  void shutdown(Instant now, std::string_view reason, Outputs& out);
  // `clear ip bgp`: Cease 6/4, then start again. False: no such neighbour.
  bool clear(Instant now, const IpAddress& peer, Outputs& out);
  // `clear ip bgp soft in`: asks for all routes again (RFC 2918, 7313). False: not Established or not supported.
  bool refresh(Instant now, const IpAddress& peer, Outputs& out);
  // `clear ip bgp soft out`: sends the neighbour all our routes again, at the next step's end. False: not Established.
  bool resend(const IpAddress& peer);

  // ---- what people want to see
  std::vector<PeerFacts> peers(Instant now) const;
  std::optional<PeerFacts> peer(Instant now, const IpAddress& address) const;
  SummaryFacts summary(Instant now) const;
  // `show ip bgp`, at most `max` paths in order of prefix; `only`: one prefix, with the reasons of the decision. So
  // many are a few tens of milliseconds in a table of a million; all of them would hold up every session.
  static constexpr std::size_t kShowMax = 10000;
  std::vector<PathFacts> paths(Instant now, std::size_t max = kShowMax) const;
  std::vector<PathFacts> paths(Instant now, const routing::IpPrefix& only) const;
  // Accepted, after policy.
  std::vector<PathFacts> routes_from(Instant now, const IpAddress& peer, std::size_t max = kShowMax) const;
  // As they came, before policy; rejected ones with the reason, as far as they are kept (kAsideMax of a neighbour).
  std::vector<PathFacts> received_from(Instant now, const IpAddress& peer) const;
  std::vector<PathFacts> advertised_to(Instant now, const IpAddress& peer) const;
  // Writes down every call that changes the speaker (recording.h); nullptr: no longer. From before configure() on.
  void set_recorder(Recorder* recorder);
  // ---- for those who write down what happens (observer.h); they outlive the speaker or are removed first
  void add_observer(Observer& observer);
  void remove_observer(Observer& observer);
  std::vector<PeerView> established() const;
  struct KnownPeer {
    IpAddress address;
    std::uint32_t as = 0, router_id = 0;
    std::array<bool, kFamilyCount> add_path{};  // its routes carry path identifiers
  };
  std::vector<KnownPeer> known_peers() const;
  // Learned routes in slices: visits at most `prefixes_max` prefixes behind `after` (0: from the start) and returns
  // where to go on, 0 at the end. Prefixes that come or go meanwhile are met or not.
  struct WalkedPath {
    IpAddress peer;
    std::uint32_t path_id = 0;
    Duration age{};
    const PathAttributes* attributes = nullptr;
  };
  using Walk = std::function<void(const routing::IpPrefix&, std::span<const WalkedPath>)>;
  std::uint32_t walk(Instant now, std::uint32_t after, std::size_t prefixes_max, const Walk& visit) const;

  // Neighbours that want a BFD session, with their settings.
  struct BfdPeer {
    IpAddress address, local;
    BfdSettings settings;
    bool multihop = false;
  };
  std::vector<BfdPeer> bfd_peers() const;
  // The password of whoever may connect from `address` (for TCP MD5 on the listener); nullopt: nobody may.
  struct Admission {
    std::string password;
    unsigned ttl_security = 0;
    unsigned multihop = 255;
  };
  std::optional<Admission> admission(const IpAddress& address) const;
  const SpeakerSettings& settings() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::bgp
