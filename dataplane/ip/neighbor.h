// NeighborTable: who has which MAC address on which port (ARP); one per worker, fixed size, queues bounded.
//
// States (RFC 4861 §7.3.2 names them for IPv6, ARP does the same here):
//
//   incomplete  asked by broadcast, packets wait (8 per entry, 1,024 in all); 3 requests, one a second, then failed
//   reachable   confirmed within the last 30 s
//   stale       not confirmed lately and not used since: still good, asked again (probe) once used
//   probe       used and asked by unicast while traffic goes on; 3 requests, then incomplete (by broadcast: it may have
//               moved), then failed
//   failed      no answer: packets are dropped at once, for a second, then asked anew
//
// Entries are learned from requests to us, and updated by any valid ARP packet of an address that is in the table.
// A stale entry unused for 10 minutes goes; when the table is full the longest unused unpinned one makes room.
// With several workers only one hears an answer: next_event() tells what was learned, the control thread passes it on,
// learn() takes it in.
//
// Called by: ip/output, lb/datapath. Runs on: the worker that owns it. Follows: RFC 826, RFC 1122 §2.3.2, RFC 5227
// (announcements, conflicts). Tested by: tests/dataplane/ip/neighbor_test.cc
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "dataplane/base/counter.h"
#include "dataplane/base/hash.h"
#include "dataplane/base/timer_wheel.h"
#include "dataplane/base/token_bucket.h"
#include "dataplane/ip/fib.h"
#include "dataplane/ip/local_addresses.h"
#include "dataplane/packet/sink.h"
#include "dataplane/wire/arp.h"
#include "dataplane/wire/ethernet.h"

namespace sluice::ip {

enum class NeighborState : std::uint8_t { incomplete, reachable, stale, probe, failed, permanent };
std::string_view name_of(NeighborState state);

struct NeighborLimits {
  std::uint32_t entries_max = 4096;
  std::uint32_t queue_per_entry = 8;
  std::uint32_t queue_total = 1024;
  std::uint32_t requests_max = 3;
  Duration request_interval = 1s;
  Duration reachable_time = 30s;
  Duration failed_time = 1s;
  Duration unused_time = 600s;
};

// What `show arp` prints.
struct NeighborInfo {
  packet::PortId port = packet::kNoPort;
  Ipv4Address address;
  MacAddress mac;
  NeighborState state = NeighborState::incomplete;
  Duration since_confirmed{};
  Duration since_used{};
  std::uint32_t queued = 0;
};

// Somebody's address was heard here, for the other workers.
struct NeighborEvent {
  packet::PortId port = packet::kNoPort;
  Ipv4Address address;
  MacAddress mac;
};

struct NeighborCounters {
  Counter requests_sent, replies_sent, announcements_sent, requests_received, replies_received;
  Counter conflicts;    // another host claims one of our addresses
  Counter failures;     // resolutions without answer
  Counter events_lost;  // next_event() was not called often enough
};

using NeighborIndex = std::uint32_t;
inline constexpr NeighborIndex kNoNeighbor = UINT32_MAX;

// What a packet that leaves at once needs of a neighbor.
struct alignas(16) NeighborLink {
  wire::EthernetRewrite rewrite;
  Instant used{};
  packet::PortId port = packet::kNoPort;
  std::uint16_t at_once_max = 0;  // bytes of IP packet: the port's MTU while the neighbor is usable and not stale
};

class NeighborTable {
 public:
  // Everything referred to must outlive the table; `ports` is indexed by PortId.
  struct Context {
    std::span<const packet::PortInfo> ports;
    const LocalAddresses& local;
    const packet::PacketPool& pool;
    packet::TxSink& sink;
    packet::Drops& drops;
    ForwardingEpoch& epoch;
  };
  NeighborTable(Instant now, const NeighborLimits& limits, const HashSeed& seed, Context context);
  ~NeighborTable();  // drops what waits, as shutting_down
  NeighborTable(const NeighborTable&) = delete;
  NeighborTable& operator=(const NeighborTable&) = delete;

  // ---- the packet path

  // The entry for a next hop, made (and asked for) if need be; kNoNeighbor when the table is full of entries in use.
  NeighborIndex resolve(Instant now, packet::PortId port, Ipv4Address address);
  // Whether the MAC is known; only then rewrite() and transmit() may be used.
  bool is_usable(NeighborIndex index) const { return entries_[index].usable; }
  packet::PortId port_of(NeighborIndex index) const { return entries_[index].port; }
  // The Ethernet header towards it; marks the entry as used.
  const wire::EthernetRewrite& use(Instant now, NeighborIndex index) {
    Entry& entry = entries_[index];
    entry.used = now;
    if (entry.state == NeighborState::stale) [[unlikely]]
      start_probe(now, entry);
    return entry.rewrite;
  }
  // Where nothing is to be decided about an IP packet no longer than its at_once_max: the MAC is known and need not be
  // asked for, and the port takes it in one piece. Who sends it so writes `used`.
  NeighborLink& link(NeighborIndex index) { return entries_[index]; }
  // Takes over a packet for an entry that is not usable: it waits and is sent when the answer comes, or is dropped. It
  // is a whole frame but for the MAC addresses, offload requests done.
  void enqueue(Instant now, NeighborIndex index, packet::Packet packet);

  // Takes over an ARP packet (l3_offset: where it begins) and answers, learns, or drops it.
  void input(Instant now, packet::PortId port, packet::Packet packet, std::size_t l3_offset);

  // ---- time

  // Retries, ageing; bounded work. Call once a turn.
  void expire(Instant now);
  Instant next_deadline() const;

  // ---- from the control side, by Task

  // Sends gratuitous ARP for an address that came up: twice, a second apart, on its port or on all network ports; from
  // expire(), at most 32 a call.
  void announce(Instant now, const LocalAddress& address);
  // What another worker learned: confirms an entry, or makes one.
  void learn(Instant now, const NeighborEvent& event);
  // What the process before us knew: good to begin with, and asked again once used. An entry that is there stays.
  void recall(Instant now, const NeighborEvent& event);
  // An entry that neither ages nor changes. Fails when the table is full or the MAC is a group address.
  Status set_permanent(Instant now, packet::PortId port, Ipv4Address address, const MacAddress& mac);
  // Forgets an entry (its packets are dropped); false when there is none.
  bool erase(packet::PortId port, Ipv4Address address);
  // Answers every ARP request on this port with its MAC: for the host port, where we are the kernel's only neighbor.
  void set_answer_all(packet::PortId port, bool on) { answer_all_[port] = on; }

  // The oldest not yet taken.
  std::optional<NeighborEvent> next_event();
  std::vector<NeighborInfo> list(Instant now) const;
  const NeighborCounters& counters() const { return counters_; }
  std::size_t size() const { return live_; }
  std::size_t queued() const { return queued_; }

 private:
  static constexpr std::uint32_t kEnd = UINT32_MAX;
  static constexpr std::size_t kEventsMax = 1024;

  // The first cache line is all that most packets touch. enter() sets at_once_max, state and usable.
  struct alignas(64) Entry : Timer, NeighborLink {
    NeighborState state = NeighborState::incomplete;
    bool usable = false;  // reachable, stale, probe or permanent
    bool live = false;
    std::uint8_t requests = 0;  // sent since the state began
    Ipv4Address address;
    Instant confirmed{};
    std::uint32_t queue_head = kEnd;
    std::uint32_t queue_tail = kEnd;
    std::uint32_t queue_count = 0;
  };
  // A packet that waits; all queues are lists in one array.
  struct Waiting {
    packet::Packet packet;
    std::uint32_t next = kEnd;
  };
  struct Announcement {
    Instant due;
    LocalAddress address;
  };
  enum class Learning : std::uint8_t { by_need, by_hearsay };  // hearsay makes no entry in use go

  NeighborIndex index_of(const Entry& entry) const { return static_cast<NeighborIndex>(&entry - entries_.get()); }
  std::size_t home_of(packet::PortId port, Ipv4Address address) const;
  std::size_t slot_of(packet::PortId port, Ipv4Address address) const;
  NeighborIndex find(packet::PortId port, Ipv4Address address) const;
  Entry* insert(Instant now, packet::PortId port, Ipv4Address address, Learning learning);
  bool evict_one(Learning learning);
  void remove(Entry& entry, DropReason reason);
  void unindex(const Entry& entry);

  void enter(Entry& entry, NeighborState state);
  void start_incomplete(Instant now, Entry& entry);
  void start_probe(Instant now, Entry& entry);
  void start_failed(Instant now, Entry& entry);
  void start_aging(Instant now, Entry& entry);
  void confirm(Instant now, Entry& entry, const MacAddress& mac);
  void on_timer(Instant now, Entry& entry);
  void ask_again(Instant now, Entry& entry);

  packet::Packet dequeue(Entry& entry);
  void flush_queue(Entry& entry);
  void drop_queue(Entry& entry, DropReason reason);

  // True: it did something.
  bool handle(Instant now, packet::PortId port, const wire::ArpPacket& arp);
  void answer(packet::PortId port, const wire::ArpPacket& request);
  void send_request(const Entry& entry);
  void send_announcement(const LocalAddress& address);
  bool send_arp(packet::PortId port, const MacAddress& to, const wire::ArpPacket& arp);
  void run_announcements(Instant now);
  void push_event(const NeighborEvent& event);

  const NeighborLimits limits_;
  const HashSeed seed_;
  const Context context_;
  std::unique_ptr<Entry[]> entries_;
  std::vector<NeighborIndex> free_;
  std::vector<NeighborIndex> index_;  // open addressing by (port, address), at most half full
  std::vector<Waiting> waiting_;
  std::uint32_t waiting_free_ = kEnd;
  std::size_t live_ = 0;
  std::size_t queued_ = 0;
  std::uint32_t clock_hand_ = 0;  // where eviction looks next
  TimerWheel timers_;
  TokenBucket defend_bucket_{1, 4};
  std::array<bool, packet::kPortsMax> answer_all_{};
  std::vector<Announcement> announcements_[2];  // first and second ones; each in order of time
  std::size_t announcements_done_[2] = {0, 0};
  std::vector<NeighborEvent> events_;  // a ring
  std::size_t events_head_ = 0;
  std::size_t events_count_ = 0;
  NeighborCounters counters_;
};

}  // namespace sluice::ip
