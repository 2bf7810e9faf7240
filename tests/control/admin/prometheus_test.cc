// The metrics page, read with the eyes of Prometheus: every line is well formed, every family stands together.
#include "control/admin/prometheus.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <sstream>

#include "tests/support/admin_fake.h"

namespace sluice::admin {
namespace {

// What promtool check metrics would say, as far as it can be said in a page of code.
void lint(const std::string& text) {
  static const std::regex kHelp("# HELP ([a-z_:][a-z0-9_:]*) .*[.]"),
      kType("# TYPE ([a-z_:][a-z0-9_:]*) (counter|gauge|histogram)"),
      kSample(
          "([a-z_:][a-z0-9_:]*)(\\{[a-z_]+=\"([^\"\\\\\n]|\\\\[\\\\\"n])*\"(,[a-z_]+=\"([^\"\\\\\n]|\\\\[\\\\\"n])*\")*"
          "\\})? "
          "[0-9.e+-]+");
  std::set<std::string> families, samples;
  std::string family, type;
  std::istringstream lines(text);
  ASSERT_EQ(text.back(), '\n');
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (std::regex_match(line, match, kHelp)) {
      family = match[1];
      ASSERT_TRUE(families.insert(family).second) << "twice: " << line;
    } else if (std::regex_match(line, match, kType)) {
      ASSERT_EQ(match[1], family) << line;
      type = match[2];
      ASSERT_EQ(type == "counter", family.ends_with("_total")) << line;
    } else {
      ASSERT_TRUE(std::regex_match(line, match, kSample)) << line;
      std::string name = match[1];
      if (type == "histogram") {
        ASSERT_TRUE(name == family + "_bucket" || name == family + "_sum" || name == family + "_count") << line;
        ASSERT_EQ(name.ends_with("_bucket"), line.find("le=\"") != std::string::npos) << line;
        name = family;
      }
      ASSERT_EQ(name, family) << line;
      ASSERT_TRUE(samples.insert(match[1].str() + match[2].str()).second) << "twice: " << line;
    }
  }
  EXPECT_GT(samples.size(), 50u);
}

TEST(Prometheus, PageIsWellFormed) {
  FakeBackend backend;
  lint(prometheus_text(backend));
}

TEST(Prometheus, NamesWithQuotesAreEscaped) {
  FakeBackend backend;
  backend.pools_[0].name = "a\"b\\c\nd";
  const std::string text = prometheus_text(backend);
  lint(text);
  EXPECT_NE(text.find(R"(pool="a\"b\\c\nd")"), std::string::npos);
}

TEST(Prometheus, LintCanFail) { EXPECT_FATAL_FAILURE(lint("# HELP x y.\n# TYPE x gauge\nz 1\n"), ""); }

TEST(Prometheus, HasTheValues) {
  FakeBackend backend;
  const std::string text = prometheus_text(backend);
  for (const char* line :
       {"sluice_drops_total{reason=\"no_virtual_server\"} 900\n",
        "sluice_worker_busy_ratio{worker=\"0\",core=\"1\"} 0.1234\n",
        "sluice_bgp_neighbor_established{neighbor=\"172.16.40.199\",remote_as=\"64512\"} 1\n",
        "sluice_bgp_neighbor_state{neighbor=\"172.16.40.199\",remote_as=\"64512\"} 5\n",
        "sluice_bgp_neighbor_messages_received_total{neighbor=\"172.16.40.199\",remote_as=\"64512\"} 3\n",
        "sluice_virtual_address_announced{address=\"172.16.40.80\"} 1\n",
        "sluice_virtual_available{virtual=\"dns\",partition=\"Common\",destination=\"172.16.99.99:53\"} 0\n",
        "sluice_http_responses_total{virtual=\"default_nginx-vs\",partition=\"k8s\",class=\"2xx\"} 60\n",
        "sluice_http_errors_total{virtual=\"default_nginx-vs\",partition=\"k8s\",reason=\"bad_requests\"} 2\n",
        "sluice_http_total_seconds_bucket{virtual=\"default_nginx-vs\",partition=\"k8s\",le=\"0.002\"} 69\n",
        "sluice_http_total_seconds_bucket{virtual=\"default_nginx-vs\",partition=\"k8s\",le=\"+Inf\"} 70\n",
        "sluice_http_total_seconds_count{virtual=\"default_nginx-vs\",partition=\"k8s\"} 70\n",
        "sluice_tcp_cookies_sent_total{worker=\"0\"} 3\n", "sluice_access_log_lost_total 2\n",
        "sluice_port_rx_missed_total{port=\"int_vlan\"} 3\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line;
  }
  backend.bgp_.configured = false;
  EXPECT_EQ(prometheus_text(backend).find("sluice_bgp"), std::string::npos);
}

}  // namespace
}  // namespace sluice::admin
