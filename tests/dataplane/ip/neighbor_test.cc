// Neighbors: asking, answering, waiting packets, every state and its end, limits, announcements, conflicts, events.
#include "dataplane/ip/neighbor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dataplane/base/rng.h"
#include "tests/dataplane/ip/world.h"

namespace sluice::ip {
namespace {

using test::ip;
using test::kPeerMac;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

const char* const kAsk = "arp request 172.16.40.202 (02:00:00:00:00:01) asks 172.16.40.9";
const MacAddress kOther = *MacAddress::parse("02:00:00:00:00:98");

Bytes datagram(unsigned number = 0) {
  return Frame().ip("172.16.40.202", "172.16.40.9").udp(1000 + number, 2000).payload("x").bytes();
}
std::string sent(unsigned number = 0) {
  return "172.16.40.202:" + std::to_string(1000 + number) + " > 172.16.40.9:2000 udp ttl 64 len 1";
}

class NeighborTest : public test::EalTest {};

TEST_F(NeighborTest, AsksByBroadcastAndSendsWhatWaitedInOrder) {
  World world;
  world.send(datagram(0));
  world.send(datagram(1));
  auto frames = world.sink.take();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(test::describe(frames[0].bytes), kAsk);
  EXPECT_EQ(frames[0].bytes.size(), 60u);
  EXPECT_EQ(wire::load_mac(frames[0].bytes.data()), MacAddress::broadcast());
  EXPECT_EQ(world.neighbors.queued(), 2u);
  EXPECT_EQ(world.state_of("172.16.40.9").substr(0, 10), "incomplete");

  world.arp(0, test::arp_reply(kPeerMac, "172.16.40.9", test::kOwnMac, "172.16.40.202"));
  frames = world.sink.take();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(test::describe(frames[0].bytes), sent(0));
  EXPECT_EQ(test::describe(frames[1].bytes), sent(1));
  EXPECT_EQ(wire::load_mac(frames[0].bytes.data()), kPeerMac);
  EXPECT_EQ(wire::load_mac(frames[0].bytes.data() + 6), test::kOwnMac);
  EXPECT_EQ(wire::load_be16(frames[0].bytes.data() + 12), 0x0800);
  EXPECT_EQ(world.state_of("172.16.40.9"), "reachable 02:00:00:00:00:99");
  world.send(datagram(2));
  EXPECT_THAT(world.sink.take_described(), ElementsAre(sent(2)));
}

TEST_F(NeighborTest, GivesUpAfterThreeRequestsAndTriesAgainLater) {
  World world;
  world.send(datagram());
  world.pass(2900ms);
  EXPECT_THAT(world.sink.take_described(), ElementsAre(kAsk, kAsk, kAsk));
  EXPECT_EQ(world.neighbors.queued(), 1u);
  world.pass(200ms);
  EXPECT_EQ(world.dropped(DropReason::neighbor_unresolved), 1u);
  EXPECT_EQ(world.neighbors.counters().failures.get(), 1u);
  world.send(datagram());  // while it is failed: dropped at once, nobody is asked
  EXPECT_EQ(world.dropped(DropReason::neighbor_unresolved), 2u);
  EXPECT_THAT(world.sink.take_described(), IsEmpty());
  world.pass(1100ms);
  EXPECT_EQ(world.state_of("172.16.40.9"), "none");
  world.send(datagram());
  EXPECT_THAT(world.sink.take_described(), ElementsAre(kAsk));
}

TEST_F(NeighborTest, QueuesAreBoundedEachAndTogether) {
  NeighborLimits limits;
  limits.queue_per_entry = 3;
  limits.queue_total = 5;
  World world(limits);
  for (unsigned i = 0; i < 5; ++i) world.send(datagram(i));
  EXPECT_EQ(world.dropped(DropReason::neighbor_queue_full), 2u);
  for (unsigned i = 0; i < 3; ++i) world.send(Frame().ip("172.16.40.202", "172.16.40.10").udp(i, 1).bytes());
  EXPECT_EQ(world.dropped(DropReason::neighbor_queue_full), 3u);
  EXPECT_EQ(world.neighbors.queued(), 5u);
  world.sink.take();
  world.arp(0, test::arp_reply(kPeerMac, "172.16.40.9", test::kOwnMac, "172.16.40.202"));
  EXPECT_THAT(world.sink.take_described(), ElementsAre(sent(2), sent(3), sent(4)));  // the latest ones were kept
}

TEST_F(NeighborTest, AnswersForOurAddressesOnly) {
  World world;
  world.arp(0, test::arp_request(kPeerMac, "172.16.40.9", "172.16.40.202"));
  world.arp(0, test::arp_request(kPeerMac, "172.16.40.9", "172.16.40.80"));
  world.arp(1, test::arp_request(kPeerMac, "10.1.0.9", "172.16.99.99"));
  EXPECT_THAT(world.sink.take_described(), ElementsAre("arp reply 172.16.40.202 is 02:00:00:00:00:01 to 172.16.40.9",
                                                       "arp reply 172.16.40.80 is 02:00:00:00:00:01 to 172.16.40.9",
                                                       "arp reply 172.16.99.99 is 02:00:00:00:00:02 to 10.1.0.9"));
  EXPECT_EQ(world.drops.counters().total(), 0u);
  world.arp(0, test::arp_request(kPeerMac, "172.16.40.7", "172.16.40.203"));
  world.arp(1, test::arp_request(kPeerMac, "10.1.0.7", "172.16.40.202"));  // a self IP of another port
  EXPECT_THAT(world.sink.take_described(), IsEmpty());
  EXPECT_EQ(world.dropped(DropReason::arp_not_for_us), 2u);
  EXPECT_EQ(world.neighbors.size(), 2u);  // strangers' talk teaches nothing
  EXPECT_EQ(world.neighbors.counters().replies_sent.get(), 3u);
}

TEST_F(NeighborTest, LearnsFromRequestsToUs) {
  World world;
  world.learn("172.16.40.9", kPeerMac);
  world.send(datagram());
  EXPECT_THAT(world.sink.take_described(), ElementsAre(sent()));
}

TEST_F(NeighborTest, MalformedArpIsDropped) {
  World world;
  Bytes frame = test::arp_request(kPeerMac, "172.16.40.9", "172.16.40.202");
  frame.resize(41);
  world.arp(0, frame);
  EXPECT_EQ(world.dropped(DropReason::arp_malformed), 1u);
}

TEST_F(NeighborTest, RefreshesByUnicastWithoutLosingAPacket) {
  World world;
  world.learn("172.16.40.9", kPeerMac);
  unsigned lost = 0, probes = 0;
  for (unsigned i = 0; i < 1000; ++i) {  // 100 s of traffic
    world.send(datagram());
    world.pass(100ms);
    bool arrived = false;
    for (const auto& frame : world.sink.take()) {
      if (test::describe(frame.bytes) == sent()) arrived = true;
      if (test::describe(frame.bytes) != kAsk) continue;
      ++probes;
      EXPECT_EQ(wire::load_mac(frame.bytes.data()), kPeerMac);  // unicast
      world.arp(0, test::arp_reply(kPeerMac, "172.16.40.9", test::kOwnMac, "172.16.40.202"));
    }
    lost += !arrived;
  }
  EXPECT_EQ(lost, 0u);
  EXPECT_EQ(probes, 3u);
  EXPECT_EQ(world.drops.counters().total(), 0u);
}

TEST_F(NeighborTest, AProbeWithoutAnswerAsksEverybodyThenFails) {
  World world;
  world.learn("172.16.40.9", kPeerMac);
  CachedHop cache;
  ASSERT_EQ(world.output.route(world.now, ip("172.16.40.9"), 0, cache).status, HopStatus::usable);
  world.pass(1s);
  world.send(datagram());
  world.pass(29100ms);
  EXPECT_EQ(world.state_of("172.16.40.9"), "probe 02:00:00:00:00:99");
  world.sink.take();
  world.send(datagram());
  EXPECT_THAT(world.sink.take_described(), ElementsAre(sent()));  // still in use
  const auto epoch = world.epoch.value();
  world.pass(3s);
  EXPECT_EQ(world.state_of("172.16.40.9").substr(0, 10), "incomplete");
  EXPECT_NE(world.epoch.value(), epoch);  // remembered hops are void
  const auto frames = world.sink.take();
  ASSERT_EQ(frames.size(), 3u);  // two more by unicast, one by broadcast
  EXPECT_EQ(wire::load_mac(frames[2].bytes.data()), MacAddress::broadcast());
  world.send(datagram());
  world.pass(3s);
  EXPECT_EQ(world.state_of("172.16.40.9").substr(0, 6), "failed");
  EXPECT_EQ(world.dropped(DropReason::neighbor_unresolved), 1u);
  EXPECT_NE(world.output.route(world.now, ip("172.16.40.9"), 0, cache).status, HopStatus::usable);
}

TEST_F(NeighborTest, UnusedOnesGoStaleAreProbedWhenUsedAndGoAway) {
  World world;
  world.learn("172.16.40.9", kPeerMac);
  world.pass(31s);
  EXPECT_EQ(world.state_of("172.16.40.9"), "stale 02:00:00:00:00:99");
  EXPECT_THAT(world.sink.take_described(), IsEmpty());
  world.send(datagram());
  EXPECT_THAT(world.sink.take_described(), ElementsAre(kAsk, sent()));
  EXPECT_EQ(world.state_of("172.16.40.9"), "probe 02:00:00:00:00:99");
  world.arp(0, test::arp_reply(kPeerMac, "172.16.40.9", test::kOwnMac, "172.16.40.202"));
  EXPECT_EQ(world.state_of("172.16.40.9"), "reachable 02:00:00:00:00:99");
  world.pass(700s);
  EXPECT_EQ(world.state_of("172.16.40.9"), "none");
  EXPECT_EQ(world.neighbors.next_deadline(), kInstantMax);
}

TEST_F(NeighborTest, WhatTheProcessBeforeKnewIsGoodAndCheckedOnceUsed) {
  World world;
  world.neighbors.recall(world.now, {0, ip("172.16.40.9"), kPeerMac});
  EXPECT_EQ(world.state_of("172.16.40.9"), "stale 02:00:00:00:00:99");
  world.neighbors.recall(world.now, {0, ip("172.16.40.9"), kOther});  // what is here is newer
  EXPECT_EQ(world.state_of("172.16.40.9"), "stale 02:00:00:00:00:99");
  EXPECT_THAT(world.sink.take_described(), IsEmpty());
  world.send(datagram());
  EXPECT_THAT(world.sink.take_described(), ElementsAre(kAsk, sent()));
  world.arp(0, test::arp_reply(kOther, "172.16.40.9", test::kOwnMac, "172.16.40.202"));
  EXPECT_EQ(world.state_of("172.16.40.9"), "reachable 02:00:00:00:00:98");
  world.neighbors.recall(world.now, {0, ip("172.16.40.8"), kPeerMac});
  world.pass(700s);
  EXPECT_EQ(world.state_of("172.16.40.8"), "none");
}

TEST_F(NeighborTest, AMovedAddressIsNoticedFromGratuitousArp) {
  World world;
  world.learn("172.16.40.9", kPeerMac);
  CachedHop cache;
  world.output.route(world.now, ip("172.16.40.9"), 0, cache);
  ASSERT_EQ(cache.epoch, world.epoch.value());
  world.arp(0, test::arp_request(kOther, "172.16.40.9", "172.16.40.9"));
  EXPECT_NE(cache.epoch, world.epoch.value());
  EXPECT_EQ(world.state_of("172.16.40.9"), "reachable 02:00:00:00:00:98");
  world.send(datagram());
  EXPECT_EQ(wire::load_mac(world.sink.take().at(0).bytes.data()), kOther);
  world.arp(0, test::arp_request(kOther, "172.16.40.77", "172.16.40.77"));  // of a stranger
  EXPECT_EQ(world.state_of("172.16.40.77"), "none");
}

TEST_F(NeighborTest, ConflictsAreCountedAndDefendedButNotEndlessly) {
  World world;
  for (int i = 0; i < 50; ++i) world.arp(0, test::arp_request(kPeerMac, "172.16.40.80", "172.16.40.80"));
  EXPECT_EQ(world.neighbors.counters().conflicts.get(), 50u);
  EXPECT_EQ(world.state_of("172.16.40.80"), "none");
  const auto lines = world.sink.take_described();
  EXPECT_EQ(lines.size(), 8u);  // four announcements, on both network ports
  EXPECT_EQ(lines.at(0), "arp request 172.16.40.80 (02:00:00:00:00:01) asks 172.16.40.80");
}

TEST_F(NeighborTest, AProbeOfAnAddressOfOursIsAnswered) {
  World world;
  world.arp(0, test::arp_request(kPeerMac, "0.0.0.0", "172.16.40.80"));  // RFC 5227 §2.1.1
  EXPECT_THAT(world.sink.take_described(), ElementsAre("arp reply 172.16.40.80 is 02:00:00:00:00:01 to 0.0.0.0"));
  EXPECT_EQ(world.neighbors.size(), 0u);
}

TEST_F(NeighborTest, AnnouncesTwiceUnlessItIsGoneAgain) {
  World world;
  world.neighbors.announce(world.now, *world.local.find(ip("172.16.40.80")));
  world.neighbors.announce(world.now, *world.local.find(ip("172.16.40.202")));
  EXPECT_EQ(world.neighbors.next_deadline(), world.now);
  world.neighbors.expire(world.now);
  EXPECT_THAT(world.sink.take_described(),
              UnorderedElementsAre("arp request 172.16.40.80 (02:00:00:00:00:01) asks 172.16.40.80",
                                   "arp request 172.16.40.80 (02:00:00:00:00:02) asks 172.16.40.80",
                                   "arp request 172.16.40.202 (02:00:00:00:00:01) asks 172.16.40.202"));
  std::vector<LocalAddress> added;
  ASSERT_TRUE(world.local.replace({self_ip("172.16.40.202", 24, 0)}, added));
  world.pass(1s);
  EXPECT_THAT(world.sink.take_described(),
              ElementsAre("arp request 172.16.40.202 (02:00:00:00:00:01) asks 172.16.40.202"));
  EXPECT_EQ(world.neighbors.next_deadline(), kInstantMax);
}

TEST_F(NeighborTest, ManyAnnouncementsArePaced) {
  World world;
  for (int i = 0; i < 100; ++i) world.neighbors.announce(world.now, *world.local.find(ip("172.16.40.202")));
  world.neighbors.expire(world.now);
  EXPECT_EQ(world.sink.take().size(), 32u);
  for (int i = 0; i < 10; ++i) world.neighbors.expire(world.now);
  EXPECT_EQ(world.sink.take().size(), 68u);
}

TEST_F(NeighborTest, TheHostPortIsAnsweredForEverything) {
  World world;
  world.neighbors.set_answer_all(2, true);
  world.arp(2, test::arp_request(kPeerMac, "172.16.40.202", "8.8.8.8"));  // the kernel's side carries our self IP
  EXPECT_THAT(world.sink.take_described(), ElementsAre("arp reply 8.8.8.8 is 02:00:00:00:00:03 to 172.16.40.202"));
  EXPECT_EQ(world.neighbors.counters().conflicts.get(), 0u);
  world.arp(2, test::arp_request(kPeerMac, "172.16.40.202", "172.16.40.202"));  // its announcement is not to be denied
  world.arp(2, test::arp_request(kPeerMac, "0.0.0.0", "172.16.40.202"));
  EXPECT_THAT(world.sink.take_described(), IsEmpty());
}

TEST_F(NeighborTest, WhatOneWorkerHearsAnotherLearns) {
  World one, two;
  two.send(datagram());
  two.sink.take();
  one.arp(0, test::arp_reply(kPeerMac, "172.16.40.9", test::kOwnMac, "172.16.40.202"));  // it did not ask
  EXPECT_EQ(one.state_of("172.16.40.9"), "none");
  const auto event = one.neighbors.next_event();
  ASSERT_TRUE(event);
  EXPECT_FALSE(one.neighbors.next_event());
  two.neighbors.learn(two.now, *event);
  EXPECT_THAT(two.sink.take_described(), ElementsAre(sent()));
  EXPECT_EQ(two.state_of("172.16.40.9"), "reachable 02:00:00:00:00:99");
}

TEST_F(NeighborTest, EventsAreBounded) {
  World world;
  for (int i = 0; i < 2000; ++i) {
    world.arp(0, test::arp_reply(kPeerMac, "172.16.40.9", test::kOwnMac, "172.16.40.202"));
  }
  int events = 0;
  while (world.neighbors.next_event()) ++events;
  EXPECT_EQ(events, 1024);
  EXPECT_EQ(world.neighbors.counters().events_lost.get(), 976u);
}

TEST_F(NeighborTest, PermanentOnesNeitherAgeNorChange) {
  World world;
  EXPECT_FALSE(world.neighbors.set_permanent(world.now, 0, ip("172.16.40.9"), MacAddress::broadcast()));
  world.send(datagram());
  world.sink.take();
  ASSERT_TRUE(world.neighbors.set_permanent(world.now, 0, ip("172.16.40.9"), kPeerMac));
  EXPECT_THAT(world.sink.take_described(), ElementsAre(sent()));
  world.arp(0, test::arp_request(kOther, "172.16.40.9", "172.16.40.202"));
  world.pass(1000s);
  EXPECT_EQ(world.state_of("172.16.40.9"), "permanent 02:00:00:00:00:99");
  EXPECT_TRUE(world.neighbors.erase(0, ip("172.16.40.9")));
  EXPECT_FALSE(world.neighbors.erase(0, ip("172.16.40.9")));
}

// Its place is used again, and nothing of it is left there: the next one was held for permanent, and never learned.
TEST_F(NeighborTest, WhatWasPermanentIsLearnedAnewWhenErased) {
  World world;
  ASSERT_TRUE(world.neighbors.set_permanent(world.now, 0, ip("172.16.40.9"), kPeerMac));
  ASSERT_TRUE(world.neighbors.erase(0, ip("172.16.40.9")));
  world.learn("172.16.40.9", kOther);
  EXPECT_EQ(world.state_of("172.16.40.9"), "reachable 02:00:00:00:00:98");
  world.send(datagram());
  EXPECT_THAT(world.sink.take_described(), ElementsAre(sent()));
}

TEST_F(NeighborTest, AFullTableMakesRoomByNeedButNotForHearsay) {
  NeighborLimits limits;
  limits.entries_max = 4;
  World world(limits);
  const auto request = [&](unsigned i) {
    world.arp(0, test::arp_request(kPeerMac, "172.16.40." + std::to_string(i), "172.16.40.202"));
    world.now += 1ms;
  };
  for (unsigned i = 1; i <= 6; ++i) request(i);
  EXPECT_EQ(world.neighbors.size(), 4u);
  EXPECT_EQ(world.state_of("172.16.40.6"), "none");
  EXPECT_EQ(world.state_of("172.16.40.1"), "reachable 02:00:00:00:00:99");
  const auto epoch = world.epoch.value();
  world.send(datagram());  // needs .9: the longest unused one, .1, goes
  EXPECT_EQ(world.state_of("172.16.40.1"), "none");
  EXPECT_NE(world.epoch.value(), epoch);
  EXPECT_EQ(world.neighbors.size(), 4u);
  for (unsigned i = 2; i <= 4; ++i) {
    ASSERT_TRUE(world.neighbors.set_permanent(world.now, 0, {ip("172.16.40.0").value + i}, kPeerMac));
  }
  ASSERT_TRUE(world.neighbors.set_permanent(world.now, 0, ip("172.16.40.9"), kPeerMac));
  world.send(Frame().ip("172.16.40.202", "172.16.40.50").udp(1, 2).bytes());
  EXPECT_EQ(world.dropped(DropReason::neighbor_table_full), 1u);
  EXPECT_FALSE(world.neighbors.set_permanent(world.now, 0, ip("172.16.40.51"), kPeerMac));
}

TEST_F(NeighborTest, AnEmptyPoolOnlyDelaysTheQuestion) {
  World world({}, 3);
  const auto a = world.pool->allocate(), b = world.pool->allocate();
  world.send(datagram());
  EXPECT_THAT(world.sink.take_described(), IsEmpty());
  packet::discard(a);
  packet::discard(b);
  world.pass(1100ms);
  EXPECT_THAT(world.sink.take_described(), ElementsAre(kAsk));
}

// Random lives of many entries in a small table: the index always finds what is there, and every packet is accounted
// for.
TEST_F(NeighborTest, SurvivesChurn) {
  NeighborLimits limits;
  limits.entries_max = 32;
  limits.queue_total = 40;
  World world(limits);
  Rng rng(3);
  std::uint64_t received = 0;
  for (int step = 0; step < 20000; ++step) {
    const auto host = "172.16.40." + std::to_string(rng.between(1, 100));
    switch (rng.below(6)) {
      case 0:
      case 1:
        world.send(Frame().ip("172.16.40.202", host).udp(1, 2).bytes());
        ++received;
        break;
      case 2:
        world.arp(0, test::arp_reply(kPeerMac, host, test::kOwnMac, "172.16.40.202"));
        ++received;
        break;
      case 3:
        world.arp(0, test::arp_request(rng.chance(0.5) ? kPeerMac : kOther, host, "172.16.40.202"));
        ++received;
        break;
      case 4:
        world.neighbors.erase(0, ip(host));
        break;
      default:
        world.pass(Duration(1ms) * rng.below(rng.chance(0.02) ? 100000 : 300));
    }
    ASSERT_LE(world.neighbors.size(), 32u);
    ASSERT_LE(world.neighbors.queued(), 40u);
    if (step % 100 == 0) {
      for (const NeighborInfo& info : world.neighbors.list(world.now)) {
        const auto index = world.neighbors.resolve(world.now, info.port, info.address);
        ASSERT_NE(index, kNoNeighbor);
      }
    }
  }
  const std::uint64_t transmitted = world.sink.take().size();
  EXPECT_EQ(received + world.drops.generated(),
            transmitted + world.drops.counters().total() + world.drops.consumed() + world.neighbors.queued());
}

}  // namespace
}  // namespace sluice::ip
