// sluicectl against a served API: real socket, real HTTP, real output and exit codes; only the daemon is a fake.
#include "control/cli/run.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <sstream>
#include <thread>

#include "control/admin/api.h"
#include "control/io/http_server.h"
#include "tests/support/admin_fake.h"

namespace sluice::cli {
namespace {

struct Done {
  int code = -1;
  std::string out, err;
};

class RunTest : public testing::Test {
 protected:
  RunTest() : api_(backend_), server_(loop_, {}, [this](auto exchange) { api_.handle(std::move(exchange)); }) {
    socket_ = testing::TempDir() + "sluice-run-" + std::to_string(::getpid()) + ".sock";
  }
  void SetUp() override { ASSERT_TRUE(server_.listen_unix(socket_)); }

  Done ctl(std::vector<std::string> words) {
    words.insert(words.begin(), {"--socket", socket_});
    Parsed parsed = parse(std::move(words));
    if (!parsed.invocation) return {parsed.exit_code, "", parsed.text};
    Done done;
    std::thread tool([&] {
      std::ostringstream out, err;
      done.code = run(*parsed.invocation, out, err);
      done.out = out.str();
      done.err = err.str();
      loop_.stop();
    });
    loop_.run();
    tool.join();
    return done;
  }

  io::Loop loop_;
  admin::FakeBackend backend_;
  admin::Api api_;
  io::HttpServer server_;
  std::string socket_;
};

TEST_F(RunTest, ShowsTextAndJson) {
  const Done text = ctl({"show", "ip", "route"});
  EXPECT_EQ(text.code, kExitOk);
  EXPECT_NE(text.out.find("B  *>   10.244.0.0/24 [200/0] via 172.16.40.199, int_vlan, 00:22:53\n"), std::string::npos)
      << text.out;
  const Done json = ctl({"show", "ip", "route", "--json"});
  EXPECT_EQ(Json::parse(json.out)["routes"][1]["prefix"], "10.244.0.0/24");
}

TEST_F(RunTest, NotFoundIsOneAndSaysSo) {
  const Done done = ctl({"show", "pool", "nope"});
  EXPECT_EQ(done.code, kExitFailed);
  EXPECT_EQ(done.err, "sluicectl: no pool \"nope\"\n");
  EXPECT_EQ(done.out, "");
  const Done json = ctl({"show", "pool", "nope", "--json"});
  EXPECT_EQ(json.code, kExitFailed);
  EXPECT_TRUE(Json::parse(json.out).contains("errors"));
}

TEST_F(RunTest, ApplyPrintsEveryError) {
  const std::string path = testing::TempDir() + "sluice-run-bad.yaml";
  std::fclose(std::fopen(path.c_str(), "w"));
  std::FILE* file = std::fopen(path.c_str(), "w");
  std::fputs("bad", file);
  std::fclose(file);
  const Done done = ctl({"apply", path});
  EXPECT_EQ(done.code, kExitFailed);
  EXPECT_NE(done.err.find(":1:1 pools.web: first\n"), std::string::npos) << done.err;
  EXPECT_NE(done.err.find(":2:1 pools.api: second\n"), std::string::npos) << done.err;
  EXPECT_EQ(ctl({"apply"}).code, kExitOk);
}

TEST_F(RunTest, PingPrintsLikePing) {
  const Done done = ctl({"ping", "10.244.0.76", "-c", "3"});
  EXPECT_EQ(done.code, kExitOk);
  EXPECT_EQ(done.out,
            "PING 10.244.0.76 from 172.16.40.202: 56(84) bytes of data.\n"
            "64 bytes from 10.244.0.76: icmp_seq=1 ttl=63 time=0.25 ms\n"
            "no answer from 10.244.0.76: icmp_seq=2\n"
            "64 bytes from 10.244.0.76: icmp_seq=3 ttl=63 time=0.75 ms\n"
            "\n--- 10.244.0.76 ping statistics ---\n"
            "3 packets transmitted, 2 received, 33.33% packet loss\n"
            "rtt min/avg/max/mdev = 0.250/0.500/0.750/0.250 ms\n");
  EXPECT_EQ(ctl({"ping", "224.0.0.1"}).code, kExitFailed);
}

TEST_F(RunTest, CaptureSaysHowManyAndFailsOnABadFilter) {
  const Done done = ctl({"capture", "-w", "/tmp/x.pcapng"});
  EXPECT_EQ(done.code, kExitOk);
  EXPECT_EQ(done.err, "capturing to /tmp/x.pcapng (Ctrl-C ends it)\n20 packets captured, 1 lost\n");
  const Done bad = ctl({"capture", "banana", "-w", "/tmp/x.pcapng"});
  EXPECT_EQ(bad.code, kExitFailed);
  EXPECT_NE(bad.err.find("syntax error"), std::string::npos);
}

TEST_F(RunTest, VerbsAreCarriedOut) {
  EXPECT_EQ(ctl({"modify", "member", "web", "10.0.0.1:80", "state", "offline"}).code, kExitOk);
  EXPECT_EQ(ctl({"modify", "virtual", "nope", "state", "enabled"}).code, kExitFailed);
  EXPECT_EQ(ctl({"delete", "flows", "all"}).out, "12 flows deleted\n");
  EXPECT_EQ(backend_.asked, (std::vector<std::string>{"modify member web 10.0.0.1:80 2", "delete flows"}));
}

TEST_F(RunTest, NoDaemonIsThree) {
  server_.stop();
  const Done done = ctl({"show", "pool"});
  EXPECT_EQ(done.code, kExitNotReachable);
  EXPECT_EQ(done.err,
            "sluicectl: sluiced is not running? cannot connect to " + socket_ + ": No such file or directory\n");
}

TEST_F(RunTest, DaemonThatBreaksOffIsThree) {
  io::HttpServer broken(loop_, {}, [](auto exchange) { exchange->stream("application/json"); });
  server_.stop();
  ASSERT_TRUE(broken.listen_unix(socket_));
  const Done done = ctl({"show", "pool"});
  EXPECT_EQ(done.code, kExitNotReachable);
  EXPECT_NE(done.err.find("broke off"), std::string::npos) << done.err;
}

}  // namespace
}  // namespace sluice::cli
