// The control thread's loop: one Boost.Asio io_context, the real clock, timers that repeat, and signals.
//
//   io::Loop loop;
//   io::Ticker ticker(loop, 100ms, [&] { engine.collect(); });
//   loop.on_signal({SIGTERM, SIGINT}, [&](int) { loop.stop(); });
//   loop.run();                       // returns after stop()
//
// A handler that throws does not end the loop: the exception is given to on_exception() and the loop goes on. Only
// std::bad_alloc ends the process: nothing that was half changed is worked on with.
//
// Called by: control/daemon, other adapters in control/io. Runs on: control thread (stop() and post(): any thread).
// Tested by: tests/control/io/loop_test.cc
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>

#include "dataplane/base/time.h"

namespace sluice::io {

// CLOCK_MONOTONIC: the same clock that the workers read.
Instant now();

class Loop {
 public:
  Loop();

  boost::asio::io_context& context() { return context_; }
  // Runs handlers until stop(). Precondition: not running already.
  void run();
  void stop() { context_.stop(); }
  bool stopped() const { return context_.stopped(); }
  // Runs `work` on the loop's thread, soon.
  void post(std::function<void()> work);
  // Calls `handler` for each delivery of one of `signals`, for the life of the loop.
  void on_signal(std::initializer_list<int> signals, std::function<void(int)> handler);
  // Who hears of exceptions that handlers throw; by default they are written to the log.
  void on_exception(std::function<void(const std::string& what)> handler) { on_exception_ = std::move(handler); }

 private:
  void wait_signal(std::shared_ptr<boost::asio::signal_set> set, std::shared_ptr<std::function<void(int)>> handler);

  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::function<void(const std::string&)> on_exception_;
};

// Calls a function every `interval` until it is destroyed. A late tick is not made up for by several at once.
class Ticker {
 public:
  Ticker(Loop& loop, Duration interval, std::function<void()> tick);
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Calls a function once, at an Instant that may be moved at will; kInstantMax: never.
class Alarm {
 public:
  Alarm(Loop& loop, std::function<void()> ring);
  ~Alarm();
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  void set(Instant at);
  void cancel() { set(kInstantMax); }
  Instant at() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace sluice::io
