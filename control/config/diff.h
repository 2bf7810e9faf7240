// diff: what changes between two Configs, as a list that a person can read and the daemon can act on. Pure.
//
//   ~ pools.web.members[10.244.0.76:80].ratio: 1 -> 2
//   + virtual-servers.api: 172.16.40.81:80
//   ~ engine.workers: 1 -> 2   (needs a restart)
//
// Called by: control/daemon (reload), control/admin (apply). Runs on: control thread.
// Tested by: tests/control/config/diff_test.cc
#pragma once

#include <string>
#include <vector>

#include "control/config/model.h"

namespace sluice::config {

struct Change {
  enum class Kind : std::uint8_t { added, removed, changed };
  Kind kind = Kind::changed;
  std::string path;            // "pools.web.balance"
  std::string before;          // as sluice.yaml would say it; empty if added; secrets masked
  std::string after;           // empty if removed
  bool needs_restart = false;  // the running daemon keeps the old value until it is restarted

  std::string text() const;  // one line
  friend bool operator==(const Change&, const Change&) = default;
};

struct Diff {
  std::vector<Change> changes;  // in the order of sluice.yaml

  bool empty() const { return changes.empty(); }
  bool needs_restart() const;  // any of them
  // Whether anything below this top-level key changed ("bgp", "pools", "routes" ...).
  bool touches(std::string_view section) const;
  std::string text() const;  // all lines; "nothing changes\n" if empty
};

Diff diff(const Config& before, const Config& after);

// `after` with every value that needs a restart put back to `before`'s: what a running daemon can apply at once.
Config applicable(const Config& before, const Config& after);

}  // namespace sluice::config
