// EAL: its arguments from our options, and the errors that come before DPDK is asked.
#include "dataplane/port/eal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

namespace sluice::port {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

TEST(EalArguments, OrdinaryPages) {
  const auto args = eal_arguments({.memory_mb = 128, .devices = {"net_af_packet0,iface=eth1"}});
  EXPECT_THAT(args, Contains("--no-huge"));
  EXPECT_THAT(args, Contains("--no-pci"));
  EXPECT_THAT(args, Contains("128"));
  EXPECT_THAT(args, Not(Contains("--in-memory")));  // excludes --no-huge
}

TEST(EalArguments, HugepagesAndNics) {
  const auto args =
      eal_arguments({.hugepages = true, .devices = {"03:00.0", "net_tap0"}, .extra_args = {"--log-level=8"}});
  EXPECT_THAT(args, Contains("--in-memory"));
  EXPECT_THAT(args, Contains("0000:03:00.0"));
  EXPECT_THAT(args, Not(Contains("--no-pci")));
  EXPECT_EQ(args.back(), "--log-level=8");
}

TEST(Eal, TooLittleMemory) {
  const auto started = start_eal({.memory_mb = 8});
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().text(), "engine.memory_mb: 8 is too little: at least 32");
}

TEST(Eal, MoreMemoryThanThereIs) {
  const auto started = start_eal({.memory_mb = 1'000'000'000});
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().text(), HasSubstr("are more than the"));
}

TEST(Eal, MissingHugepagesSaysHowToGetThem) {
  std::ifstream file("/proc/sys/vm/nr_hugepages");
  int pages = 0;
  file >> pages;
  const auto started = start_eal({.hugepages = true, .memory_mb = 1'000'000u + static_cast<unsigned>(pages) * 2});
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().text(), HasSubstr("/proc/sys/vm/nr_hugepages"));
  EXPECT_THAT(started.error().text(), HasSubstr("`hugepages: false`"));
}

}  // namespace
}  // namespace sluice::port
