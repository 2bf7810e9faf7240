// PrefixIndex against std::map: random inserts, erases and walks, both families.
#include "control/routing/prefix_index.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/random.h"

namespace sluice::routing {
namespace {

struct Payload {
  std::uint32_t value = 0;
};

IpPrefix random_prefix(sluice::testing::Random& random) {
  if (random() % 3 == 0) {
    Ipv6Address a;
    a.bytes[0] = 0x20;
    a.bytes[15] = static_cast<std::uint8_t>(random() % 200);
    return Ipv6Prefix::of(a, 120 + random() % 9);
  }
  return Ipv4Prefix::of(Ipv4Address{0x0a000000 + random() % 500}, 24 + random() % 9);
}

TEST(PrefixIndex, AgreesWithAMap) {
  sluice::testing::Random random(1);
  PrefixIndex<Payload> index;
  std::map<IpPrefix, std::uint32_t> model;
  for (std::uint32_t step = 1; step < 60000; ++step) {
    const auto p = random_prefix(random);
    const bool grow = (step / 8000) % 2 == 0;
    if (random() % 4 != 0 ? grow : !grow) {
      const auto id = index.find_or_insert(p);
      ASSERT_NE(id, 0u);
      index[id].value = step;
      model[p] = step;
      EXPECT_EQ(index.prefix(id), p);
    } else {
      const auto id = index.find(p);
      ASSERT_EQ(id != 0, model.contains(p));
      if (id != 0) {
        index.erase(id);
        model.erase(p);
      }
    }
    ASSERT_EQ(index.size(), model.size());
    if (step % 1000 == 0) {
      std::map<IpPrefix, std::uint32_t> walked;
      for (auto id = index.next(0); id != 0; id = index.next(id)) walked[index.prefix(id)] = index[id].value;
      ASSERT_EQ(walked, model);
    }
  }
  for (const auto& [p, value] : model) index.erase(index.find(p));
  EXPECT_EQ(index.size(), 0u);
  EXPECT_EQ(index.next(0), 0u);
}

// Large enough to be moved in small steps: what lies in the old table is found, erased and walked there.
TEST(PrefixIndex, AgreesWithAMapWhileItGrows) {
  sluice::testing::Random random(2);
  PrefixIndex<Payload> index;
  std::map<IpPrefix, std::uint32_t> model;
  for (std::uint32_t step = 1; step < 120000; ++step) {
    const IpPrefix p = Ipv4Prefix::of(Ipv4Address{0x0a000000 + random() % 60000 * 4}, 30);
    if (random() % 8 != 0) {
      const auto id = index.find_or_insert(p);
      index[id].value = step;
      model[p] = step;
    } else if (const auto id = index.find(p); id != 0) {
      index.erase(id);
      model.erase(p);
    }
    if (step % 3 == 0) {
      const IpPrefix q = Ipv4Prefix::of(Ipv4Address{0x0a000000 + random() % 60000 * 4}, 30);
      const auto id = index.find(q);
      const auto known = model.find(q);
      ASSERT_EQ(id != 0, known != model.end());
      if (id != 0) {
        ASSERT_EQ(index[id].value, known->second);
      }
    }
    ASSERT_EQ(index.size(), model.size());
  }
  for (const auto& [p, value] : model) {
    const auto id = index.find(p);
    ASSERT_NE(id, 0u);
    ASSERT_EQ(index[id].value, value);
    index.erase(id);
  }
  EXPECT_EQ(index.size(), 0u);
}

TEST(ZeroedWords, AreZeroAndWritable) {
  for (const std::size_t count : {1u, 1000u, 1u << 19, 3u << 19}) {
    ZeroedWords words(count);
    for (std::size_t i = 0; i < count; i += count / 100 + 1) ASSERT_EQ(words[i], 0u);
    words[count - 1] = 7;
    auto moved = std::move(words);
    EXPECT_EQ(moved[count - 1], 7u);
  }
}

TEST(Slab, NumbersAreUsedAgain) {
  Slab<Payload> slab;
  const auto a = slab.create(), b = slab.create();
  slab[a].value = 7;
  slab.destroy(a);
  slab.destroy(b);
  EXPECT_EQ(slab.create(), b);
  EXPECT_EQ(slab.create(), a);
  EXPECT_EQ(slab[a].value, 0u);
  EXPECT_EQ(slab.size(), 2u);
}

TEST(IpPrefix, TextBothFamilies) {
  for (const auto* text : {"10.244.0.0/24", "0.0.0.0/0", "2001:db8::/32", "::/0"}) {
    const auto p = IpPrefix::parse(text);
    ASSERT_TRUE(p) << text;
    EXPECT_EQ(p->text(), text);
  }
  EXPECT_FALSE(IpPrefix::parse("10.244.0.1/24"));
  EXPECT_FALSE(IpPrefix::parse("10.244.0.0"));
  EXPECT_TRUE(IpPrefix::parse("10.0.0.0/8")->contains(*IpPrefix::parse("10.244.0.0/16")));
  EXPECT_FALSE(IpPrefix::parse("0.0.0.0/0")->contains(*IpPrefix::parse("::/0")));
}

}  // namespace
}  // namespace sluice::routing
