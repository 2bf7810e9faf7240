// All steps or none; see transaction.h.
#include "control/daemon/transaction.h"

namespace sluice::daemon {

TransactionOutcome run_steps(const std::vector<Step>& steps, const config::Config& running,
                             const config::Config& next) {
  TransactionOutcome outcome;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    outcome.errors = steps[i].go(next);
    if (outcome.errors.empty()) continue;
    for (std::size_t back = i + 1; back-- > 0;) {
      for (Error& error : steps[back].go(running)) {
        error.place = steps[back].name + (error.place.empty() ? "" : ": " + error.place);
        outcome.undo_errors.push_back(std::move(error));
      }
    }
    break;
  }
  return outcome;
}

}  // namespace sluice::daemon
