// The scan over a pool's connection counts; see load_scan.h.
#include "lb/balance/load_scan.h"

#include <smmintrin.h>

#include <bit>
#include <limits>
#include <map>

namespace sluice::lb::balance {
namespace {

constexpr float kOut = 1e30f;
// Scores from here on are of members that cannot be picked.
constexpr std::int32_t kNever = std::bit_cast<std::int32_t>(1e29f);
constexpr Duration kRampStep = 50ms;

#if defined(__SANITIZE_THREAD__)
#define SLUICE_SCALAR_SCAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SLUICE_SCALAR_SCAN 1
#endif
#endif

}  // namespace

LoadScan::LoadScan(const Pool& pool, const Tier& tier, unsigned workers, Weight weight)
    : weight_(weight), cursors_(workers) {
  std::map<std::uint32_t, std::uint32_t> view_of_block;
  for (const std::uint32_t i : tier.members) {
    const Member& member = pool.members[i];
    const std::uint32_t block = member.runtime->slot / kBlock;
    const std::uint32_t slot = member.runtime->slot % kBlock;
    const auto [at, fresh] = view_of_block.try_emplace(block, static_cast<std::uint32_t>(views_.size()));
    if (fresh) {
      View& view = views_.emplace_back();
      view.weights.fill(kOut);
      view.limits.fill(0);
      view.members.fill(kNoMember);
      view.block = &pool.runtime->loads.block(block);
    }
    View& view = views_[at->second];
    view.weights[slot] = weight(member);
    view.limits[slot] =
        member.connection_limit == 0 || member.connection_limit > std::numeric_limits<std::int32_t>::max()
            ? std::numeric_limits<std::int32_t>::max()
            : static_cast<std::int32_t>(member.connection_limit);
    view.members[slot] = i;
    if (member.ramp_end != Instant::min()) {
      ramping_.push_back({at->second, slot});
      ramps_end_ = std::max(ramps_end_, member.ramp_end);
    }
  }
  for (unsigned w = 0; w < workers; ++w) {
    cursors_[w].value.view = static_cast<std::uint32_t>(views_.size() * w / workers);
  }
}

std::int32_t LoadScan::score_of(const View& view, std::uint32_t slot, std::uint32_t& count) {
  count = view.block->counts[slot].load(std::memory_order_acquire);
  if (static_cast<std::int32_t>(count) >= view.limits[slot]) return std::bit_cast<std::int32_t>(kOut);
  const float weight = std::atomic_ref(const_cast<float&>(view.weights[slot])).load(std::memory_order_relaxed);
  return std::bit_cast<std::int32_t>(static_cast<float>(static_cast<std::int32_t>(count) + 1) * weight);
}

std::int32_t LoadScan::least_in(const View& view) {
#ifdef SLUICE_SCALAR_SCAN
  std::int32_t least = std::bit_cast<std::int32_t>(kOut);
  for (std::uint32_t slot = 0; slot < kBlock; ++slot) {
    std::uint32_t count;
    least = std::min(least, score_of(view, slot, count));
  }
  return least;
#else
  // Each 32-bit lane of an aligned load is read whole on x86, which is all that a relaxed atomic load promises.
  const auto* counts = reinterpret_cast<const __m128i*>(view.block->counts.data());
  const auto* limits = reinterpret_cast<const __m128i*>(view.limits.data());
  const __m128i out = _mm_castps_si128(_mm_set1_ps(kOut));
  const __m128i one = _mm_set1_epi32(1);
  __m128i least = out;
  for (unsigned i = 0; i < kBlock / 4; ++i) {
    const __m128i count = _mm_load_si128(counts + i);
    const __m128 weight = _mm_load_ps(view.weights.data() + std::size_t{i} * 4);
    const __m128 score = _mm_mul_ps(_mm_cvtepi32_ps(_mm_add_epi32(count, one)), weight);
    const __m128i below = _mm_cmplt_epi32(count, _mm_load_si128(limits + i));
    least = _mm_min_epi32(least, _mm_blendv_epi8(out, _mm_castps_si128(score), below));
  }
  least = _mm_min_epi32(least, _mm_shuffle_epi32(least, 0x4e));
  least = _mm_min_epi32(least, _mm_shuffle_epi32(least, 0xb1));
  return _mm_cvtsi128_si32(least);
#endif
}

// The first of the least, going round from the cursor: the rest of its block, the blocks behind, its block's beginning.
LoadScan::Best LoadScan::search(const Cursor& cursor) const {
  Best best{kNever, 0, 0, 0};
  const auto look = [&](std::uint32_t v, std::uint32_t begin, std::uint32_t end) {
    for (std::uint32_t slot = begin; slot < end; ++slot) {
      std::uint32_t count;
      const std::int32_t score = score_of(views_[v], slot, count);
      if (score < best.score) best = {score, v, slot, count};
    }
  };
  const auto count = static_cast<std::uint32_t>(views_.size());
  if (cursor.slot < kBlock) look(cursor.view, cursor.slot, kBlock);
  std::int32_t least = best.score;
  std::uint32_t least_view = cursor.view;
  for (std::uint32_t step = 1; step < count; ++step) {
    const std::uint32_t v = cursor.view + step < count ? cursor.view + step : cursor.view + step - count;
    const std::int32_t here = least_in(views_[v]);
    if (here < least) {
      least = here;
      least_view = v;
    }
  }
  if (least_view != cursor.view) look(least_view, 0, kBlock);
  look(cursor.view, 0, std::min(cursor.slot, kBlock));
  return best;
}

// Every worker does it for itself; all write the same.
void LoadScan::refresh_ramps(const Pool& pool, Instant now) {
  for (const Ramping& at : ramping_) {
    View& view = views_[at.view];
    const Member& member = pool.members[view.members[at.slot]];
    std::atomic_ref(view.weights[at.slot])
        .store(weight_(member) / ramp_fraction(member, now), std::memory_order_relaxed);
  }
}

const Member* LoadScan::pick(const Pool& pool, const PickRequest& request) {
  Cursor& cursor = cursors_[request.worker].value;
  if (!ramping_.empty() && cursor.ramp_refresh <= request.now) [[unlikely]] {
    refresh_ramps(pool, request.now);
    cursor.ramp_refresh = request.now >= ramps_end_ ? kInstantMax : request.now + kRampStep;
  }
  for (;;) {
    const Best best = search(cursor);
    if (best.score >= kNever) return nullptr;
    const Member& member = pool.members[views_[best.view].members[best.slot]];
    std::uint32_t expected = best.count;
    if (!member.runtime->connections.acquire_from(expected)) continue;
    member.runtime->acquire_parents();
    cursor.view = best.view;
    cursor.slot = best.slot + 1;
    return &member;
  }
}

}  // namespace sluice::lb::balance
