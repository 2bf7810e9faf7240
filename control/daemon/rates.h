// Rates per second out of counters that only grow, sampled now and then. Pure.
//
// Called by: control/daemon/statistics. Runs on: control thread. Tested by: tests/control/daemon/rates_test.cc
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>

#include "dataplane/base/time.h"

namespace sluice::daemon {

// N counters for each of many things, by a key that the caller chooses.
template <std::size_t N>
class Rates {
 public:
  using Counts = std::array<std::uint64_t, N>;
  using PerSecond = std::array<double, N>;

  // Between begin() and end(): sample() for everything there is; end() forgets what was not sampled.
  void begin(Instant now) {
    interval_ = round_ == 0 ? Duration{0} : now - began_;
    began_ = now;
    ++round_;
  }
  void sample(std::uint64_t key, const Counts& counts) {
    auto [it, added] = entries_.try_emplace(key);
    Entry& entry = it->second;
    for (std::size_t i = 0; i < N; ++i) {
      const bool grew = !added && entry.round + 1 == round_ && counts[i] >= entry.counts[i] && interval_ > Duration{0};
      entry.rates[i] = grew ? static_cast<double>(counts[i] - entry.counts[i]) / to_seconds(interval_) : 0;
    }
    entry.counts = counts;
    entry.round = round_;
  }
  void end() {
    std::erase_if(entries_, [&](const auto& item) { return item.second.round != round_; });
  }
  // All zero for what was sampled less than twice.
  PerSecond of(std::uint64_t key) const {
    const auto it = entries_.find(key);
    return it == entries_.end() ? PerSecond{} : it->second.rates;
  }
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Counts counts{};
    PerSecond rates{};
    std::uint64_t round = 0;
  };
  std::unordered_map<std::uint64_t, Entry> entries_;
  Instant began_{};
  Duration interval_{};
  std::uint64_t round_ = 0;
};

}  // namespace sluice::daemon
