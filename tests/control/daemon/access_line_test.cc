// Access log lines: every field, JSON whatever a client sent, times on the wall clock.
#include "control/daemon/access_line.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "control/daemon/wall_time.h"

namespace sluice::daemon::access_line_test {
namespace {

using Json = nlohmann::ordered_json;
using namespace std::chrono;

constexpr auto kBegan = sys_days{2026y / November / 25} + 10h + 15min + 30s + 1234us;

lb::AccessRecord record() {
  lb::AccessRecord r;
  r.client = *Ipv4Endpoint::parse("10.0.0.9:51234");
  r.destination = *Ipv4Endpoint::parse("172.16.40.80:80");
  r.member = *Ipv4Endpoint::parse("10.244.0.76:80");
  r.status = 200;
  r.reused = true;
  r.connect = 1500us;
  r.first_byte = 7us;
  r.total = 61s + 5ms;
  r.request_bytes = 3;
  r.response_bytes = 612;
  r.method = std::string_view("GET");
  r.host = std::string_view("example.com");
  r.target = std::string_view("/a?b=\"c\\");
  r.virtual_server = std::string_view("default_nginx-vs");
  return r;
}

std::string line_of(const lb::AccessRecord& r) {
  std::string out;
  append_access_line(out, r, kBegan);
  return out;
}

TEST(AccessLine, EveryField) {
  EXPECT_EQ(line_of(record()),
            R"({"time":"2026-11-25T10:15:30.001234Z","virtual_server":"default_nginx-vs","client":"10.0.0.9:51234",)"
            R"("destination":"172.16.40.80:80","member":"10.244.0.76:80","method":"GET","host":"example.com",)"
            R"("target":"/a?b=\"c\\","version":"1.1","status":200,"complete":true,"reused":true,"request_bytes":3,)"
            R"("response_bytes":612,"connect_ms":1.500,"first_byte_ms":0.007,"total_ms":61005.000})"
            "\n");
}

TEST(AccessLine, WithoutAMemberAndCutShort) {
  lb::AccessRecord r = record();
  r.member = {};
  r.cut_short = true;
  r.minor = 0;
  r.target = std::string_view(std::string(500, 'x'));
  const Json line = Json::parse(line_of(r));
  EXPECT_TRUE(line["member"].is_null());
  EXPECT_EQ(line["complete"], false);
  EXPECT_EQ(line["version"], "1.0");
  EXPECT_EQ(line["cut"], true);
  EXPECT_EQ(line["target"].get<std::string>().size(), 192u);
}

TEST(AccessLine, IsOneLineOfJsonWhateverTheBytes) {
  lb::AccessRecord r = record();
  std::string every;
  for (int byte = 0; byte < 192; ++byte) every += static_cast<char>(byte + 64 * (byte % 2));
  r.target = std::string_view(every);
  const std::string text = line_of(r);
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  const Json line = Json::parse(text);
  EXPECT_EQ(line["target"].get<std::string>().substr(0, 1), std::string(1, '\0'));
}

TEST(WallTime, BeforeTheEpochAndAtItsEdges) {
  EXPECT_EQ(wall_text(system_clock::time_point{} - 1us), "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(wall_text(sys_days{2028y / February / 29}), "2028-02-29T00:00:00.000000Z");
}

}  // namespace
}  // namespace sluice::daemon::access_line_test
