// JSON of status values: names, order, and text that is no UTF-8.
#include "control/admin/json.h"

#include <gtest/gtest.h>

#include "tests/support/admin_fake.h"

namespace sluice::admin {
namespace {

TEST(ToJson, VirtualServer) {
  FakeBackend backend;
  const Json json = to_json(backend.virtuals_[0]);
  EXPECT_EQ(json["availability"], "available");
  EXPECT_EQ(json["state"], "enabled");
  EXPECT_EQ(json["reason"], "The virtual server is available");
  EXPECT_EQ(json["clientside"]["bytes_in"], 4000);
  EXPECT_EQ(json["clientside"]["connections_rate"], 3.5);
  EXPECT_EQ(json.begin().key(), "name");
  EXPECT_EQ(to_json(backend.virtuals_[1])["state"], "disabled");
}

TEST(ToJson, AvailabilityWords) {
  EXPECT_EQ(name_of(Availability::available), "available");
  EXPECT_EQ(name_of(Availability::offline), "offline");
  EXPECT_EQ(name_of(Availability::unknown), "unknown");
  EXPECT_EQ(name_of(Availability::unavailable), "unavailable");
}

TEST(ToJson, AbsentTimesAreNull) {
  FakeBackend backend;
  EXPECT_TRUE(to_json(backend.routes_[0])["age_s"].is_null());
  EXPECT_EQ(to_json(backend.routes_[1])["age_s"], 1373.0);
  EXPECT_TRUE(to_json(backend.bgp_.neighbors[0])["last_reset_s"].is_null());
  EXPECT_TRUE(to_json(backend.bgp_paths_[0])["med"].is_null());
  EXPECT_EQ(to_json(backend.bgp_paths_[0])["local_pref"], 100);
}

TEST(ToJson, NeighborCountsAddUp) {
  BgpNeighborStatus neighbor;
  neighbor.sent = {1, 2, 3, 4, 5};
  EXPECT_EQ(to_json(neighbor)["messages_sent"]["total"], 15);
  EXPECT_EQ(to_json(neighbor)["messages_sent"]["update"], 3);
}

TEST(Dump, ReplacesWhatIsNoUtf8) {
  MonitorStatus monitor;
  monitor.send = "\xff\xfe ok";
  const std::string text = dump(to_json(monitor));
  EXPECT_TRUE(Json::accept(text));
  EXPECT_NE(text.find(" ok"), std::string::npos);
}

}  // namespace
}  // namespace sluice::admin
