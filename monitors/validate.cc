// Is this monitor sensible? One rule after the other; all that fail are reported.
#include "monitors/validate.h"

#include <fmt/format.h>

#include "monitors/reason.h"
#include "monitors/spec.h"
#include "monitors/types.h"

namespace sluice::monitors {
namespace {

constexpr Duration kIntervalMin = 100ms;
constexpr Duration kIntervalMax = 86400s;
constexpr std::size_t kTextMax = 5120;

void check_times(const Monitor& m, Errors& errors) {
  auto in_range = [](Duration d) { return d >= kIntervalMin && d <= kIntervalMax; };
  auto range = [&](const char* field, Duration d) {
    if (!in_range(d)) errors.push_back({field, fmt::format("{} is out of range: 0.1 s to 86400 s", duration_text(d))});
  };
  range("interval", m.interval);
  range("timeout", m.timeout);
  if (m.up_interval) range("up-interval", *m.up_interval);
  if (m.time_until_up < 0s || m.time_until_up > kIntervalMax) {
    errors.push_back(
        {"time-until-up", fmt::format("{} is out of range: 0 s to 86400 s", duration_text(m.time_until_up))});
  }
  if (m.timeout <= m.interval && in_range(m.interval)) {
    errors.push_back({"timeout", fmt::format("{} is not longer than the interval, {}: 3 × interval + 1 s = {} is usual",
                                             duration_text(m.timeout), duration_text(m.interval),
                                             duration_text(3 * m.interval + 1s))});
  }
}

void check_text(const Monitor& m, Errors& errors) {
  const TypeOps& ops = ops_of(m.type);
  auto text_field = [&](const char* field, const std::string& value) {
    if (!value.empty() && !ops.has_text) {
      errors.push_back({field, fmt::format("a {} monitor has no {}: leave it out", ops.name, field)});
    } else if (value.size() > kTextMax) {
      errors.push_back({field, fmt::format("{} bytes are too long: at most {}", value.size(), kTextMax)});
    }
  };
  text_field("send", m.send);
  text_field("recv", m.recv);
  text_field("recv-disable", m.recv_disable);
  if (m.reverse && m.recv.empty()) errors.push_back({"reverse", "needs recv: there is nothing to be absent"});
  if (m.reverse && !m.recv_disable.empty()) {
    errors.push_back({"recv-disable", "does not go together with reverse: leave one of them out"});
  }
}

void check_patterns(const Monitor& m, Errors& errors) {
  if (m.recv.size() > kTextMax || m.recv_disable.size() > kTextMax) return;
  // One at a time, so that both are reported.
  for (bool disable : {false, true}) {
    Monitor one = m;
    (disable ? one.recv : one.recv_disable).clear();
    if (auto spec = Spec::compile(one); !spec) errors.push_back(spec.error());
  }
}

void check_destination(const Monitor& m, Errors& errors) {
  if (const auto& a = m.destination_address; a && (a->is_zero() || a->is_multicast() || a->is_broadcast())) {
    errors.push_back({"destination", fmt::format("{} is no address of one host", a->text())});
  }
  if (m.destination_port && !ops_of(m.type).has_port) {
    errors.push_back({"destination", fmt::format("a {} monitor has no port", ops_of(m.type).name)});
  } else if (m.destination_port == std::uint16_t{0}) {
    errors.push_back({"destination", "port 0 is out of range: 1 to 65535"});
  }
}

}  // namespace

Errors validate(const Monitor& monitor) {
  Errors errors;
  if (monitor.name.empty()) errors.push_back({"name", "is empty"});
  check_times(monitor, errors);
  check_text(monitor, errors);
  check_patterns(monitor, errors);
  check_destination(monitor, errors);
  return errors;
}

}  // namespace sluice::monitors
