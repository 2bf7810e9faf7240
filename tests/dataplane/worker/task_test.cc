// Tasks: order, bound per turn, overflow of the mailbox, done() on the control thread, tasks after stop.
#include <gtest/gtest.h>

#include "dataplane/worker/mailbox.h"
#include "tests/dataplane/worker/harness.h"

namespace sluice::worker {
namespace {

struct Journal {
  std::vector<int> run;   // the worker writes it
  std::vector<int> done;  // the control thread writes it
  std::thread::id runner, finisher;
};

class Note : public Task {
 public:
  Note(Journal& journal, int number) : journal_(journal), number_(number) {}
  void run(Instant) noexcept override {
    journal_.run.push_back(number_);
    journal_.runner = std::this_thread::get_id();
  }
  void done() override {
    journal_.done.push_back(number_);
    journal_.finisher = std::this_thread::get_id();
  }

 private:
  Journal& journal_;
  int number_;
};

TEST(Mailbox, RunsAFewEachTurnInOrder) {
  Mailbox mailbox;
  Journal journal;
  for (int i = 0; i < 20; ++i) mailbox.post(std::make_unique<Note>(journal, i));
  EXPECT_EQ(mailbox.run(Instant(), kTasksPerTurnMax), kTasksPerTurnMax);
  EXPECT_EQ(journal.run.size(), kTasksPerTurnMax);
  EXPECT_TRUE(journal.done.empty());
  EXPECT_EQ(mailbox.collect(), kTasksPerTurnMax);
  EXPECT_EQ(journal.done, journal.run);
  EXPECT_EQ(mailbox.in_flight(), 20u - kTasksPerTurnMax);
  while (mailbox.run(Instant(), kTasksPerTurnMax) != 0) {
  }
  mailbox.collect();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(journal.done[static_cast<std::size_t>(i)], i);
  EXPECT_EQ(mailbox.in_flight(), 0u);
}

TEST(Mailbox, OverflowWaitsWithTheSender) {
  Mailbox mailbox;
  Journal journal;
  const int count = static_cast<int>(kMailboxDepth) + 10;
  for (int i = 0; i < count; ++i) mailbox.post(std::make_unique<Note>(journal, i));
  EXPECT_EQ(mailbox.run(Instant(), 1'000'000), kMailboxDepth);
  EXPECT_EQ(mailbox.run(Instant(), 1'000'000), 0u);
  mailbox.collect();  // makes room: the rest is fed
  EXPECT_EQ(mailbox.run(Instant(), 1'000'000), 10u);
  mailbox.collect();
  EXPECT_EQ(journal.done.size(), static_cast<std::size_t>(count));
  EXPECT_TRUE(std::ranges::is_sorted(journal.done));
}

TEST(Tasks, RunOnTheWorkerAndEndOnTheControlThread) {
  Rig rig({.workers = 2});
  Journal journals[2];
  for (int i = 0; i < 3000; ++i) {
    rig.engine->post_all([&](unsigned w) { return std::make_unique<Note>(journals[w], i); });
  }
  EXPECT_TRUE(eventually([&] {
    rig.engine->collect();
    return rig.engine->tasks_in_flight() == 0;
  }));
  for (const auto& journal : journals) {
    EXPECT_EQ(journal.done.size(), 3000u);
    EXPECT_TRUE(std::ranges::is_sorted(journal.run));
    EXPECT_EQ(journal.run, journal.done);
    EXPECT_EQ(journal.finisher, std::this_thread::get_id());
    EXPECT_NE(journal.runner, std::this_thread::get_id());
  }
  EXPECT_NE(journals[0].runner, journals[1].runner);
  EXPECT_TRUE(rig.engine->stop());
}

TEST(Tasks, SleepingWorkerWakesAtOnce) {
  Rig rig({});
  Journal journal;
  Duration worst{0};
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(2ms);
    const auto before = std::chrono::steady_clock::now();
    rig.engine->post(0, std::make_unique<Note>(journal, i));
    while (rig.engine->collect() == 0) std::this_thread::yield();
    worst = std::max<Duration>(worst, std::chrono::steady_clock::now() - before);
  }
  EXPECT_LT(worst, 50ms);  // far above what is usual: only a missed wake-up would come near
  EXPECT_TRUE(rig.engine->stop());
}

TEST(Tasks, AreGivenBackWhenTheEngineStops) {
  Rig rig({});
  Journal journal;
  for (int i = 0; i < 2000; ++i) rig.engine->post(0, std::make_unique<Note>(journal, i));
  EXPECT_TRUE(rig.engine->stop());
  EXPECT_EQ(journal.done.size(), 2000u);
  EXPECT_GE(journal.run.size(), kMailboxDepth);  // those that had left the control side were run
  rig.engine->post(0, std::make_unique<Note>(journal, 2000));
  EXPECT_EQ(journal.done.size(), 2001u);
}

}  // namespace
}  // namespace sluice::worker
