// The parts of a Datapath and the decisions between them; see datapath.h.
//
// Called by: lb/datapath only. Runs on: its worker.
#pragma once

#include "dataplane/bfd/table.h"
#include "dataplane/ip/icmp.h"
#include "dataplane/ip/output.h"
#include "lb/datapath/datapath.h"
#include "lb/l4/client_owner.h"
#include "lb/l4/pass.h"
#include "lb/l4/saved_flow.h"
#include "lb/l7/proxy.h"

namespace sluice::lb {

// What L7 needs of its neighbors.
class ProxySeam final : public HostSide, public SourcePorts {
 public:
  ProxySeam(Egress& egress, L4& l4) : egress_(egress), l4_(l4) {}
  void to_host(packet::Packet packet, const ip::TransmitSpec& spec) override { egress_.to_host(packet, spec); }
  bool allocate(flow::FlowKey& server_key, std::uint16_t preferred) override {
    return l4_.snat_ports().allocate(l4_.table(), server_key, preferred);
  }

 private:
  Egress& egress_;
  L4& l4_;
};

struct Datapath::Impl {
  Impl(DatapathOptions options_in, packet::TxSink& tx, packet::Drops& drops_in, packet::PacketPool pool_in,
       worker::Handover* handover_in);
  Status open();  // what can fail

  // ---- datapath.cc: a packet's way, in this order
  struct Staged {
    bool has_flow_key() const { return layers.kind == wire::PacketKind::tcp || layers.kind == wire::PacketKind::udp; }
    wire::Layers layers;
    flow::FlowKey key;  // this and its hash: if it has one
    std::uint64_t hash = 0;
    std::uint32_t candidate = L4FlowTable::kNoCandidate;
    bool is_plain = false;  // for L4::forward_plain(); then of `layers` only the kind is filled in
    wire::PlainFrame plain;
  };
  // What stage() needs to know of the port that a packet came from.
  struct Ingress {
    MacAddress mac;
    bool takes_plain = false;
  };
  enum class Origin : std::uint8_t { port, reassembled, handover };  // reassembled: here, from what ports brought
  void process(Instant now, packet::Batch& batch, Origin origin);
  std::uint32_t stage_all(packet::Batch& batch);
  bool stage(packet::Packet packet, Staged& staged);
  bool stage_any(packet::Packet packet, Staged& staged);  // and of any kind
  void dispatch(Instant now, packet::Packet packet, Staged& staged, Origin origin);
  void dispatch_without_flow(Instant now, packet::Packet packet, Staged& staged, Origin origin);
  void on_fragment(Instant now, packet::Packet packet, Staged& staged, Origin origin);
  void on_icmp(Instant now, packet::Packet packet, wire::Layers& layers, Origin origin);
  void without_flow(Instant now, packet::Packet packet, const Staged& staged, Origin origin);
  void open(Instant now, packet::Packet packet, const Staged& staged, const VirtualServer& vs, Origin origin);
  void to_local(Instant now, packet::Packet packet, const wire::Layers& layers);
  void route_from_host(Instant now, packet::Packet packet, const wire::Layers& layers);
  bool is_source_wrong(packet::Packet packet, const wire::Layers& layers) const;
  void on_bfd(Instant now, packet::Packet packet, const wire::Layers& layers, Origin origin);
  bool hand_over(packet::Packet packet, const wire::Layers& layers);
  bool hand_over_by_client(packet::Packet packet, Ipv4Address client, std::uint16_t port);
  bool pass_round(packet::Packet packet, const wire::Layers& layers, Origin origin);
  bool goes_round(packet::Packet packet, const wire::Layers& layers) const;
  flow::FlowKey key_of(const wire::Layers& layers) const {
    return {layers.source, layers.destination, layers.src_port, layers.dst_port, layers.protocol, {}};
  }
  void set_flow_key(packet::Packet packet, Staged& s) {
    const std::uint8_t* const frame = packet.data();
    set_flow_key(frame + s.layers.l3_offset, frame + s.layers.l4_offset, s.layers.protocol, s);
  }
  [[gnu::always_inline]] void set_flow_key(const std::uint8_t* ipv4, const std::uint8_t* ports, std::uint8_t protocol,
                                           Staged& s) {
    const auto words = flow::FlowKey::words_of_headers(ipv4, ports, protocol);
    s.hash = l4->table().prefetch(words);
    s.key = flow::FlowKey::of_words(words);
  }
  bool is_from_host(packet::Packet packet) const { return packet.rx_port() == host_port; }
  ip::TransmitSpec as_received(packet::Packet packet, const wire::Layers& layers) const {
    return {.l3_offset = layers.l3_offset,
            .l4 = egress->l4_checksum_of(packet.rx_port(), layers.protocol, packet.data() + layers.l4_offset)};
  }

  // ---- control.cc
  bool is_stopped() const { return l4 == nullptr; }
  void set_local_addresses(const Snapshot& next);

  // ---- handover.cc
  void save_flows();

  const DatapathOptions options;
  packet::TxSink& tx;
  packet::Drops& drops;
  packet::PacketPool pool;
  worker::Handover* handover;
  packet::PortId host_port = packet::kNoPort;
  std::array<Ingress, packet::kPortsMax> ingress;  // by PortId
  DatapathCounters counters;
  ip::LocalAddresses local;
  ip::ForwardingEpoch epoch;
  std::unique_ptr<ip::Fib> fib;
  std::unique_ptr<ip::NeighborTable> neighbors;
  std::unique_ptr<ip::Icmp> icmp;
  std::unique_ptr<ip::IpOutput> output;
  std::unique_ptr<bfd::Table> bfd_table;
  std::unique_ptr<ip::Reassembly> reassembly;
  std::unique_ptr<Egress> egress;
  std::unique_ptr<L4> l4;
  std::unique_ptr<ProxySeam> proxy_seam;
  std::unique_ptr<Proxy> proxy;
  const Snapshot* snapshot = nullptr;
  std::vector<SavedFlow>* save_to = nullptr;
  bool forwards_to_strangers = false;  // some virtual server leaves the client's address: replies are not to us
  bool has_owners_by_client = false;   // it is or was so: flows from then go on
  TokenBucket rounds{1000, 100};       // ICMP errors that other workers are asked about
  std::array<Staged, packet::kBatchMax> staged;
};

}  // namespace sluice::lb
