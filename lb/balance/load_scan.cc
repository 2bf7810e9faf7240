// The search for the least loaded slot; see load_scan.h.
#include "lb/balance/load_scan.h"

#include <smmintrin.h>

#include <bit>
#include <limits>

namespace sluice::lb::balance {
namespace {

constexpr float kOut = 1e30f;
constexpr std::int32_t kOutScore = std::bit_cast<std::int32_t>(kOut);
// Scores from here on are of slots that cannot be picked.
constexpr std::int32_t kNever = std::bit_cast<std::int32_t>(1e29f);

#if defined(__SANITIZE_THREAD__)
#define SLUICE_SCALAR_SCAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SLUICE_SCALAR_SCAN 1
#endif
#endif

#ifndef SLUICE_SCALAR_SCAN
__m128i load(const void* from) { return _mm_loadu_si128(static_cast<const __m128i*>(from)); }
#endif

// Vectors of a whole number of lines: 16 values.
std::int32_t minimum(const std::vector<std::int32_t>& values) {
  __m128i least = _mm_set1_epi32(kOutScore);
  for (std::size_t i = 0; i < values.size(); i += 4) {
    least = _mm_min_epi32(least, _mm_loadu_si128(reinterpret_cast<const __m128i*>(&values[i])));
  }
  least = _mm_min_epi32(least, _mm_shuffle_epi32(least, 0x4e));
  least = _mm_min_epi32(least, _mm_shuffle_epi32(least, 0xb1));
  return _mm_cvtsi128_si32(least);
}

// The first index in begin..end-1 with this value; `end`: none.
std::uint32_t find_value(const std::vector<std::int32_t>& values, std::uint32_t begin, std::uint32_t end,
                         std::int32_t wanted) {
  const __m128i all = _mm_set1_epi32(wanted);
  for (std::uint32_t i = begin & ~3u; i < end; i += 4) {
    const __m128i here = _mm_loadu_si128(reinterpret_cast<const __m128i*>(&values[i]));
    auto equal = static_cast<unsigned>(_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(here, all))));
    if (i < begin) equal &= ~0u << (begin - i);
    if (equal == 0) continue;
    return std::min(i + static_cast<std::uint32_t>(std::countr_zero(equal)), end);
  }
  return end;
}

// A bit for each of 16 blocks in which connections ended since `seen`.
unsigned moved(const LoadTable::Ended& ended, const std::uint32_t* seen) {
  unsigned bits = 0;
#ifdef SLUICE_SCALAR_SCAN
  for (unsigned i = 0; i < LoadTable::kLine; ++i) {
    bits |= static_cast<unsigned>(ended.blocks[i].load(std::memory_order_relaxed) != seen[i]) << i;
  }
#else
  for (unsigned i = 0; i < LoadTable::kLine; i += 4) {
    const __m128i same = _mm_cmpeq_epi32(load(&ended.blocks[i]), load(seen + i));
    bits |= (static_cast<unsigned>(_mm_movemask_ps(_mm_castsi128_ps(same))) ^ 0xfu) << i;
  }
#endif
  return bits;
}

}  // namespace

// ---- what may be picked

std::uint32_t LoadScan::line_of(std::uint32_t number) {
  for (std::uint32_t i = 0; i < lines_.size(); ++i) {
    if (lines_[i].number == number) return i;
  }
  lines_.push_back({&loads_.ended(number * kLine), number, 0});
  view_of_.resize(lines_.size() * kLine, kNoView);
  for (auto& look : looks_) {
    look.value.ended.resize(lines_.size() * kLine, 0);
    look.value.least.resize(lines_.size() * kLine, kOutScore);
  }
  return static_cast<std::uint32_t>(lines_.size() - 1);
}

void LoadScan::add(std::uint32_t slot, float weight, std::uint32_t limit) {
  const std::uint32_t block = slot / kBlock;
  const std::uint32_t line = line_of(block / kLine);
  const std::uint32_t place = line * kLine + block % kLine;
  if (view_of_[place] == kNoView) {
    view_of_[place] = static_cast<std::uint32_t>(views_.size());
    lines_[line].watched |= 1u << block % kLine;
    View& view = views_.emplace_back();
    view.weights.fill(kOut);
    view.limits.fill(0);
    view.block = &loads_.block(block);
    view.first_slot = block * kBlock;
    view.place = place;
    view.used = 0;
    for (std::size_t w = 0; w < looks_.size(); ++w) {
      looks_[w].value.least[place] = 0;                                         // nothing is known of its counts
      looks_[w].value.place = views_[views_.size() * w / looks_.size()].place;  // the workers begin at different blocks
    }
  }
  constexpr auto kMost = static_cast<std::uint32_t>(std::numeric_limits<std::int32_t>::max());
  View& view = views_[view_of_[place]];
  view.used = std::max(view.used, slot % kBlock / 4 * 4 + 4);
  view.weights[slot % kBlock] = weight;
  view.limits[slot % kBlock] = static_cast<std::int32_t>(limit == 0 ? kMost : std::min(limit, kMost));
}

std::uint32_t LoadScan::place_of(std::uint32_t slot) const {
  const std::uint32_t block = slot / kBlock;
  std::uint32_t line = 0;
  while (lines_[line].number != block / kLine) ++line;
  return line * kLine + block % kLine;
}

void LoadScan::set_weight(unsigned worker, std::uint32_t slot, float weight) {
  const std::uint32_t place = place_of(slot);
  std::atomic_ref(views_[view_of_[place]].weights[slot % kBlock]).store(weight, std::memory_order_relaxed);
  looks_[worker].value.least[place] = 0;
}

// ---- the search

std::int32_t LoadScan::score_of(const View& view, std::uint32_t slot, std::uint32_t count) {
  if (static_cast<std::int32_t>(count) >= view.limits[slot]) return kOutScore;
  const float weight = std::atomic_ref(const_cast<float&>(view.weights[slot])).load(std::memory_order_relaxed);
  return std::bit_cast<std::int32_t>(static_cast<float>(static_cast<std::int32_t>(count) + 1) * weight);
}

LoadScan::Scan LoadScan::scan(const View& view) {
#ifdef SLUICE_SCALAR_SCAN
  Scan out{kOutScore, 0};
  for (std::uint32_t slot = 0; slot < view.used; ++slot) {
    const std::int32_t score = score_of(view, slot, view.block->counts[slot].load(std::memory_order_acquire));
    if (score < out.least) out = {score, 0};
    out.slots |= static_cast<std::uint64_t>(score == out.least) << slot;
  }
  return out;
#else
  // Each 32-bit lane of an aligned load is read whole on x86, which is all that a relaxed atomic load promises.
  const unsigned vectors = view.used / 4;
  const __m128i out = _mm_set1_epi32(kOutScore);
  const __m128i one = _mm_set1_epi32(1);
  __m128i scores[kBlock / 4];
  __m128i least = out;
  for (unsigned i = 0; i < vectors; ++i) {
    const __m128i count = load(&view.block->counts[std::size_t{i} * 4]);
    const __m128 weight = _mm_load_ps(&view.weights[std::size_t{i} * 4]);
    const __m128 score = _mm_mul_ps(_mm_cvtepi32_ps(_mm_add_epi32(count, one)), weight);
    const __m128i below = _mm_cmplt_epi32(count, load(&view.limits[std::size_t{i} * 4]));
    scores[i] = _mm_blendv_epi8(out, _mm_castps_si128(score), below);
    least = _mm_min_epi32(least, scores[i]);
  }
  least = _mm_min_epi32(least, _mm_shuffle_epi32(least, 0x4e));
  least = _mm_min_epi32(least, _mm_shuffle_epi32(least, 0xb1));
  std::uint64_t slots = 0;
  for (unsigned i = 0; i < vectors; ++i) {
    const auto here = _mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(scores[i], least)));
    slots |= static_cast<std::uint64_t>(here) << (i * 4);
  }
  return {_mm_cvtsi128_si32(least), slots};
#endif
}

// Where connections ended the bounds may be too high: those blocks are read anew.
void LoadScan::note_ended(Look& look) const {
  for (std::uint32_t l = 0; l < lines_.size(); ++l) {
    const Line& line = lines_[l];
    unsigned bits = moved(*line.ended, &look.ended[std::size_t{l} * kLine]) & line.watched;
    for (; bits != 0; bits &= bits - 1) {
      const auto i = static_cast<std::uint32_t>(std::countr_zero(bits));
      const std::uint32_t place = l * kLine + i;
      // First the number, then the counts: what ends in between moves the number once more.
      look.ended[place] = line.ended->blocks[i].load(std::memory_order_acquire);
      const Scan here = scan(views_[view_of_[place]]);
      look.least[place] = here.least;
      look.fresh = place;
      look.fresh_slots = here.slots;
    }
  }
}

// The counts of a block as they are now, once more only if they were not read in this very search.
LoadScan::Scan LoadScan::read(Look& look, std::uint32_t place) const {
  if (place == look.fresh) {
    look.fresh = kNoPlace;
    return {look.least[place], look.fresh_slots};
  }
  const Scan here = scan(views_[view_of_[place]]);
  look.least[place] = here.least;
  return here;
}

// The first of these slots, if it is still as good as wanted.
LoadScan::Found LoadScan::found_in(const View& view, std::uint64_t slots, std::int32_t wanted) const {
  const auto slot = static_cast<std::uint32_t>(std::countr_zero(slots));
  const std::uint32_t count = view.block->counts[slot].load(std::memory_order_acquire);
  if (score_of(view, slot, count) > wanted) return {};
  return {view.first_slot + slot, count};
}

// The first of the least, going round: the rest of the block where the last search ended, the blocks behind it, its
// beginning.
LoadScan::Found LoadScan::search(unsigned worker) {
  Look& look = looks_[worker].value;
  look.fresh = kNoPlace;
  note_ended(look);
  const auto places = static_cast<std::uint32_t>(look.least.size());
  for (;;) {
    const std::int32_t wanted = minimum(look.least);
    if (wanted >= kNever) return {};
    std::uint64_t beginning = 0;
    if (look.least[look.place] == wanted) {
      const View& view = views_[view_of_[look.place]];
      const Scan here = read(look, look.place);
      if (here.least <= wanted) {
        const std::uint64_t rest = look.slot < kBlock ? here.slots & ~std::uint64_t{0} << look.slot : 0;
        if (rest != 0) {
          if (const Found found = found_in(view, rest, here.least); found.slot != kNoSlot) return found;
          continue;
        }
        beginning = here.slots;
      }
    }
    bool again = false;
    for (const auto& [begin, end] : {std::pair{look.place + 1, places}, std::pair{0u, look.place}}) {
      for (std::uint32_t p = find_value(look.least, begin, end, wanted); p < end && !again;
           p = find_value(look.least, p + 1, end, wanted)) {
        const View& view = views_[view_of_[p]];
        const Scan here = read(look, p);
        if (here.least > wanted) continue;
        if (const Found found = found_in(view, here.slots, here.least); found.slot != kNoSlot) return found;
        again = true;
      }
    }
    if (beginning == 0 || again) continue;
    const View& view = views_[view_of_[look.place]];
    if (const Found found = found_in(view, beginning, look.least[look.place]); found.slot != kNoSlot) return found;
  }
}

void LoadScan::took(unsigned worker, std::uint32_t slot) {
  Look& look = looks_[worker].value;
  look.place = place_of(slot);
  look.slot = slot % kBlock + 1;
}

}  // namespace sluice::lb::balance
