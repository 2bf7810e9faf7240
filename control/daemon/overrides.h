// What `sluicectl modify` set, kept over the configuration: states of members and virtual servers. Pure.
//
// An override lasts until it is modified back, until the configuration itself says something new of that object, or
// until the daemon ends.
//
// Called by: control/daemon/reconfigure. Runs on: control thread. Tested by: tests/control/daemon/overrides_test.cc
#pragma once

#include <map>
#include <string>
#include <utility>

#include "control/config/model.h"
#include "dataplane/base/result.h"

namespace sluice::daemon {

class Overrides {
 public:
  // Fail when `config` has no such pool, member or virtual server.
  Status set_member(const config::Config& config, const std::string& pool, Ipv4Endpoint member,
                    config::MemberState state);
  Status set_virtual(const config::Config& config, const std::string& name, bool enabled);

  // `config` with the overrides in it.
  config::Config over(config::Config config) const;
  // Forgets those whose object is gone or has another state in `after` than in `before`.
  void follow(const config::Config& before, const config::Config& after);
  std::size_t size() const { return members_.size() + virtuals_.size(); }

 private:
  std::map<std::pair<std::string, Ipv4Endpoint>, config::MemberState> members_;  // by pool and endpoint
  std::map<std::string, bool> virtuals_;
};

// By name, or as tmsh writes it with its partition: "/k8s/name". nullptr: none.
const config::Pool* find_pool(const config::Config& config, const std::string& name);
const config::VirtualServer* find_virtual(const config::Config& config, const std::string& name);

}  // namespace sluice::daemon
