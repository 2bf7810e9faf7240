// HandoverRings: one worker's end of the rings between each pair of workers; see handover.h.
//
// Called by: worker/worker. Runs on: its worker. Tested by: tests/dataplane/worker/engine_test.cc
#pragma once

#include <memory>
#include <vector>

#include "dataplane/base/spsc_ring.h"
#include "dataplane/packet/sink.h"
#include "dataplane/worker/doorbell.h"
#include "dataplane/worker/handover.h"

namespace sluice::worker {

inline constexpr std::size_t kHandoverDepth = 1024;  // packets, each pair of workers

class HandoverRings final : public Handover {
 public:
  using Ring = SpscRing<packet::Packet>;
  explicit HandoverRings(packet::Drops& drops) : drops_(drops) {}

  // Before start, in the order of the workers' indices; the own place stays empty.
  void add_target(std::shared_ptr<Ring> ring, Doorbell* bell) { targets_.push_back({std::move(ring), bell, false}); }
  void add_source(std::shared_ptr<Ring> ring) { sources_.push_back(std::move(ring)); }

  void push(unsigned worker, packet::Packet packet) override {
    Target& target = targets_[worker];
    if (!target.ring->push(packet)) {
      drops_.drop(packet, DropReason::steer_ring_full);
      return;
    }
    target.rang = true;
    out_.add();
  }
  // Wakes the workers that were given something this turn.
  void ring_bells() {
    for (Target& target : targets_) {
      if (!target.rang) continue;
      target.rang = false;
      target.bell->ring();
    }
  }
  // The next batch of what others gave us from `source`; an empty one when there is nothing.
  std::size_t source_count() const { return sources_.size(); }
  void take(std::size_t source, packet::Batch& batch) {
    batch.count = static_cast<std::uint32_t>(sources_[source]->pop_burst(batch.packets));
    in_.add(batch.count);
  }
  bool has_waiting() const {
    for (const auto& source : sources_) {
      if (!source->empty()) return true;
    }
    return false;
  }
  void drop_all(DropReason reason) {
    for (const auto& source : sources_) {
      while (const auto packet = source->pop()) drops_.drop(*packet, reason);
    }
  }
  std::uint64_t in() const { return in_.get(); }
  std::uint64_t out() const { return out_.get(); }

 private:
  struct Target {
    std::shared_ptr<Ring> ring;
    Doorbell* bell;
    bool rang;
  };
  packet::Drops& drops_;
  std::vector<Target> targets_;
  std::vector<std::shared_ptr<Ring>> sources_;
  Counter in_, out_;
};

}  // namespace sluice::worker
