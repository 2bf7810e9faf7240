// Which virtual addresses are to be announced; see advertise.h.
#include "control/daemon/advertise.h"

#include <algorithm>
#include <map>

namespace sluice::daemon {

std::set<Ipv4Address> to_announce(const config::Config& config, const lb::Snapshot& snapshot) {
  struct Count {
    unsigned enabled = 0, serving = 0;
  };
  std::map<Ipv4Address, Count> counts;
  for (const lb::VirtualServer& server : snapshot.virtual_servers()) {
    Count& count = counts[server.destination.address];
    if (server.enabled) ++count.enabled;
    if (lb::can_serve(server)) ++count.serving;
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
