// What `sluicectl show` prints, against golden files made from fixed statistics.
//
// After a wanted change: UPDATE_GOLDEN=1 build/tests/control/cli/test-cli, then read the diff.
#include "control/cli/render.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "control/admin/api.h"
#include "tests/support/admin_fake.h"

namespace sluice::cli {
namespace {

struct Case {
  const char* name;    // golden file
  const char* target;  // of the admin API
  Renderer render;
  RenderOptions options;
};

const Case kCases[] = {
    {"virtual", "/v1/virtual", render_virtuals, {}},
    {"virtual_brief", "/v1/virtual", render_virtuals, {.brief = true}},
    {"virtual_address", "/v1/virtual-address", render_virtual_addresses, {}},
    {"pool", "/v1/pool", render_pools, {}},
    {"pool_brief", "/v1/pool", render_pools, {.brief = true}},
    {"member", "/v1/member", render_members, {}},
    {"member_detail", "/v1/member", render_members, {.detail = true}},
    {"node", "/v1/node", render_nodes, {}},
    {"monitor", "/v1/monitor", render_monitors, {}},
    {"monitor_brief", "/v1/monitor", render_monitors, {.brief = true}},
    {"ip_route", "/v1/route", render_routes, {}},
    {"bgp_table", "/v1/bgp/neighbor/route?address=172.16.40.199&which=received", render_bgp_table, {}},
    {"arp", "/v1/arp", render_arp, {}},
    {"workers", "/v1/worker", render_workers, {}},
    {"ports", "/v1/port", render_ports, {}},
    {"drops", "/v1/drop", render_drops, {}},
    {"drops_detail", "/v1/drop", render_drops, {.detail = true}},
    {"flows", "/v1/flow", render_flows, {}},
    {"errors", "/v1/error", render_errors, {}},
    {"tcp", "/v1/tcp", render_tcp, {}},
    {"tcp_detail", "/v1/tcp", render_tcp, {.detail = true}},
    {"access_log", "/v1/access-log", render_access_log, {}},
    {"config", "/v1/config", render_config, {}},
    {"version", "/v1/version", render_version, {}},
};

Json ask(admin::Backend& backend, const std::string& method, const std::string& target, const std::string& body = "") {
  auto exchange = std::make_shared<admin::FakeExchange>(method, target, body);
  admin::Api(backend).handle(exchange);
  return Json::parse(exchange->answer);
}

class RenderTest : public testing::TestWithParam<Case> {};

TEST_P(RenderTest, PrintsWhatTheGoldenFileSays) {
  admin::FakeBackend backend;
  const Case& c = GetParam();
  const std::string text = c.render(ask(backend, "GET", c.target), c.options);
  const std::string path = std::string(GOLDEN_DIR) + "/" + c.name + ".txt";
  if (std::getenv("UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ifstream in(path);
  std::stringstream golden;
  golden << in.rdbuf();
  EXPECT_EQ(text, golden.str()) << path;
}

INSTANTIATE_TEST_SUITE_P(Show, RenderTest, testing::ValuesIn(kCases),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Render, NothingToShowIsSaid) {
  for (const Case& c : kCases) {
    const std::string text = c.render(Json::object(), c.options);
    EXPECT_EQ(text.empty(), std::string(c.name) == "config") << c.name;
  }
}

// An answer of another version, or of no sluiced at all, is printed as well as can be.
TEST(Render, SurvivesOddAnswers) {
  const Json odd[] = {
      Json(),
      Json(7),
      Json("x"),
      Json::array(),
      Json::parse(R"({"virtuals":7,"pools":"x","members":null})"),
      Json::parse(R"({"virtuals":[7,null,"x",[],{}],"pools":[1,{"members":3}],"members":[{"serverside":1}],
                       "nodes":[{"members":[1,2]}],"monitors":[{"instances":[1]}],"routes":[3,{"next_hops":[1]}],
                       "arp":[1],"workers":[1],"ports":[{"addresses":5}],"reasons":[1],"flows":[1],"errors":[1,{"member":2}],"tcp":[1,{"counters":[2]},{"counters":{"x":"y"}}],"text":5,"yaml":1})")};
  for (const Case& c : kCases) {
    for (const Json& answer : odd) {
      for (const bool brief : {false, true}) c.render(answer, {.brief = brief, .detail = !brief});
    }
  }
  SUCCEED();
}

TEST(Render, NoEscapeSequencesReachTheTerminal) {
  admin::FakeBackend backend;
  backend.pools_[0].members[0].state.reason = "\x1b]0;owned\x07";
  for (const Case& c : kCases) {
    const std::string text = c.render(ask(backend, "GET", c.target), c.options);
    EXPECT_EQ(text.find('\x1b'), std::string::npos) << c.name;
  }
  EXPECT_EQ(render_text(Json{{"text", "a\x1b[2Jb\n"}}, {}), "a\\x1b[2Jb\n");
}

TEST(Render, VerbsSayWhatTheyDid) {
  admin::FakeBackend backend;
  EXPECT_EQ(render_apply(ask(backend, "POST", "/v1/apply"), {}),
            "+ pools.web: 2 members\n\nTakes effect at the next start of sluiced:\n"
            "  ~ engine.workers: 1 -> 2   (needs a restart)\n\nWarnings:\n  x.yaml: odd\n");
  EXPECT_EQ(render_apply(Json::object(), {}), "nothing changes\n");
  EXPECT_EQ(render_deleted(ask(backend, "DELETE", "/v1/flow"), {}), "12 flows deleted\n");
}

TEST(RenderBfd, ALineForEachOrABlock) {
  admin::FakeBackend backend;
  const Json answer = ask(backend, "GET", "/v1/bfd");
  const std::string table = render_bfd(answer, {});
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 4) << table;
  EXPECT_NE(table.find("172.16.40.199"), std::string::npos) << table;
  EXPECT_NE(table.find("control detection time expired"), std::string::npos) << table;
  const std::string blocks = render_bfd(answer, {.detail = true});
  EXPECT_NE(blocks.find("BFD neighbor 172.16.40.199 from 172.16.40.202, single hop, worker 0\n"), std::string::npos);
  EXPECT_NE(blocks.find("  Negotiated: transmit interval 300 ms, detection time 900 ms\n"), std::string::npos);
  EXPECT_NE(blocks.find("  Came up 2 times, failed 1 times, last: control detection time expired\n"),
            std::string::npos);
  EXPECT_NE(blocks.find("BFD neighbor 192.0.2.1 from 172.16.40.202, multihop"), std::string::npos);
  EXPECT_EQ(render_bfd(ask(backend, "GET", "/v1/bfd?neighbor=172.16.40.199"), {}).find("BFD neighbor"), 0u);
  EXPECT_EQ(render_bfd(Json{{"sessions", Json::array()}}, {}), "(no BFD sessions)\n");
}

TEST(RenderDump, SaysWhatWasWritten) {
  admin::FakeBackend backend;
  EXPECT_EQ(render_dumped(ask(backend, "POST", "/v1/bgp/dump", R"({"path":"/tmp/rib.mrt"})"), {}),
            "3 prefixes written, 250 bytes\n");
  EXPECT_EQ(backend.asked, std::vector<std::string>{"dump /tmp/rib.mrt"});
  EXPECT_NE(ask(backend, "POST", "/v1/bgp/dump", R"({"path":"rib.mrt"})").dump().find("absolute"), std::string::npos);
}

}  // namespace
}  // namespace sluice::cli
