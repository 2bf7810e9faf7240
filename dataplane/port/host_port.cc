// The tap and what the kernel needs to use it; see host_port.h.
#include "dataplane/port/host_port.h"

#include <fcntl.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "dataplane/port/ethdev_port.h"
#include "dataplane/port/netlink.h"

namespace sluice::port {
namespace {

// What the kernel says at once to thousands of BGP neighbours: a frame more would be lost, and sent again by TCP's
// timers (the kernel's own 500 were too few for an address that flips with 5,000).
constexpr unsigned kQueueLength = 8192;

Status check_name(const std::string& name) {
  const auto plain = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.'; };
  if (!name.empty() && name.size() < IFNAMSIZ && std::ranges::all_of(name, plain) && name.front() != '.') return {};
  return fail("", "\"" + name + "\" is no interface name: 1 to 15 letters, digits, '-', '_'");
}

Status check_tun_driver() {
  const int fd = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (fd >= 0) {
    close(fd);
    return {};
  }
  return fail("", std::string("cannot open /dev/net/tun: ") + std::strerror(errno) +
                      (errno == EACCES || errno == EPERM ? " (needs root or CAP_NET_ADMIN)"
                                                         : " (load the tun module: `modprobe tun`)"));
}

// Settings of the tap itself: gone with it. Not all exist on every kernel; none is needed for the engine to work.
void write_sysctl(const std::string& family, const std::string& interface, const std::string& key, const char* value) {
  std::ofstream file("/proc/sys/net/" + family + "/conf/" + interface + "/" + key);
  file << value << std::flush;
}

class HostPortImpl final : public HostPort {
 public:
  HostPortImpl(const HostPortOptions& options, std::unique_ptr<EthdevPort> tap, Netlink netlink)
      : options_(options), tap_(std::move(tap)), netlink_(std::move(netlink)) {}
  ~HostPortImpl() override { remove_rules(); }  // addresses and route go with the tap

  const packet::PortInfo& info() const override { return tap_->info(); }
  unsigned queue_count() const override { return tap_->queue_count(); }
  PortQueue& queue(unsigned index) override { return tap_->queue(index); }
  Status start() override;
  bool is_link_up() const override { return tap_->is_link_up(); }
  PortStatistics statistics() const override { return tap_->statistics(); }
  std::string description() const override {
    return tap_->description() + "; kernel side " + options_.interface + ", table " + std::to_string(options_.table);
  }
  Status set_self_ips(std::span<const Ipv4Address> addresses) override;
  const std::string& interface() const override { return options_.interface; }

 private:
  void remove_rules();
  Status add(Ipv4Address address);
  Status remove(Ipv4Address address);
  tl::unexpected<Error> trouble(const Error& error) const {
    return fail("host port " + options_.interface, error.message);
  }

  const HostPortOptions options_;
  std::unique_ptr<EthdevPort> tap_;
  Netlink netlink_;
  unsigned index_ = 0;  // the kernel's number of the tap
};

Status HostPortImpl::start() {
  if (auto started = tap_->start(); !started) return started;
  auto link = netlink_.link(options_.interface);
  if (!link) return trouble(link.error());
  if (!*link) return trouble({"", "the tap is not there after its start"});
  index_ = (*link)->index;
  remove_rules();  // of a Sluice that crashed
  write_sysctl("ipv6", options_.interface, "disable_ipv6", "1");
  write_sysctl("ipv4", options_.interface, "forwarding", "0");
  // NOARP: the kernel takes the tap's own MAC for everybody's, and asks nobody.
  if (auto set = netlink_.set_flags(index_, IFF_UP | IFF_NOARP, IFF_UP | IFF_NOARP); !set) return trouble(set.error());
  if ((*link)->mtu != options_.mtu) {
    if (auto set = netlink_.set_mtu(index_, options_.mtu); !set) return trouble(set.error());
  }
  if (auto set = netlink_.set_queue_length(index_, kQueueLength); !set) return trouble(set.error());
  if (auto route = netlink_.add_default_route(index_, options_.table); !route) return trouble(route.error());
  return {};
}

void HostPortImpl::remove_rules() {
  const auto rules = netlink_.rules(options_.table);
  if (!rules) return;
  for (const auto& rule : *rules) static_cast<void>(netlink_.remove_rule(rule));
}

Status HostPortImpl::add(Ipv4Address address) {
  if (auto added = netlink_.add_address(index_, address); !added) return added;
  return netlink_.add_rule({address, options_.table, options_.rule_priority});
}

Status HostPortImpl::remove(Ipv4Address address) {
  if (auto removed = netlink_.remove_rule({address, options_.table, options_.rule_priority}); !removed) return removed;
  return netlink_.remove_address(index_, address);
}

Status HostPortImpl::set_self_ips(std::span<const Ipv4Address> addresses) {
  const auto now = netlink_.addresses(index_);
  if (!now) return trouble(now.error());
  for (const auto address : *now) {
    if (std::ranges::find(addresses, address) != addresses.end()) continue;
    if (auto removed = remove(address); !removed) return trouble(removed.error());
  }
  for (const auto address : addresses) {
    if (auto added = add(address); !added) return trouble(added.error());
  }
  return {};
}

Result<std::unique_ptr<HostPort>> open_tap(const HostPortOptions& options, std::span<const packet::PacketPool> pools) {
  if (auto checked = check_name(options.interface); !checked) return tl::unexpected(checked.error());
  if (auto checked = check_tun_driver(); !checked) return tl::unexpected(checked.error());
  auto netlink = Netlink::open();
  if (!netlink) return tl::unexpected(netlink.error());
  const auto taken = netlink->link(options.interface);
  if (!taken) return tl::unexpected(taken.error());
  if (*taken)
    return fail("", "the name is taken: another Sluice here? Choose another, or remove it (`ip link del " +
                        options.interface + "`)");
  PortOptions port;
  port.name = options.interface;
  port.id = options.id;
  port.mtu = options.mtu;
  auto device = Device::parse("net_tap_" + std::to_string(options.id) + ",iface=" + options.interface);
  if (!device) return tl::unexpected(device.error());
  auto tap = EthdevPort::open(port, std::move(*device), pools, packet::PortKind::host);
  if (!tap) return fail("", tap.error().message);
  return std::unique_ptr<HostPort>(std::make_unique<HostPortImpl>(options, std::move(*tap), std::move(*netlink)));
}

}  // namespace

Result<std::unique_ptr<HostPort>> HostPort::open(const HostPortOptions& options,
                                                 std::span<const packet::PacketPool> pools) {
  auto port = open_tap(options, pools);
  if (!port) return fail("host port " + options.interface, port.error().text());
  return port;
}

}  // namespace sluice::port
