// Tests of the snapshot's lookups: virtual servers with wildcard ports, our own addresses, the self IP of a port.
#include "lb/snapshot/snapshot.h"

#include "tests/support/lb_pool.h"

namespace sluice::lb {
namespace {

VirtualServerSpec server(const std::string& name, const std::string& destination, Mode mode = Mode::tcp) {
  VirtualServerSpec spec;
  spec.name = name;
  const auto colon = destination.find(':');
  spec.destination = {address(destination.substr(0, colon)),
                      static_cast<std::uint16_t>(std::stoi(destination.substr(colon + 1)))};
  spec.mode = mode;
  return spec;
}

struct SnapshotTest : testing::Test {
  Registry registry{1};
  Builder builder{registry, balance::state_factory(1)};
  std::shared_ptr<const Snapshot> build() { return *builder.build(Instant{}, nullptr); }
  static std::string name(const VirtualServer* vs) { return vs == nullptr ? "-" : vs->name; }
};

TEST_F(SnapshotTest, ExactPortGoesBeforeWildcardAndProtocolsAreApart) {
  builder.add_virtual_server(server("web", "172.16.40.80:80", Mode::http));
  builder.add_virtual_server(server("any", "172.16.40.80:0"));
  builder.add_virtual_server(server("dns", "172.16.40.80:53", Mode::udp));
  const auto snapshot = build();
  const auto find = [&](const std::string& a, std::uint16_t port, Protocol p) {
    return name(snapshot->find_virtual_server(address(a), port, p));
  };
  EXPECT_EQ(find("172.16.40.80", 80, Protocol::tcp), "web");
  EXPECT_EQ(find("172.16.40.80", 81, Protocol::tcp), "any");
  EXPECT_EQ(find("172.16.40.80", 53, Protocol::udp), "dns");
  EXPECT_EQ(find("172.16.40.80", 80, Protocol::udp), "-");
  EXPECT_EQ(find("172.16.40.81", 80, Protocol::tcp), "-");
}

TEST_F(SnapshotTest, ManyVirtualServersAreAllFound) {
  for (unsigned i = 0; i < 3000; ++i) {
    VirtualServerSpec spec = server("vs" + std::to_string(i), "10.0.0.0:1");
    spec.destination = {{0x0a000000 + i % 100}, static_cast<std::uint16_t>(1 + i)};
    builder.add_virtual_server(spec);
  }
  const auto snapshot = build();
  for (unsigned i = 0; i < 3000; ++i) {
    EXPECT_EQ(
        name(snapshot->find_virtual_server({0x0a000000 + i % 100}, static_cast<std::uint16_t>(1 + i), Protocol::tcp)),
        "vs" + std::to_string(i));
  }
  EXPECT_EQ(snapshot->virtual_addresses().size(), 100u);
}

TEST_F(SnapshotTest, AnAddressMayBeSeveralThings) {
  builder.add_self_ip({*Ipv4Interface::parse("172.16.40.202/24"), 0});
  builder.add_snat_pool({"s", {address("172.16.40.202"), address("172.16.40.210")}});
  builder.add_virtual_server(server("v", "172.16.40.202:80"));
  const auto snapshot = build();
  const LocalAddress* self = snapshot->find_local(address("172.16.40.202"));
  ASSERT_NE(self, nullptr);
  EXPECT_NE(self->self_ip, nullptr);
  EXPECT_NE(self->virtual_address, nullptr);
  EXPECT_TRUE(self->snat);
  EXPECT_TRUE(snapshot->find_local(address("172.16.40.210"))->snat);
  EXPECT_EQ(snapshot->find_local(address("172.16.40.1")), nullptr);
}

TEST_F(SnapshotTest, TheSelfIpOfAPortIsThatOnTheNextHopsSubnet) {
  builder.add_self_ip({*Ipv4Interface::parse("172.16.40.202/24"), 0});
  builder.add_self_ip({*Ipv4Interface::parse("10.1.0.1/16"), 0});
  builder.add_self_ip({*Ipv4Interface::parse("10.2.0.1/16"), 1});
  const auto snapshot = build();
  EXPECT_EQ(snapshot->self_ip_of_port(0, address("10.1.2.3"))->address.address, address("10.1.0.1"));
  EXPECT_EQ(snapshot->self_ip_of_port(0, address("10.2.2.3"))->address.address, address("172.16.40.202"));
  EXPECT_EQ(snapshot->self_ip_of_port(1, address("8.8.8.8"))->address.address, address("10.2.0.1"));
  EXPECT_EQ(snapshot->self_ip_of_port(2, address("8.8.8.8")), nullptr);
}

TEST_F(SnapshotTest, AnEmptyOneFindsNothing) {
  const auto snapshot = build();
  EXPECT_EQ(snapshot->find_virtual_server(address("1.1.1.1"), 1, Protocol::tcp), nullptr);
  EXPECT_EQ(snapshot->find_local(address("1.1.1.1")), nullptr);
  EXPECT_EQ(Snapshot{}.find_local(address("1.1.1.1")), nullptr);
}

}  // namespace
}  // namespace sluice::lb
