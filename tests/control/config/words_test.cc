// Words both ways, the search for the word that was meant, durations and other single values.
#include "control/config/words.h"

#include <gtest/gtest.h>

#include "control/config/normalise.h"
#include "control/config/text.h"

namespace sluice::config::words_test {
namespace {

template <typename E>
void expect_both_ways() {
  for (const auto& word : words<E>()) {
    EXPECT_EQ(value_of<E>(word.name), word.value);
    EXPECT_EQ(value_of<E>(name_of(word.value)), word.value);
  }
  EXPECT_FALSE(value_of<E>(""));
  EXPECT_FALSE(value_of<E>("nonsense"));
}

TEST(Words, BothWays) {
  expect_both_ways<Balance>();
  expect_both_ways<MemberState>();
  expect_both_ways<ServiceDownAction>();
  expect_both_ways<Protocol>();
  expect_both_ways<Mode>();
  expect_both_ways<SnatKind>();
  expect_both_ways<PersistKind>();
  expect_both_ways<IcmpEcho>();
  expect_both_ways<RouteAdvertisement>();
  EXPECT_EQ(name_of(*value_of<RouteAdvertisement>("enabled")), "selective") << "BIG-IP's other name for it";
  EXPECT_EQ(name_of(*value_of<RouteAdvertisement>("disabled")), "never");
  expect_both_ways<AddPath>();
  expect_both_ways<BgpRole>();
  expect_both_ways<MonitorType>();
  expect_both_ways<PoolMemberType>();
  EXPECT_EQ(names<Mode>(), "tcp, udp or http");
}

TEST(Words, EveryBalanceHasAName) {
  for (int i = 0; i <= static_cast<int>(Balance::maglev); ++i) EXPECT_NE(name_of(static_cast<Balance>(i)), "?") << i;
}

TEST(Words, DidYouMean) {
  const std::string_view words[] = {"workers", "cores", "memory", "hugepages"};
  EXPECT_EQ(nearest("wrokers", words), "workers");
  EXPECT_EQ(nearest("worker", words), "workers");
  EXPECT_EQ(nearest("core", words), "cores");
  EXPECT_EQ(nearest("huge-pages", words), "hugepages");
  EXPECT_EQ(nearest("bgp", words), "");
  EXPECT_EQ(nearest("", words), "");
  EXPECT_EQ(nearest(std::string(100000, 'x'), words), "");
  EXPECT_EQ(did_you_mean("memry", words), ": did you mean \"memory\"?");
}

TEST(Text, Durations) {
  const auto read = [](std::string_view text) {
    Duration out{-1};
    return from_text(text, out) ? Duration{-1} : out;
  };
  EXPECT_EQ(read("5"), 5s);
  EXPECT_EQ(read("5s"), 5s);
  EXPECT_EQ(read("200ms"), 200ms);
  EXPECT_EQ(read("2m"), 120s);
  EXPECT_EQ(read("1h"), 3600s);
  EXPECT_EQ(read("1.5s"), 1500ms);
  EXPECT_EQ(read("0.25"), 250ms);
  EXPECT_EQ(read("7us"), 7us);
  EXPECT_EQ(read("7ns"), 7ns);
  for (const auto* bad : {"", "s", "-1", "5 s", "5sec", "1..5", "1.", ".5", "1.5ns", "0.0000000001s", "9999999999999",
                          "999999999999h", "1e3", "five"})
    EXPECT_EQ(read(bad), Duration{-1}) << bad;
  EXPECT_EQ(to_text(Duration(90s)), "90s");
  EXPECT_EQ(to_text(Duration(1500ms)), "1500ms");
  EXPECT_EQ(to_text(Duration(0s)), "0s");
  EXPECT_EQ(to_text(Duration(1)), "1ns");
}

TEST(Text, Unescape) {
  EXPECT_EQ(unescape("GET /\\r\\n"), "GET /\r\n");
  EXPECT_EQ(unescape("GET /\r\n"), "GET /\r\n");
  EXPECT_EQ(unescape("\\x41\\x7a\\t\\\\\\\"\\0"), std::string("Az\t\\\"\0", 6));
  EXPECT_EQ(unescape("\\d \\x4 \\xzz \\"), "\\d \\x4 \\xzz \\");
  EXPECT_EQ(unescape(""), "");
}

TEST(Text, Memory) {
  unsigned mb = 0;
  EXPECT_FALSE(from_text("512MB", Megabytes{mb}));
  EXPECT_EQ(mb, 512u);
  EXPECT_FALSE(from_text("2GB", Megabytes{mb}));
  EXPECT_EQ(mb, 2048u);
  for (const auto* bad : {"", "MB", "12KB", "63", "-5", "1025GB", "99999999999999999999MB"})
    EXPECT_TRUE(from_text(bad, Megabytes{mb})) << bad;
}

}  // namespace
}  // namespace sluice::config::words_test
