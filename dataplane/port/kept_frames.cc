// Frames between two engines; see kept_frames.h.
#include "dataplane/port/kept_frames.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <rte_mbuf.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace sluice::port {
namespace {

constexpr int kBytesMax = 64 * 1024 * 1024;
constexpr std::size_t kFrameMax = 65536;

}  // namespace

Result<int> keep_frames(const std::string& interface) {
  const auto trouble = [&](const char* what) {
    return fail("interface " + interface, std::string("cannot keep its frames: ") + what + ": " + std::strerror(errno));
  };
  const unsigned index = if_nametoindex(interface.c_str());
  if (index == 0) return trouble("if_nametoindex");
  const int fd = ::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);  // protocol 0: nothing before it is bound
  if (fd < 0) return trouble("socket");
  const int one = 1;
  sockaddr_ll at{};
  at.sll_family = AF_PACKET;
  at.sll_protocol = htons(ETH_P_ALL);
  at.sll_ifindex = static_cast<int>(index);
  if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kBytesMax, sizeof kBytesMax) != 0 ||
      ::setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) != 0 ||
      ::bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) {
    const auto error = trouble("bind");
    ::close(fd);
    return error;
  }
  return fd;
}

class GatedPort::Queue final : public PortQueue {
 public:
  Queue(GatedPort& port, PortQueue& inner, bool first) : port_(port), inner_(inner), first_(first) {}

  void rx(packet::Batch& batch) override {
    if (!port_.open_.load(std::memory_order_acquire)) return;
    if (first_ && port_.kept_ >= 0) {
      port_.receive_kept(batch);
      if (batch.count > 0) return;
    }
    inner_.rx(batch);
  }
  std::uint32_t tx(std::span<packet::Packet> packets) override { return inner_.tx(packets); }
  std::span<const int> wake_fds() const override { return inner_.wake_fds(); }
  bool prepare_to_sleep() override {
    const bool waiting = !port_.open_.load(std::memory_order_acquire) || (first_ && port_.kept_ >= 0);
    return !waiting && inner_.prepare_to_sleep();
  }

 private:
  GatedPort& port_;
  PortQueue& inner_;
  const bool first_;
};

GatedPort::GatedPort(std::unique_ptr<Port> inner, int kept, packet::PacketPool pool)
    : inner_(std::move(inner)), kept_(kept), pool_(pool), drained_(kept < 0) {
  for (unsigned i = 0; i < inner_->queue_count(); ++i) {
    queues_.push_back(std::make_unique<Queue>(*this, inner_->queue(i), i == 0));
  }
  if (kept_ < 0) return;
  sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);  // the device receives now
  const sock_fprog program{1, &nothing};
  ::setsockopt(kept_, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

GatedPort::~GatedPort() {
  if (kept_ >= 0) ::close(kept_);
}

PortQueue& GatedPort::queue(unsigned index) { return *queues_[index]; }

// On worker 0.
void GatedPort::receive_kept(packet::Batch& batch) {
  thread_local std::array<std::uint8_t, kFrameMax> frame;
  while (!batch.full()) {
    const packet::Packet packet = pool_.allocate();
    if (!packet) return;  // buffers come back with the next turns; the frame waits
    const ssize_t n = ::recv(kept_, frame.data(), frame.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (n <= 0) {
      rte_pktmbuf_free(packet.mbuf());
      if (n < 0 && (errno == EINTR || errno == ENETDOWN)) continue;  // told once: it was down for a moment
      ::close(kept_);
      kept_ = -1;
      drained_.store(true, std::memory_order_release);
      return;
    }
    const auto length = static_cast<std::size_t>(n);
    std::uint8_t* bytes = length > 65535 ? nullptr : packet.append(static_cast<std::uint16_t>(length));
    if (bytes == nullptr) {
      too_long_.add();
      rte_pktmbuf_free(packet.mbuf());
      continue;
    }
    std::memcpy(bytes, frame.data(), length);
    packet.set_rx_port(info().id);
    batch.push(packet);
    kept_frames_.add();
  }
}

}  // namespace sluice::port
