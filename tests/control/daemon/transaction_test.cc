// All steps or none: whatever step fails, every step that ran is brought back, backwards.
#include "control/daemon/transaction.h"

#include <gtest/gtest.h>

namespace sluice::daemon::transaction_test {
namespace {

// Steps that write down what they were asked for; the config is known by its number of ports.
class TransactionTest : public testing::Test {
 protected:
  static config::Config numbered(std::size_t n) {
    config::Config config;
    config.ports.resize(n);
    return config;
  }
  Step step(const std::string& name, std::size_t fails_at = 99) {
    return {name, [this, name, fails_at](const config::Config& config) {
              log_.push_back(name + std::to_string(config.ports.size()));
              return config.ports.size() == fails_at ? Errors{{name, "fails"}} : Errors{};
            }};
  }
  std::vector<std::string> log_;
};

TEST_F(TransactionTest, AllWell) {
  const auto outcome = run_steps({step("a"), step("b"), step("c")}, numbered(1), numbered(2));
  EXPECT_TRUE(outcome.errors.empty());
  EXPECT_EQ(log_, (std::vector<std::string>{"a2", "b2", "c2"}));
}

TEST_F(TransactionTest, FailureAtEachStepIsUndoneBackwards) {
  const std::vector<std::vector<std::string>> expected = {
      {"a2", "a1"}, {"a2", "b2", "b1", "a1"}, {"a2", "b2", "c2", "c1", "b1", "a1"}};
  for (std::size_t failing = 0; failing < 3; ++failing) {
    log_.clear();
    std::vector<Step> steps = {step("a", failing == 0 ? 2 : 99), step("b", failing == 1 ? 2 : 99),
                               step("c", failing == 2 ? 2 : 99)};
    const auto outcome = run_steps(steps, numbered(1), numbered(2));
    EXPECT_EQ(outcome.errors.size(), 1u);
    EXPECT_TRUE(outcome.undo_errors.empty());
    EXPECT_EQ(log_, expected[failing]);
  }
}

TEST_F(TransactionTest, AFailingUndoIsReportedAndTheRestIsUndoneAllTheSame) {
  const auto outcome = run_steps({step("a"), step("b", 1), step("c", 2)}, numbered(1), numbered(2));
  EXPECT_EQ(outcome.errors.front().place, "c");
  ASSERT_EQ(outcome.undo_errors.size(), 1u);
  EXPECT_EQ(outcome.undo_errors.front().place, "b: b");
  EXPECT_EQ(log_.back(), "a1");
}

}  // namespace
}  // namespace sluice::daemon::transaction_test
