// Tests of FlowKey: equality, reversal, hashing and text.
#include "dataplane/flow/flow_key.h"

#include <gtest/gtest.h>

#include <set>

namespace sluice::flow {
namespace {

FlowKey key() { return {*Ipv4Address::parse("10.0.0.1"), *Ipv4Address::parse("10.0.0.2"), 1234, 80, 6, {}}; }

TEST(FlowKeyTest, EveryFieldTakesPartInEqualityAndHash) {
  const HashSeed seed;
  std::set<std::uint64_t> hashes{key().hash(seed)};
  for (int field = 0; field < 5; ++field) {
    FlowKey other = key();
    if (field == 0) other.source.value ^= 1;
    if (field == 1) other.destination.value ^= 1;
    if (field == 2) other.src_port ^= 1;
    if (field == 3) other.dst_port ^= 1;
    if (field == 4) other.protocol = 17;
    EXPECT_FALSE(other == key()) << field;
    hashes.insert(other.hash(seed));
  }
  EXPECT_EQ(hashes.size(), 6u);
  EXPECT_TRUE(key() == key());
}

TEST(FlowKeyTest, SeedChangesTheHash) { EXPECT_NE(key().hash({1, 2}), key().hash({1, 3})); }

TEST(FlowKeyTest, ReversedTwiceIsTheSame) {
  EXPECT_FALSE(key().reversed() == key());
  EXPECT_TRUE(key().reversed().reversed() == key());
  EXPECT_EQ(key().reversed().src_port, 80);
}

TEST(FlowKeyTest, Text) {
  EXPECT_EQ(key().text(), "tcp 10.0.0.1:1234 -> 10.0.0.2:80");
  FlowKey other = key();
  other.protocol = 50;
  EXPECT_EQ(other.text(), "protocol 50 10.0.0.1:1234 -> 10.0.0.2:80");
}

}  // namespace
}  // namespace sluice::flow
