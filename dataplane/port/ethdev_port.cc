// Brings a DPDK device up; see ethdev_port.h.
#include "dataplane/port/ethdev_port.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <filesystem>

#include "dataplane/port/eal.h"
#include "dataplane/port/netlink.h"
#include "dataplane/port/packet_socket.h"

namespace sluice::port {

using packet::Batch;
using packet::Packet;

namespace {

constexpr std::uint16_t kDescriptors = 1024;    // each way and queue, adjusted to what the device can
constexpr std::uint32_t kFrameOverhead = 18;    // Ethernet header and one VLAN tag
constexpr std::uint32_t kAfPacketFrame = 2048;  // bytes of a ring slot; 66 of them are the kernel's
constexpr std::uint32_t kAfPacketOverhead = 66 + 14;
constexpr int kAfXdp = 44;  // AF_XDP, where libc does not name it yet

constexpr std::uint64_t kRssTypes = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;

// Drivers that sit on a kernel interface which the kernel must leave to us.
bool uses_kernel_interface(const std::string& driver) {
  return driver == "net_af_packet" || driver == "eth_af_packet" || driver == "net_af_xdp" || driver == "net_pcap" ||
         driver == "eth_pcap";
}
bool is_af_packet(const std::string& driver) { return driver == "net_af_packet" || driver == "eth_af_packet"; }

std::string why(int error) {
  std::string text = std::strerror(error < 0 ? -error : error);
  if (const auto last = last_eal_error(); !last.empty()) text += "; DPDK says: " + last;
  return text;
}

std::vector<int> open_descriptors() {
  std::vector<int> out;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", ignored)) {
    out.push_back(std::atoi(entry.path().filename().c_str()));
  }
  return out;
}

// All of this process: unlike other sockets they do not tell their interface.
std::vector<int> xdp_sockets() {
  std::vector<int> out = open_descriptors();
  std::erase_if(out, [](int fd) {
    int domain = 0;
    socklen_t length = sizeof domain;
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0 || domain != kAfXdp;
  });
  return out;
}

// Frames the kernel hands to raw sockets: is this process allowed to?
Status check_raw_socket_permission() {
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd >= 0) {
    close(fd);
    return {};
  }
  return fail("", std::string("cannot open a packet socket: ") + std::strerror(errno) +
                      " (needs root or CAP_NET_RAW and CAP_NET_ADMIN)");
}

}  // namespace

// ---- queues --------------------------------------------------------------------------------------------------------

class EthdevPort::Queue final : public PortQueue {
 public:
  Queue(packet::PortId id, std::uint16_t ethdev, std::uint16_t queue, bool prepare)
      : id_(id), ethdev_(ethdev), queue_(queue), prepare_(prepare) {}

  void rx(Batch& batch) override {
    static_assert(sizeof(Packet) == sizeof(rte_mbuf*));  // so a batch is DPDK's array of mbufs
    batch.count =
        rte_eth_rx_burst(ethdev_, queue_, reinterpret_cast<rte_mbuf**>(batch.packets.data()), packet::kBatchMax);
    for (Packet packet : batch.view()) packet.set_rx_port(id_);
  }
  std::uint32_t tx(std::span<Packet> packets) override {
    auto** mbufs = reinterpret_cast<rte_mbuf**>(packets.data());
    auto count = static_cast<std::uint16_t>(packets.size());
    if (prepare_) count = rte_eth_tx_prepare(ethdev_, queue_, mbufs, count);
    return rte_eth_tx_burst(ethdev_, queue_, mbufs, count);
  }
  std::span<const int> wake_fds() const override { return wake_fds_; }

  void add_wake_fd(int fd) { wake_fds_.push_back(fd); }

 private:
  const packet::PortId id_;
  const std::uint16_t ethdev_;
  const std::uint16_t queue_;
  const bool prepare_;  // some drivers need to see packets with offloads first
  std::vector<int> wake_fds_;
};

// ---- opening -------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<Port>> open_port(const PortOptions& options, std::span<const packet::PacketPool> pools) {
  auto device = Device::parse(options.device);
  if (!device) return fail("port " + options.name, device.error().message);
  auto port = EthdevPort::open(options, std::move(*device), pools, packet::PortKind::network);
  if (!port) return tl::unexpected(port.error());
  return std::unique_ptr<Port>(std::move(*port));
}

EthdevPort::EthdevPort(const PortOptions& options, Device device)
    : device_(std::move(device)), rss_key_(options.rss_key) {
  info_.name = options.name;
  info_.id = options.id;
  info_.mtu = options.mtu;
}

Result<std::unique_ptr<EthdevPort>> EthdevPort::open(const PortOptions& options, Device device,
                                                     std::span<const packet::PacketPool> pools, packet::PortKind kind) {
  std::unique_ptr<EthdevPort> port(new EthdevPort(options, std::move(device)));
  port->info_.kind = kind;
  Status status = port->prepare(static_cast<unsigned>(pools.size()));
  if (status) status = port->probe();
  if (status) status = port->configure(pools);
  if (!status) return fail(port->place(), status.error().text());
  return port;
}

EthdevPort::~EthdevPort() {
  if (started_) rte_eth_dev_stop(ethdev_);
  if (probed_) {
    rte_eth_dev_close(ethdev_);
    if (!device_.is_pci()) rte_eal_hotplug_remove("vdev", device_.name().c_str());
  }
}

// What must be true before the driver is asked, and defaults of its arguments.
Status EthdevPort::prepare(unsigned workers) {
  const std::string driver = device_.driver();
  if (is_af_packet(driver)) {
    device_.set_default("qpairs", std::to_string(workers));
    device_.set_default("framesz", std::to_string(kAfPacketFrame));
    device_.set_default("blocksz", std::to_string(std::max(4096u, kAfPacketFrame)));
    device_.set_default("framecnt", "4096");
    device_.set_default("qdisc_bypass", "1");
    const auto frame = std::strtoul(device_.argument("framesz")->c_str(), nullptr, 10);
    if (info_.mtu + kAfPacketOverhead > frame) {
      return fail("", "mtu " + std::to_string(info_.mtu) + " does not fit af_packet's frames of " +
                          std::to_string(frame) + " bytes: at most " +
                          std::to_string(frame - std::min<std::size_t>(frame, kAfPacketOverhead)));
    }
  }
  if (!uses_kernel_interface(driver)) return {};
  const auto interface = device_.argument("iface");
  if (interface) return prepare_interface(*interface);
  if (driver.ends_with("pcap")) return {};  // files
  return fail("", driver + " needs the interface it shall use: " + device_.name() + ",iface=eth1");
}

Status EthdevPort::prepare_interface(const std::string& interface) {
  if (auto allowed = check_raw_socket_permission(); !allowed) return allowed;
  QuietOptions options;
  options.interface = interface;
  options.mtu = info_.mtu;
  options.veth_without_tso = device_.driver() != "net_af_xdp";
  auto quiet = QuietInterface::take(options);
  if (!quiet) return tl::unexpected(quiet.error());
  quiet_ = std::move(*quiet);
  return {};
}

Status EthdevPort::probe() {
  xdp_before_ = xdp_sockets();
  std::uint16_t existing = 0;
  if (rte_eth_dev_get_port_by_name(device_.name().c_str(), &existing) == 0 && !device_.is_pci()) {
    return fail("", "device " + device_.name() + " is used already: give it another number at the end of its name");
  }
  PacketSocketScope sockets;
  const int error = device_.is_pci() ? rte_dev_probe(device_.text().c_str())
                                     : rte_eal_hotplug_add("vdev", device_.name().c_str(), device_.arguments().c_str());
  packet_sockets_ = sockets.sockets();
  if (error != 0 && !(device_.is_pci() && error == -EEXIST)) {
    return fail("", "DPDK cannot open \"" + device_.text() + "\": " + why(error) +
                        (device_.is_pci() ? " (is the NIC bound to vfio-pci?)"
                                          : " (is the driver's name right, is its PMD installed?)"));
  }
  if (rte_eth_dev_get_port_by_name(device_.name().c_str(), &ethdev_) != 0) {
    return fail(
        "",
        "no driver of DPDK takes \"" + device_.text() + "\"" +
            (device_.is_pci() ? ": bind it to vfio-pci with dpdk-devbind.py, and see that its PMD is installed" : ""));
  }
  probed_ = true;
  return {};
}

Status EthdevPort::configure(std::span<const packet::PacketPool> pools) {
  rte_eth_dev_info device{};
  if (const int error = rte_eth_dev_info_get(ethdev_, &device); error != 0)
    return fail("", "no device info: " + why(error));
  const std::string driver = device.driver_name;
  auto count = static_cast<unsigned>(
      std::min({pools.size(), std::size_t{device.max_rx_queues}, std::size_t{device.max_tx_queues}}));
  if (driver == "net_tap") count = 1;  // its one queue can be slept on; and TCP of the control plane stays in order
  if (count == 0) return fail("", "the device has no queues");
  if (is_af_packet(driver) && count < device.max_rx_queues) {
    return fail("", "qpairs=" + std::to_string(device.max_rx_queues) + " is more than the workers (" +
                        std::to_string(pools.size()) + "): nobody would read the rest");
  }
  const std::uint32_t room = rte_pktmbuf_data_room_size(pools[0].mempool()) - RTE_PKTMBUF_HEADROOM;
  if (info_.mtu + kFrameOverhead > room) {
    return fail("", "mtu " + std::to_string(info_.mtu) + " does not fit the engine's buffers: at most " +
                        std::to_string(room - kFrameOverhead));
  }
  rte_eth_conf conf{};
  const std::uint64_t checksums =
      RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
  // A vdev that "offloads" checksums does them in software, and slower than we do.
  const std::uint64_t tx = device_.is_pci() ? device.tx_offload_capa & checksums : 0;
  info_.tx_ipv4_checksum = (tx & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0;
  info_.tx_l4_checksum = (tx & RTE_ETH_TX_OFFLOAD_TCP_CKSUM) != 0 && (tx & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) != 0;
  conf.txmode.offloads = (info_.tx_ipv4_checksum ? RTE_ETH_TX_OFFLOAD_IPV4_CKSUM : 0) |
                         (info_.tx_l4_checksum ? RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM : 0) |
                         (device.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
  const std::uint64_t rx = device_.is_pci() ? device.rx_offload_capa & RTE_ETH_RX_OFFLOAD_CHECKSUM : 0;
  info_.rx_checksum_flags = rx == RTE_ETH_RX_OFFLOAD_CHECKSUM;
  conf.rxmode.offloads = info_.rx_checksum_flags ? rx : 0;
  conf.rxmode.mtu = std::min(info_.mtu, device.max_mtu);
  info_.rx_partial_checksums = quiet_ != nullptr;
  std::string steering = "one queue";
  if (count > 1 && is_af_packet(driver)) steering = "fanout hash of the kernel";
  if (count > 1 && (device.flow_type_rss_offloads & kRssTypes) != 0) {
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rx_adv_conf.rss_conf.rss_hf = device.flow_type_rss_offloads & kRssTypes;
    if (!rss_key_.empty()) {
      if (rss_key_.size() != device.hash_key_size) {
        return fail("", "the RSS key has " + std::to_string(rss_key_.size()) + " bytes, the device wants " +
                            std::to_string(device.hash_key_size));
      }
      conf.rx_adv_conf.rss_conf.rss_key = rss_key_.data();
      conf.rx_adv_conf.rss_conf.rss_key_len = static_cast<std::uint8_t>(rss_key_.size());
    }
    steering = rss_key_.empty() ? "RSS" : "RSS with our key";
  }
  const auto queues = static_cast<std::uint16_t>(count);
  if (const int error = rte_eth_dev_configure(ethdev_, queues, queues, &conf); error != 0) {
    return fail("", "cannot configure " + std::to_string(count) + " queue(s): " + why(error));
  }
  if (auto set = set_up_queues(pools, count); !set) return set;
  if (auto set = set_mtu(); !set) return set;
  rte_ether_addr mac{};
  if (const int error = rte_eth_macaddr_get(ethdev_, &mac); error != 0)
    return fail("", "no MAC address: " + why(error));
  std::memcpy(info_.mac.bytes.data(), mac.addr_bytes, sizeof mac.addr_bytes);
  const bool prepare = info_.tx_ipv4_checksum || info_.tx_l4_checksum;
  for (unsigned i = 0; i < count; ++i) {
    queues_.push_back(std::make_unique<Queue>(info_.id, ethdev_, static_cast<std::uint16_t>(i), prepare));
  }
  description_ = device_.text() + ": driver " + driver + ", " + std::to_string(count) +
                 " queue(s), steering: " + steering + ", mac " + info_.mac.text() + ", mtu " +
                 std::to_string(info_.mtu) + ", checksums: ipv4 " +
                 (info_.tx_ipv4_checksum ? "by the port" : "by software") + ", tcp/udp " +
                 (info_.tx_l4_checksum ? "by the port" : "by software") +
                 (info_.rx_partial_checksums ? ", received ones may be partial" : "");
  return {};
}

Status EthdevPort::set_up_queues(std::span<const packet::PacketPool> pools, unsigned count) {
  std::uint16_t rx = kDescriptors;
  std::uint16_t tx = kDescriptors;
  if (const int error = rte_eth_dev_adjust_nb_rx_tx_desc(ethdev_, &rx, &tx); error != 0) {
    return fail("", "cannot choose ring sizes: " + why(error));
  }
  const int socket = rte_eth_dev_socket_id(ethdev_);
  const auto node = static_cast<unsigned>(socket < 0 ? 0 : socket);
  for (unsigned i = 0; i < count; ++i) {
    const auto queue = static_cast<std::uint16_t>(i);
    int error = rte_eth_rx_queue_setup(ethdev_, queue, rx, node, nullptr, pools[i].mempool());
    if (error != 0) return fail("", "cannot set up receive queue " + std::to_string(i) + ": " + why(error));
    error = rte_eth_tx_queue_setup(ethdev_, queue, tx, node, nullptr);
    if (error != 0) return fail("", "cannot set up transmit queue " + std::to_string(i) + ": " + why(error));
  }
  return {};
}

Status EthdevPort::set_mtu() {
  const int error = rte_eth_dev_set_mtu(ethdev_, info_.mtu);
  if (error == 0) return {};
  std::uint16_t now = 0;
  rte_eth_dev_get_mtu(ethdev_, &now);
  if (error == -ENOTSUP) return {};  // memif, ring, null, pcap: frames of any length
  return fail("",
              "cannot set mtu " + std::to_string(info_.mtu) + " (it is " + std::to_string(now) + "): " + why(error));
}

Status EthdevPort::start() {
  if (const int error = rte_eth_dev_start(ethdev_); error != 0) return fail(place(), "cannot start: " + why(error));
  started_ = true;
  find_wake_fds();
  return {};
}

PortQueue& EthdevPort::queue(unsigned index) { return *queues_[index]; }

std::vector<std::string> EthdevPort::warnings() const {
  return quiet_ ? quiet_->warnings() : std::vector<std::string>();
}

// ---- descriptors to sleep on ---------------------------------------------------------------------------------------
// The drivers do not tell theirs. af_packet's were seen as they were made; those of tap and af_xdp are recognised by
// what the kernel says of them. A queue without one makes its worker nap, which costs latency and CPU, nothing else.

namespace {

bool is_tap_queue(int fd, const char* interface) {
  ifreq request{};
  return ioctl(fd, TUNGETIFF, &request) == 0 && std::strncmp(request.ifr_name, interface, IFNAMSIZ) == 0;
}

}  // namespace

void EthdevPort::find_wake_fds() {
  if (packet_sockets_.size() == queues_.size()) {
    for (std::size_t i = 0; i < queues_.size(); ++i) queues_[i]->add_wake_fd(packet_sockets_[i]);
    return;
  }
  rte_eth_dev_info device{};
  char name[IF_NAMESIZE] = "";
  if (queues_.size() != 1 || rte_eth_dev_info_get(ethdev_, &device) != 0 || device.if_index == 0) return;
  if (if_indextoname(device.if_index, name) == nullptr) return;
  auto candidates = device_.driver() == "net_af_xdp" ? xdp_sockets() : open_descriptors();
  std::erase_if(candidates, [&](int fd) {
    return device_.driver() == "net_af_xdp" ? std::ranges::find(xdp_before_, fd) != xdp_before_.end()
                                            : !is_tap_queue(fd, name);
  });
  if (!candidates.empty()) queues_[0]->add_wake_fd(candidates.front());
}

// ---- statistics ----------------------------------------------------------------------------------------------------

bool EthdevPort::is_link_up() const {
  rte_eth_link link{};
  return rte_eth_link_get_nowait(ethdev_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

PortStatistics EthdevPort::statistics() const {
  PortStatistics out;
  rte_eth_stats stats{};
  if (rte_eth_stats_get(ethdev_, &stats) == 0) {
    out.rx_packets = stats.ipackets;
    out.rx_bytes = stats.ibytes;
    out.tx_packets = stats.opackets;
    out.tx_bytes = stats.obytes;
    out.rx_missed = stats.imissed;
    out.rx_errors = stats.ierrors;
    out.tx_errors = stats.oerrors;
    out.rx_no_buffers = stats.rx_nombuf;
  }
  const int count = rte_eth_xstats_get_names(ethdev_, nullptr, 0);
  if (count <= 0) return out;
  std::vector<rte_eth_xstat_name> names(static_cast<std::size_t>(count));
  std::vector<rte_eth_xstat> values(names.size());
  if (rte_eth_xstats_get_names(ethdev_, names.data(), static_cast<unsigned>(count)) != count ||
      rte_eth_xstats_get(ethdev_, values.data(), static_cast<unsigned>(count)) != count) {
    return out;
  }
  for (const auto& value : values) out.extended.emplace_back(names[value.id].name, value.value);
  return out;
}

}  // namespace sluice::port
