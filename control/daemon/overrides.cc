// States set by `sluicectl modify`; see overrides.h.
#include "control/daemon/overrides.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace sluice::daemon {
namespace {

template <typename T>
const T* find_named(const std::vector<T>& things, const std::string& name) {
  const auto it = std::find_if(things.begin(), things.end(), [&](const T& thing) {
    return thing.name == name || name == "/" + thing.partition + "/" + thing.name;
  });
  return it == things.end() ? nullptr : &*it;
}

const config::Member* find_member(const config::Config& config, const std::string& pool, Ipv4Endpoint endpoint) {
  const config::Pool* found = find_pool(config, pool);
  if (found == nullptr) return nullptr;
  const auto it = std::find_if(found->members.begin(), found->members.end(),
                               [&](const config::Member& member) { return member.endpoint == endpoint; });
  return it == found->members.end() ? nullptr : &*it;
}

std::optional<config::MemberState> state_in(const config::Config& config, const std::string& pool,
                                            Ipv4Endpoint endpoint) {
  const config::Member* member = find_member(config, pool, endpoint);
  return member == nullptr ? std::nullopt : std::optional(member->state);
}

std::optional<bool> enabled_in(const config::Config& config, const std::string& name) {
  const config::VirtualServer* server = find_virtual(config, name);
  return server == nullptr ? std::nullopt : std::optional(server->enabled);
}

}  // namespace

const config::Pool* find_pool(const config::Config& config, const std::string& name) {
  return find_named(config.pools, name);
}

const config::VirtualServer* find_virtual(const config::Config& config, const std::string& name) {
  return find_named(config.virtual_servers, name);
}

Status Overrides::set_member(const config::Config& config, const std::string& pool, Ipv4Endpoint member,
                             config::MemberState state) {
  const config::Pool* found = find_pool(config, pool);
  if (found == nullptr) return fail("", fmt::format("no pool \"{}\"", pool));
  if (find_member(config, found->name, member) == nullptr) {
    return fail("", fmt::format("pool \"{}\" has no member {}", found->name, member.text()));
  }
  members_[{found->name, member}] = state;
  return {};
}

Status Overrides::set_virtual(const config::Config& config, const std::string& name, bool enabled) {
  const config::VirtualServer* found = find_virtual(config, name);
  if (found == nullptr) return fail("", fmt::format("no virtual server \"{}\"", name));
  virtuals_[found->name] = enabled;
  return {};
}

config::Config Overrides::over(config::Config config) const {
  for (config::Pool& pool : config.pools) {
    for (config::Member& member : pool.members) {
      const auto it = members_.find({pool.name, member.endpoint});
      if (it != members_.end()) member.state = it->second;
    }
  }
  for (config::VirtualServer& server : config.virtual_servers) {
    const auto it = virtuals_.find(server.name);
    if (it != virtuals_.end()) server.enabled = it->second;
  }
  return config;
}

void Overrides::follow(const config::Config& before, const config::Config& after) {
  std::erase_if(members_, [&](const auto& entry) {
    const auto& [pool, endpoint] = entry.first;
    const auto now = state_in(after, pool, endpoint);
    return !now || now != state_in(before, pool, endpoint);
  });
  std::erase_if(virtuals_, [&](const auto& entry) {
    const auto now = enabled_in(after, entry.first);
    return !now || now != enabled_in(before, entry.first);
  });
}

}  // namespace sluice::daemon
