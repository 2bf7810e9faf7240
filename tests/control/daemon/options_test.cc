// Tests of sluiced's command line: what is taken, what is refused, and with which exit code.
#include "control/daemon/options.h"

#include <gtest/gtest.h>

namespace sluice::daemon::options_test {
namespace {

TEST(Options, Defaults) {
  const auto parsed = parse_options({});
  ASSERT_TRUE(parsed.options);
  EXPECT_EQ(parsed.options->config, "/etc/sluice/sluice.yaml");
  EXPECT_FALSE(parsed.options->check);
  EXPECT_FALSE(parsed.options->busy_poll);
  EXPECT_EQ(parsed.options->host_interface, "sluice0");
}

TEST(Options, AllOfThem) {
  const auto parsed =
      parse_options({"--config", "/x/../y.yaml", "--check", "--busy-poll", "--socket", "/s", "--log-level", "debug",
                     "--host-interface", "tap7", "--no-log-time", "--foreground"});
  ASSERT_TRUE(parsed.options) << parsed.text;
  EXPECT_EQ(parsed.options->config, "/y.yaml");
  EXPECT_TRUE(parsed.options->check);
  EXPECT_EQ(parsed.options->busy_poll, true);
  EXPECT_EQ(parsed.options->socket, "/s");
  EXPECT_EQ(parsed.options->log_level, "debug");
  EXPECT_EQ(parsed.options->host_interface, "tap7");
  EXPECT_FALSE(parsed.options->log_time);
}

TEST(Options, RelativeConfigBecomesAbsolute) {
  EXPECT_EQ(parse_options({"-c", "x.yaml"}).options->config.front(), '/');
}

TEST(Options, WrongUsageIsTwo) {
  for (const auto& words :
       std::vector<std::vector<std::string>>{{"--nonsense"}, {"file"}, {"--log-level", "loud"}, {"-c"}}) {
    const auto parsed = parse_options(words);
    EXPECT_FALSE(parsed.options);
    EXPECT_EQ(parsed.exit_code, kExitConfig);
    EXPECT_EQ(parsed.text.rfind("sluiced: ", 0), 0u) << parsed.text;
  }
}

TEST(Options, HelpAndVersionAreZero) {
  for (const char* word : {"--help", "--version"}) {
    const auto parsed = parse_options({word});
    EXPECT_FALSE(parsed.options);
    EXPECT_EQ(parsed.exit_code, kExitOk);
    EXPECT_NE(parsed.text.find("sluiced"), std::string::npos);
  }
}

}  // namespace
}  // namespace sluice::daemon::options_test
