// The entries of a NeighborTable: where they are, the state each is in, and how they age; see neighbor.h.
#include <algorithm>
#include <bit>

#include "dataplane/ip/neighbor.h"

namespace sluice::ip {
namespace {

constexpr std::size_t kWorkPerTurn = 64;
constexpr std::uint32_t kEvictionLooksAt = 64;

}  // namespace

std::string_view name_of(NeighborState state) {
  switch (state) {
    case NeighborState::incomplete:
      return "incomplete";
    case NeighborState::reachable:
      return "reachable";
    case NeighborState::stale:
      return "stale";
    case NeighborState::probe:
      return "probe";
    case NeighborState::failed:
      return "failed";
    case NeighborState::permanent:
      return "permanent";
  }
  return "?";
}

NeighborTable::NeighborTable(Instant now, const NeighborLimits& limits, const HashSeed& seed, Context context)
    : limits_(limits),
      seed_(seed),
      context_(context),
      entries_(std::make_unique<Entry[]>(limits.entries_max)),
      index_(std::bit_ceil(std::size_t{limits.entries_max} * 2 + 2), kNoNeighbor),
      waiting_(limits.queue_total),
      timers_(now, 10ms),
      events_(kEventsMax) {
  free_.reserve(limits.entries_max);
  for (NeighborIndex i = limits.entries_max; i > 0; --i) free_.push_back(i - 1);
  for (std::uint32_t i = limits.queue_total; i > 0; --i) {
    waiting_[i - 1].next = waiting_free_;
    waiting_free_ = i - 1;
  }
}

NeighborTable::~NeighborTable() {
  for (NeighborIndex i = 0; i < limits_.entries_max; ++i) {
    timers_.cancel(entries_[i]);
    drop_queue(entries_[i], DropReason::shutting_down);
  }
}

// ---- the index

std::size_t NeighborTable::home_of(packet::PortId port, Ipv4Address address) const {
  return hash_u64(seed_, std::uint64_t{port} << 32 | address.value) & (index_.size() - 1);
}

// Where the entry is in the index, or the empty slot where it would be.
std::size_t NeighborTable::slot_of(packet::PortId port, Ipv4Address address) const {
  for (std::size_t at = home_of(port, address);; at = (at + 1) & (index_.size() - 1)) {
    if (index_[at] == kNoNeighbor) return at;
    const Entry& entry = entries_[index_[at]];
    if (entry.address == address && entry.port == port) return at;
  }
}

NeighborIndex NeighborTable::find(packet::PortId port, Ipv4Address address) const {
  return index_[slot_of(port, address)];
}

// Takes the entry out and closes the gap, so that no search stops early.
void NeighborTable::unindex(const Entry& entry) {
  const std::size_t mask = index_.size() - 1;
  std::size_t gap = slot_of(entry.port, entry.address);
  for (std::size_t at = (gap + 1) & mask; index_[at] != kNoNeighbor; at = (at + 1) & mask) {
    const Entry& other = entries_[index_[at]];
    if (((at - home_of(other.port, other.address)) & mask) < ((at - gap) & mask)) continue;
    index_[gap] = index_[at];
    gap = at;
  }
  index_[gap] = kNoNeighbor;
}

NeighborTable::Entry* NeighborTable::insert(Instant now, packet::PortId port, Ipv4Address address, Learning learning) {
  if (free_.empty() && !evict_one(learning)) return nullptr;
  const NeighborIndex index = free_.back();
  free_.pop_back();
  Entry& entry = entries_[index];
  entry.port = port;
  entry.address = address;
  entry.live = true;
  entry.used = entry.confirmed = now;
  entry.rewrite = wire::EthernetRewrite::make(MacAddress{}, context_.ports[port].mac, wire::kEtherTypeIpv4);
  index_[slot_of(port, address)] = index;
  ++live_;
  return &entry;
}

// Makes room: of the next few entries the longest unused one goes. Hearsay may only displace what is out of use, or a
// neighbor could push our gateways out by asking under many names.
bool NeighborTable::evict_one(Learning learning) {
  Entry* victim = nullptr;
  const std::uint32_t looks = std::min(kEvictionLooksAt, limits_.entries_max);
  for (std::uint32_t i = 0; i < looks; ++i) {
    Entry& entry = entries_[clock_hand_];
    clock_hand_ = (clock_hand_ + 1) % limits_.entries_max;
    const bool out_of_use = entry.state == NeighborState::stale || entry.state == NeighborState::failed;
    if (!entry.live || entry.state == NeighborState::permanent) continue;
    if (learning == Learning::by_hearsay && !out_of_use) continue;
    if (victim == nullptr || entry.used < victim->used) victim = &entry;
  }
  if (victim == nullptr) return false;
  remove(*victim, DropReason::neighbor_table_full);
  return true;
}

void NeighborTable::remove(Entry& entry, DropReason reason) {
  timers_.cancel(entry);
  drop_queue(entry, reason);
  unindex(entry);
  enter(entry, NeighborState::failed);
  entry.live = false;
  free_.push_back(index_of(entry));
  --live_;
}

NeighborIndex NeighborTable::resolve(Instant now, packet::PortId port, Ipv4Address address) {
  if (const NeighborIndex known = find(port, address); known != kNoNeighbor) return known;
  Entry* entry = insert(now, port, address, Learning::by_need);
  if (entry == nullptr) return kNoNeighbor;
  start_incomplete(now, *entry);
  return index_of(*entry);
}

// ---- states

// Remembered ways to an entry that is usable no more are wrong from here on.
void NeighborTable::enter(Entry& entry, NeighborState state) {
  const bool usable = state != NeighborState::incomplete && state != NeighborState::failed;
  if (entry.usable && !usable) context_.epoch.bump();
  entry.state = state;
  entry.usable = usable;
  entry.at_once_max = usable && state != NeighborState::stale ? context_.ports[entry.port].mtu : std::uint16_t{0};
}

void NeighborTable::start_incomplete(Instant now, Entry& entry) {
  enter(entry, NeighborState::incomplete);
  entry.requests = 0;
  ask_again(now, entry);
}

void NeighborTable::start_probe(Instant now, Entry& entry) {
  enter(entry, NeighborState::probe);
  entry.requests = 0;
  ask_again(now, entry);
}

void NeighborTable::start_failed(Instant now, Entry& entry) {
  enter(entry, NeighborState::failed);
  counters_.failures.add();
  drop_queue(entry, DropReason::neighbor_unresolved);
  timers_.schedule(entry, now + limits_.failed_time);
}

void NeighborTable::ask_again(Instant now, Entry& entry) {
  ++entry.requests;
  send_request(entry);
  timers_.schedule(entry, now + limits_.request_interval);
}

void NeighborTable::confirm(Instant now, Entry& entry, const MacAddress& mac) {
  if (entry.state == NeighborState::permanent) return;
  if (entry.rewrite.destination() != mac) {
    if (entry.usable) context_.epoch.bump();
    entry.rewrite = wire::EthernetRewrite::make(mac, context_.ports[entry.port].mac, wire::kEtherTypeIpv4);
  }
  enter(entry, NeighborState::reachable);
  entry.confirmed = now;
  timers_.schedule(entry, now + limits_.reachable_time);
  flush_queue(entry);
}

// Reachable for long enough: ask again while it is in use, else let it rest.
void NeighborTable::start_aging(Instant now, Entry& entry) {
  if (entry.used > entry.confirmed) return start_probe(now, entry);
  enter(entry, NeighborState::stale);
  timers_.schedule(entry, std::max(now, entry.used + limits_.unused_time));
}

void NeighborTable::on_timer(Instant now, Entry& entry) {
  switch (entry.state) {
    case NeighborState::incomplete:
      return entry.requests < limits_.requests_max ? ask_again(now, entry) : start_failed(now, entry);
    case NeighborState::probe:
      return entry.requests < limits_.requests_max ? ask_again(now, entry) : start_incomplete(now, entry);
    case NeighborState::reachable:
      return start_aging(now, entry);
    case NeighborState::stale:
    case NeighborState::failed:
      return remove(entry, DropReason::neighbor_unresolved);
    case NeighborState::permanent:
      return;
  }
}

void NeighborTable::expire(Instant now) {
  timers_.expire(now, kWorkPerTurn, [&](Timer& timer) { on_timer(now, static_cast<Entry&>(timer)); });
  if (!announcements_[0].empty() || !announcements_[1].empty()) run_announcements(now);
}

Instant NeighborTable::next_deadline() const {
  Instant earliest = timers_.next_deadline();
  for (const unsigned round : {0u, 1u}) {
    if (announcements_[round].empty()) continue;
    earliest = std::min(earliest, announcements_[round][announcements_done_[round]].due);
  }
  return earliest;
}

// ---- from the control side

void NeighborTable::learn(Instant now, const NeighborEvent& event) {
  const NeighborIndex known = find(event.port, event.address);
  Entry* entry = known != kNoNeighbor ? &entries_[known] : insert(now, event.port, event.address, Learning::by_hearsay);
  if (entry != nullptr) confirm(now, *entry, event.mac);
}

void NeighborTable::recall(Instant now, const NeighborEvent& event) {
  if (find(event.port, event.address) != kNoNeighbor) return;
  Entry* entry = insert(now, event.port, event.address, Learning::by_hearsay);
  if (entry == nullptr) return;
  confirm(now, *entry, event.mac);
  enter(*entry, NeighborState::stale);
  timers_.schedule(*entry, now + limits_.unused_time);
}

Status NeighborTable::set_permanent(Instant now, packet::PortId port, Ipv4Address address, const MacAddress& mac) {
  const std::string place = "neighbor " + address.text();
  if (mac.is_multicast() || mac.is_zero()) return fail(place, mac.text() + " is not the address of one host");
  const NeighborIndex known = find(port, address);
  Entry* entry = known != kNoNeighbor ? &entries_[known] : insert(now, port, address, Learning::by_need);
  if (entry == nullptr) {
    return fail(place, "the table holds its " + std::to_string(limits_.entries_max) + " entries already");
  }
  entry->state = NeighborState::incomplete;  // so that confirm() takes it, whatever it was
  confirm(now, *entry, mac);
  enter(*entry, NeighborState::permanent);
  timers_.cancel(*entry);
  return {};
}

bool NeighborTable::erase(packet::PortId port, Ipv4Address address) {
  const NeighborIndex known = find(port, address);
  if (known == kNoNeighbor) return false;
  remove(entries_[known], DropReason::neighbor_unresolved);
  return true;
}

std::vector<NeighborInfo> NeighborTable::list(Instant now) const {
  std::vector<NeighborInfo> all;
  all.reserve(live_);
  for (NeighborIndex i = 0; i < limits_.entries_max; ++i) {
    const Entry& entry = entries_[i];
    if (!entry.live) continue;
    all.push_back({entry.port, entry.address, entry.rewrite.destination(), entry.state, now - entry.confirmed,
                   now - entry.used, entry.queue_count});
  }
  return all;
}

}  // namespace sluice::ip
