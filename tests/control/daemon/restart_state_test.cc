// The state that a restart hands over: what goes in comes out; what is cut, changed or of another program is refused.
#include "control/daemon/restart_state.h"

#include <gtest/gtest.h>

namespace sluice::daemon::restart_state_test {
namespace {

RestartState sample() {
  RestartState state;
  state.flows.resize(2);
  lb::SavedFlow& flow = state.flows[1].emplace_back();
  flow.facts.keys[0] = {*Ipv4Address::parse("172.16.40.10"), *Ipv4Address::parse("172.16.40.80"), 40000, 80, 6, {}};
  flow.facts.keys[1] = {*Ipv4Address::parse("10.244.0.76"), *Ipv4Address::parse("172.16.40.202"), 80, 40000, 6, {}};
  flow.facts.sides[1].ack = 77;
  flow.facts.state = lb::FlowState::established;
  flow.facts.member = *Ipv4Endpoint::parse("10.244.0.76:80");
  flow.virtual_server = "web";
  flow.pool = "pods";
  state.routes.push_back({*Ipv4Prefix::parse("10.244.0.0/24"),
                          {*Ipv4Address::parse("172.16.40.199"), *Ipv4Address::parse("172.16.40.198")},
                          true});
  state.up.push_back({"pods", *Ipv4Endpoint::parse("10.244.0.76:80")});
  state.neighbors.push_back(
      {"int_vlan", *Ipv4Address::parse("172.16.40.199"), *MacAddress::parse("02:00:ac:10:28:c7")});
  state.kept["int_vlan"] = 17;
  return state;
}

TEST(RestartStateTest, WhatGoesInComesOut) {
  const auto bytes = encode(sample());
  const auto fd = to_descriptor(bytes);
  ASSERT_TRUE(fd) << fd.error().text();
  const auto read = from_descriptor(*fd);
  ASSERT_TRUE(read) << read.error().text();
  const auto state = decode(*read);
  ASSERT_TRUE(state) << state.error().text();
  EXPECT_EQ(state->flow_count(), 1u);
  ASSERT_EQ(state->flows.size(), 2u);
  const lb::SavedFlow& flow = state->flows[1].at(0);
  EXPECT_EQ(flow.facts.keys[0], sample().flows[1][0].facts.keys[0]);
  EXPECT_EQ(flow.facts.keys[1], sample().flows[1][0].facts.keys[1]);
  EXPECT_EQ(flow.facts.sides[1].ack, 77u);
  EXPECT_EQ(flow.facts.state, lb::FlowState::established);
  EXPECT_EQ(flow.virtual_server + "/" + flow.pool, "web/pods");
  EXPECT_EQ(state->routes, sample().routes);
  EXPECT_EQ(state->up, sample().up);
  EXPECT_EQ(state->neighbors, sample().neighbors);
  EXPECT_EQ(state->kept, sample().kept);
}

TEST(RestartStateTest, NeighborsOfAllWorkersAreMerged) {
  using enum ip::NeighborState;
  std::vector<packet::PortInfo> ports(1);
  ports[0].name = "int_vlan";
  const auto entry = [](packet::PortId port, const char* address, const char* mac, ip::NeighborState state,
                        Duration age) {
    ip::NeighborInfo info;
    info.port = port;
    info.address = *Ipv4Address::parse(address);
    info.mac = *MacAddress::parse(mac);
    info.state = state;
    info.since_confirmed = age;
    return info;
  };
  const std::vector<ip::NeighborInfo> workers[] = {
      {entry(0, "10.0.0.1", "02:00:00:00:00:01", stale, 90s),
       entry(0, "10.0.0.2", "00:00:00:00:00:00", incomplete, 1s)},
      {entry(0, "10.0.0.1", "02:00:00:00:00:09", reachable, 2s), entry(0, "10.0.0.3", "02:00:00:00:00:03", probe, 31s),
       entry(0, "10.0.0.4", "02:00:00:00:00:04", permanent, 1s),
       entry(1, "10.0.0.5", "02:00:00:00:00:05", reachable, 1s)}};
  const std::vector<SavedNeighbor> expected = {
      {"int_vlan", *Ipv4Address::parse("10.0.0.1"), *MacAddress::parse("02:00:00:00:00:09")},
      {"int_vlan", *Ipv4Address::parse("10.0.0.3"), *MacAddress::parse("02:00:00:00:00:03")}};
  EXPECT_EQ(merge_neighbors(workers, ports), expected);
}

TEST(RestartStateTest, CutOrTooLongOrForeignIsRefused) {
  const auto bytes = encode(sample());
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(decode(std::string_view(bytes).substr(0, length))) << length;
  }
  EXPECT_FALSE(decode(bytes + "x"));
  auto foreign = bytes;
  foreign[6] ^= 1;
  EXPECT_FALSE(decode(foreign));
  EXPECT_FALSE(from_descriptor(-1));
}

TEST(RestartStateTest, CountsThatPromiseTooMuchAreRefused) {
  auto bytes = encode(RestartState{});
  for (std::size_t i = bytes.size() - 16; i < bytes.size(); ++i) {
    auto wrong = bytes;
    wrong[i] = static_cast<char>(0xff);
    EXPECT_FALSE(decode(wrong)) << i;
  }
}

}  // namespace
}  // namespace sluice::daemon::restart_state_test
