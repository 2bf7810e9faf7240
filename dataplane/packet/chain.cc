// Work on packets of several segments; see chain.h.
#include "dataplane/packet/chain.h"

#include <algorithm>

namespace sluice::packet {
namespace {

struct Position {
  rte_mbuf* segment;
  std::uint32_t offset;  // in that segment
};

// Precondition: offset < length of the chain.
Position locate(Packet packet, std::uint32_t offset) {
  rte_mbuf* segment = packet.mbuf();
  while (offset >= segment->data_len) {
    offset -= segment->data_len;
    segment = segment->next;
  }
  return {segment, offset};
}

// Calls fn(bytes) for each run of the range. Precondition: the range is in the packet.
template <typename Fn>
void for_each_run(Packet packet, std::uint32_t offset, std::uint32_t length, Fn fn) {
  if (length == 0) return;
  auto [segment, at] = locate(packet, offset);
  while (length != 0) {
    const std::uint32_t here = std::min<std::uint32_t>(length, segment->data_len - at);
    fn(std::span<std::uint8_t>(rte_pktmbuf_mtod_offset(segment, std::uint8_t*, at), here));
    length -= here;
    segment = segment->next;
    at = 0;
  }
}

bool is_in_range(Packet packet, std::uint32_t offset, std::size_t length) {
  return offset <= packet.length() && length <= packet.length() - offset;
}

// Drops the segment behind `head` when it is empty.
void free_empty_second(rte_mbuf* head) {
  rte_mbuf* second = head->next;
  if (second->data_len != 0) return;
  head->next = second->next;
  --head->nb_segs;
  rte_pktmbuf_free_seg(second);
}

}  // namespace

bool pull_up(Packet packet, std::uint16_t bytes) {
  rte_mbuf* head = packet.mbuf();
  const std::uint32_t wanted = std::min<std::uint32_t>(bytes, packet.length());
  if (head->data_len >= wanted) return true;
  if (is_shared(packet) || wanted - head->data_len > rte_pktmbuf_tailroom(head)) return false;
  while (head->data_len < wanted) {
    rte_mbuf* next = head->next;
    const auto here = static_cast<std::uint16_t>(std::min<std::uint32_t>(wanted - head->data_len, next->data_len));
    std::memcpy(rte_pktmbuf_mtod_offset(head, std::uint8_t*, head->data_len), rte_pktmbuf_mtod(next, std::uint8_t*),
                here);
    head->data_len = static_cast<std::uint16_t>(head->data_len + here);
    next->data_off = static_cast<std::uint16_t>(next->data_off + here);
    next->data_len = static_cast<std::uint16_t>(next->data_len - here);
    free_empty_second(head);
  }
  return true;
}

bool linearize(Packet packet) { return packet.is_contiguous() || rte_pktmbuf_linearize(packet.mbuf()) == 0; }

void truncate(Packet packet, std::uint32_t length) {
  rte_mbuf* head = packet.mbuf();
  rte_mbuf* last = head;
  std::uint32_t left = length;
  std::uint16_t segments = 1;
  while (left > last->data_len) {
    left -= last->data_len;
    last = last->next;
    ++segments;
  }
  last->data_len = static_cast<std::uint16_t>(left);
  rte_pktmbuf_free(last->next);
  last->next = nullptr;
  head->nb_segs = segments;
  head->pkt_len = length;
}

bool copy_out(Packet packet, std::uint32_t offset, std::span<std::uint8_t> out) {
  if (!is_in_range(packet, offset, out.size())) return false;
  std::uint8_t* p = out.data();
  for_each_run(packet, offset, static_cast<std::uint32_t>(out.size()), [&](std::span<std::uint8_t> run) {
    std::memcpy(p, run.data(), run.size());
    p += run.size();
  });
  return true;
}

bool copy_in(Packet packet, std::uint32_t offset, std::span<const std::uint8_t> in) {
  if (!is_in_range(packet, offset, in.size())) return false;
  const std::uint8_t* p = in.data();
  for_each_run(packet, offset, static_cast<std::uint32_t>(in.size()), [&](std::span<std::uint8_t> run) {
    std::memcpy(run.data(), p, run.size());
    p += run.size();
  });
  return true;
}

Packet copy(Packet packet, const PacketPool& pool, std::uint32_t offset, std::uint32_t length) {
  return Packet(rte_pktmbuf_copy(packet.mbuf(), pool.mempool(), offset, length));
}

Packet share(Packet packet, const PacketPool& pool) { return Packet(rte_pktmbuf_clone(packet.mbuf(), pool.mempool())); }

bool is_shared(Packet packet) {
  for (const rte_mbuf* segment = packet.mbuf(); segment != nullptr; segment = segment->next) {
    if (!RTE_MBUF_DIRECT(segment) || rte_mbuf_refcnt_read(segment) != 1) return true;
  }
  return false;
}

Packet from_bytes(const PacketPool& pool, std::span<const std::uint8_t> bytes) {
  const Packet head = pool.allocate();
  if (!head) return {};
  rte_mbuf* last = head.mbuf();
  while (true) {
    const auto here = static_cast<std::uint16_t>(std::min<std::size_t>(bytes.size(), rte_pktmbuf_tailroom(last)));
    if (here != 0) std::memcpy(rte_pktmbuf_mtod(last, std::uint8_t*), bytes.data(), here);
    last->data_len = here;
    head.mbuf()->pkt_len += here;
    bytes = bytes.subspan(here);
    if (bytes.empty()) return head;
    rte_mbuf* next = pool.allocate().mbuf();
    if (next == nullptr || head.mbuf()->nb_segs == RTE_MBUF_MAX_NB_SEGS) {
      rte_pktmbuf_free(next);
      rte_pktmbuf_free(head.mbuf());
      return {};
    }
    last->next = next;
    last = next;
    ++head.mbuf()->nb_segs;
  }
}

bool append_chain(Packet head, Packet tail) { return rte_pktmbuf_chain(head.mbuf(), tail.mbuf()) == 0; }

void add_to_checksum(Packet packet, std::uint32_t offset, std::uint32_t length, wire::ChecksumSum& sum) {
  for_each_run(packet, offset, length, [&](std::span<std::uint8_t> run) { sum.add(run); });
}

void trim_front(Packet packet, std::uint32_t n) {
  packet.mbuf()->pkt_len -= n;
  for (rte_mbuf* segment = packet.mbuf(); n > 0; segment = segment->next) {
    const auto cut = static_cast<std::uint16_t>(std::min<std::uint32_t>(n, segment->data_len));
    segment->data_off = static_cast<std::uint16_t>(segment->data_off + cut);
    segment->data_len = static_cast<std::uint16_t>(segment->data_len - cut);
    n -= cut;
  }
}

std::span<std::uint8_t> first_run(Packet packet) {
  for (rte_mbuf* segment = packet.mbuf(); segment != nullptr; segment = segment->next) {
    if (segment->data_len != 0) return {rte_pktmbuf_mtod(segment, std::uint8_t*), segment->data_len};
  }
  return {};
}

bool may_prepend(Packet packet, std::uint16_t n) {
  const rte_mbuf* mbuf = packet.mbuf();
  return RTE_MBUF_DIRECT(mbuf) && rte_mbuf_refcnt_read(mbuf) == 1 && rte_pktmbuf_headroom(mbuf) >= n;
}

void add_reference(Packet packet) {
  for (rte_mbuf* segment = packet.mbuf(); segment; segment = segment->next) rte_mbuf_refcnt_update(segment, 1);
}

}  // namespace sluice::packet
