// The engine on real kernel interfaces: af_packet on a veth, the host port's tap, and what the kernel must not do.
//
// The test makes network namespaces of its own (unshare for the engine, `ip netns add veth-peer-PID` for the peer)
// and needs root; it is skipped otherwise. A tiny router answers ARP and ping for the virtual address, and carries
// packets between the segment and the host port. The peer keeps the kernel's defaults: partial checksums, TSO, GRO.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "dataplane/port/host_port.h"
#include "dataplane/port/netlink.h"
#include "dataplane/port/quiet_interface.h"
#include "tests/dataplane/worker/harness.h"

namespace sluice::worker {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr Ipv4Address kVirtual = Ipv4Address::from_octets(10, 9, 0, 80);
constexpr Ipv4Address kSelf = Ipv4Address::from_octets(10, 9, 0, 2);
constexpr packet::PortId kNetwork = 0;
constexpr packet::PortId kHost = 1;

struct Output {
  int status = -1;
  std::string text;
};

Output shell(const std::string& command) {
  Output out;
  std::FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  char buffer[4096];
  for (std::size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.text.append(buffer, n);
  out.status = pclose(pipe);
  return out;
}

std::string peer_name() { return "veth-peer-" + std::to_string(getpid()); }
Output in_peer(const std::string& command) { return shell("ip netns exec " + peer_name() + " " + command); }
Output in_peer_python(const std::string& code) { return in_peer("python3 -c '" + code + "'"); }

// ---- a router of one network port and one host port ----------------------------------------------------------------

struct Seen {
  std::atomic<std::uint32_t> length_max{0};
  std::atomic<std::uint32_t> fragments{0};
  std::atomic<std::uint32_t> for_nobody{0};
};
Seen seen;

std::uint16_t get16(const std::uint8_t* at) { return static_cast<std::uint16_t>(at[0] << 8 | at[1]); }
std::uint32_t get32(const std::uint8_t* at) { return std::uint32_t{get16(at)} << 16 | get16(at + 2); }
void put16(std::uint8_t* at, std::uint32_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}

std::uint32_t sum_bytes(const std::uint8_t* data, std::size_t size, std::uint32_t sum) {
  for (std::size_t i = 0; i + 1 < size; i += 2) sum += get16(data + i);
  if (size % 2 != 0) sum += std::uint32_t{data[size - 1]} << 8;
  return sum;
}
std::uint32_t fold(std::uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

// In full: the peer's veth leaves only the pseudo-header's sum in the field.
void complete_tcp_checksum(std::uint8_t* ip) {
  if (ip[9] != 6) return;
  const std::size_t header = (ip[0] & 15u) * 4;
  const std::size_t size = get16(ip + 2) - header;
  put16(ip + header + 16, 0);
  const auto pseudo = sum_bytes(ip + 12, 8, 6 + static_cast<std::uint32_t>(size));
  put16(ip + header + 16, fold(sum_bytes(ip + header, size, pseudo)));
}

class Router : public Reflector {
 public:
  using Reflector::Reflector;
  void on_burst(Instant, packet::PortId rx_port, Batch& batch) override {
    for (Packet packet : batch.view()) {
      if (rx_port == kHost) {
        from_host(packet);
      } else {
        from_network(packet);
      }
    }
  }

 private:
  void from_network(Packet packet) {
    seen.length_max = std::max(seen.length_max.load(), packet.length());
    std::uint8_t* data = packet.data();
    std::uint8_t* ip = data + 14;
    if (get16(data + 12) == 0x0806) {
      arp(packet);
      return;
    }
    if (get16(data + 12) != 0x0800) {
      context_.drops.drop(packet, DropReason::ethertype_unknown);
      return;
    }
    if (get16(ip + 2) + 14u > packet.length()) {
      context_.drops.drop(packet, DropReason::ipv4_bad_total_length);
      return;
    }
    std::memcpy(peer_mac_.data(), data + 6, 6);
    if ((get16(ip + 6) & 0x3fff) != 0) ++seen.fragments;
    if (get32(ip + 16) == kSelf.value && context_.ports.size() > kHost) {
      complete_tcp_checksum(ip);
      address(data, context_.ports[kHost].mac.bytes, context_.ports[kHost].mac.bytes);
      context_.tx.push(kHost, packet);
    } else if (get32(ip + 16) == kVirtual.value && ip[9] == 1 && ip[20] == 8) {
      ip[20] = 0;  // echo request to reply: 8 less in the first byte is 0x0800 more in the checksum
      put16(ip + 22, fold(~std::uint32_t{get16(ip + 22)} % 0x10000 + 0xf7ff));
      std::swap_ranges(ip + 12, ip + 16, ip + 16);
      address(data, peer_mac_, context_.ports[kNetwork].mac.bytes);
      context_.tx.push(kNetwork, packet);
    } else {
      ++seen.for_nobody;
      context_.drops.drop(packet, DropReason::ipv4_not_for_us);
    }
  }
  void from_host(Packet packet) {
    if (get16(packet.data() + 12) != 0x0800) {
      context_.drops.drop(packet, DropReason::ethertype_unknown);
      return;
    }
    address(packet.data(), peer_mac_, context_.ports[kNetwork].mac.bytes);
    context_.tx.push(kNetwork, packet);
  }
  void arp(Packet packet) {
    std::uint8_t* data = packet.data();
    std::memcpy(peer_mac_.data(), data + 22, 6);
    const auto target = get32(data + 38);
    if (get16(data + 20) != 1 || (target != kVirtual.value && target != kSelf.value)) {
      context_.drops.drop(packet, DropReason::arp_not_for_us);
      return;
    }
    const auto& mac = context_.ports[kNetwork].mac.bytes;
    put16(data + 20, 2);
    std::uint8_t wanted[4];
    std::memcpy(wanted, data + 38, 4);
    std::memcpy(data + 32, data + 22, 10);
    std::memcpy(data + 22, mac.data(), 6);
    std::memcpy(data + 28, wanted, 4);
    address(data, peer_mac_, mac);
    context_.tx.push(kNetwork, packet);
  }
  static void address(std::uint8_t* data, const std::array<std::uint8_t, 6>& to,
                      const std::array<std::uint8_t, 6>& from) {
    std::memcpy(data, to.data(), 6);
    std::memcpy(data + 6, from.data(), 6);
  }
  std::array<std::uint8_t, 6> peer_mac_{};
};

// ---- the fixture ---------------------------------------------------------------------------------------------------

class Veth : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (geteuid() != 0) return;
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    test::start_eal();
  }
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    seen.length_max = 0;
    seen.fragments = 0;
    seen.for_nobody = 0;
    shell("ip netns del " + peer_name());
    const auto made = shell("ip netns add " + peer_name() +
                            " && ip link set lo up && ip link add sv0 numrxqueues 1 numtxqueues 1 type veth peer name "
                            "sv1 numrxqueues 1 numtxqueues 1 netns " +
                            peer_name() + " && ip link set sv0 up");
    ASSERT_EQ(made.status, 0) << made.text;
    in_peer("sh -c 'ip addr add 10.9.0.1/24 dev sv1; ip link set sv1 up; ip link set lo up'");
  }
  void TearDown() override {
    engine_.reset();
    if (geteuid() != 0) return;
    shell("ip link del sv0");
    shell("ip netns del " + peer_name());
  }

  void start(unsigned workers = 1, bool host = true, const std::string& device = "net_af_packet0,iface=sv0") {
    EngineOptions options;
    options.workers = workers;
    options.packet_buffers = 8192;
    auto pools = Engine::make_pools(options);
    ASSERT_TRUE(pools) << pools.error().text();
    std::vector<std::unique_ptr<port::Port>> ports;
    auto network = port::open_port({.name = "int", .device = device, .id = kNetwork}, *pools);
    ASSERT_TRUE(network) << network.error().text();
    EXPECT_TRUE((*network)->warnings().empty()) << (*network)->warnings()[0];
    EXPECT_TRUE((*network)->info().rx_partial_checksums);
    EXPECT_EQ((*network)->queue_count(), workers);
    ports.push_back(std::move(*network));
    if (host) {
      port::HostPortOptions host_options;
      host_options.interface = "svhost";
      host_options.id = kHost;
      auto opened = port::HostPort::open(host_options, *pools);
      ASSERT_TRUE(opened) << opened.error().text();
      host_ = opened->get();
      ports.push_back(std::move(*opened));
    }
    auto engine = Engine::start(options, std::move(*pools), std::move(ports), make<Router>());
    ASSERT_TRUE(engine) << engine.error().text();
    engine_ = std::move(*engine);
    if (host) {
      const Ipv4Address self_ips[] = {kSelf};
      const auto set = host_->set_self_ips(self_ips);
      ASSERT_TRUE(set) << set.error().text();
    }
  }
  std::uint64_t dropped(DropReason reason) {
    std::uint64_t sum = 0;
    for (unsigned w = 0; w < engine_->workers(); ++w) sum += engine_->drops(w).get(reason);
    return sum;
  }

  port::HostPort* host_ = nullptr;
  std::unique_ptr<Engine> engine_;
};

TEST_F(Veth, PingThroughTheEngine) {
  start();
  const auto ping = in_peer("ping -c 20 -i 0.02 -W 1 10.9.0.80");
  EXPECT_THAT(ping.text, HasSubstr(" 0% packet loss"));
  EXPECT_THAT(ping.text, Not(HasSubstr("DUP")));
  std::printf("%s\n", ping.text.substr(ping.text.rfind("rtt")).c_str());
  const auto statistics = engine_->statistics()[0];
  EXPECT_GE(statistics.rx_packets, 20u);
  EXPECT_TRUE(engine_->stop());
}

TEST_F(Veth, TwoWorkersShareThePort) {
  start(2);
  const auto ping = in_peer("ping -c 10 -i 0.02 -W 1 10.9.0.80");
  EXPECT_THAT(ping.text, HasSubstr(" 0% packet loss"));
  EXPECT_TRUE(engine_->stop());
}

TEST_F(Veth, AfXdpCarriesPingAndFragments) {
  start(1, false, "net_af_xdp0,iface=sv0");
  EXPECT_THAT(in_peer("ping -c 10 -i 0.02 -W 1 10.9.0.80").text, HasSubstr(" 0% packet loss"));
  in_peer("ip neigh replace 10.9.0.77 lladdr " + engine_->ports()[kNetwork].mac.text() + " dev sv1");
  in_peer("ping -c 1 -W 1 -s 3000 10.9.0.77");
  EXPECT_EQ(seen.fragments, 3u);
  EXPECT_GT(engine_->statistics()[0].sleeps, 10u);
  EXPECT_LT(engine_->statistics()[0].turns, 1'000'000u) << "the worker did not sleep on the socket";
  EXPECT_TRUE(engine_->stop());
}

TEST_F(Veth, KernelIgnoresTheInterfaceAndGetsItBack) {
  ASSERT_EQ(shell("ip addr add 10.9.0.9/24 dev sv0").status, 0);
  ASSERT_THAT(in_peer("ping -c 2 -i 0.1 -W 1 10.9.0.9").text, HasSubstr(" 0% packet loss"));
  in_peer("ip neigh flush dev sv1");
  const auto note = [] { return !shell("ls /run/sluice | grep sv0").text.empty(); };
  {
    auto quiet = port::QuietInterface::take({.interface = "sv0"});
    ASSERT_TRUE(quiet) << quiet.error().text();
    ASSERT_EQ((*quiet)->warnings().size(), 1u);
    EXPECT_THAT((*quiet)->warnings()[0], HasSubstr("sv0 carries 10.9.0.9 in the kernel"));
    EXPECT_THAT(in_peer("ping -c 2 -i 0.1 -W 1 10.9.0.9").text, HasSubstr(" 100% packet loss"));
    EXPECT_THAT(in_peer("ip neigh show 10.9.0.9").text, Not(HasSubstr("lladdr")));
    EXPECT_THAT(shell("cat /proc/sys/net/ipv6/conf/sv0/disable_ipv6").text, HasSubstr("1"));
    EXPECT_THAT(shell("ethtool -k sv0 | grep generic-receive").text, HasSubstr("off"));
    EXPECT_THAT(in_peer("ethtool -k sv1 | grep tcp-segmentation-offload").text, HasSubstr("off"));
    EXPECT_TRUE(note());
    const auto second = port::QuietInterface::take({.interface = "sv0"});
    ASSERT_FALSE(second);
    EXPECT_THAT(second.error().text(), HasSubstr("sv0: is in use by another Sluice"));
  }
  EXPECT_THAT(in_peer("ping -c 2 -i 0.1 -W 1 10.9.0.9").text, HasSubstr(" 0% packet loss"));
  EXPECT_THAT(shell("cat /proc/sys/net/ipv6/conf/sv0/disable_ipv6").text, HasSubstr("0"));
  EXPECT_EQ(shell("nft list ruleset").text, "");
  EXPECT_FALSE(note());
}

TEST_F(Veth, InterfaceIsRestoredAfterACrash) {
  shell("ethtool -K sv0 gro on");
  const pid_t child = fork();
  if (child == 0) {
    auto quiet = port::QuietInterface::take({.interface = "sv0", .mtu = 1400});
    quiet->release();
    _exit(quiet ? 0 : 1);  // no destructor runs, as in a crash
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  EXPECT_EQ(shell("nft list ruleset").text, "") << "the kernel removes the table of a dead process";
  EXPECT_THAT(shell("ip link show sv0").text, Not(HasSubstr("xdp")));
  EXPECT_THAT(shell("ip link show sv0").text, HasSubstr("mtu 1400"));
  { ASSERT_TRUE(port::QuietInterface::take({.interface = "sv0"})); }
  EXPECT_THAT(shell("ip link show sv0").text, HasSubstr("mtu 1500"));
  EXPECT_THAT(shell("ethtool -k sv0 | grep generic-receive").text, HasSubstr(": on"));
  EXPECT_THAT(shell("cat /proc/sys/net/ipv6/conf/sv0/disable_ipv6").text, HasSubstr("0"));
}

TEST_F(Veth, KernelSendsNothingForAddressesItHas) {
  start();
  shell("ip addr add 10.9.0.9/24 dev sv0");
  EXPECT_THAT(in_peer("ping -c 1 -W 1 10.9.0.9").text, HasSubstr("100% packet loss"));
  // A closed port of the virtual address: the router drops it, and no RST may come from the kernel.
  const auto connected =
      in_peer_python("import socket; s=socket.socket(); s.settimeout(0.5); print(s.connect_ex((\"10.9.0.80\", 81)))");
  EXPECT_THAT(connected.text, HasSubstr("11"));  // timeout, not "refused" (111)
  EXPECT_THAT(connected.text, Not(HasSubstr("111")));
  EXPECT_TRUE(engine_->stop());
}

TEST_F(Veth, FragmentsArriveAsTheyWereSent) {
  start();
  in_peer("ip neigh replace 10.9.0.77 lladdr " + engine_->ports()[kNetwork].mac.text() + " dev sv1");
  in_peer("ping -c 2 -i 0.1 -W 1 -s 3000 10.9.0.77");
  EXPECT_EQ(seen.fragments, 6u);  // three a packet
  EXPECT_LE(seen.length_max, 1514u);
  EXPECT_EQ(dropped(DropReason::ipv4_bad_total_length), 0u);
  EXPECT_TRUE(engine_->stop());
}

// One connection to a kernel socket on the self IP, in both directions, with the peer's offloads at their defaults.
TEST_F(Veth, TcpThroughTheHostPort) {
  start();
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(1790);
  address.sin_addr.s_addr = htonl(kSelf.value);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0) << strerror(errno);
  ASSERT_EQ(listen(listener, 1), 0);
  std::size_t received = 0;
  std::thread server([&] {
    const int connection = accept(listener, nullptr, nullptr);
    char buffer[65536];
    for (ssize_t n; (n = read(connection, buffer, sizeof buffer)) > 0;) received += static_cast<std::size_t>(n);
    std::vector<char> answer(1'000'000, 'x');
    for (std::size_t sent = 0; sent < answer.size();) {
      const auto n = write(connection, answer.data() + sent, answer.size() - sent);
      if (n <= 0) break;
      sent += static_cast<std::size_t>(n);
    }
    close(connection);
  });
  const auto client = in_peer_python(
      "import socket,time; t=time.time(); s=socket.create_connection((\"10.9.0.2\", 1790), 5)\n"
      "s.sendall(b\"y\"*3000000); s.shutdown(1); n=0\n"
      "while True:\n d=s.recv(65536)\n if not d: break\n n+=len(d)\n"
      "print(\"got\", n, \"in\", round(time.time()-t,3), \"s\")");
  shutdown(listener, SHUT_RDWR);
  server.join();
  close(listener);
  EXPECT_THAT(client.text, HasSubstr("got 1000000 in"));
  std::printf("3 MB in, 1 MB out: %s", client.text.c_str());
  EXPECT_EQ(received, 3'000'000u);
  EXPECT_LE(seen.length_max, 1514u) << "the peer sent segments larger than the MTU";
  EXPECT_EQ(dropped(DropReason::ipv4_bad_total_length), 0u);
  EXPECT_TRUE(engine_->stop());
}

TEST_F(Veth, KernelReachesThePeerFromTheSelfIpOnly) {
  start();
  in_peer("ping -c 1 -W 1 10.9.0.80");  // teaches the router the peer's MAC
  EXPECT_THAT(shell("ping -c 5 -i 0.05 -W 1 -I 10.9.0.2 10.9.0.1").text, HasSubstr(" 0% packet loss"));
  EXPECT_NE(shell("ping -c 1 -W 1 10.9.0.1").status, 0) << "without the self IP there is no way";
  const Ipv4Address others[] = {kSelf, Ipv4Address::from_octets(10, 9, 0, 3)};
  ASSERT_TRUE(host_->set_self_ips(others));
  EXPECT_THAT(shell("ip rule").text, HasSubstr("from 10.9.0.3 lookup 7720"));
  ASSERT_TRUE(host_->set_self_ips(std::span(others).first(1)));
  EXPECT_THAT(shell("ip rule").text, Not(HasSubstr("10.9.0.3")));
  EXPECT_THAT(shell("ip addr show svhost").text, Not(HasSubstr("10.9.0.3")));
  EXPECT_THAT(shell("ip addr show svhost").text, HasSubstr("10.9.0.2/32"));
  EXPECT_TRUE(engine_->stop());
  EXPECT_THAT(shell("ip rule").text, Not(HasSubstr("7720")));
  EXPECT_NE(shell("ip link show svhost").status, 0);
  EXPECT_EQ(shell("ip route show table 7720 2>/dev/null").text.find("default"), std::string::npos);
}

TEST_F(Veth, HostPortNameThatIsTaken) {
  test::TestPool pool;
  const packet::PacketPool pools[] = {*pool};
  const auto taken = port::HostPort::open({.interface = "sv0", .id = kHost}, pools);
  ASSERT_FALSE(taken);
  EXPECT_THAT(taken.error().text(), HasSubstr("host port sv0: the name is taken"));
  const auto bad = port::HostPort::open({.interface = "a/b", .id = kHost}, pools);
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().text(), HasSubstr("\"a/b\" is no interface name"));
}

TEST_F(Veth, IdleCostsLittleAndWakesFast) {
  start();
  in_peer("ping -c 1 -W 1 10.9.0.80");
  std::this_thread::sleep_for(50ms);
  const auto before = engine_->statistics()[0];
  rusage from{}, to{};
  getrusage(RUSAGE_SELF, &from);
  std::this_thread::sleep_for(1s);
  getrusage(RUSAGE_SELF, &to);
  const auto ms = [](const rusage& u) {
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
  };
  const auto idle = engine_->statistics()[0] - before;
  std::printf("idle: %ld ms of CPU a second, %llu sleeps\n", ms(to) - ms(from),
              static_cast<unsigned long long>(idle.sleeps));
  EXPECT_LT(ms(to) - ms(from), 50) << "idle costs more than 5 % of a core";
  EXPECT_TRUE(engine_->stop());
}

}  // namespace
}  // namespace sluice::worker
