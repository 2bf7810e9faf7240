// Ping for sluicectl: io::Ping's events as lines of JSON; see backend.h.
#include <fmt/format.h>

#include "control/admin/json.h"
#include "control/daemon/backend.h"

namespace sluice::daemon {
namespace {

constexpr std::size_t kPingsMax = 16;

admin::Json to_json(const io::PingEvent& event) {
  switch (event.kind) {
    case io::PingEvent::Kind::reply:
      return {{"event", "reply"}, {"seq", event.seq},       {"from", event.from.text()},    {"bytes", event.bytes},
              {"ttl", event.ttl}, {"rtt_ms", event.rtt_ms}, {"duplicate", event.duplicate}, {"damaged", event.damaged}};
    case io::PingEvent::Kind::timeout:
      return {{"event", "timeout"}, {"seq", event.seq}};
    case io::PingEvent::Kind::error:
      return {{"event", "error"}, {"seq", event.seq}, {"from", event.from.text()}, {"message", event.message}};
    case io::PingEvent::Kind::done:
      break;
  }
  return {{"event", "done"}};
}

}  // namespace

Status Backend::ping(const admin::PingRequest& request, std::shared_ptr<admin::Stream> stream) {
  if (pings_.size() >= kPingsMax) return fail("ping", fmt::format("{} pings are running already", kPingsMax));
  io::PingOptions options;
  options.address = request.address;
  options.source = request.source.value_or(parts_.routes.source_for(request.address).value_or(Ipv4Address{}));
  options.count = request.count;
  options.size = request.size;
  options.ttl = request.ttl;
  options.interval = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(request.interval_s));
  options.timeout = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(request.timeout_s));
  const std::uint64_t id = next_ping_++;
  const auto on_event = [this, id, stream](const io::PingEvent& event) {
    stream->write(admin::dump(to_json(event)));
    if (event.kind != io::PingEvent::Kind::done) return;
    stream->finish();
    parts_.loop.post([this, id] { pings_.erase(id); });
  };
  auto ping = io::Ping::start(parts_.loop, options, on_event);
  if (!ping) return tl::unexpected(ping.error());
  pings_.emplace(id, std::move(*ping));
  stream->write(admin::dump({{"event", "start"},
                             {"address", options.address.text()},
                             {"source", options.source.text()},
                             {"size", options.size}}));
  stream->on_gone([this, id] { parts_.loop.post([this, id] { pings_.erase(id); }); });
  return {};
}

}  // namespace sluice::daemon
