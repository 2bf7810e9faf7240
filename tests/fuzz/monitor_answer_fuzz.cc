// Fuzz target: what a member may answer to its monitor, in any pieces. Byte 0 picks the monitor, byte 1 cuts the
// pieces.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "monitors/engine.h"
#include "monitors/http_answer.h"

namespace {

using namespace sluice;
using namespace sluice::monitors;

Monitor monitor_of(std::uint8_t choice) {
  Monitor m;
  m.name = "m";
  m.type = choice % 3 == 0 ? MonitorType::http : choice % 3 == 1 ? MonitorType::tcp : MonitorType::udp;
  m.send = (choice & 8) != 0 ? "HEAD / HTTP/1.1\r\n\r\n" : "GET / HTTP/1.1\r\n\r\n";
  m.recv = (choice & 16) != 0 ? "^HTTP/1\\.[01] 2..*cka" : "cka";
  m.reverse = (choice & 32) != 0;
  if (!m.reverse && (choice & 64) != 0) m.recv_disable = "maintenance";
  if (!m.reverse && (choice & 128) != 0) m.recv.clear();
  return m;
}

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t piece = std::size_t{data[1]} + 1;
  const std::string_view answer(reinterpret_cast<const char*>(data + 2), size - 2);
  // Once an answer is whole, more bytes behind it do not make it less so.
  const bool whole = http_answer_complete(answer.substr(0, answer.size() / 2), false);
  require(!whole || http_answer_complete(answer, false));

  Engine engine;
  Plan plan;
  plan.monitors = {monitor_of(data[0])};
  plan.groups = {{{0}, 0}};
  plan.targets = {{1, {Ipv4Address{0x0a000001}, 80}, 0}};
  Instant now = instant_ns(0);
  require(engine.configure(now, plan).empty());
  Outputs out;
  now = engine.next_deadline();
  engine.step(now, Input::tick(), out);
  require(out.commands.size() == 1);
  const AttemptId attempt = out.commands[0].attempt;
  out.clear();
  engine.step(now, Input::connected(attempt), out);
  out.clear();
  bool open = true;
  for (std::size_t at = 0; at < answer.size() && open; at += piece) {
    engine.step(now, Input::received(attempt, answer.substr(at, piece)), out);
    for (const Command& command : out.commands) open = open && command.kind != Command::Kind::close;
    require(at < kAnswerMax || !open);  // a full answer is judged
    out.clear();
  }
  if (open) engine.step(now, Input::closed(attempt, CloseReason::eof), out);
  require(engine.stats().in_flight == 0);
  const TargetStatus status = engine.status(1).value();
  require(!status.reason.empty());
  for (char c : status.reason) require(c == '\xe2' || c == '\x80' || c == '\xa6' || (c >= 0x20 && c < 0x7f));
  return 0;
}
