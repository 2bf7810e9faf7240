// L4: forwards TCP and UDP of virtual servers by address translation: opens flows, passes packets, ends them.
//
//   find a flow -> forward()                    client side and server side alike
//   none, and a virtual server -> open()        picks a member; then
//   at the end of the burst -> finish_openings() takes a source port, makes the flow, forwards
//   an ICMP error about a flow -> translate()
//
// Opening is in two steps because the table is larger than any cache: the first finds out where in it the flow's server
// side will be, and by the second all those places of a burst are there. Packets of one flow keep their order: who
// finds no flow asks is_opening() first. A packet that comes in here ends here. Flows keep their MemberRuntime and
// VirtualServerRuntime whatever snapshot comes. TTL: forwarded packets have one taken off, as FastL4 does; BIG-IP's 255
// is for proxied connections.
//
// Called by: lb/datapath. Runs on: the worker that owns it. Follows: F5 BIG-IP FastL4, RFC 3022, RFC 5508 (ICMP).
// Tested by: tests/lb/datapath/*, tests/lb/l4/*. Cost: bench/path
#pragma once

#include <memory>
#include <vector>

#include "dataplane/wire/plain.h"
#include "lb/l4/egress.h"
#include "lb/l4/flow.h"
#include "lb/l4/snat_ports.h"
#include "lb/l4/tcp_state.h"
#include "lb/persist/source_address.h"
#include "lb/snapshot/snapshot.h"

namespace sluice::lb {

class L4 {
 public:
  struct Options {
    unsigned worker = 0;
    unsigned workers = 1;
    std::uint32_t flows_max = 0;
    std::uint16_t snat_port_first = 0;
    std::uint16_t snat_port_last = 0;
    HashSeed seed;
    Instant start{};
  };
  struct Context {
    ip::IpOutput& output;
    const ip::LocalAddresses& local;
    Egress& egress;
    packet::Drops& drops;
    DatapathCounters& counters;
    std::shared_ptr<SourceAddressTable> persistence;
    packet::PortId host_port = packet::kNoPort;
  };
  L4(const Options& options, const Context& context);
  ~L4();  // lets go of every member

  void set_snapshot(Instant now, const Snapshot* snapshot);
  L4FlowTable& table() { return table_; }
  const L4FlowTable& table() const { return table_; }
  SnatPorts& snat_ports() { return ports_; }

  // ---- packets; each takes the packet over. The headers lie in the first segment, and there is no padding.
  // Data or ACK by itself: what it takes to forward it is little if its flow is established and knows its way. It came
  // in as takes_plain() says. False (and it stays the caller's): it is for forward().
  bool forward_plain(Instant now, packet::Packet packet, const wire::PlainFrame& plain, L4FlowTable::Hit hit);
  static bool is_plain_segment(const wire::PlainFrame& plain) {
    return plain.protocol == wire::kProtocolTcp && plain.ttl > 1 &&
           (plain.tcp_flags & (wire::kTcpSyn | wire::kTcpFin | wire::kTcpRst)) == 0;
  }
  // Whether packets from this port lose one of their TTL, and their checksums are whole.
  bool takes_plain(packet::PortId rx_port) const {
    return rx_port != context_.host_port && !context_.egress.has_partial_checksums(rx_port);
  }
  void forward(Instant now, packet::Packet packet, const wire::Layers& layers, L4FlowTable::Hit hit);
  // Of a virtual server that has no flow for it yet. `hash`: of the packet's key, as the table hashes it.
  void open(Instant now, packet::Packet packet, const wire::Layers& layers, const VirtualServer& vs,
            std::uint64_t hash);
  // Whether open() took a packet whose key hashes so, and finish_openings() has not been called since.
  bool is_opening(std::uint64_t hash) const {
    if ((opening_bits_[hash >> 60] >> (hash >> 54 & 63) & 1) == 0) return false;
    bool found = false;
    for (std::uint32_t i = 0; i < opening_count_; ++i) found |= opening_hashes_[i] == hash;
    return found;
  }
  // At the end of a burst at the latest.
  void finish_openings(Instant now);
  // An ICMP error; false (and it stays the caller's) when it is about no flow of this worker.
  bool translate(Instant now, packet::Packet packet, const wire::Layers& layers);

  // ---- once a turn, bounded
  void expire(Instant now);
  Instant next_timer() const { return is_sweeping() ? Instant::min() : table_.next_timer(); }

  // ---- from Tasks
  FlowView view(Instant now, const L4Flow& flow) const;
  void end(L4Flow& flow);

 private:
  static constexpr std::size_t kExpireMax = 256;
  static constexpr std::uint32_t kSweepMax = 1024;

  bool track(Instant now, packet::Packet packet, const wire::Layers& layers, L4FlowTable::Hit hit, bool& ends);
  void update_udp(L4Flow& flow, Direction d);
  void linger(L4Flow& flow);
  void count(L4Flow& flow, Direction d, std::uint16_t l3_length);
  void carry(packet::Packet packet, const wire::Layers& layers, L4Flow& flow, Direction d, ip::L4Checksum checksum);
  void pass(Instant now, packet::Packet packet, const wire::Layers& layers, L4Flow& flow, Direction d);
  void pass_slowly(Instant now, packet::Packet packet, const wire::Layers& layers, L4Flow& flow, Direction d);

  // A flow on its way into the table. It holds a connection of its virtual server and of its member.
  struct Opening {
    packet::Packet packet;
    const VirtualServer* vs;
    const Member* member;
    flow::FlowKey client, server;  // server: with the source port that is tried first
    std::uint64_t server_hash;
    ip::CachedHop hop;
    wire::Layers layers;
  };
  // Opening. Each takes what the flow holds, or gives the reason why not.
  std::optional<DropReason> choose_member(Instant now, const wire::Layers& layers, const VirtualServer& vs,
                                          const Member*& member);
  std::optional<DropReason> choose_address(Instant now, const VirtualServer& vs, const flow::FlowKey& client,
                                           flow::FlowKey& server, ip::CachedHop& hop);
  bool choose_port(const VirtualServer& vs, const flow::FlowKey& client, flow::FlowKey& server, std::uint64_t& hash);
  L4Flow* allocate_flow();
  std::optional<DropReason> prepare(Instant now, Opening& opening);
  std::optional<DropReason> make_flow(Instant now, Opening& opening, std::uint64_t hash, L4Flow*& flow);
  void finish(Instant now, Opening& opening, std::uint64_t hash);

  // Members that went down.
  bool is_sweeping() const { return sweep_left_ > 0; }
  void sweep(Instant now);
  void on_member_down(Instant now, L4Flow& flow, FlowsOnDown action);
  void reset_both(Instant now, const L4Flow& flow);
  void reselect(Instant now, L4Flow& flow);

  const Options options_;
  Context context_;
  const Snapshot* snapshot_ = nullptr;
  L4FlowTable table_;
  SnatPorts ports_;
  std::uint64_t sweep_generation_ = 0;
  std::uint32_t sweep_at_ = 0;
  std::uint32_t sweep_left_ = 0;                  // slots to look at yet
  std::uint32_t opening_count_ = 0;               // of the two arrays, in use
  std::array<std::uint64_t, 16> opening_bits_{};  // a bit for each of their hashes, by its highest ten
  std::array<std::uint64_t, packet::kBatchMax> opening_hashes_;
  std::array<Opening, packet::kBatchMax> openings_;
};

}  // namespace sluice::lb
