// Device texts: what is taken apart how, and what is refused with which words.
#include "dataplane/port/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::port {
namespace {

using testing::HasSubstr;

TEST(Device, PciAddress) {
  const auto full = Device::parse("0000:03:00.0");
  ASSERT_TRUE(full);
  EXPECT_TRUE(full->is_pci());
  EXPECT_EQ(full->text(), "0000:03:00.0");
  EXPECT_EQ(full->driver(), "");
  const auto brief = Device::parse("03:00.1");
  ASSERT_TRUE(brief);
  EXPECT_EQ(brief->text(), "0000:03:00.1");
}

TEST(Device, VdevWithArguments) {
  auto device = Device::parse("net_af_packet0,iface=eth1,qpairs=2");
  ASSERT_TRUE(device);
  EXPECT_FALSE(device->is_pci());
  EXPECT_EQ(device->name(), "net_af_packet0");
  EXPECT_EQ(device->driver(), "net_af_packet");
  EXPECT_EQ(device->argument("iface"), "eth1");
  EXPECT_EQ(device->argument("framecnt"), std::nullopt);
  device->set_default("qpairs", "8");
  device->set_default("framecnt", "4096");
  EXPECT_EQ(device->text(), "net_af_packet0,iface=eth1,qpairs=2,framecnt=4096");
}

TEST(Device, VdevWithoutArguments) {
  const auto device = Device::parse("net_ring");
  ASSERT_TRUE(device);
  EXPECT_EQ(device->text(), "net_ring");
  EXPECT_EQ(Device::parse("virtio_user0,path=/dev/vhost-net")->driver(), "virtio_user");
}

TEST(Device, RefusesWhatIsNone) {
  for (const char* text :
       {"", "eth1", "0000:03:00.8", "0000:3:00.0", "net af_packet", "net_tap0;rm", "../x", "NET_TAP0"}) {
    const auto device = Device::parse(text);
    ASSERT_FALSE(device) << text;
    EXPECT_THAT(device.error().message, HasSubstr("write a PCI address"));
  }
  for (const char* text : {"net_tap0,", "net_tap0,iface", "net_tap0,=x", "net_tap0,iface=a,,mac=fixed"}) {
    const auto device = Device::parse(text);
    ASSERT_FALSE(device) << text;
    EXPECT_THAT(device.error().message, HasSubstr("write key=value"));
  }
  EXPECT_FALSE(Device::parse(std::string(5000, 'a')));
}

}  // namespace
}  // namespace sluice::port
