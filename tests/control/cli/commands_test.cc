// The command line: words to requests, abbreviations, and what is wrong.
#include "control/cli/commands.h"

#include <gtest/gtest.h>

#include <fstream>

namespace sluice::cli {
namespace {

std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> out;
  std::istringstream in(line);
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

Invocation good(const std::string& line) {
  const Parsed parsed = parse(words_of(line));
  EXPECT_TRUE(parsed.invocation) << line << ": " << parsed.text;
  return parsed.invocation.value_or(Invocation{});
}

void bad(const std::string& line, const std::string& needle) {
  const Parsed parsed = parse(words_of(line));
  EXPECT_FALSE(parsed.invocation) << line;
  EXPECT_EQ(parsed.exit_code, kExitUsage) << line;
  EXPECT_NE(parsed.text.find(needle), std::string::npos) << line << ": " << parsed.text;
}

TEST(Commands, ShowBecomesGet) {
  const std::pair<const char*, const char*> all[] = {
      {"show virtual", "/v1/virtual"},
      {"show virtual a/b", "/v1/virtual?name=a%2Fb"},
      {"show virtual-address", "/v1/virtual-address"},
      {"show pool web", "/v1/pool?name=web"},
      {"show member web", "/v1/member?pool=web"},
      {"show node", "/v1/node"},
      {"show monitor", "/v1/monitor"},
      {"show ip route", "/v1/route"},
      {"show ip route 10.0.0.0/8", "/v1/route?prefix=10.0.0.0%2F8"},
      {"show ip bgp", "/v1/bgp/route?text=1"},
      {"show ip bgp 10.0.0.0/8", "/v1/bgp/route?prefix=10.0.0.0%2F8&text=1"},
      {"show ip bgp 10.0.0.0/8 longer-prefixes", "/v1/bgp/route?prefix=10.0.0.0%2F8"},
      {"show ip bgp community 64512:100 best", "/v1/bgp/route?community=64512%3A100&best=1"},
      {"show ip bgp 10.0.0.0/8 as 64513 from 172.16.40.199",
       "/v1/bgp/route?prefix=10.0.0.0%2F8&as=64513&from=172.16.40.199"},
      {"show ip bgp summary", "/v1/bgp?text=1"},
      {"show ip bgp neighbors 172.16.40.199 received-routes",
       "/v1/bgp/neighbor/route?address=172.16.40.199&which=received"},
      {"show ip bgp nei 172.16.40.199 adv", "/v1/bgp/neighbor/route?address=172.16.40.199&which=advertised"},
      {"show ip bgp neighbors 172.16.40.199 routes", "/v1/bgp/neighbor/route?address=172.16.40.199&which=accepted"},
      {"show ip bgp neighbors", "/v1/bgp/neighbor?text=1"},
      {"show ip bgp neighbors 172.16.40.199", "/v1/bgp/neighbor?address=172.16.40.199&text=1"},
      {"show ip bgp summary --json", "/v1/bgp"},
      {"show arp", "/v1/arp"},
      {"show flows", "/v1/flow"},
      {"show flows client 10.0.0.1 port 80", "/v1/flow?client=10.0.0.1&port=80"},
      {"show flows proto tcp cl 10.0.0.1", "/v1/flow?protocol=tcp&client=10.0.0.1"},
      {"show workers", "/v1/worker"},
      {"show ports", "/v1/port"},
      {"show drops", "/v1/drop"},
      {"show config", "/v1/config"},
      {"show version", "/v1/version"}};
  for (const auto& [line, target] : all) {
    const Invocation call = good(line);
    EXPECT_EQ(call.method, "GET") << line;
    EXPECT_EQ(call.target, target) << line;
    EXPECT_NE(call.render, nullptr) << line;
  }
}

TEST(Commands, VerbsBecomeRequests) {
  struct Case {
    const char* line;
    const char* method;
    const char* target;
    const char* body;
  };
  const Case all[] = {
      {"modify member web 10.0.0.1:80 state disabled", "PATCH", "/v1/member",
       R"({"pool":"web","member":"10.0.0.1:80","state":"disabled"})"},
      {"mod mem web 10.0.0.1:80 st off", "PATCH", "/v1/member",
       R"({"pool":"web","member":"10.0.0.1:80","state":"offline"})"},
      {"modify virtual v state enabled", "PATCH", "/v1/virtual", R"({"name":"v","state":"enabled"})"},
      {"clear ip bgp *", "POST", "/v1/bgp/clear", R"({"neighbor":"*","how":"hard"})"},
      {"clear ip bgp 10.0.0.1 soft", "POST", "/v1/bgp/clear", R"({"neighbor":"10.0.0.1","how":"soft"})"},
      {"clear ip bgp * soft out", "POST", "/v1/bgp/clear", R"({"neighbor":"*","how":"soft-out"})"},
      {"drain *", "POST", "/v1/bgp/drain", R"({"address":"*","state":"on"})"},
      {"drain 172.16.40.81 off", "POST", "/v1/bgp/drain", R"({"address":"172.16.40.81","state":"off"})"},
      {"delete flows all", "DELETE", "/v1/flow", ""},
      {"delete flows member 10.0.0.1", "DELETE", "/v1/flow?member=10.0.0.1", ""},
      {"apply", "POST", "/v1/apply", R"({"check":false})"},
      {"apply -n", "POST", "/v1/apply", R"({"check":true})"},
      {"shutdown", "POST", "/v1/shutdown", ""},
      {"restart", "POST", "/v1/restart", ""},
      {"ping 10.0.0.1 -c 3 -s 100", "POST", "/v1/ping",
       R"({"address":"10.0.0.1","count":3,"size":100,"interval_s":1.0,"ttl":64})"},
      {"capture tcp port 80 -w /tmp/x -c 5", "POST", "/v1/capture",
       R"({"filter":"tcp port 80","port":"","path":"/tmp/x","count":5,"snaplen":0})"},
      {"capture -w /tmp/x -i int_vlan", "POST", "/v1/capture",
       R"({"filter":"","port":"int_vlan","path":"/tmp/x","count":0,"snaplen":0})"}};
  for (const Case& one : all) {
    const Invocation call = good(one.line);
    EXPECT_EQ(call.method, one.method) << one.line;
    EXPECT_EQ(call.target, one.target) << one.line;
    EXPECT_EQ(call.body, one.body) << one.line;
  }
}

TEST(Commands, ApplySendsTheFile) {
  const std::string path = testing::TempDir() + "sluice-apply.yaml";
  std::ofstream(path) << "engine: {}\n";
  const Json body = Json::parse(good("apply " + path).body);
  EXPECT_EQ(body["name"], path);
  EXPECT_EQ(body["text"], "engine: {}\n");
  bad("apply /no/such/file", "/no/such/file");
}

TEST(Commands, WordsMayBeShortened) {
  EXPECT_EQ(good("sh w").target, "/v1/worker");
  EXPECT_EQ(good("sh virtual").target, "/v1/virtual");
  EXPECT_EQ(good("s ip ro").target, "/v1/route");
  EXPECT_EQ(good("--socket /x sh ip b sum").target, "/v1/bgp?text=1");
  bad("shut", "shut");  // what ends the daemon is written out
  bad("show v", "\"v\" could be virtual, virtual-address, version");
  bad("show p", "could be pool, ports");
}

TEST(Commands, GlobalOptionsStandAnywhere) {
  for (const char* line :
       {"--socket /s --json show pool", "show --json pool --socket /s", "show pool --socket=/s --json"}) {
    const Invocation call = good(line);
    EXPECT_EQ(call.socket, "/s") << line;
    EXPECT_TRUE(call.json) << line;
  }
  EXPECT_EQ(good("show pool").socket, "/run/sluice/sluiced.sock");
  EXPECT_EQ(good("show pool -w 2").watch_s, 2.0);
  EXPECT_TRUE(good("show pool -b").options.brief);
}

TEST(Commands, WrongUsageIsExplained) {
  bad("", "subcommand is required");
  bad("show", "subcommand is required");
  bad("dance", "dance");
  bad("show nonsense", "nonsense");
  bad("show pool a b", "b");
  bad("modify member web", "required");
  bad("modify member web 10.0.0.1 state enabled", "no address:port");
  bad("modify member web 10.0.0.1:80 colour red", "the word here is \"state\"");
  bad("modify member web 10.0.0.1:80 state red", "must be one of enabled, disabled, offline");
  bad("modify virtual v state offline", "must be one of enabled, disabled");
  bad("clear ip bgp", "required");
  bad("clear ip bgp banana", "no address and not *");
  bad("clear ip bgp * hard", "none of: soft");
  bad("drain", "required");
  bad("drain web", "no address and not *");
  bad("drain * perhaps", "neither on nor off");
  bad("show ip bgp 10.0.0.0/8 colour", "none of longer-prefixes");
  bad("show ip bgp community", "needs a value");
  bad("show ip bgp neighbors 10.0.0.1 nonsense", "none of received-routes");
  bad("delete flows", "say which flows");
  bad("show flows port", "needs a value");
  bad("show flows colour red", "unknown parameter");
  bad("show flows port 99999", "no number in range");
  bad("ping", "required");
  bad("ping banana", "no IPv4 address");
  bad("ping 10.0.0.1 -s 70000", "70000");
  bad("capture tcp", "required");
  bad("show pool -w 0", "0");
}

TEST(Commands, HelpIsEverywhere) {
  for (const std::string& path : command_paths()) {
    const Parsed parsed = parse(words_of(path + " --help"));
    EXPECT_FALSE(parsed.invocation) << path;
    EXPECT_EQ(parsed.exit_code, kExitOk) << path;
    EXPECT_NE(parsed.text.find("Usage:"), std::string::npos) << path;
  }
  EXPECT_EQ(parse({"--help"}).exit_code, kExitOk);
  EXPECT_NE(parse({"--version"}).text.find("sluicectl "), std::string::npos);
  EXPECT_GT(command_paths().size(), 25u);
}

}  // namespace
}  // namespace sluice::cli
