// The workers' last errors as one list: newest first, of one virtual server, so many.
#include "control/daemon/http_errors.h"

#include <gtest/gtest.h>

namespace sluice::daemon::http_errors_test {
namespace {

lb::ErrorRecord record(std::int64_t at_s, std::string_view server) {
  lb::ErrorRecord r;
  r.at = instant_ns(at_s * 1'000'000'000);
  r.virtual_server = server;
  r.client = *Ipv4Endpoint::parse("10.0.0.9:51234");
  r.destination = *Ipv4Endpoint::parse("172.16.40.80:80");
  r.status = 400;
  r.offset = 17;
  r.reason = "why";
  return r;
}

TEST(MergeErrors, NewestFirstOverAllWorkers) {
  std::vector<WorkerErrors> workers(2);
  workers[0] = {{record(30, "a"), record(10, "b")}, 300};
  workers[1] = {{record(20, "a")}, 1};
  const auto wall = std::chrono::sys_days{std::chrono::year{2026} / 11 / 25} + std::chrono::hours(10);
  const auto now = instant_ns(100'000'000'000);
  const auto all = merge_errors(workers, "", 10, now, wall);
  EXPECT_EQ(all.total, 301u);
  ASSERT_EQ(all.errors.size(), 3u);
  EXPECT_EQ(all.errors[0].time, "2026-11-25T09:58:50.000000Z");
  EXPECT_EQ(all.errors[0].age_s, 70);
  EXPECT_EQ(all.errors[0].client, "10.0.0.9:51234");
  EXPECT_EQ(all.errors[0].member, "");
  EXPECT_EQ(all.errors[0].offset, 17u);
  EXPECT_EQ(all.errors[0].side, "request");
  EXPECT_EQ(all.errors[1].worker, 1u);
  EXPECT_EQ(all.errors[2].virtual_server, "b");
  EXPECT_EQ(merge_errors(workers, "a", 10, now, wall).errors.size(), 2u);
  EXPECT_EQ(merge_errors(workers, "", 1, now, wall).errors.size(), 1u);
  EXPECT_EQ(merge_errors(workers, "c", 10, now, wall).errors.size(), 0u);
}

// A record holds 64 bytes of a name; asking by the whole name finds it.
TEST(MergeErrors, LongNamesAreFound) {
  const std::string name(100, 'n');
  std::vector<WorkerErrors> workers(1);
  workers[0] = {{record(30, name)}, 1};
  EXPECT_EQ(merge_errors(workers, name, 10, instant_ns(0), {}).errors.size(), 1u);
}

}  // namespace
}  // namespace sluice::daemon::http_errors_test
