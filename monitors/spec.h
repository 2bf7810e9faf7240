// A monitor made ready to run: its regular expressions compiled, its name taken off so that equal ones can be shared.
//
// Called by: monitors/conversation (judges answers by it), monitors/engine (keeps one per distinct monitor).
// Runs on: control thread. Follows: F5 BIG-IP. Tested by: tests/monitors/spec_test.cc
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "dataplane/base/result.h"
#include "monitors/monitor.h"

namespace re2 {
class RE2;
}

namespace sluice::monitors {

struct TypeOps;

class Spec {
 public:
  enum class Judgement : std::uint8_t {
    wait,            // nothing decided: more of the answer may come
    match,           // success
    match_disabled,  // success, session disabled
    match_reverse,   // recv matched and must not: failure at once
    no_match,        // the answer is complete and holds nothing we look for
  };

  // The Error's place is the field, "recv" or "recv-disable". Does not check the rest: see validate().
  static Result<std::shared_ptr<const Spec>> compile(const Monitor& monitor);
  Spec(Monitor monitor, std::unique_ptr<re2::RE2> recv, std::unique_ptr<re2::RE2> recv_disable);
  ~Spec();

  const Monitor& monitor() const { return monitor_; }
  const TypeOps& ops() const { return ops_; }
  // What `answer` (its first kAnswerMax bytes at most) means. `complete`: no more will come.
  // Precondition: not empty.
  Judgement judge(std::string_view answer, bool complete) const;
  // The verdict can hang on the answer's end, so an answer of unknown length needs a moment of quiet.
  bool needs_end() const { return monitor_.reverse || recv_disable_ != nullptr; }

 private:
  const Monitor monitor_;
  const TypeOps& ops_;
  std::unique_ptr<re2::RE2> recv_, recv_disable_;
};

// Monitors that differ only in name (or in how `send` was written down) probe alike.
Monitor without_name(const Monitor& monitor);
std::size_t hash_value(const Monitor& nameless);

}  // namespace sluice::monitors
