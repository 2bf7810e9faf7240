// Reassembly of IPv4 fragments; see fragments.h. Cutting packets is in fragment_output.cc.
#include "dataplane/ip/fragments.h"

#include <algorithm>
#include <bit>

#include "dataplane/packet/chain.h"

namespace sluice::ip {
namespace {

constexpr std::uint32_t kEmpty = UINT32_MAX;
constexpr std::size_t kTimersPerTurn = 16;
constexpr std::uint32_t kPayloadMax = 65535 - wire::kIpv4Length;

}  // namespace

Reassembly::Reassembly(Instant now, const ReassemblyLimits& limits, const HashSeed& seed, packet::Drops& drops)
    : limits_(limits),
      seed_(seed),
      drops_(drops),
      entries_(std::make_unique<Entry[]>(limits.packets_max)),
      index_(std::bit_ceil(std::size_t{limits.packets_max} * 2 + 2), kEmpty),
      timers_(now, 10ms) {
  free_.reserve(limits.packets_max);
  for (std::uint32_t i = limits.packets_max; i > 0; --i) {
    free_.push_back(i - 1);
    entries_[i - 1].pieces.reserve(limits.fragments_per_packet);
  }
}

Reassembly::~Reassembly() {
  for (std::uint32_t i = 0; i < limits_.packets_max; ++i) {
    if (entries_[i].live) give_up(entries_[i], DropReason::shutting_down);
  }
}

std::size_t Reassembly::home_of(const Key& key) const {
  const std::uint64_t rest = std::uint64_t{key.identification} << 8 | key.protocol;
  return hash_u64x2(seed_, std::uint64_t{key.source.value} << 32 | key.destination.value, rest) & (index_.size() - 1);
}

// Where the entry is in the index, or the empty slot where it would be.
std::size_t Reassembly::slot_of(const Key& key) const {
  std::size_t at = home_of(key);
  while (index_[at] != kEmpty && entries_[index_[at]].key != key) at = (at + 1) & (index_.size() - 1);
  return at;
}

Reassembly::Entry* Reassembly::find_or_insert(Instant now, const Key& key) {
  const std::size_t slot = slot_of(key);
  if (index_[slot] != kEmpty) return &entries_[index_[slot]];
  if (free_.empty()) return nullptr;
  index_[slot] = free_.back();
  free_.pop_back();
  Entry& entry = entries_[index_[slot]];
  entry.key = key;
  entry.live = true;
  entry.received = entry.total = 0;
  timers_.schedule(entry, now + limits_.timeout);
  ++live_;
  return &entry;
}

// Forgets the entry; its pieces are somebody else's by now.
void Reassembly::release(Entry& entry) {
  timers_.cancel(entry);
  fragments_ -= entry.pieces.size();
  entry.pieces.clear();
  const std::size_t mask = index_.size() - 1;
  std::size_t gap = slot_of(entry.key);
  free_.push_back(index_[gap]);
  for (std::size_t at = (gap + 1) & mask; index_[at] != kEmpty; at = (at + 1) & mask) {
    if (((at - home_of(entries_[index_[at]].key)) & mask) < ((at - gap) & mask)) continue;
    index_[gap] = index_[at];
    gap = at;
  }
  index_[gap] = kEmpty;
  entry.live = false;
  --live_;
}

void Reassembly::give_up(Entry& entry, DropReason reason) {
  for (const Piece& piece : entry.pieces) drops_.drop(piece.packet, reason);
  release(entry);
}

packet::Packet Reassembly::input(Instant now, packet::Packet packet, const wire::Layers& layers) {
  packet::trim_padding(packet, layers.frame_length());
  const std::uint16_t identification = wire::load_be16(packet.data() + layers.l3_offset + wire::kIpv4Identification);
  Entry* entry = fragments_ < limits_.fragments_max
                     ? find_or_insert(now, {layers.source, layers.destination, identification, layers.protocol})
                     : nullptr;
  if (entry == nullptr) {
    drops_.drop(packet, DropReason::fragment_table_full);
    return {};
  }
  switch (add(*entry, packet, layers)) {
    case Added::kept:
      break;
    case Added::duplicate:  // the sender or the network repeated itself: harmless
      drops_.drop(packet, DropReason::fragment_malformed);
      return {};
    case Added::bad:
      drops_.drop(packet, DropReason::fragment_malformed);
      give_up(*entry, DropReason::fragment_malformed);
      return {};
  }
  return entry->total != 0 && entry->received == entry->total ? assemble(*entry) : packet::Packet();
}

// Puts the fragment in its place among the others.
Reassembly::Added Reassembly::add(Entry& entry, packet::Packet packet, const wire::Layers& layers) {
  const std::uint32_t begin = layers.fragment_offset;
  const std::uint32_t length = layers.l4_length();
  const std::uint32_t end = begin + length;
  auto& pieces = entry.pieces;
  const auto next = std::lower_bound(pieces.begin(), pieces.end(), begin,
                                     [](const Piece& piece, std::uint32_t offset) { return piece.offset < offset; });
  if (next != pieces.end() && next->offset == begin && next->length == length) return Added::duplicate;
  const bool overlaps_next = next != pieces.end() && next->offset < end;
  const bool overlaps_previous = next != pieces.begin() && std::prev(next)->offset + std::prev(next)->length > begin;
  const bool is_last = !layers.more_fragments;
  const bool second_end = is_last && (entry.total != 0 || (!pieces.empty() && pieces.back().offset >= begin));
  const bool beyond_end = entry.total != 0 && end > entry.total;
  const bool too_many = pieces.size() >= limits_.fragments_per_packet;
  if (overlaps_next || overlaps_previous || second_end || beyond_end || too_many || end > kPayloadMax)
    return Added::bad;

  pieces.insert(next, {packet, static_cast<std::uint16_t>(begin), static_cast<std::uint16_t>(length)});
  ++fragments_;
  entry.received += length;
  if (is_last) entry.total = end;
  if (begin == 0) entry.first = layers;
  return Added::kept;
}

// All there, none overlapping: hangs the payloads behind the first fragment and makes its header that of the whole.
packet::Packet Reassembly::assemble(Entry& entry) {
  const packet::Packet head = entry.pieces.front().packet;
  const wire::Layers first = entry.first;
  const std::uint32_t total_length = first.l3_header_length() + entry.total;
  if (total_length > 65535) {
    give_up(entry, DropReason::fragment_malformed);
    return {};
  }
  for (std::size_t i = 1; i < entry.pieces.size(); ++i) {
    const packet::Packet tail = entry.pieces[i].packet;
    const auto headers = static_cast<std::uint16_t>(tail.length() - entry.pieces[i].length);
    if (tail.trim_front(headers) && packet::append_chain(head, tail)) continue;
    // Only a chain of more segments than an mbuf can count gets here; those before i hang on the head already.
    drops_.drop(head, DropReason::packet_too_large);
    entry.pieces.erase(entry.pieces.begin(), entry.pieces.begin() + static_cast<std::ptrdiff_t>(i));
    fragments_ -= i;
    give_up(entry, DropReason::packet_too_large);
    return {};
  }
  // One packet goes on; the others ended in it, and the books must say so.
  drops_.count_consumed(entry.pieces.size() - 1);
  release(entry);

  std::uint8_t* ipv4 = head.data() + first.l3_offset;
  wire::store_be16(ipv4 + wire::kIpv4TotalLength, static_cast<std::uint16_t>(total_length));
  wire::store_be16(ipv4 + wire::kIpv4FlagsFragment, 0);
  wire::write_ipv4_checksum(ipv4);
  if (packet::pull_up_headers(head)) return head;
  drops_.drop(head, DropReason::packet_too_large);
  return {};
}

void Reassembly::expire(Instant now, const OnTimeout& on_timeout) {
  timers_.expire(now, kTimersPerTurn, [&](Timer& timer) {
    Entry& entry = static_cast<Entry&>(timer);
    const bool has_first = !entry.pieces.empty() && entry.pieces.front().offset == 0;
    if (has_first && on_timeout) on_timeout(entry.pieces.front().packet, entry.first);
    give_up(entry, DropReason::fragment_timeout);
  });
}

}  // namespace sluice::ip
