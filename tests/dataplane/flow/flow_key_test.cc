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

TEST(FlowKeyTest, FromHeadersAndBackIntoThem) {
  std::uint8_t frame[60]{};
  std::uint8_t* const ipv4 = frame + 14;
  std::uint8_t* const l4 = ipv4 + 20;
  wire::store_ipv4(ipv4 + wire::kIpv4Source, key().source);
  wire::store_ipv4(ipv4 + wire::kIpv4Destination, key().destination);
  wire::store_be16(l4, key().src_port);
  wire::store_be16(l4 + 2, key().dst_port);
  const auto read = [&](std::uint8_t protocol) {
    return FlowKey::of_words(FlowKey::words_of_headers(ipv4, l4, protocol));
  };
  EXPECT_TRUE(read(6) == key());
  EXPECT_FALSE(read(17) == key());
  EXPECT_EQ(FlowKey::hash({1, 2}, key().words()), key().hash({1, 2}));
  key().emit_reversed(ipv4, l4);
  EXPECT_TRUE(read(6) == key().reversed());
  for (const int outside : {11 + 14, 20 + 14 + 4}) EXPECT_EQ(frame[outside], 0);
}

TEST(FlowKeyTest, Text) {
  EXPECT_EQ(key().text(), "tcp 10.0.0.1:1234 -> 10.0.0.2:80");
  FlowKey other = key();
  other.protocol = 50;
  EXPECT_EQ(other.text(), "protocol 50 10.0.0.1:1234 -> 10.0.0.2:80");
}

}  // namespace
}  // namespace sluice::flow
