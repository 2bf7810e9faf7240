// What a worker does when its packet buffers run out: clients that do not read, or members, must not starve all others.
//
// Each side of a session may queue 128 KB in each direction, and a worker has far fewer buffers than that times its
// conns. The more are taken the less the stack lets each conn queue, down to 16 KB (tcp::Limits): windows close,
// senders wait. Who had more before keeps it; so when an eighth is left, the conns that hold most are reset, one a
// turn, counted and recorded. One turn brings at most a burst of packets, and frees at least as many once the largest
// go.
#include <algorithm>

#include "lb/l7/proxy.h"

namespace sluice::lb {

using tcp::Conn;

namespace {

constexpr std::uint32_t kHeldMin = 4;        // packets; to end who holds less helps nobody
constexpr std::uint32_t kStalledFactor = 4;  // a conn whose peer does not read goes before one with as much under way
constexpr Duration kStalled = 500ms;

std::uint32_t held_by(const Conn& conn) {
  return conn.send_queue.size() + conn.receive_queue.size() + conn.reorder_queue.size();
}

}  // namespace

// How much its end would free, and how little it would be missed; 0: it is not to be ended.
std::uint32_t Proxy::weight_of(Instant now, Conn& conn) const {
  std::uint32_t held = held_by(conn);
  bool stalled = stack_.window_shut_for(now, conn) >= kStalled;
  switch (context_of(conn).role) {
    case ConnRole::none:  // the stack sends what is left of it
      break;
    case ConnRole::client: {
      const Session& s = *static_cast<const Session*>(conn.owner);
      if (s.server != nullptr) {
        held += held_by(*s.server);
        stalled = stalled || stack_.window_shut_for(now, *s.server) >= kStalled;
      }
      break;
    }
    default:  // a server side is weighed with its client; the others hold nothing for long
      return 0;
  }
  if (held < kHeldMin) return 0;
  return stalled ? held * kStalledFactor : held;
}

void Proxy::relieve(Instant now) {
  Conn* heaviest = nullptr;
  std::uint32_t most = 0;
  relieve_at_ = stack_.visit(relieve_at_, kRelieveMax, [&](Conn& conn) {
    const std::uint32_t weight = weight_of(now, conn);
    if (weight <= most) return;
    most = weight;
    heaviest = &conn;
  });
  if (heaviest == nullptr) return;
  counters_.relieved.add();
  if (context_of(*heaviest).role == ConnRole::none) return stack_.abort(now, *heaviest, tcp::CloseReason::no_memory);
  Session& s = *static_cast<Session*>(heaviest->owner);
  http(s).no_memory.add();
  record(now, s, ErrorSide::policy, 0, s.response.message_bytes(),
         "the worker's packet buffers run out, and this connection holds most of them");
  abort_client(now, s);
  settle(now, s);
}

// What is to be sent to `to` could not be queued.
void Proxy::give_up(Instant now, Session& s, const Conn& to) {
  if (to.can_send()) {
    http(s).no_memory.add();
    record(now, s, ErrorSide::policy, 0, 0, "no packet buffer is free");
  }
  abort_client(now, s);
}

}  // namespace sluice::lb
