// Policy: the syntax with its errors, and what rules do.
#include "control/bgp/policy.h"

#include <gtest/gtest.h>

#include "tests/control/bgp/support.h"

namespace sluice::bgp {
namespace {

using namespace testing;

TEST(PolicyRule, TextIsWhatWasRead) {
  for (const std::string line :
       {"prefix 10.244.0.0/16 length 24..32 accept",
        "community 64512:100 set local-pref 200 set community add 64512:1 accept", "any reject",
        "prefix 10.0.0.0/8 prefix 11.0.0.0/8 length 8..16 next-hop 172.16.40.1 set med 5 set prepend 2 next",
        "as-path 64513 set next-hop 10.0.0.1 set community none set community remove no-export accept"}) {
    const auto rule = parse_policy_rule(line);
    ASSERT_TRUE(rule) << line << ": " << rule.error().message;
    EXPECT_EQ(text_of(*rule), line);
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
                                                        {"any set med -1 accept", "-1"},
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

TEST(Policy, AllErrorsAtOnce) {
  const auto policy = parse_policy({"any", "any accept", "foo"});
  ASSERT_FALSE(policy);
  EXPECT_EQ(policy.error().size(), 2u);
  EXPECT_EQ(policy.error()[1].place, "[2]");
}

}  // namespace
}  // namespace sluice::bgp
