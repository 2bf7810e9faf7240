// IPv4 fragments: putting packets together (Reassembly) and cutting them (fragment_packet).
//
// Not rte_ip_frag: Debian builds it for at most 8 fragments a packet (a ping of 64 KB has 45), and it does not say why
// it gives a packet up. Here a packet holds up to 64 fragments, a worker up to `fragments_max` of them, overlapping
// ones condemn the whole packet (RFC 5722's rule, applied to IPv4 as RFC 8900 §5 advises against overlap attacks; exact
// duplicates are only dropped), and each drop has its reason.
//
// Called by: lb/datapath (input), ip/output. Runs on: the worker that owns it. Follows: RFC 791 §3.2, RFC 815, RFC 1122
// §3.3.2, RFC 6864 (identification). Tested by: tests/dataplane/ip/fragments_test.cc
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "dataplane/base/hash.h"
#include "dataplane/base/timer_wheel.h"
#include "dataplane/packet/sink.h"
#include "dataplane/wire/parse.h"

namespace sluice::ip {

struct ReassemblyLimits {
  std::uint32_t packets_max = 256;
  std::uint32_t fragments_max = 4096;  // in all; each holds at least one packet buffer
  std::uint32_t fragments_per_packet = 64;
  Duration timeout = 15s;  // RFC 1122 says 60..120 s; Linux takes 30 s, we hold less memory
};

class Reassembly {
 public:
  Reassembly(Instant now, const ReassemblyLimits& limits, const HashSeed& seed, packet::Drops& drops);
  ~Reassembly();  // drops what waits, as shutting_down

  // Takes over a fragment (layers.kind fragment, its headers in the first segment). When it completes a packet: that
  // packet, a chain that begins with the Ethernet and IPv4 headers of the first fragment (no fragment bits, total
  // length and checksum right), headers pulled up; parse it again with parse_ipv4_layers. Else a false Packet.
  packet::Packet input(Instant now, packet::Packet packet, const wire::Layers& layers);

  // Gives up what waits too long. `on_timeout(first_fragment, layers)` is called before each packet of which the first
  // fragment is there is dropped, so that an ICMP error can be sent (RFC 1122 §3.3.2); it does not take it over.
  using OnTimeout = std::function<void(packet::Packet, const wire::Layers&)>;
  void expire(Instant now, const OnTimeout& on_timeout);
  Instant next_deadline() const { return timers_.next_deadline(); }

  std::size_t packets() const { return live_; }
  std::size_t fragments() const { return fragments_; }

 private:
  struct Piece {
    packet::Packet packet;
    std::uint16_t offset;  // bytes of payload
    std::uint16_t length;
  };
  struct Key {
    Ipv4Address source, destination;
    std::uint16_t identification = 0;
    std::uint8_t protocol = 0;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Entry : Timer {
    Key key;
    bool live = false;
    std::uint32_t received = 0;  // bytes of payload
    std::uint32_t total = 0;     // bytes of payload, once the last fragment is here
    wire::Layers first;          // of the fragment at offset 0
    std::vector<Piece> pieces;   // by offset; capacity reserved once
  };

  enum class Added : std::uint8_t { kept, duplicate, bad };

  std::size_t home_of(const Key& key) const;
  std::size_t slot_of(const Key& key) const;
  Entry* find_or_insert(Instant now, const Key& key);
  Added add(Entry& entry, packet::Packet packet, const wire::Layers& layers);
  packet::Packet assemble(Entry& entry);
  void give_up(Entry& entry, DropReason reason);
  void release(Entry& entry);

  const ReassemblyLimits limits_;
  const HashSeed seed_;
  packet::Drops& drops_;
  std::unique_ptr<Entry[]> entries_;
  std::vector<std::uint32_t> index_;  // open addressing by key, at most half full
  std::vector<std::uint32_t> free_;
  std::size_t live_ = 0;
  std::size_t fragments_ = 0;
  TimerWheel timers_;
};

// Cuts a frame (IPv4 at l3_offset, checksums done, DF clear) into frames of at most `mtu` bytes of L3 and hands each to
// `out`, in order; the frame stays the caller's. Each piece has a copy of the Ethernet header in front. False when the
// pool ran empty (nothing was handed out then) or mtu leaves no room for 8 bytes of payload.
bool fragment_packet(packet::Packet frame, std::uint8_t l3_offset, std::uint16_t mtu, const packet::PacketPool& pool,
                     std::vector<packet::Packet>& out);

}  // namespace sluice::ip
