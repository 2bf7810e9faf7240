// Tests of how long an idle worker spins.
#include "dataplane/worker/spin_budget.h"

#include <gtest/gtest.h>

namespace sluice::worker {
namespace {

TEST(SpinBudgetTest, AnIdleWorkerDoesNotSpin) {
  SpinBudget budget;
  EXPECT_EQ(budget.duration(), 0us);
  for (int i = 0; i < 100; ++i) budget.slept(5ms);
  EXPECT_EQ(budget.duration(), 0us);
}

TEST(SpinBudgetTest, WorkThatComesSoonIsWaitedFor) {
  SpinBudget budget;
  budget.slept(20us);
  EXPECT_EQ(budget.duration(), 40us);
  budget.paid(10us);
  EXPECT_EQ(budget.duration(), 40us);
  budget.paid(35us);
  EXPECT_EQ(budget.duration(), 70us);
  budget.paid(60us);
  EXPECT_EQ(budget.duration(), SpinBudget::kMost);
}

TEST(SpinBudgetTest, WhenTrafficStopsItSpinsAFewTimesMore) {
  SpinBudget budget;
  budget.slept(90us);
  Duration spun{};
  for (int i = 0; i < 20; ++i) {
    spun += budget.duration();
    budget.in_vain();
  }
  EXPECT_EQ(budget.duration(), 0us);
  EXPECT_LT(spun, 2 * SpinBudget::kMost);
}

// Who sends to us needs this very core: work comes soon after we sleep, and never while we spin.
TEST(SpinBudgetTest, WhereSpinningKeepsTheWorkAwayItIsGivenUp) {
  SpinBudget budget;
  int spun = 0;
  for (int i = 0; i < 10'000; ++i) {
    if (budget.duration() > Duration::zero()) {
      ++spun;
      budget.in_vain();
    }
    budget.slept(30us);
  }
  EXPECT_LT(spun, 200);
  for (int i = 0; i < 1100; ++i) budget.slept(30us);  // and it is tried again, now and then
  EXPECT_EQ(budget.duration(), 60us);
  budget.paid(20us);
  budget.in_vain();
  budget.slept(30us);
  budget.slept(30us);
  EXPECT_EQ(budget.duration(), 60us);  // trusted again
}

}  // namespace
}  // namespace sluice::worker
