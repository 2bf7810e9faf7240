// The control thread's loop; see loop.h.
#include "control/io/loop.h"

#include <spdlog/spdlog.h>
#include <time.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <new>

namespace sluice::io {
namespace {

// Asio's steady clock is CLOCK_MONOTONIC too, so an Instant converts as it is.
std::chrono::steady_clock::time_point to_steady(Instant at) {
  return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(to_ns(at)));
}

}  // namespace

Instant now() {
  timespec ts{};
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return instant_ns(std::int64_t{ts.tv_sec} * 1'000'000'000 + ts.tv_nsec);
}

Loop::Loop() : context_(1), work_(boost::asio::make_work_guard(context_)) {
  on_exception_ = [](const std::string& what) { spdlog::error("control thread: unexpected exception: {}", what); };
}

void Loop::run() {
  context_.restart();
  while (!context_.stopped()) {
    try {
      context_.run();
    } catch (const std::bad_alloc&) {
      // What was being changed is half changed (control/bgp/README.md). The process ends; forwarding of the neighbours
      // outlives it by graceful restart, and the next start removes what is left in the kernel.
      std::fputs("sluiced: out of memory, the control thread ends the process\n", stderr);
      std::abort();
    } catch (const std::exception& e) {
      on_exception_(e.what());
    }
  }
}

void Loop::post(std::function<void()> work) { boost::asio::post(context_, std::move(work)); }

void Loop::on_signal(std::initializer_list<int> signals, std::function<void(int)> handler) {
  auto set = std::make_shared<boost::asio::signal_set>(context_);
  for (const int signal : signals) set->add(signal);
  wait_signal(std::move(set), std::make_shared<std::function<void(int)>>(std::move(handler)));
}

void Loop::wait_signal(std::shared_ptr<boost::asio::signal_set> set,
                       std::shared_ptr<std::function<void(int)>> handler) {
  auto& signals = *set;
  signals.async_wait(
      [this, set = std::move(set), handler = std::move(handler)](const boost::system::error_code& error, int signal) {
        if (error) return;
        wait_signal(set, handler);
        (*handler)(signal);
      });
}

struct Ticker::State : std::enable_shared_from_this<Ticker::State> {
  State(Loop& loop, Duration every, std::function<void()> fn)
      : timer(loop.context()), interval(every), tick(std::move(fn)) {}

  void arm() {
    const auto step = std::chrono::nanoseconds(interval);
    const auto current = std::chrono::steady_clock::now();
    auto at = timer.expiry() + step;
    if (at < current) at = current + step;
    timer.expires_at(at);
    timer.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (error || self->ended) return;
      self->arm();
      self->tick();
    });
  }

  boost::asio::steady_timer timer;
  Duration interval;
  std::function<void()> tick;
  bool ended = false;
};

Ticker::Ticker(Loop& loop, Duration interval, std::function<void()> tick)
    : state_(std::make_shared<State>(loop, interval, std::move(tick))) {
  state_->timer.expires_at(std::chrono::steady_clock::now());
  state_->arm();
}

Ticker::~Ticker() {
  state_->ended = true;
  state_->timer.cancel();
}

struct Alarm::State : std::enable_shared_from_this<Alarm::State> {
  State(Loop& loop, std::function<void()> fn) : timer(loop.context()), ring(std::move(fn)) {}

  void arm() {
    timer.expires_at(to_steady(at));
    timer.async_wait([self = shared_from_this(), expected = at](const boost::system::error_code& error) {
      if (error || self->at != expected) return;
      self->at = kInstantMax;
      self->ring();
    });
  }

  boost::asio::steady_timer timer;
  std::function<void()> ring;
  Instant at = kInstantMax;
};

Alarm::Alarm(Loop& loop, std::function<void()> ring) : state_(std::make_shared<State>(loop, std::move(ring))) {}

Alarm::~Alarm() {
  state_->at = kInstantMax;
  state_->timer.cancel();
}

void Alarm::set(Instant at) {
  if (state_->at == at) return;
  state_->at = at;
  if (at == kInstantMax) {
    state_->timer.cancel();
  } else {
    state_->arm();
  }
}

Instant Alarm::at() const { return state_->at; }

}  // namespace sluice::io
