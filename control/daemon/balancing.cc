// Snapshots for the workers; see balancing.h.
#include "control/daemon/balancing.h"

#include "control/config/compile.h"

namespace sluice::daemon {
namespace {

// Holds both snapshots until the worker has changed from one to the other; freed on the control thread.
class InstallSnapshot : public worker::Task {
 public:
  InstallSnapshot(lb::Datapath& datapath, std::shared_ptr<const lb::Snapshot> next,
                  std::shared_ptr<const lb::Snapshot> former, std::vector<Ipv4Address> announce)
      : datapath_(datapath), next_(std::move(next)), former_(std::move(former)), announce_(std::move(announce)) {}

  void run(Instant now) noexcept override {
    datapath_.install(now, next_.get());
    for (const Ipv4Address address : announce_) datapath_.announce(now, address);
  }

 private:
  lb::Datapath& datapath_;
  std::shared_ptr<const lb::Snapshot> next_, former_;
  std::vector<Ipv4Address> announce_;
};

}  // namespace

Balancing::Balancing(PacketEngine& engine, const Health& health)
    : engine_(engine), health_(health), registry_(engine.workers()) {}

Result<std::shared_ptr<const lb::Snapshot>> Balancing::compile(Instant now, const config::Config& config) {
  const config::CompileInput input{registry_,
                                   [this](const std::string& name) {
                                     const packet::PortId port = engine_.port_id(name);
                                     return port == packet::kNoPort ? std::nullopt : std::optional(port);
                                   },
                                   [this](const config::Pool& pool, const config::Member& member) {
                                     return health_.verdict(pool.name, member.endpoint);
                                   }};
  return config::compile(now, config, input, current_.get());
}

void Balancing::install(std::shared_ptr<const lb::Snapshot> next) {
  // Addresses that others should know of now: self IPs once, virtual addresses when they come up.
  std::set<Ipv4Address> known;
  std::vector<Ipv4Address> announce;
  const auto note = [&](Ipv4Address address) {
    known.insert(address);
    if (!arp_announced_.contains(address)) announce.push_back(address);
  };
  for (const lb::SelfIp& self : next->self_ips()) note(self.address.address);
  for (const lb::VirtualAddress& address : next->virtual_addresses()) {
    if (address.arp && address.reachable) note(address.address);
  }
  arp_announced_ = std::move(known);
  engine_.post_all([&](unsigned worker, lb::Datapath& datapath) {
    // One worker is enough to tell the segment.
    return std::make_unique<InstallSnapshot>(datapath, next, current_,
                                             worker == 0 ? announce : std::vector<Ipv4Address>{});
  });
  current_ = std::move(next);
}

}  // namespace sluice::daemon
