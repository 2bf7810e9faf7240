// Addresses and prefixes: what is accepted as text, what is refused, and how they print.
#include "dataplane/base/address.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(MacAddress, PrintsAsItParses) {
  EXPECT_EQ(MacAddress::parse("02:00:aB:00:00:fF")->text(), "02:00:ab:00:00:ff");
  EXPECT_TRUE(MacAddress::broadcast().is_multicast());
  EXPECT_FALSE(MacAddress::parse("02:00:00:00:00:01")->is_multicast());
}

TEST(MacAddress, RefusesEverythingElse) {
  for (const char* text : {"", "02:00:00:00:00", "02:00:00:00:00:1", "02:00:00:00:00:01:", "02-00-00-00-00-01",
                           "0g:00:00:00:00:01", "+2:00:00:00:00:01", "02:00:00:00:00: 1"}) {
    EXPECT_FALSE(MacAddress::parse(text)) << text;
  }
}

TEST(Ipv4Address, PrintsAsItParses) {
  for (const char* text : {"0.0.0.0", "255.255.255.255", "172.16.40.202", "10.0.0.1"}) {
    EXPECT_EQ(Ipv4Address::parse(text)->text(), text);
  }
  EXPECT_EQ(Ipv4Address::parse("1.2.3.4")->value, 0x01020304u);
}

TEST(Ipv4Address, RefusesEverythingElse) {
  for (const char* text : {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1..3.4", "1.2.3.4 ", " 1.2.3.4",
                           "1.2.3.-4", "1.2.3.+4", "a.b.c.d", "1.2.3.4/8", "99999999999.1.1.1"}) {
    EXPECT_FALSE(Ipv4Address::parse(text)) << text;
  }
}

TEST(Ipv4Address, KnowsItsKinds) {
  EXPECT_TRUE(Ipv4Address::parse("224.0.0.1")->is_multicast());
  EXPECT_TRUE(Ipv4Address::parse("239.255.255.255")->is_multicast());
  EXPECT_FALSE(Ipv4Address::parse("223.255.255.255")->is_multicast());
  EXPECT_TRUE(Ipv4Address::parse("127.3.2.1")->is_loopback());
  EXPECT_TRUE(Ipv4Address::parse("255.255.255.255")->is_broadcast());
}

TEST(Ipv6Address, PrintsAsRfc5952Says) {
  EXPECT_EQ(Ipv6Address::parse("2001:DB8:0:0:0:0:0:1")->text(), "2001:db8::1");
  EXPECT_EQ(Ipv6Address::parse("::")->text(), "::");
  EXPECT_TRUE(Ipv6Address::parse("fe80::1")->is_link_local());
  EXPECT_FALSE(Ipv6Address::parse("2001:db8::1::2"));
  EXPECT_FALSE(Ipv6Address::parse("10.0.0.1"));
  EXPECT_FALSE(Ipv6Address::parse(std::string(100, 'f')));
}

TEST(IpAddress, IsOneOfBoth) {
  EXPECT_TRUE(IpAddress::parse("10.0.0.1")->is_v4());
  EXPECT_EQ(IpAddress::parse("10.0.0.1")->v4().text(), "10.0.0.1");
  EXPECT_TRUE(IpAddress::parse("2001:db8::1")->is_v6());
  EXPECT_EQ(IpAddress::parse("2001:db8::1")->text(), "2001:db8::1");
  EXPECT_FALSE(IpAddress::parse("nonsense"));
  EXPECT_NE(*IpAddress::parse("0.0.0.0"), *IpAddress::parse("::"));
}

TEST(Ipv4Prefix, ContainsByMask) {
  const auto prefix = *Ipv4Prefix::parse("10.244.0.0/24");
  EXPECT_TRUE(prefix.contains(*Ipv4Address::parse("10.244.0.255")));
  EXPECT_FALSE(prefix.contains(*Ipv4Address::parse("10.244.1.0")));
  EXPECT_TRUE(prefix.contains(*Ipv4Prefix::parse("10.244.0.64/26")));
  EXPECT_FALSE(prefix.contains(*Ipv4Prefix::parse("10.244.0.0/16")));
  EXPECT_TRUE(Ipv4Prefix::parse("0.0.0.0/0")->contains(*Ipv4Address::parse("255.255.255.255")));
  EXPECT_EQ(prefix.text(), "10.244.0.0/24");
}

TEST(Ipv4Prefix, RefusesHostBitsAndNonsense) {
  for (const char* text : {"10.244.0.1/24", "10.0.0.0/33", "10.0.0.0", "10.0.0.0/", "10.0.0.0/08", "/8"}) {
    EXPECT_FALSE(Ipv4Prefix::parse(text)) << text;
  }
}

TEST(Ipv6Prefix, ContainsByMask) {
  const auto prefix = *Ipv6Prefix::parse("2001:db8::/33");
  EXPECT_TRUE(prefix.contains(*Ipv6Address::parse("2001:db8:7fff::1")));
  EXPECT_FALSE(prefix.contains(*Ipv6Address::parse("2001:db8:8000::1")));
  EXPECT_EQ(prefix.text(), "2001:db8::/33");
  EXPECT_FALSE(Ipv6Prefix::parse("2001:db8::1/32"));
}

TEST(Ipv4Interface, KeepsHostBits) {
  const auto self = *Ipv4Interface::parse("172.16.40.202/24");
  EXPECT_EQ(self.text(), "172.16.40.202/24");
  EXPECT_EQ(self.subnet().text(), "172.16.40.0/24");
}

TEST(Ipv4Endpoint, NeedsAPort) {
  EXPECT_EQ(Ipv4Endpoint::parse("10.244.0.76:80")->text(), "10.244.0.76:80");
  for (const char* text : {"10.244.0.76", "10.244.0.76:", "10.244.0.76:65536", ":80", "10.244.0.76:080"}) {
    EXPECT_FALSE(Ipv4Endpoint::parse(text)) << text;
  }
}

}  // namespace
}  // namespace sluice
