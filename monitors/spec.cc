// A monitor made ready to run: compiling and applying recv and recv-disable.
#include "monitors/spec.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <functional>
#include <utility>

#include "monitors/types.h"

namespace sluice::monitors {
namespace {

// Bytes, not UTF-8: answers are whatever a server sends. `.` spans lines, as in the POSIX expressions of BIG-IP.
re2::RE2::Options options() {
  re2::RE2::Options options;
  options.set_encoding(re2::RE2::Options::EncodingLatin1);
  options.set_log_errors(false);
  options.set_dot_nl(true);
  options.set_max_mem(1 << 20);
  return options;
}

Result<std::unique_ptr<re2::RE2>> compile_pattern(std::string_view field, const std::string& pattern) {
  if (pattern.empty()) return nullptr;
  auto compiled = std::make_unique<re2::RE2>(pattern, options());
  if (!compiled->ok()) {
    return fail(std::string(field),
                fmt::format("\"{}\" is no regular expression (RE2 syntax): {}", pattern, compiled->error()));
  }
  return compiled;
}

bool matches(const std::unique_ptr<re2::RE2>& pattern, std::string_view answer) {
  return pattern && re2::RE2::PartialMatch(re2::StringPiece(answer.data(), answer.size()), *pattern);
}

}  // namespace

Result<std::shared_ptr<const Spec>> Spec::compile(const Monitor& monitor) {
  auto recv = compile_pattern("recv", monitor.recv);
  if (!recv) return tl::unexpected<Error>(recv.error());
  auto recv_disable = compile_pattern("recv-disable", monitor.recv_disable);
  if (!recv_disable) return tl::unexpected<Error>(recv_disable.error());
  return std::make_shared<const Spec>(without_name(monitor), *std::move(recv), *std::move(recv_disable));
}

Spec::Spec(Monitor monitor, std::unique_ptr<re2::RE2> recv, std::unique_ptr<re2::RE2> recv_disable)
    : monitor_(std::move(monitor)),
      ops_(ops_of(monitor_.type)),
      recv_(std::move(recv)),
      recv_disable_(std::move(recv_disable)) {}

Spec::~Spec() = default;

Spec::Judgement Spec::judge(std::string_view answer, bool complete) const {
  if (monitor_.reverse) {
    if (matches(recv_, answer)) return Judgement::match_reverse;
    return complete ? Judgement::match : Judgement::wait;
  }
  // recv goes before recv-disable: both match means up and enabled. So recv-disable has to wait for the whole answer.
  if (recv_ && matches(recv_, answer)) return Judgement::match;
  if (!recv_ && !recv_disable_) return Judgement::match;
  if (!complete) return Judgement::wait;
  if (matches(recv_disable_, answer)) return Judgement::match_disabled;
  return recv_ ? Judgement::no_match : Judgement::match;
}

Monitor without_name(const Monitor& monitor) {
  Monitor nameless = monitor;
  nameless.name.clear();
  nameless.send_written.clear();
  return nameless;
}

std::size_t hash_value(const Monitor& nameless) {
  std::size_t hash = static_cast<std::size_t>(nameless.type);
  auto mix = [&hash](std::size_t value) { hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL, hash ^= hash >> 29; };
  mix(static_cast<std::size_t>(nameless.interval.count()));
  mix(static_cast<std::size_t>(nameless.timeout.count()));
  mix(std::hash<std::string>{}(nameless.send));
  mix(std::hash<std::string>{}(nameless.recv));
  mix(nameless.destination_address ? nameless.destination_address->value : 0);
  mix(nameless.destination_port.value_or(0));
  return hash;
}

}  // namespace sluice::monitors
