// MRT: the speaker's messages, states and routes as the records that bgpdump and its kin read.
//
//   MrtLog log(wall, [&](Bytes record) { file.append(record); });  speaker.add_observer(log);    // BGP4MP_ET
//   RibDump dump(speaker, wall, router_id, local_as);              // TABLE_DUMP_V2
//   Bytes out;  while (dump.more(now, 2000, out)) { write out; out.clear(); }
//
// Pure: bytes out, no files. Called by: control/daemon/bgp_export. Runs on: control thread.
// Follows: RFC 6396 (§4.3, §4.4, §3 for the extended timestamp), RFC 8050 (ADD-PATH).
// Tested by: tests/control/bgp/export_test.cc
#pragma once

#include <ctime>
#include <functional>
#include <map>
#include <set>

#include "control/bgp/speaker.h"

namespace sluice::bgp {

// Seconds and microseconds since 1970, UTC.
struct WallTime {
  std::uint32_t seconds = 0, microseconds = 0;
};
using WallClock = std::function<WallTime(Instant)>;

namespace mrt {
inline constexpr std::uint16_t kTableDumpV2 = 13, kBgp4mpEt = 17;
// Subtypes of TABLE_DUMP_V2 (RFC 6396 §4.3, RFC 8050 §4).
inline constexpr std::uint16_t kPeerIndexTable = 1, kRibIpv4 = 2, kRibIpv6 = 4, kRibIpv4AddPath = 8,
                               kRibIpv6AddPath = 10;
// Of BGP4MP (RFC 6396 §4.4, RFC 8050 §3): messages received, and "local" for those that we sent.
inline constexpr std::uint16_t kMessage = 1, kMessageAs4 = 4, kStateChangeAs4 = 5, kMessageLocal = 6,
                               kMessageAs4Local = 7, kMessageAddPath = 8, kMessageAs4AddPath = 9,
                               kMessageLocalAddPath = 10, kMessageAs4LocalAddPath = 11;
}  // namespace mrt

Bytes mrt_message(const WallTime& time, const PeerView& peer, bool received, ByteSpan message);
Bytes mrt_state_change(const WallTime& time, const PeerView& peer, State from, State to);

// Where a file of records goes: strftime's conversions stand for the time, as in BIRD's, FRR's and OpenBGPD's names.
// One without conversions, or with such as give no name at all, is the name itself.
std::string mrt_file_name(const std::string& pattern, const std::tm& local);
// From a moment (seconds of local time) until the next multiple of the interval.
Duration mrt_until_next(Duration interval, std::int64_t local_seconds);

// The log of updates: every message of every neighbour, and every change of state.
class MrtLog final : public Observer {
 public:
  MrtLog(WallClock wall, std::function<void(const Bytes&)> write) : wall_(std::move(wall)), write_(std::move(write)) {}
  void on_message(Instant now, const PeerView& peer, bool received, ByteSpan message) override {
    write_(mrt_message(wall_(now), peer, received, message));
  }
  void on_state(Instant now, const PeerView& peer, State from, State to) override {
    write_(mrt_state_change(wall_(now), peer, from, to));
  }
  void on_up(Instant, const PeerView&) override {}
  void on_down(Instant, const PeerView&, const End&) override {}

 private:
  WallClock wall_;
  std::function<void(const Bytes&)> write_;
};

// All learned routes, in slices, so that a million of them stall nobody.
class RibDump {
 public:
  RibDump(const Speaker& speaker, WallClock wall, std::uint32_t router_id);
  // Appends records of at most `prefixes_max` prefixes; the first call also the table of neighbours. False: that was
  // all.
  bool more(Instant now, std::size_t prefixes_max, Bytes& out);
  std::uint32_t prefixes() const { return sequence_; }

 private:
  void write_peers(Instant now, Bytes& out);
  void write_prefix(Instant now, const routing::IpPrefix& prefix, std::span<const Speaker::WalkedPath> paths,
                    Bytes& out);

  const Speaker& speaker_;
  WallClock wall_;
  std::uint32_t router_id_;
  std::map<IpAddress, std::uint16_t> peers_;  // → place in the table
  std::set<IpAddress> add_path_[kFamilyCount];
  std::uint32_t cursor_ = 0, sequence_ = 0;
  bool begun_ = false;
};

}  // namespace sluice::bgp
