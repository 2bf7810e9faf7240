// Table: the BFD sessions of one worker: finds the session of a packet, runs timers, builds and sends datagrams.
//
//   Table table(now, {output, pool, drops});
//   table.insert(now, session);                    // the session stays the control thread's
//   if (table.takes(layers)) table.input(now, packet, layers);
//   once a turn: table.expire(now);
//
// Called by: lb/datapath; Tasks of control/daemon. Runs on: the worker that owns it.
// Follows: RFC 5880 §6.3, §6.8.6; RFC 5881 §4-5; RFC 5883. Tested by: tests/dataplane/bfd/table_test.cc
#pragma once

#include <array>

#include "dataplane/bfd/session.h"
#include "dataplane/ip/output.h"
#include "dataplane/packet/sink.h"
#include "dataplane/wire/parse.h"

namespace sluice::bfd {

inline constexpr std::size_t kSessionsMax = 16384;  // in all workers; the control thread keeps to it

class Table {
 public:
  struct Context {
    ip::IpOutput& output;
    const packet::PacketPool& pool;
    packet::Drops& drops;
  };
  Table(Instant start, const Context& context) : context_(context), wheel_(start, 1ms) {}
  ~Table();  // forgets its sessions without a word
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  // ---- Tasks
  // Some worker has sessions: datagrams to BFD's ports are ours, not the kernel's.
  void set_enabled(bool enabled) { enabled_ = enabled; }
  void insert(Instant now, Session& session);
  void erase(Session& session);
  void configure(Instant now, Session& session, const Settings& settings);
  void set_admin_down(Instant now, Session& session, bool down);

  // ---- packets and time
  // Whether it is a datagram for BFD; to a self IP, the caller knows.
  bool takes(const wire::Layers& layers) const {
    return enabled_ && layers.kind == wire::PacketKind::udp &&
           (layers.dst_port == kSingleHopPort || layers.dst_port == kMultihopPort);
  }
  // Takes the packet over. `verify`: its UDP checksum has not been looked at yet.
  void input(Instant now, packet::Packet packet, const wire::Layers& layers, bool verify);
  // At most kWorkPerTurn packets.
  void expire(Instant now);
  Instant next_deadline() const { return wheel_.next_deadline(); }

  // ---- any thread
  // Moves with every change of a session's state.
  std::uint64_t changes() const { return changes_.get(); }

 private:
  static constexpr std::size_t kBuckets = 4096;
  static constexpr std::size_t kWorkPerTurn = 256;
  using Buckets = std::array<Session*, kBuckets>;

  static std::size_t bucket_of(std::uint32_t discriminator) { return discriminator % kBuckets; }
  static std::size_t bucket_of(const SessionKey& key) {
    return hash_u64x2({}, key.local.value, key.remote.value) % kBuckets;
  }
  Session* find(const ControlPacket& packet, const SessionKey& key) const;
  Session* find(std::uint32_t discriminator) const;
  void settle(Instant now, Session& session, State before, const Outcome& outcome);
  void transmit(Instant now, Session& session, bool final);

  Context context_;
  TimerWheel wheel_;
  Buckets by_discriminator_{}, by_key_{};
  bool enabled_ = false;
  Counter changes_;
};

}  // namespace sluice::bfd
