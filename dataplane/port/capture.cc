// Filter, copy, ring and file of a capture; see capture.h.
#include "dataplane/port/capture.h"

#include <fcntl.h>
#include <pcap/pcap.h>
#include <rte_errno.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <optional>

#include "dataplane/port/pcapng.h"

namespace sluice::port {

using packet::Packet;

namespace {

constexpr unsigned kBuffers = 4095;  // copies that wait to be written
constexpr unsigned kRing = 4096;
constexpr std::size_t kPendingMax = 1 << 20;  // encoded bytes that the descriptor did not take yet
constexpr unsigned kFramesPerDrain = 1024;
constexpr std::uint32_t kWholeFrame = 65535;

std::atomic<unsigned> serial{0};  // DPDK wants names of pools and rings to differ

std::uint64_t wall_clock_ns() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

Result<std::optional<bpf_program>> compile(const std::string& filter) {
  if (filter.empty()) return std::optional<bpf_program>();
  pcap_t* dead = pcap_open_dead(DLT_EN10MB, static_cast<int>(kWholeFrame));
  if (dead == nullptr) return fail("capture", "no memory for the filter");
  bpf_program program{};
  const bool bad = pcap_compile(dead, &program, filter.c_str(), 1, PCAP_NETMASK_UNKNOWN) != 0;
  const std::string error = bad ? pcap_geterr(dead) : "";
  pcap_close(dead);
  if (bad) return fail("capture filter \"" + filter + "\"", error + " (see man pcap-filter)");
  return std::optional<bpf_program>(program);
}

}  // namespace

struct Capture::State {
  ~State() {
    if (ring != nullptr) {
      void* mbuf = nullptr;
      while (rte_ring_dequeue(ring, &mbuf) == 0) rte_pktmbuf_free(static_cast<rte_mbuf*>(mbuf));
      rte_ring_free(ring);
    }
    rte_mempool_free(pool);
    if (program) pcap_freecode(&*program);
    if (fd >= 0) close(fd);
  }
  bool matches(Packet packet) const {
    if (!program) return true;
    pcap_pkthdr header{};
    header.caplen = packet.segment_length();
    header.len = packet.length();
    return pcap_offline_filter(&*program, &header, packet.data()) != 0;
  }
  // Puts a slot of the limit aside; false when none is left.
  bool take_slot() {
    if (limit == 0) return true;
    auto taken = slots.load(std::memory_order_relaxed);
    while (taken < limit) {
      if (slots.compare_exchange_weak(taken, taken + 1, std::memory_order_relaxed)) return true;
    }
    return false;
  }
  void copy(Packet packet, const CapturedFrame& frame);
  void encode(rte_mbuf* mbuf);
  Status write_pending();

  std::optional<bpf_program> program;
  std::uint32_t snaplen = kWholeFrame;
  std::uint64_t limit = 0;
  packet::PortId only_port = packet::kNoPort;
  int fd = -1;
  rte_mempool* pool = nullptr;
  rte_ring* ring = nullptr;
  std::string pending;
  std::uint64_t written = 0;
  std::atomic<std::uint64_t> slots{0}, captured{0}, lost{0};  // any worker
};

Result<std::unique_ptr<Capture>> Capture::start(const CaptureOptions& options) {
  auto state = std::make_unique<State>();
  state->fd = options.fd;
  if (options.fd < 0) return fail("capture", "no file to write to");
  auto program = compile(options.filter);
  if (!program) return tl::unexpected(program.error());
  state->program = *program;
  if (options.snaplen != 0) state->snaplen = std::min(options.snaplen, kWholeFrame);
  state->limit = options.limit;
  state->only_port = options.only_port;
  const std::string name = "capture" + std::to_string(serial++);
  state->pool = rte_pktmbuf_pool_create(name.c_str(), kBuffers, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  state->ring = rte_ring_create(name.c_str(), kRing, SOCKET_ID_ANY, RING_F_SC_DEQ);
  if (state->pool == nullptr || state->ring == nullptr) {
    return fail("capture", std::string("no memory for its buffers (") + rte_strerror(rte_errno) +
                               "): 10 MB of engine.memory_mb are needed");
  }
  const int flags = fcntl(options.fd, F_GETFL);
  if (flags < 0 || fcntl(options.fd, F_SETFL, flags | O_NONBLOCK) < 0) {
    return fail("capture", std::string("cannot write to its file: ") + std::strerror(errno));
  }
  append_pcapng_header(state->pending, options.ports, state->snaplen);
  std::unique_ptr<Capture> capture(new Capture);
  capture->state_ = std::move(state);
  if (auto written = capture->state_->write_pending(); !written) return tl::unexpected(written.error());
  return capture;
}

Capture::~Capture() {
  // What the workers copied before they let go; a descriptor that takes no more ends it.
  for (unsigned left = kRing / kFramesPerDrain + 1; left > 0; --left) {
    if (!drain()) break;
  }
}

// ---- worker --------------------------------------------------------------------------------------------------------

void Capture::offer(packet::PortId port, Direction direction, std::span<Packet> packets) {
  if (state_->only_port != packet::kNoPort && port != state_->only_port) return;
  const std::uint64_t now = wall_clock_ns();
  for (Packet packet : packets) {
    if (!state_->matches(packet) || !state_->take_slot()) continue;
    state_->copy(packet, {now, port, packet.length(), direction == Direction::in});
  }
}

void Capture::State::copy(Packet packet, const CapturedFrame& frame) {
  rte_mbuf* mbuf = rte_pktmbuf_copy(packet.mbuf(), pool, 0, snaplen);
  if (mbuf != nullptr) {
    static_assert(sizeof frame <= RTE_PKTMBUF_HEADROOM);
    std::memcpy(mbuf->buf_addr, &frame, sizeof frame);  // the headroom of a copy is ours
    if (rte_ring_mp_enqueue(ring, mbuf) == 0) {
      captured.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    rte_pktmbuf_free(mbuf);
  }
  lost.fetch_add(1, std::memory_order_relaxed);
}

// ---- control thread ------------------------------------------------------------------------------------------------

void Capture::State::encode(rte_mbuf* mbuf) {
  CapturedFrame frame;
  std::memcpy(&frame, mbuf->buf_addr, sizeof frame);
  const std::uint32_t length = rte_pktmbuf_pkt_len(mbuf);
  begin_pcapng_frame(pending, frame, length);
  for (const rte_mbuf* segment = mbuf; segment != nullptr; segment = segment->next) {
    pending.append(rte_pktmbuf_mtod(segment, const char*), rte_pktmbuf_data_len(segment));
  }
  end_pcapng_frame(pending, frame, length);
  ++written;
}

Status Capture::State::write_pending() {
  std::size_t done = 0;
  while (done < pending.size()) {
    // A reader that has gone must be an error here, not a SIGPIPE: sockets can say so, for pipes the daemon ignores it.
    auto size = send(fd, pending.data() + done, pending.size() - done, MSG_NOSIGNAL);
    if (size < 0 && errno == ENOTSOCK) size = write(fd, pending.data() + done, pending.size() - done);
    if (size < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      return fail("capture", std::string("cannot write: ") + std::strerror(errno));
    }
    done += static_cast<std::size_t>(size);
  }
  pending.erase(0, done);
  return {};
}

Status Capture::drain() {
  for (unsigned left = kFramesPerDrain; left > 0 && state_->pending.size() < kPendingMax; --left) {
    void* mbuf = nullptr;
    if (rte_ring_sc_dequeue(state_->ring, &mbuf) != 0) break;
    state_->encode(static_cast<rte_mbuf*>(mbuf));
    rte_pktmbuf_free(static_cast<rte_mbuf*>(mbuf));
  }
  return state_->write_pending();
}

CaptureStatistics Capture::statistics() const {
  CaptureStatistics out;
  out.captured = state_->captured.load(std::memory_order_relaxed);
  out.lost = state_->lost.load(std::memory_order_relaxed);
  out.written = state_->written;
  out.finished = state_->limit != 0 && state_->slots.load(std::memory_order_relaxed) >= state_->limit;
  return out;
}

}  // namespace sluice::port
