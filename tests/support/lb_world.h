// World: a Datapath in the reference deployment's network, fed with frames and asked what it did; for tests and
// fuzzing.
//
//   World world;                                     // 172.16.40.202, nodes .198 and .199, a client at .10
//   world.install({web_server("172.16.40.80:80")});
//   EXPECT_EQ(world.send(world.syn()), "int: 172.16.40.202:40000 > 10.244.0.76:80 tcp S ttl 63 len 0");
//   EXPECT_EQ(world.send(…), "drop no_virtual_server; int: … tcp RA …");
//
// Every frame that comes out must be without fault, and the accounting must hold after every one that goes in.
// Called by: tests/lb/datapath, tests/fuzz/datapath_fuzz.cc.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dataplane/ip/fib.h"
#include "dataplane/ip/neighbor.h"
#include "lb/datapath/datapath.h"
#include "tests/support/eal.h"
#include "tests/support/lb_pool.h"
#include "tests/support/packets.h"

namespace sluice::lb {

// Drops all bursts into one place and remembers to whom they went.
class CollectHandover : public worker::Handover {
 public:
  void push(unsigned worker, packet::Packet packet) override {
    workers.push_back(worker);
    batch.push(packet);
  }
  std::vector<unsigned> workers;
  packet::Batch batch;
};

struct WorldOptions {
  unsigned worker = 0;
  unsigned workers = 1;
  std::uint32_t flows_max = 4096;
  std::uint16_t snat_port_first = 1024;
  std::uint16_t snat_port_last = 61439;
  bool partial_checksums = false;  // the network port's peers leave only the pseudo-header sum
  bool with_host_port = true;
  std::uint32_t pool_size = 4095;
};

inline constexpr packet::PortId kNetworkPort = 0;
inline constexpr packet::PortId kOtherPort = 1;  // a second network, MTU 1400, subnet 192.168.7.0/24
inline constexpr packet::PortId kHostPort = 2;
inline constexpr Instant kWorldStart = instant_ns(1'000'000'000'000);

class World {
 public:
  explicit World(const WorldOptions& options = {});
  ~World();

  // The default: virtual server "web" 172.16.40.80:80 tcp with members 10.244.0.76:80 and 10.244.1.37:80, round-robin,
  // "dns" 172.16.40.80:53 udp with one member 10.244.0.53:53.
  void install_default();
  void install(std::vector<VirtualServerSpec> servers, std::vector<PoolSpec> pools,
               std::vector<VirtualAddressSpec> addresses = {}, std::vector<SnatPool> snat_pools = {});

  // A frame in at a port at the present time; what came of it: drops, then frames out, "; " between them.
  std::string send(const test::Bytes& frame, packet::PortId port = kNetworkPort);
  std::string send(const test::Frame& frame, packet::PortId port = kNetworkPort) { return send(frame.bytes(), port); }
  // As if another worker had received it; `passed`: how many had looked at it, for what goes round.
  std::string handed_over(const test::Bytes& frame, std::uint32_t passed = 0);
  // Lets time pass, in turns; what came of it.
  std::string advance(Duration time);
  std::string last_frame_faults() const { return faults_; }
  const std::vector<test::SentFrame>& last_frames() const { return frames_; }

  // Frames of the default client 172.16.40.10:40000 and its member's answers.
  test::Frame client(const std::string& to = "172.16.40.80", unsigned dst_port = 80, unsigned src_port = 40000) const;
  test::Frame member(unsigned to_port = 40000, const std::string& from = "10.244.0.76", unsigned from_port = 80) const;
  // Opens a TCP connection through "web" from this client port, to the end of the handshake.
  void establish(unsigned src_port = 40000);

  std::uint64_t drops(DropReason reason) const { return drops_->counters().get(reason); }
  Datapath& datapath() { return *datapath_; }
  MemberRuntime& member_runtime(std::size_t pool, std::size_t member) {
    return *snapshot_->pools()[pool]->members[member].runtime;
  }
  VirtualServerRuntime& server_runtime(std::size_t i) { return *snapshot_->virtual_servers()[i].runtime; }
  const Snapshot& snapshot() const { return *snapshot_; }
  Registry& registry() { return registry_; }
  CollectHandover& handover() { return handover_; }
  std::uint32_t packets_in_use() const { return pool_->in_use(); }
  const packet::PacketPool& pool() const { return *pool_; }
  std::vector<FlowView> flows(const FlowFilter& filter = {});
  // rx + generated = tx + drops + consumed + handed over + waiting (all buffers in use).
  void check_accounting();
  void feed(packet::Packet packet, packet::PortId port);
  void feed(packet::Batch& batch, packet::PortId port);
  std::string outcome();
  void end(packet::Packet packet) { drops_->drop(packet, DropReason::steer_ring_full); }

  Instant now = kWorldStart;
  bool judge_frames = true;  // false: frames in may be wrong in ways that are passed on

 private:
  void add_routes();

  test::TestPool pool_;
  test::CollectSink sink_;
  std::unique_ptr<packet::Drops> drops_ = std::make_unique<packet::Drops>();
  CollectHandover handover_;
  Registry registry_;
  unsigned workers_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::unique_ptr<Datapath> datapath_;
  std::vector<test::SentFrame> frames_;
  std::array<std::uint64_t, kDropReasonCount> seen_drops_{};
  std::string faults_;
  std::uint64_t received_ = 0, sent_ = 0;
};

// One world for many cases (making one takes a while): before each, no flow is left and the default is installed anew.
class SharedWorld : public testing::Test {
 protected:
  static void SetUpTestSuite() { shared_ = std::make_unique<World>(); }
  static void TearDownTestSuite() { shared_.reset(); }
  void SetUp() override {
    std::uint32_t deleted = 0;
    world.datapath().delete_flows(world.now, 0, world.datapath().flow_capacity(), {}, deleted);
    world.advance(20s);  // rate limits fill up, fragments go
    world.install({}, {});
    world.install_default();
  }

 private:
  static inline std::unique_ptr<World> shared_;

 protected:
  World& world = *shared_;
};

VirtualServerSpec server_spec(const std::string& name, const std::string& destination, const std::string& pool,
                              Mode mode = Mode::tcp);
PoolSpec pool_of(const std::string& name, std::vector<std::string> endpoints, Balance balance = Balance::round_robin);

}  // namespace sluice::lb
