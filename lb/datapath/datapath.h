// Datapath: THE packet path of one worker: every decision about a packet, in order (datapath.cc).
//
// It owns what belongs to one worker: FIB, neighbor table, fragments, ICMP limiter, flows, persistence, statistics.
// datapath calls down and gets an answer; nothing below calls up. The control thread reaches it by Tasks (tasks.h).
//
// Called by: worker (on_burst, on_timers …), control/daemon (Tasks). Runs on: its worker, except where it says so.
// Tested by: tests/lb/datapath/*, tests/fuzz/datapath_fuzz.cc. Cost: bench/path
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "dataplane/base/hash.h"
#include "dataplane/packet/sink.h"
#include "dataplane/worker/application.h"
#include "dataplane/worker/handover.h"
#include "lb/l4/counters.h"
#include "lb/l4/flow_view.h"
#include "lb/persist/source_address.h"
#include "lb/snapshot/snapshot.h"

namespace sluice::bfd {
class Table;
}
namespace sluice::ip {
class Fib;
class NeighborTable;
}  // namespace sluice::ip

namespace sluice::lb {

class Proxy;
struct SavedFlow;
struct SavedFlowFacts;

struct DatapathOptions {
  unsigned worker = 0;
  unsigned workers = 1;
  std::vector<packet::PortInfo> ports;  // index = PortId; at most one of kind host
  std::uint32_t flows_max = 262144;
  std::uint32_t routes_max = 65536;  // of the FIB
  std::uint32_t conns_max = 131072;  // TCP endpoints of mode http, client and server side
  // Shared by all workers; null: one of its own with room for 65,536 clients.
  std::shared_ptr<SourceAddressTable> persistence;
  std::uint32_t neighbors_max = 4096;
  std::uint32_t fragments_max = 1024;  // packets being reassembled at once
  // Source ports for SNAT, shared out among the workers.
  std::uint16_t snat_port_first = 1024;
  std::uint16_t snat_port_last = 61439;
  HashSeed seed;
  Instant start{};
};

class Datapath final : public worker::Application {
 public:
  // `tx`, `drops`, `handover` and the Registry behind the snapshots outlive it. `handover` may be null with one worker.
  // Fails when memory is short.
  static Result<std::unique_ptr<Datapath>> create(DatapathOptions options, packet::TxSink& tx, packet::Drops& drops,
                                                  packet::PacketPool pool, worker::Handover* handover);
  ~Datapath() override;

  void on_burst(Instant now, packet::PortId rx_port, packet::Batch& batch) override;
  void on_handover(Instant now, packet::Batch& batch) override;
  void on_timers(Instant now) override;
  Instant next_timer() const override;
  void on_stop(Instant now) override;

  // ---- for Tasks, on the worker
  // Packets are judged by `next` from now on. Returns the former one, which the worker no longer uses.
  const Snapshot* install(Instant now, const Snapshot* next);
  const Snapshot* snapshot() const;
  ip::Fib& fib();
  ip::NeighborTable& neighbors();
  bfd::Table& bfd_table();
  Proxy& proxy();  // counters() and access_log() of it also from one other thread
  // Announces the address by gratuitous ARP on its subnet's ports: a virtual address came up.
  void announce(Instant now, Ipv4Address address);
  // Looks at flow slots from `cursor` on, at most `slots_max` of them, and copies those that match; stops when `out`
  // has no capacity left (reserve it first: nothing is allocated here) . Returns the next cursor, kFlowListEnd after
  // the last.
  std::uint32_t list_flows(Instant now, std::uint32_t cursor, std::uint32_t slots_max, const FlowFilter& filter,
                           std::vector<FlowView>& out);
  // Ends a flow without a word to its ends; false: there is none of that id (any more).
  bool delete_flow(Instant now, std::uint64_t id);
  // The same for all that match, like list_flows; adds to `deleted`.
  std::uint32_t delete_flows(Instant now, std::uint32_t cursor, std::uint32_t slots_max, const FlowFilter& filter,
                             std::uint32_t& deleted);

  // When the worker stops, its L4 flows go into `to` (read it when the thread has ended). Connections of mode http have
  // an end here and cannot go on elsewhere.
  void save_flows_at_stop(std::vector<SavedFlow>* to);
  // Goes on with a flow of the process before us; false: no room, or its addresses are taken. Before the first install,
  // so that no packet meets a table without it.
  bool restore_flow(Instant now, const SavedFlowFacts& facts, VirtualServerRuntime& virtual_server,
                    MemberRuntime& member);

  // ---- any thread
  const DatapathCounters& counters() const;
  std::uint32_t flow_count() const;
  std::uint32_t flow_capacity() const;

 private:
  struct Impl;
  explicit Datapath(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

inline constexpr std::uint32_t kFlowListEnd = 0xffffffff;

}  // namespace sluice::lb
