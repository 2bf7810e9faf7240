// BmpFeed: what a BMP station gets to see of our neighbours, as a bounded queue of bytes.
//
//   BmpFeed feed(options, hooks);  speaker.add_observer(feed);
//   feed.connected(now);                       // Initiation, Peer Up of all that are Established
//   while (feed.has_output()) send(feed.take());
//   if (feed.overflowed()) …                   // the station does not keep up: drop the connection, begin anew
//
// Route Monitoring is pre-policy Adj-RIB-In: the neighbours' UPDATE messages as they were received. What came before
// the station did is asked for again by ROUTE-REFRESH (hooks.resend): rejected routes are not kept here.
//
// Pure. Called by: control/io/bmp_client, control/daemon/bgp_export. Runs on: control thread. Follows: RFC 7854.
// Tested by: tests/control/bgp/export_test.cc
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>

#include "control/bgp/mrt.h"

namespace sluice::bgp {

namespace bmp {
inline constexpr std::uint8_t kVersion = 3;
enum class Type : std::uint8_t {
  route_monitoring = 0,
  statistics = 1,
  peer_down = 2,
  peer_up = 3,
  initiation = 4,
  termination = 5
};
inline constexpr std::size_t kCommonHeader = 6, kPeerHeader = 42;
}  // namespace bmp

class BmpFeed final : public Observer {
 public:
  struct Options {
    std::string system_name, system_description;
    std::size_t queue_max = 16u << 20;  // bytes that wait for the station
  };
  struct Hooks {
    WallClock wall;
    std::function<std::vector<PeerView>()> established;
    std::function<void(const IpAddress& peer)> resend;  // ask the neighbour for all its routes; not from within a hook
  };
  BmpFeed(Options options, Hooks hooks) : options_(std::move(options)), hooks_(std::move(hooks)) {}

  // ---- the connection to the station
  void connected(Instant now);
  void disconnected();
  // The last message, when we end the session ourselves (§4.5).
  void terminate();
  bool has_output() const { return !queue_.empty(); }
  std::size_t queued() const { return queued_; }
  Bytes take();
  bool overflowed() const { return overflowed_; }
  // §4.8, for every neighbour that the station knows.
  void statistics(Instant now, const std::vector<PeerFacts>& peers);
  std::uint64_t messages() const { return messages_; }
  std::uint64_t dropped() const { return dropped_; }  // messages that did not fit the queue, since start

  // ---- Observer
  void on_message(Instant now, const PeerView& peer, bool received, ByteSpan message) override;
  void on_state(Instant, const PeerView&, State, State) override {}
  void on_up(Instant now, const PeerView& peer) override;
  void on_down(Instant now, const PeerView& peer, const End& end) override;

 private:
  // The OPEN messages of one connection, which Peer Up repeats.
  struct Opens {
    ConnId conn = 0;
    Bytes sent, received;
  };
  template <typename Body>
  void queue(bmp::Type type, Body body);
  void write_peer_header(Writer& out, Instant now, const PeerView& peer) const;
  Opens& opens_of(const PeerView& peer);
  void peer_up(Instant now, const PeerView& peer);

  Options options_;
  Hooks hooks_;
  bool connected_ = false, overflowed_ = false;
  std::deque<Bytes> queue_;
  std::size_t queued_ = 0;
  std::uint64_t messages_ = 0, dropped_ = 0;
  std::map<IpAddress, PeerView> up_;                 // neighbours whose Peer Up the station has
  std::map<IpAddress, std::array<Opens, 2>> opens_;  // of the present connections, two at most
};

}  // namespace sluice::bgp
