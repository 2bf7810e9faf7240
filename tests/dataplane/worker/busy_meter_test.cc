// Tests of what counts as busy.
#include "dataplane/worker/busy_meter.h"

#include <gtest/gtest.h>

namespace sluice::worker {
namespace {

TEST(BusyMeterTest, APauseIsIdleEvenWhenWorkEndsIt) {
  BusyMeter meter;
  meter.start(1000);
  meter.turn_ended(1100, true);    // 100 busy
  meter.turn_ended(1150, false);   // 50 of looking for work
  meter.pause_ended(50'000);       // slept; a packet came
  meter.turn_ended(50'300, true);  // 300 busy
  meter.turn_ended(50'310, false);
  meter.pause_ended(50'400);
  EXPECT_EQ(meter.busy_cycles(), 400u);
  EXPECT_EQ(meter.idle_cycles(), 50u + 48'850 + 10 + 90);
  EXPECT_EQ(meter.turns(), 4u);
  EXPECT_EQ(meter.busy_turns(), 2u);
}

}  // namespace
}  // namespace sluice::worker
