// Every resource of the admin API: right requests, wrong ones, and each answered exactly once.
#include "control/admin/api.h"

#include <gtest/gtest.h>

#include <random>

#include "control/admin/json.h"
#include "tests/support/admin_fake.h"

namespace sluice::admin {
namespace {

class ApiTest : public testing::Test {
 protected:
  std::shared_ptr<FakeExchange> ask(const std::string& method, const std::string& target,
                                    const std::string& body = "") {
    auto exchange = std::make_shared<FakeExchange>(method, target, body);
    Api(backend_).handle(exchange);
    EXPECT_EQ(exchange->answers, 1u) << method << " " << target;
    return exchange;
  }
  Json get(const std::string& target) {
    const auto exchange = ask("GET", target);
    EXPECT_EQ(exchange->status, 200u) << target << exchange->answer;
    EXPECT_EQ(exchange->content_type, "application/json");
    return Json::parse(exchange->answer);
  }
  void refused(unsigned status, const std::string& method, const std::string& target, const std::string& body,
               const std::string& words) {
    const auto exchange = ask(method, target, body);
    EXPECT_EQ(exchange->status, status) << method << " " << target << " " << body << exchange->answer;
    const Json answer = Json::parse(exchange->answer);
    EXPECT_FALSE(answer.at("errors").empty());
    EXPECT_NE(answer.at("error").get<std::string>().find(words), std::string::npos) << exchange->answer;
  }
  FakeBackend backend_;
};

TEST_F(ApiTest, EveryResourceCanBeRead) {
  const std::pair<const char*, const char*> all[] = {
      {"/v1/virtual", "virtuals"},
      {"/v1/virtual-address", "virtual_addresses"},
      {"/v1/pool", "pools"},
      {"/v1/member", "members"},
      {"/v1/node", "nodes"},
      {"/v1/monitor", "monitors"},
      {"/v1/route", "routes"},
      {"/v1/bgp", "neighbors"},
      {"/v1/bgp/route", "paths"},
      {"/v1/arp", "arp"},
      {"/v1/bgp/neighbor", "neighbors"},
      {"/v1/bgp/neighbor/route?address=172.16.40.199&which=received", "paths"},
      {"/v1/flow", "flows"},
      {"/v1/worker", "workers"},
      {"/v1/port", "ports"},
      {"/v1/drop", "reasons"},
      {"/v1/error", "errors"},
      {"/v1/tcp", "tcp"}};
  for (const auto& [target, key] : all) {
    const Json answer = get(target);
    ASSERT_TRUE(answer.contains(key)) << target;
    EXPECT_TRUE(answer[key].is_array() && !answer[key].empty()) << target;
  }
  EXPECT_EQ(get("/v1/version")["version"], "0.1.0");
  EXPECT_EQ(get("/v1/config")["yaml"], "engine:\n  workers: 1\n");
}

TEST_F(ApiTest, ByNameAndByPartition) {
  EXPECT_EQ(get("/v1/virtual?name=dns")["virtuals"].size(), 1u);
  EXPECT_EQ(get("/v1/virtual?name=%2Fk8s%2Fdefault_nginx-vs")["virtuals"][0]["name"], "default_nginx-vs");
  EXPECT_EQ(get("/v1/member?member=10.244.0.76:80")["members"].size(), 1u);
  EXPECT_EQ(get("/v1/member?member=10.244.0.76")["members"].size(), 1u);
  EXPECT_EQ(get("/v1/bgp/neighbor?address=172.16.40.199")["neighbors"].size(), 1u);
  refused(404, "GET", "/v1/virtual?name=nope", "", "no virtual server \"nope\"");
  refused(404, "GET", "/v1/virtual?name=/Common/default_nginx-vs", "", "no virtual server");
  refused(404, "GET", "/v1/pool?name=nope", "", "no pool");
  refused(404, "GET", "/v1/member?pool=nope", "", "no pool");
  refused(404, "GET", "/v1/member?member=1.2.3.4:5", "", "no pool member");
  refused(404, "GET", "/v1/bgp/neighbor?address=1.2.3.4", "", "no BGP neighbor");
}

TEST_F(ApiTest, PrefixesCoverOrAreCovered) {
  EXPECT_EQ(get("/v1/route?prefix=10.244.0.0/16")["routes"].size(), 2u);
  EXPECT_EQ(get("/v1/route?prefix=10.244.0.9")["routes"].size(), 2u);  // the default route too
  EXPECT_EQ(get("/v1/bgp/route?prefix=10.244.0.0/24")["paths"].size(), 1u);
  refused(404, "GET", "/v1/bgp/route?prefix=192.0.2.0/24", "", "% Network not in table");
  refused(400, "GET", "/v1/route?prefix=banana", "", "no address and no prefix");
}

TEST_F(ApiTest, ErrorsOfOneVirtualServerAndSoMany) {
  EXPECT_EQ(get("/v1/error")["errors"].size(), 2u);
  EXPECT_EQ(get("/v1/error")["total"], 12);
  EXPECT_EQ(get("/v1/error?limit=1")["errors"].size(), 1u);
  EXPECT_EQ(get("/v1/error?virtual=/k8s/default_nginx-vs")["errors"].size(), 2u);
  EXPECT_EQ(get("/v1/error?virtual=dns")["errors"].size(), 0u);
  EXPECT_TRUE(get("/v1/error")["errors"][0]["member"].is_null());
  refused(404, "GET", "/v1/error?virtual=nope", "", "no virtual server");
  for (const char* limit : {"0", "x", "-1", "100001", "7x"}) {
    refused(400, "GET", std::string("/v1/error?limit=") + limit, "", "no number from 1 to");
  }
}

TEST_F(ApiTest, HttpOfAVirtualServer) {
  const Json http = get("/v1/virtual?name=default_nginx-vs")["virtuals"][0]["http"];
  EXPECT_EQ(http["responses"]["2xx"], 60);
  EXPECT_EQ(http["errors"]["bad_requests"], 2);
  EXPECT_EQ(http["latency"]["total"]["count"], 70);
  EXPECT_EQ(http["latency"]["total"]["buckets"][1]["count"], 69);
  EXPECT_FALSE(get("/v1/virtual?name=dns")["virtuals"][0].contains("http"));
  EXPECT_EQ(get("/v1/tcp")["tcp"][0]["counters"]["cookies_sent"], 3);
  EXPECT_EQ(get("/v1/access-log")["lost"], 2);
}

TEST_F(ApiTest, BgpTableFilters) {
  BgpPathStatus path = backend_.bgp_paths_[0];
  path.from = "172.16.40.198";
  path.as_path = "64513 {64514,64515}";
  path.communities = {"64512:100", "no-export"};
  path.best = false;
  backend_.bgp_paths_.push_back(path);
  const auto count = [&](const std::string& query) { return get("/v1/bgp/route?" + query)["paths"].size(); };
  EXPECT_EQ(count("best=1"), 1u);
  EXPECT_EQ(count("community=no-export"), 1u);
  EXPECT_EQ(count("community=64512:1"), 0u);
  EXPECT_EQ(count("from=172.16.40.198"), 1u);
  EXPECT_EQ(count("as=64515"), 1u);
  EXPECT_EQ(count("as=6451"), 0u) << "a part of a number is another number";
  EXPECT_EQ(count("prefix=10.244.0.0/16&as=64513"), 1u);
  refused(400, "GET", "/v1/bgp/route?as=x", "", "no AS number");
  refused(400, "GET", "/v1/bgp/route?best=maybe", "", "write 1");
  refused(400, "GET", "/v1/bgp/route?colour=red", "", "unknown parameter");
}

TEST_F(ApiTest, RoutesOfANeighbor) {
  const std::string neighbor = "/v1/bgp/neighbor/route?address=172.16.40.199&which=";
  const Json received = get(neighbor + "received");
  EXPECT_EQ(received["paths"].size(), 2u);
  EXPECT_EQ(received["paths"][1]["rejected"], true);
  EXPECT_EQ(received["paths"][1]["reason"], "rejected: the default route");
  EXPECT_EQ(get(neighbor + "accepted")["paths"].size(), 1u);
  EXPECT_EQ(get(neighbor + "advertised")["paths"].size(), 0u);
  refused(400, "GET", neighbor + "some", "", "none of received, advertised, accepted");
  refused(404, "GET", "/v1/bgp/neighbor/route?address=1.2.3.4&which=received", "", "no BGP neighbor");
  backend_.bgp_.configured = false;
  refused(404, "GET", neighbor + "received", "", "BGP is not configured");
}

TEST_F(ApiTest, BgpAsText) {
  EXPECT_EQ(get("/v1/bgp?text=1")["text"], "text 1 \n");
  EXPECT_EQ(get("/v1/bgp/route?text=1&prefix=10.0.0.0/8")["text"], "text 0 10.0.0.0/8\n");
  EXPECT_EQ(get("/v1/bgp/neighbor?text=1")["text"], "text 2 \n");
  refused(404, "GET", "/v1/bgp/route?text=1&prefix=192.0.2.0/24", "", "not in table");
  backend_.bgp_.configured = false;
  refused(404, "GET", "/v1/bgp", "", "BGP is not configured");
  refused(404, "GET", "/v1/bgp/route?text=1", "", "BGP is not configured");
}

TEST_F(ApiTest, VerbsReachTheDaemon) {
  EXPECT_EQ(ask("PATCH", "/v1/member", R"({"pool":"web","member":"10.0.0.1:80","state":"offline"})")->status, 200u);
  EXPECT_EQ(ask("PATCH", "/v1/virtual", R"({"name":"dns","state":"disabled"})")->status, 200u);
  EXPECT_EQ(ask("POST", "/v1/bgp/clear", R"({"neighbor":"*","how":"soft-in"})")->status, 200u);
  EXPECT_EQ(ask("POST", "/v1/bgp/clear", R"({"neighbor":"172.16.40.199","how":"hard"})")->status, 200u);
  EXPECT_EQ(ask("POST", "/v1/bgp/drain", R"({"address":"*","state":"on"})")->status, 200u);
  EXPECT_EQ(ask("POST", "/v1/bgp/drain", R"({"address":"172.16.40.81","state":"off"})")->status, 200u);
  EXPECT_EQ(ask("DELETE", "/v1/flow?client=10.0.0.9")->status, 200u);
  EXPECT_EQ(ask("POST", "/v1/apply", "")->status, 200u);
  EXPECT_EQ(ask("POST", "/v1/apply", R"({"name":"n","text":"t","check":true})")->status, 200u);
  EXPECT_EQ(ask("POST", "/v1/shutdown")->status, 200u);
  EXPECT_EQ(ask("POST", "/v1/restart")->status, 200u);
  EXPECT_EQ(backend_.asked,
            (std::vector<std::string>{"modify member web 10.0.0.1:80 2", "modify virtual dns false", "clear * 1",
                                      "clear 172.16.40.199 0", "drain * on", "drain 172.16.40.81 off", "delete flows",
                                      "apply - real", "apply n check", "shutdown", "apply - check", "restart"}));
  EXPECT_EQ(backend_.last_filter.client->text(), "10.0.0.9");
}

TEST_F(ApiTest, ApplyReportsAllErrorsAtOnce) {
  const auto exchange = ask("POST", "/v1/apply", R"({"name":"f.yaml","text":"bad"})");
  EXPECT_EQ(exchange->status, 409u);
  EXPECT_EQ(Json::parse(exchange->answer)["errors"].size(), 2u);
  const Json good = Json::parse(ask("POST", "/v1/apply", "{}")->answer);
  EXPECT_EQ(good["changes"].size() + good["needs_restart"].size() + good["warnings"].size(), 3u);
}

TEST_F(ApiTest, StreamsArriveLineByLine) {
  const auto ping = ask("POST", "/v1/ping", R"({"address":"10.0.0.1","count":3})");
  EXPECT_EQ(ping->content_type, "application/x-ndjson");
  EXPECT_EQ(std::count(ping->answer.begin(), ping->answer.end(), '\n'), 5);
  EXPECT_TRUE(ping->finished);
  EXPECT_TRUE(ask("POST", "/v1/capture", R"({"path":"/tmp/x"})")->finished);
}

TEST_F(ApiTest, WrongRequestsAreNamed) {
  refused(404, "GET", "/", "", "no such resource");
  refused(404, "GET", "/v2/virtual", "", "no such resource");
  refused(405, "POST", "/v1/virtual", "", "does not know the method POST");
  refused(405, "BREW", "/v1/pool", "", "BREW");
  refused(400, "GET", "/v1/virtual?colour=red", "", "unknown parameter; known: name");
  refused(400, "GET", "/v1/worker?name=1", "", "no parameters");
  refused(400, "GET", "/v1/virtual?name=%zz", "", "percent");
  refused(400, "GET", "/v1/flow?port=x", "", "\"x\" is no number in range");
  refused(400, "PATCH", "/v1/member", "", "is missing");
  refused(400, "PATCH", "/v1/member", "[]", "no JSON object");
  refused(400, "PATCH", "/v1/member", R"({"pool":"web","member":"10.0.0.1","state":"enabled"})", "no address:port");
  refused(400, "PATCH", "/v1/member", R"({"pool":"web","member":"10.0.0.1:80","state":"asleep"})", "asleep");
  refused(400, "PATCH", "/v1/member", R"({"pool":1,"member":"10.0.0.1:80","state":"enabled"})", "must be a string");
  refused(404, "PATCH", "/v1/member", R"({"pool":"x","member":"10.0.0.1:80","state":"enabled"})", "no pool \"x\"");
  refused(400, "PATCH", "/v1/virtual", R"({"name":"dns","state":"offline"})", "neither enabled nor disabled");
  refused(400, "POST", "/v1/apply", R"({"text":7})", "must be a string");
  refused(400, "POST", "/v1/apply", R"({"file":"x"})", "unknown field");
  refused(400, "POST", "/v1/bgp/clear", R"({"neighbor":"x","how":"hard"})", "no address and not *");
  refused(400, "POST", "/v1/bgp/drain", R"({"address":"x","state":"on"})", "no address and not *");
  refused(400, "POST", "/v1/bgp/drain", R"({"address":"*","state":"perhaps"})", "neither on nor off");
  refused(400, "POST", "/v1/bgp/clear", R"({"neighbor":"*","how":"gently"})", "gently");
  refused(400, "POST", "/v1/ping", R"({"address":"x"})", "no IPv4 address");
  refused(409, "POST", "/v1/ping", R"({"address":"224.0.0.1"})", "not to a group");
  refused(400, "POST", "/v1/capture", R"({"path":"here"})", "absolute");
  refused(409, "POST", "/v1/capture", R"({"path":"/x","filter":"banana"})", "syntax error");
  EXPECT_TRUE(backend_.asked.empty());
}

// Whatever comes, it is answered once, and errors are JSON.
TEST_F(ApiTest, AnyRequestIsAnsweredOnce) {
  const char* parts[] = {"/v1",     "/virtual", "/flow", "/bgp/clear", "/apply",
                         "?",       "name",     "=",     "&",          "%",
                         "%41",     "/",        "\xff",  "port",       "9",
                         "text=1",  "/member",  "/ping", "/route",     "prefix=10.0.0.0/8",
                         "/capture"};
  const char* bodies[] = {
      "{",      "}",    "\"pool\"", ":",        "\"web\"", ",",           "\"state\"", "[",
      "1e9999", "null", "\"how\"",  "\"text\"", "-1",      "\"address\"", "\"\xff\"",  "\"path\":\"/\""};
  const char* methods[] = {"GET", "POST", "PATCH", "DELETE", ""};
  std::mt19937 random(20261122);
  const auto pick = [&](const auto& from) { return from[random() % std::size(from)]; };
  for (int i = 0; i < 20000; ++i) {
    std::string target, body;
    for (auto n = random() % 8; n > 0; --n) target += pick(parts);
    for (auto n = random() % 10; n > 0; --n) body += pick(bodies);
    const auto exchange = ask(pick(methods), target, body);
    if (exchange->status != 200) {
      ASSERT_TRUE(Json::accept(exchange->answer)) << exchange->answer;
      ASSERT_GE(exchange->status, 400u);
    }
  }
}

}  // namespace
}  // namespace sluice::admin
