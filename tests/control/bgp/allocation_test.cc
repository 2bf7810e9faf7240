// Memory runs out at every single allocation of a speaker's life: std::bad_alloc leaves step(), and nothing else
// happens.
//
// The policy: a step that runs out of memory is not undone. The speaker may then only be destroyed, which must neither
// crash nor leak (ASan looks on in ./test); sluiced ends, and forwarding outlives it by graceful restart.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "tests/control/bgp/support.h"

namespace {

long allocations = 0;  // since the count began
long fails_at = -1;    // the number of the allocation that fails; -1: none
bool armed = false;

void* allocate(std::size_t size) {
  if (armed && allocations++ == fails_at) throw std::bad_alloc();
  if (void* p = std::malloc(size == 0 ? 1 : size)) return p;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }

namespace sluice::bgp {
namespace {

using namespace testing;

// What happens to the speaker: everything but the harness's own work, which needs no memory while armed.
struct Life {
  std::vector<Input> inputs;
  std::vector<Bytes> bytes;
  SpeakerSettings settings;

  Life() {
    settings = reference_settings();
    settings.neighbors[0].session.remote_as = 64513;
    settings.neighbors[0].session.import_policy = *parse_policy({"prefix 10.0.0.0/8 length 8..32 set med 1 accept"});
    settings.neighbors[1].session.add_path_receive = true;
    settings.multipath_max = 4;
    auto external = calico_open("172.16.40.198");
    external.capabilities.four_octet_as = external.as = 64513;
    PathAttributes a;
    a.as_path.prepend(64513, 3);
    a.next_hop = ip("172.16.40.198");
    a.communities = {1, 2, 3};
    std::vector<Nlri> routes;
    for (std::uint32_t i = 0; i < 40; ++i)
      routes.push_back({Ipv4Prefix::of(Ipv4Address{0x0a000000 + (i << 8)}, 24), 0});
    Bytes update;
    encode_announcements(update, a, {false, true}, routes, false, kMessageMax);
    a.as_path = {};
    a.local_pref = 100;
    a.next_hop = ip("172.16.40.199");
    Bytes second;
    encode_announcements(second, a, {true, true}, routes, true, kMessageMax);
    bytes = {encode_open(external) + encode_keepalive(),
             encode_open(calico_open("172.16.40.199")) + encode_keepalive(),
             update,
             second,
             Bytes(second.begin(), second.begin() + 30),
             Bytes(second.begin() + 30, second.end()),
             encode_route_refresh(Family::ipv4),
             withdraw_update("10.0.3.0/24"),
             message_of(MessageType::update, update_body({}, attr(0x40, 1, {9}), {}))};
  }
  template <typename Step>
  void run(Speaker& speaker, Outputs& out, Step&& step) const {
    Instant now = instant_ns(1'000'000'000);
    speaker.configure(now, settings, out);
    const auto announced = routing::IpPrefix::host(Ipv4Address{0xac102850});
    speaker.announce(now, announced, {}, out);
    const auto connect = [&](ConnId conn, std::uint32_t from) {
      step(now, input::Accepted{conn, {Ipv4Address{0xac1028ca}, 179}, {Ipv4Address{from}, 40000}});
    };
    connect(1, 0xac1028c6);
    connect(3, 0xac1028c7);
    step(now, input::Received{1, bytes[0]});
    step(now, input::Received{3, bytes[1]});
    step(now, input::Received{1, bytes[2]});
    for (const auto i : {3u, 4u, 5u, 6u, 7u}) step(now, input::Received{3, bytes[i]});
    speaker.withdraw(now, announced, out);
    step(now, input::Closed{3, {}});
    now += 300s;
    step(now, input::Tick{});
    step(now, input::NextHopsChanged{});
    connect(5, 0xac1028c7);
    step(now, input::Received{5, bytes[1]});
    step(now, input::Received{5, bytes[8]});
    speaker.shutdown(now, "end", out);
  }
};

TEST(Allocation, FailureAtEveryStep) {
  const Life life;
  FakeResolver resolver;
  long failures = 0;
  bool finished = false;
  for (fails_at = 0; !finished && fails_at < 100000; ++fails_at) {
    allocations = 0;
    try {
      armed = true;
      Speaker speaker(resolver);
      Outputs out;
      life.run(speaker, out, [&](Instant now, const Input& input) {
        speaker.step(now, input, out);
        out.clear();
      });
      finished = true;
    } catch (const std::bad_alloc&) {
      ++failures;
    }
    armed = false;
  }
  fails_at = -1;
  EXPECT_TRUE(finished);
  EXPECT_GT(failures, 300);  // it was not over before it began
  EXPECT_EQ(failures, allocations);
}

}  // namespace
}  // namespace sluice::bgp
