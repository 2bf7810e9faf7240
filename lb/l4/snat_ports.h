// SnatPorts: the source ports that this worker may give to server sides, and which worker owns any of them.
//
// The range is cut into equal parts, one a worker, so that a reply's destination port tells whose flow it is. A port is
// free when no flow has it towards the same member from the same address: one address carries as many connections to
// each member as there are ports.
//
// Called by: lb/l4. Runs on: the worker that owns it. Tested by: tests/lb/l4/snat_ports_test.cc
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>

#include "lb/l4/flow.h"

namespace sluice::lb {

class SnatPorts {
 public:
  // Precondition: first <= last, and at least a port per worker.
  SnatPorts(std::uint16_t first, std::uint16_t last, unsigned worker, unsigned workers)
      : first_(first),
        share_((last - first + 1u) / workers),
        workers_(workers),
        own_first_(first + worker * share_),
        next_(own_first_) {}

  // nullopt: no worker's.
  std::optional<unsigned> owner(std::uint16_t port) const {
    if (port < first_ || port >= first_ + share_ * workers_) return std::nullopt;
    return (port - first_) / share_;
  }
  bool is_own(std::uint32_t port) const { return port >= own_first_ && port < own_first_ + share_; }

  // The port that allocate() tries `n` tries after this, when it does not get the preferred one.
  std::uint16_t upcoming(std::uint32_t n) const {
    return static_cast<std::uint16_t>(own_first_ + (next_ - own_first_ + n) % share_);
  }

  // Asks who else uses ports of the range (L7's conns).
  void share_with(std::function<bool(const flow::FlowKey&)> uses) { others_use_ = std::move(uses); }

  // A free port for `server_key` (as replies carry it; dst_port is filled in): `preferred` if possible, else the next
  // that is free; `hash` is then the key's. False when kTriesMax ports after one another are taken, or all there are.
  bool allocate(const L4FlowTable& table, flow::FlowKey& server_key, std::uint16_t preferred, std::uint64_t& hash) {
    server_key.dst_port = preferred;
    if (is_own(preferred) && is_free(table, server_key, hash)) return true;
    for (std::uint32_t tries = std::min(share_, kTriesMax); tries > 0; --tries) {
      server_key.dst_port = static_cast<std::uint16_t>(next_);
      if (++next_ == own_first_ + share_) next_ = own_first_;
      if (is_free(table, server_key, hash)) return true;
    }
    return false;
  }
  bool allocate(const L4FlowTable& table, flow::FlowKey& server_key, std::uint16_t preferred) {
    std::uint64_t unused;
    return allocate(table, server_key, preferred, unused);
  }

 private:
  static constexpr std::uint32_t kTriesMax = 512;
  bool is_free(const L4FlowTable& table, const flow::FlowKey& key, std::uint64_t& hash) const {
    hash = table.hash(key);
    return !table.find(key, hash) && !(others_use_ && others_use_(key));
  }
  std::function<bool(const flow::FlowKey&)> others_use_;
  std::uint32_t first_, share_, workers_, own_first_, next_;
};

}  // namespace sluice::lb
