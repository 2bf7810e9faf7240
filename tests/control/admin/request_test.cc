// Targets, bodies and filters: what is right is understood, what is wrong is named.
#include "control/admin/request.h"

#include <gtest/gtest.h>

namespace sluice::admin {
namespace {

TEST(ParseTarget, TakesPathAndParameters) {
  const auto target = parse_target("/v1/virtual/?name=a%2Fb%20c&x=");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/v1/virtual");
  EXPECT_EQ(target->query.at("name"), "a/b c");
  EXPECT_EQ(target->query.at("x"), "");
  EXPECT_EQ(parse_target("/")->path, "/");
}

TEST(ParseTarget, RefusesWhatIsWrong) {
  for (const char* bad : {"", "v1", "/a?b=%", "/a?b=%4", "/a?b=%zz", "/%", "/a?x=1&x=2", "?x=1"}) {
    EXPECT_FALSE(parse_target(bad)) << bad;
  }
}

TEST(PercentEncode, RoundTrips) {
  std::string all;
  for (int c = 1; c < 256; ++c) all.push_back(static_cast<char>(c));
  const auto target = parse_target("/x?v=" + percent_encode(all));
  ASSERT_TRUE(target);
  EXPECT_EQ(target->query.at("v"), all);
}

TEST(ParseBody, TakesObjectsOnly) {
  EXPECT_TRUE(parse_body(""));
  EXPECT_TRUE(parse_body("{}"));
  for (const char* bad : {"[]", "1", "\"x\"", "null", "{", "{\"a\":}", "{} x", "\xff"}) {
    EXPECT_FALSE(parse_body(bad)) << bad;
  }
  EXPECT_FALSE(parse_body("{\"a\":" + std::string(5000, '[') + std::string(5000, ']') + "}"));
}

TEST(Fields, NameWhatIsWrong) {
  const Json body = Json::parse(R"({"text":"x","number":7,"real":0.5,"flag":true,"negative":-1,"none":null})");
  EXPECT_EQ(text_field(body, "text").value(), "x");
  EXPECT_EQ(text_field(body, "none").value(), std::nullopt);
  EXPECT_EQ(text_field(body, "absent").value(), std::nullopt);
  EXPECT_EQ(text_field(body, "number").error().place, "number");
  EXPECT_EQ(number_field(body, "number", 7).value(), 7u);
  EXPECT_FALSE(number_field(body, "number", 6));
  EXPECT_FALSE(number_field(body, "negative", 100));
  EXPECT_FALSE(number_field(body, "real", 100));
  EXPECT_EQ(seconds_field(body, "real", 0.1, 1).value(), 0.5);
  EXPECT_FALSE(seconds_field(body, "real", 0.6, 1));
  EXPECT_FALSE(seconds_field(body, "text", 0, 1));
  EXPECT_EQ(bool_field(body, "flag").value(), true);
  EXPECT_FALSE(bool_field(body, "number"));
  EXPECT_EQ(only_fields(body, {"text"}).error().place, "number");
}

TEST(FlowFilter, TakesEveryParameter) {
  const auto filter = parse_flow_filter({{"protocol", "udp"},
                                         {"client", "10.0.0.1"},
                                         {"member", "10.0.0.2"},
                                         {"address", "10.0.0.3"},
                                         {"destination", "10.0.0.4:53"},
                                         {"port", "80"},
                                         {"virtual", "v"},
                                         {"pool", "p"},
                                         {"limit", "5"}});
  ASSERT_TRUE(filter) << filter.error().text();
  EXPECT_EQ(filter->protocol, "udp");
  EXPECT_EQ(filter->client->text(), "10.0.0.1");
  EXPECT_EQ(filter->destination->text(), "10.0.0.4:53");
  EXPECT_EQ(filter->port, 80);
  EXPECT_EQ(filter->limit, 5u);
}

TEST(FlowFilter, RefusesWhatIsWrong) {
  using Query = std::map<std::string, std::string>;
  for (const Query& bad :
       {Query{{"protocol", "icmp"}}, Query{{"client", "x"}}, Query{{"destination", "10.0.0.1"}},
        Query{{"port", "65536"}}, Query{{"port", ""}}, Query{{"limit", "-1"}}, Query{{"colour", "red"}}}) {
    EXPECT_FALSE(parse_flow_filter(bad)) << bad.begin()->first;
  }
}

TEST(ParsePing, HasLimits) {
  const auto parse = [](const char* text) { return parse_ping(Json::parse(text)); };
  ASSERT_TRUE(parse(R"({"address":"10.0.0.1"})"));
  EXPECT_EQ(parse(R"({"address":"10.0.0.1"})")->size, 56u);
  EXPECT_EQ(parse(R"({"address":"10.0.0.1","ttl":0})")->ttl, 1u);
  for (const char* bad : {R"({})", R"({"address":"x"})", R"({"address":"10.0.0.1","size":65508})",
                          R"({"address":"10.0.0.1","interval_s":0})", R"({"address":"10.0.0.1","interval_s":1e300})",
                          R"({"address":"10.0.0.1","source":"y"})", R"({"address":"10.0.0.1","count":-1})",
                          R"({"address":"10.0.0.1","ttl":256})", R"({"address":"10.0.0.1","speed":1})"}) {
    EXPECT_FALSE(parse(bad)) << bad;
  }
}

TEST(ParseCapture, WantsAnAbsolutePath) {
  const auto parse = [](std::string_view text) { return parse_capture(Json::parse(text)); };
  EXPECT_TRUE(parse(R"({"path":"/tmp/x"})"));
  const auto whole = parse(R"({"path":"/tmp/x","snaplen":0})");
  ASSERT_TRUE(whole) << whole.error().text();
  EXPECT_EQ(whole->snaplen, 262144u);
  EXPECT_TRUE(parse(R"({"path":"/x","snaplen":262144})"));
  for (const char* bad : {R"({"path":"x"})", "{}", R"({"path":"/a\u0000b"})", R"({"path":"/x","snaplen":262145})"}) {
    EXPECT_FALSE(parse(bad)) << bad;
  }
}

}  // namespace
}  // namespace sluice::admin
