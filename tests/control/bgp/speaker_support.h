// What the tests of the whole speaker share: the two nodes of the reference deployment, and who connects to whom.
//
// Called by: tests/control/bgp/speaker*_test.cc.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "tests/control/bgp/support.h"

namespace sluice::bgp::testing {

inline constexpr auto kMaster = "172.16.40.199";
inline constexpr auto kNode1 = "172.16.40.198";
inline const auto kBlock = "10.244.0.0/24";

inline std::vector<MessageType> types(const std::vector<Bytes>& messages) {
  std::vector<MessageType> out;
  for (const auto& m : messages) out.push_back(static_cast<MessageType>(m[18]));
  return out;
}
// code and subcode of the NOTIFICATION that ends `messages`
inline std::pair<int, int> notification_of(const std::vector<Bytes>& messages) {
  if (messages.empty() || messages.back()[18] != 3) return {0, 0};
  return {messages.back()[19], messages.back()[20]};
}
inline NeighborSettings active(const char* address) {
  NeighborSettings n;
  n.address = ip(address);
  n.session.remote_as = 64512;
  return n;
}

class SpeakerTest : public ::testing::Test {
 protected:
  Bench bench{reference_settings()};
};

// We connect.
class ActiveSpeaker : public ::testing::Test {
 protected:
  ActiveSpeaker()
      : bench([] {
          auto s = reference_settings();
          s.neighbors = {active("172.16.40.199")};
          return s;
        }()) {}
  ConnId connected(std::size_t i = 0) {
    const auto conn = bench.connects.at(i).conn;
    bench.step(input::Connected{conn, {ip("172.16.40.202"), 61440}, {ip(kMaster), 179}});
    return conn;
  }
  Bench bench;
};

}  // namespace sluice::bgp::testing
