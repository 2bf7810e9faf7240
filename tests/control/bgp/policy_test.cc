// Policy: the syntax with its errors, and what rules do.
#include "control/bgp/policy.h"

#include <gtest/gtest.h>

#include "tests/control/bgp/support.h"

namespace sluice::bgp::policy_test {
namespace {

using namespace testing;
using config::PrefixLists;

TEST(PolicyRule, TextIsWhatWasRead) {
  for (const std::string line :
       {"prefix 10.244.0.0/16 length 24..32 accept",
        "community 64512:100 set local-pref 200 set community add 64512:1 accept", "any reject",
        "prefix 10.0.0.0/8 prefix 11.0.0.0/8 length 8..16 next-hop 172.16.40.1 set med 5 set prepend 2 next",
        "as-path 64513 set next-hop 10.0.0.1 set community none set community remove no-export accept",
        "community 64512:1 community 64512:1:2 as-path length 0..3 set community add 64512:7:8 accept"}) {
    const auto rule = parse_policy_rule(line);
    ASSERT_TRUE(rule) << line << ": " << rule.error().message;
    EXPECT_EQ(text_of(*rule), line);
  }
}

TEST(PolicyRule, LengthsInThreeSpellings) {
  const PrefixLists lists{{"pods", {*config::parse_prefix_match("10.244.0.0/16 le 26")}}};
  for (const auto& [line, text] : std::vector<std::pair<std::string, std::string>>{
           {"prefix 10.0.0.0/8 ge 16 accept", "prefix 10.0.0.0/8 length 16..32 accept"},
           {"prefix 10.0.0.0/8 le 24 accept", "prefix 10.0.0.0/8 length 8..24 accept"},
           {"prefix 10.0.0.0/8 ge 16 le 24 accept", "prefix 10.0.0.0/8 length 16..24 accept"},
           {"prefix default reject", "prefix 0.0.0.0/0 reject"},
           {"prefix fd00::/8 ge 48 accept", "prefix fd00::/8 length 48..128 accept"},
           {"as-path contains 7 accept", "as-path 7 accept"},
           {"as-path length 2 accept", "as-path length 2..2 accept"},
           {"prefix-list pods accept", "prefix 10.244.0.0/16 length 16..26 accept"}}) {
    const auto rule = parse_policy_rule(line, lists);
    ASSERT_TRUE(rule) << line << ": " << rule.error().message;
    EXPECT_EQ(text_of(*rule), text);
  }
}

TEST(PolicyRule, ErrorsNameTheWord) {
  for (const auto& [line, word] :
       std::vector<std::pair<std::string, std::string>>{{"", "accept, reject or next"},
                                                        {"any", "accept, reject or next"},
                                                        {"accept", "condition"},
                                                        {"any accept now", "now"},
                                                        {"prefix 10.244.0.1/16 accept", "10.244.0.1/16"},
                                                        {"prefix 10.244.0.0/16 length 8..24 accept", "8..24"},
                                                        {"prefix 10.244.0.0/16 length 24..33 accept", "24..33"},
                                                        {"community x accept", "x"},
                                                        {"any set accept", "accept"},
                                                        {"any set prepend 33 accept", "33"},
                                                        {"any set prepend 0 accept", "0"},
                                                        {"any set med -1 accept", "-1"},
                                                        {"any set med 1 reject", "cannot be set"},
                                                        {"prefix 10.0.0.0/8 ge 24 le 16 accept", "16"},
                                                        {"prefix 10.0.0.0/8 ge accept", "accept"},
                                                        {"prefix-list x accept", "x"},
                                                        {"as-path length 5..2 accept", "5..2"},
                                                        {"community 1:2:3:4 accept", "1:2:3:4"},
                                                        {"whatever reject", "whatever"}}) {
    const auto rule = parse_policy_rule(line);
    ASSERT_FALSE(rule) << line;
    EXPECT_NE(rule.error().message.find(word), std::string::npos) << rule.error().message;
  }
}

TEST(Policy, FirstMatchDecidesAndTheRestIsRejected) {
  const auto policy = parse_policy(
      {"prefix 10.244.9.0/24 length 24..32 reject", "prefix 10.244.0.0/16 length 24..32 set local-pref 200 accept"});
  ASSERT_TRUE(policy);
  PathAttributes a;
  EXPECT_TRUE(apply(*policy, prefix("10.244.1.0/26"), a, 1));
  EXPECT_EQ(a.local_pref, 200u);
  EXPECT_FALSE(apply(*policy, prefix("10.244.9.128/25"), a, 1));
  EXPECT_FALSE(apply(*policy, prefix("10.244.0.0/16"), a, 1));  // its length is not in 24..32
  EXPECT_FALSE(apply(*policy, prefix("10.245.0.0/24"), a, 1));
  EXPECT_TRUE(apply(Policy{}, prefix("10.245.0.0/24"), a, 1));
}

TEST(Policy, SetsAndGoesOn) {
  const auto policy =
      parse_policy({"any set community add 64512:7 set prepend 3 next", "community 64512:7 set med 4 accept"});
  PathAttributes a;
  a.as_path.prepend(64513, 1);
  EXPECT_TRUE(apply(*policy, prefix("10.0.0.0/8"), a, 64512));
  EXPECT_EQ(a.as_path.text(), "64512 64512 64512 64513");
  EXPECT_EQ(a.med, 4u);
  EXPECT_EQ(communities_text(a), "64512:7");
}

TEST(Policy, CommunitiesAndPathLength) {
  const auto policy =
      parse_policy({"community 64512:1 community 64512:1:2 as-path length 1..2 set community add "
                    "64512:9:9 set community remove 64512:1:2 accept"});
  ASSERT_TRUE(policy);
  PathAttributes a;
  a.communities = {0xfc000001};
  a.large_communities = {{64512, 1, 2}};
  a.as_path.prepend(64513, 2);
  auto changed = a;
  EXPECT_TRUE(apply(*policy, prefix("10.0.0.0/8"), changed, 1));
  EXPECT_EQ(communities_text(changed), "64512:1 64512:9:9");
  auto longer = a;
  longer.as_path.prepend(64513, 1);
  EXPECT_FALSE(apply(*policy, prefix("10.0.0.0/8"), longer, 1));
  auto without = a;
  without.large_communities.clear();
  EXPECT_FALSE(apply(*policy, prefix("10.0.0.0/8"), without, 1)) << "all communities of the rule must be there";
}

TEST(Policy, AllErrorsAtOnce) {
  const auto policy = parse_policy({"any", "any accept", "foo"});
  ASSERT_FALSE(policy);
  EXPECT_EQ(policy.error().size(), 2u);
  EXPECT_EQ(policy.error()[1].place, "[2]");
}

}  // namespace
}  // namespace sluice::bgp::policy_test
