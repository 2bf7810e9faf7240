// Asks every worker a question, and gives all answers to the control thread when the last has come.
//
// Called by: control/daemon. Runs on: `on_worker`: each worker; the rest: control thread. Tested by: tests/lab
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "control/daemon/packet_engine.h"

namespace sluice::daemon {

// A worker that is stopped meanwhile gives T{}. `on_worker` must be quick, and is run once on each worker.
template <typename T>
void ask_workers(PacketEngine& engine, std::function<T(Instant, lb::Datapath&)> on_worker,
                 std::function<void(std::vector<T>)> answer) {
  struct Question {
    std::function<T(Instant, lb::Datapath&)> on_worker;
    std::function<void(std::vector<T>)> answer;
    std::vector<T> answers;
    unsigned left;
  };
  class AskOne : public worker::Task {
   public:
    AskOne(unsigned index, lb::Datapath& datapath, std::shared_ptr<Question> question)
        : index_(index), datapath_(datapath), question_(std::move(question)) {}
    void run(Instant now) noexcept override { result_ = question_->on_worker(now, datapath_); }
    void done() override {
      question_->answers[index_] = std::move(result_);
      if (--question_->left == 0) question_->answer(std::move(question_->answers));
    }

   private:
    unsigned index_;
    lb::Datapath& datapath_;
    std::shared_ptr<Question> question_;
    T result_{};
  };
  auto question = std::make_shared<Question>(
      Question{std::move(on_worker), std::move(answer), std::vector<T>(engine.workers()), engine.workers()});
  engine.post_all(
      [&](unsigned index, lb::Datapath& datapath) { return std::make_unique<AskOne>(index, datapath, question); });
}

}  // namespace sluice::daemon
