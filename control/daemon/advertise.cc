// Which virtual addresses are to be announced; see advertise.h.
#include "control/daemon/advertise.h"

#include <algorithm>
#include <map>

namespace sluice::daemon {

bool can_serve(const lb::VirtualServer& server) {
  if (!server.enabled || server.pool == nullptr) return false;
  const lb::Pool& pool = *server.pool;
  for (std::size_t i = 0; i < pool.members.size(); ++i) {
    const lb::MonitorStatus status = pool.spec.members[i].verdict.status;
    const bool known = status == lb::MonitorStatus::up || status == lb::MonitorStatus::unchecked;
    if (pool.members[i].takes_new && known) return true;
  }
  return false;
}

std::set<Ipv4Address> to_announce(const config::Config& config, const lb::Snapshot& snapshot) {
  struct Count {
    unsigned enabled = 0, serving = 0;
  };
  std::map<Ipv4Address, Count> counts;
  for (const lb::VirtualServer& server : snapshot.virtual_servers()) {
    Count& count = counts[server.destination.address];
    if (server.enabled) ++count.enabled;
    if (can_serve(server)) ++count.serving;
  }
  std::set<Ipv4Address> out;
  for (const config::VirtualAddress& address : config.virtual_addresses) {
    const Count count = counts[address.address];
    bool announce = false;
    switch (address.route_advertisement) {
      case config::RouteAdvertisement::selective:
      case config::RouteAdvertisement::any:
        announce = count.serving > 0;
        break;
      case config::RouteAdvertisement::all:
        announce = count.serving > 0 && count.serving == count.enabled;
        break;
      case config::RouteAdvertisement::always:
        announce = true;
        break;
      case config::RouteAdvertisement::never:
        break;
    }
    if (announce) out.insert(address.address);
  }
  return out;
}

}  // namespace sluice::daemon
