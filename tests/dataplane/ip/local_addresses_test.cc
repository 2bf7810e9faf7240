// Our own addresses: found or not, whose ARP is answered where, and which is the source towards whom.
#include "dataplane/ip/local_addresses.h"

#include <gtest/gtest.h>

#include "tests/dataplane/ip/world.h"

namespace sluice::ip {
namespace {

using test::ip;

LocalAddresses make(std::vector<LocalAddress> addresses) {
  LocalAddresses local;
  std::vector<LocalAddress> added;
  EXPECT_TRUE(local.replace(std::move(addresses), added));
  return local;
}

TEST(LocalAddresses, FindsOursOnly) {
  const auto local = make(default_addresses());
  EXPECT_TRUE(local.contains(ip("172.16.40.202")));
  EXPECT_TRUE(local.contains(ip("172.16.99.99")));
  EXPECT_FALSE(local.contains(ip("172.16.40.203")));
  EXPECT_FALSE(LocalAddresses().contains(ip("172.16.40.202")));
}

TEST(LocalAddresses, AnswersArpOnTheRightPort) {
  auto addresses = default_addresses();
  addresses[3].arp = false;
  const auto local = make(addresses);
  EXPECT_TRUE(local.answers_arp(0, ip("172.16.40.202")));
  EXPECT_FALSE(local.answers_arp(1, ip("172.16.40.202")));
  EXPECT_TRUE(local.answers_arp(0, ip("172.16.40.80")));
  EXPECT_TRUE(local.answers_arp(1, ip("172.16.40.80")));
  EXPECT_FALSE(local.answers_arp(0, ip("172.16.99.99")));
}

TEST(LocalAddresses, ReplaceTellsWhatIsNew) {
  LocalAddresses local;
  std::vector<LocalAddress> added;
  ASSERT_TRUE(local.replace(default_addresses(), added));
  EXPECT_EQ(added.size(), 4u);
  added.clear();
  auto next = default_addresses();
  next.erase(next.begin() + 2);
  next.push_back(virtual_address("172.16.40.81"));
  ASSERT_TRUE(local.replace(next, added));
  ASSERT_EQ(added.size(), 1u);
  EXPECT_EQ(added[0].address, ip("172.16.40.81"));
  EXPECT_FALSE(local.contains(ip("172.16.40.80")));
}

TEST(LocalAddresses, RefusesDoublesAndTooManyAndKeepsTheOld) {
  auto local = make(default_addresses());
  std::vector<LocalAddress> added;
  const auto twice = local.replace({virtual_address("1.2.3.4"), virtual_address("1.2.3.4")}, added);
  ASSERT_FALSE(twice);
  EXPECT_NE(twice.error().text().find("1.2.3.4 is there twice"), std::string::npos);
  EXPECT_FALSE(local.replace(std::vector<LocalAddress>(LocalAddresses::kMax + 1), added));
  EXPECT_TRUE(added.empty());
  EXPECT_TRUE(local.contains(ip("172.16.40.80")));
}

TEST(LocalAddresses, HoldsThousands) {
  std::vector<LocalAddress> many;
  for (std::uint32_t i = 0; i < LocalAddresses::kMax; ++i) many.push_back({Ipv4Address{0x0a000000 + i}});
  const auto local = make(many);
  for (std::uint32_t i = 0; i < LocalAddresses::kMax; ++i) {
    ASSERT_TRUE(local.contains({0x0a000000 + i}));
    ASSERT_FALSE(local.contains({0x0b000000 + i}));
  }
}

TEST(LocalAddresses, SourceIsOnTheSubnetThenOnThePortThenAny) {
  auto addresses = default_addresses();
  addresses.push_back(self_ip("192.168.7.1", 24, 0));
  const auto local = make(addresses);
  EXPECT_EQ(local.source_for(0, ip("172.16.40.9")), ip("172.16.40.202"));
  EXPECT_EQ(local.source_for(0, ip("192.168.7.9")), ip("192.168.7.1"));
  EXPECT_EQ(local.source_for(0, ip("8.8.8.8")), ip("172.16.40.202"));
  EXPECT_EQ(local.source_for(1, ip("8.8.8.8")), ip("10.1.0.1"));
  EXPECT_EQ(local.source_for(2, ip("8.8.8.8")), ip("172.16.40.202"));
  EXPECT_TRUE(make({virtual_address("1.2.3.4")}).source_for(0, ip("1.2.3.5")).is_zero());
}

TEST(LocalAddresses, KnowsTheBroadcastsOfItsSubnets) {
  auto addresses = default_addresses();
  addresses.push_back(self_ip("192.168.0.0", 31, 1));
  const auto local = make(addresses);
  EXPECT_TRUE(local.is_subnet_broadcast(ip("172.16.40.255")));
  EXPECT_TRUE(local.is_subnet_broadcast(ip("172.16.40.0")));
  EXPECT_TRUE(local.is_subnet_broadcast(ip("10.1.255.255")));
  EXPECT_FALSE(local.is_subnet_broadcast(ip("10.1.40.255")));
  EXPECT_FALSE(local.is_subnet_broadcast(ip("192.168.0.1")));  // a /31 has none
}

}  // namespace
}  // namespace sluice::ip
