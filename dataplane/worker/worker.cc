// The duty cycle and the thread around it; see worker.h.
#include "dataplane/worker/worker.h"

#include <pthread.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_pause.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <future>

namespace sluice::worker {

using packet::Batch;
using packet::Packet;

namespace {

constexpr Duration kNap = 50us;  // ports without a descriptor: bounds the latency that idling adds
constexpr Duration kSleepMax = 20ms;
constexpr Duration kErrorNap = 1ms;  // a descriptor that reports an error at once must not make us spin

timespec to_timespec(Duration duration) {
  return {static_cast<time_t>(duration.count() / 1'000'000'000), static_cast<long>(duration.count() % 1'000'000'000)};
}

// Where workers share a core with other pollers, short slices keep their latency down (kernel >= 6.12; elsewhere the
// call fails and nothing changes).
void ask_for_short_slices() {
  struct {
    std::uint32_t size, policy;
    std::uint64_t flags;
    std::int32_t nice;
    std::uint32_t priority;
    std::uint64_t runtime, deadline, period;
  } attributes{};
  attributes.size = sizeof attributes;
  attributes.nice = getpriority(PRIO_PROCESS, 0);  // else the call would set it to 0
  attributes.runtime = 100'000;                    // ns: the slice of a SCHED_OTHER task
  static_cast<void>(syscall(SYS_sched_setattr, 0, &attributes, 0));
}

}  // namespace

Instant monotonic_now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return instant_ns(std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec);
}

Worker::Worker(unsigned index, unsigned core, packet::PacketPool pool, bool busy_poll)
    : index_(index), core_(core), pool_(pool), busy_poll_(busy_poll), transmitter_(drops_), handover_(drops_) {}

Worker::~Worker() { join(); }

// ---- the turn ------------------------------------------------------------------------------------------------------

bool Worker::duty_cycle(Instant now) {
  check_capture();
  const unsigned tasks = mailbox_.run(now, kTasksPerTurnMax);
  tasks_.add(tasks);
  bool busy = tasks != 0;
  busy |= take_handover(now);
  for (const RxQueue& rx : rx_) busy |= receive(rx, now);
  application_->on_timers(now);
  busy |= transmitter_.flush_all() != 0;
  handover_.ring_bells();
  return busy;
}

bool Worker::take_handover(Instant now) {
  bool any = false;
  for (std::size_t source = 0; source < handover_.source_count(); ++source) {
    Batch batch;
    handover_.take(source, batch);
    if (batch.count == 0) continue;
    any = true;
    application_->on_handover(now, batch);
  }
  return any;
}

bool Worker::receive(const RxQueue& rx, Instant now) {
  Batch batch;
  rx.queue->rx(batch);
  if (batch.count == 0) return false;
  std::uint64_t bytes = 0;
  for (Packet packet : batch.view()) bytes += packet.length();
  PortCounters& counters = transmitter_.counters(rx.port);
  counters.rx_packets.add(batch.count);
  counters.rx_bytes.add(bytes);
  if (capture_ != nullptr) capture_->offer(rx.port, port::Direction::in, batch.view());
  application_->on_burst(now, rx.port, batch);
  return true;
}

void Worker::check_capture() {
  port::Capture* wanted = capture_wanted_.load(std::memory_order_acquire);
  if (wanted == capture_) return;
  capture_ = wanted;
  transmitter_.set_capture(wanted);
  capture_seen_.store(wanted, std::memory_order_release);
}

// ---- the thread ----------------------------------------------------------------------------------------------------

Status Worker::start() {
  std::promise<Status> started;
  auto result = started.get_future();
  thread_ = std::thread([this, &started] {
    Status status = prepare_thread();
    const bool runs = status.has_value();
    started.set_value(std::move(status));  // `started` is gone from here on
    if (!runs) return;
    run();
    rte_thread_unregister();
  });
  Status status = result.get();
  if (!status) thread_.join();
  return status;
}

Status Worker::prepare_thread() {
  const std::string place = "worker " + std::to_string(index_);
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core_, &cores);
  if (const int error = pthread_setaffinity_np(pthread_self(), sizeof cores, &cores); error != 0) {
    return fail(place, "cannot run on core " + std::to_string(core_) + ": " + std::strerror(error) +
                           "; choose cores of this machine that the process may use (see `taskset -p $$`)");
  }
  pthread_setname_np(pthread_self(), ("worker-" + std::to_string(index_)).c_str());
  prctl(PR_SET_TIMERSLACK, 1000UL);  // ns: naps of 50 us must not become 100
  ask_for_short_slices();
  if (doorbell_.fd() < 0) return fail(place, "no file descriptor is free for its doorbell: raise `ulimit -n`");
  // A registered thread has an lcore id, and with it a cache of its own in every packet pool.
  if (rte_thread_register() != 0)
    return fail(place, std::string("DPDK refused the thread: ") + rte_strerror(rte_errno));
  poll_fds_.push_back({doorbell_.fd(), POLLIN, 0});
  for (const RxQueue& rx : rx_) {
    const auto fds = rx.queue->wake_fds();
    naps_ |= fds.empty();
    for (const int fd : fds) poll_fds_.push_back({fd, POLLIN, 0});
  }
  return {};
}

void Worker::run() {
  meter_.start(rte_rdtsc());
  while (!stop_.load(std::memory_order_relaxed)) {
    const Instant now = monotonic_now();
    const bool busy = duty_cycle(now);
    meter_.turn_ended(rte_rdtsc(), busy);
    if (busy) {
      note_work(now);
    } else {
      idle(now);
      meter_.pause_ended(rte_rdtsc());
    }
  }
  shut_down();
}

void Worker::note_work(Instant now) {
  if (slept_) {
    spin_.slept(now - last_work_);
  } else if (idle_since_ != kInstantMax) {
    spin_.paid(now - idle_since_);
  }
  slept_ = false;
  idle_since_ = kInstantMax;
  last_work_ = now;
}

void Worker::idle(Instant now) {
  if (idle_since_ == kInstantMax) idle_since_ = now;
  if (busy_poll_ || now - idle_since_ < spin_.duration()) {
    rte_pause();
  } else {
    spin_.in_vain();
    sleep(now);
  }
}

bool Worker::may_sleep() {
  if (!mailbox_.empty() || handover_.has_waiting() || transmitter_.has_forwarded() || stop_.load() ||
      capture_wanted_.load() != capture_) {
    return false;
  }
  return std::ranges::all_of(rx_, [](const RxQueue& rx) { return rx.queue->prepare_to_sleep(); });
}

void Worker::sleep(Instant now) {
  const Duration until_timer = std::max(application_->next_timer() - now, Duration(0));
  const auto timeout = to_timespec(std::min(until_timer, naps_ ? kNap : kSleepMax));
  doorbell_.arm();
  if (may_sleep()) {
    sleeps_.add();
    if (ppoll(poll_fds_.data(), poll_fds_.size(), &timeout, nullptr) > 0) {
      for (const pollfd& fd : poll_fds_) {
        if ((fd.revents & (POLLERR | POLLHUP | POLLNVAL)) == 0) continue;
        int error = 0;
        socklen_t length = sizeof error;
        getsockopt(fd.fd, SOL_SOCKET, SO_ERROR, &error, &length);  // an interface that went down reports it once
        const auto nap = to_timespec(kErrorNap);
        nanosleep(&nap, nullptr);
        break;
      }
    }
  }
  doorbell_.disarm();
  slept_ = true;
  idle_since_ = kInstantMax;
}

// ---- stopping ------------------------------------------------------------------------------------------------------

void Worker::request_stop() {
  stop_.store(true);
  doorbell_.ring();
}

void Worker::shut_down() {
  const Instant now = monotonic_now();
  tasks_.add(mailbox_.run(now, kMailboxDepth));
  application_->on_stop(now);
  transmitter_.flush_all();
  handover_.ring_bells();
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

void Worker::drop_leftovers() {
  transmitter_.drop_all(DropReason::shutting_down);
  handover_.drop_all(DropReason::shutting_down);
}

void Worker::set_capture(port::Capture* capture) {
  capture_wanted_.store(capture);
  doorbell_.ring();
  const timespec pause = to_timespec(20us);
  while (thread_.joinable() && !stop_.load() && capture_seen_.load(std::memory_order_acquire) != capture) {
    nanosleep(&pause, nullptr);
  }
}

WorkerStatistics Worker::statistics(std::size_t ports) const {
  WorkerStatistics out;
  out.index = index_;
  out.core = core_;
  out.turns = meter_.turns();
  out.busy_turns = meter_.busy_turns();
  out.busy_cycles = meter_.busy_cycles();
  out.idle_cycles = meter_.idle_cycles();
  out.sleeps = sleeps_.get();
  out.tasks = tasks_.get();
  out.handover_in = handover_.in();
  out.handover_out = handover_.out();
  out.drops = drops_.counters().total();
  out.consumed = drops_.consumed();
  for (const auto reason : {DropReason::steer_ring_full, DropReason::tx_ring_full, DropReason::host_port_full}) {
    out.ring_drops += drops_.counters().get(reason);
  }
  for (packet::PortId id = 0; id < ports; ++id) {
    const PortCounters& from = transmitter_.counters(id);
    const PortCounts counts{from.rx_packets.get(), from.rx_bytes.get(), from.tx_packets.get(), from.tx_bytes.get()};
    out.rx_packets += counts.rx_packets;
    out.rx_bytes += counts.rx_bytes;
    out.tx_packets += counts.tx_packets;
    out.tx_bytes += counts.tx_bytes;
    out.ports.push_back(counts);
  }
  return out;
}

}  // namespace sluice::worker
