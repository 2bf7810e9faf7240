// AS_PATH: both encodings, length, merging with AS4_PATH, text.
#include "control/bgp/as_path.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/bgp/wire.h"

namespace sluice::bgp {
namespace {
constexpr std::size_t kSegmentMax = 255;

bool is_confederation(SegmentType type) {
  return type == SegmentType::confed_sequence || type == SegmentType::confed_set;
}
}  // namespace

std::optional<AsPath> AsPath::decode(ByteSpan value, bool four_octet) {
  AsPath path;
  Reader reader(value);
  path.words_.reserve(value.size() / (four_octet ? 4 : 2) + 1);
  while (!reader.empty()) {
    const unsigned type = reader.u8();
    const unsigned count = reader.u8();
    if (!reader.ok() || type < 1 || type > 4 || count == 0) return std::nullopt;
    path.words_.push_back(type << 16 | count);
    for (unsigned i = 0; i < count; ++i) {
      const std::uint32_t as = four_octet ? reader.u32() : reader.u16();
      if (!reader.ok() || as == 0) return std::nullopt;
      path.words_.push_back(as);
    }
  }
  return path;
}

void AsPath::encode(Writer& out, bool four_octet) const {
  each_segment([&](SegmentType type, std::span<const std::uint32_t> as_numbers) {
    // A prepended or merged segment may be longer than one on the wire.
    for (std::size_t at = 0; at < as_numbers.size(); at += kSegmentMax) {
      const auto part = as_numbers.subspan(at, std::min(kSegmentMax, as_numbers.size() - at));
      out.u8(static_cast<unsigned>(type));
      out.u8(static_cast<unsigned>(part.size()));
      for (const auto as : part) {
        if (four_octet) {
          out.u32(as);
        } else {
          out.u16(as > 0xffff ? kAsTrans : as);
        }
      }
    }
  });
}

unsigned AsPath::length() const {
  std::size_t length = 0;
  each_segment([&](SegmentType type, std::span<const std::uint32_t> as_numbers) {
    if (type == SegmentType::sequence) length += as_numbers.size();
    if (type == SegmentType::set) length += 1;
  });
  return static_cast<unsigned>(length);
}

std::optional<std::uint32_t> AsPath::first() const {
  std::optional<std::uint32_t> first;
  bool decided = false;
  each_segment([&](SegmentType type, std::span<const std::uint32_t> as_numbers) {
    if (decided || is_confederation(type)) return;
    decided = true;
    if (type == SegmentType::sequence) first = as_numbers.front();
  });
  return first;
}

unsigned AsPath::count(std::uint32_t as) const {
  std::ptrdiff_t count = 0;
  each_segment([&](SegmentType, std::span<const std::uint32_t> as_numbers) {
    count += std::count(as_numbers.begin(), as_numbers.end(), as);
  });
  return static_cast<unsigned>(count);
}

bool AsPath::has_confederation_segments() const {
  bool found = false;
  each_segment([&](SegmentType type, std::span<const std::uint32_t>) { found = found || is_confederation(type); });
  return found;
}

bool AsPath::fits_two_octets() const {
  bool fits = true;
  each_segment([&](SegmentType, std::span<const std::uint32_t> as_numbers) {
    fits = fits && std::all_of(as_numbers.begin(), as_numbers.end(), [](std::uint32_t as) { return as <= 0xffff; });
  });
  return fits;
}

void AsPath::add_segment(SegmentType type, std::span<const std::uint32_t> as_numbers) {
  words_.push_back(static_cast<std::uint32_t>(type) << 16 | static_cast<std::uint32_t>(as_numbers.size()));
  words_.insert(words_.end(), as_numbers.begin(), as_numbers.end());
}

void AsPath::prepend(std::uint32_t as, unsigned times) {
  if (times == 0) return;
  const bool joins = !words_.empty() && static_cast<SegmentType>(words_[0] >> 16) == SegmentType::sequence &&
                     (words_[0] & 0xffff) + times <= kSegmentMax;
  if (joins) {
    words_[0] += times;
    words_.insert(words_.begin() + 1, times, as);
    return;
  }
  std::vector<std::uint32_t> front{static_cast<std::uint32_t>(SegmentType::sequence) << 16 | times};
  front.insert(front.end(), times, as);
  words_.insert(words_.begin(), front.begin(), front.end());
}

AsPath AsPath::without_confederation() const {
  AsPath out;
  each_segment([&](SegmentType type, std::span<const std::uint32_t> as_numbers) {
    if (!is_confederation(type)) out.add_segment(type, as_numbers);
  });
  return out;
}

AsPath AsPath::merge(const AsPath& two_octet, const AsPath& as4_with_confederation) {
  const AsPath as4 = as4_with_confederation.without_confederation();
  const auto have = two_octet.length();
  const auto know = as4.length();
  if (know > have) return two_octet;  // RFC 6793 4.2.3: then AS4_PATH is ignored
  // The leading AS numbers that AS4_PATH does not know, taken segment by segment, then AS4_PATH.
  unsigned missing = have - know;
  AsPath out;
  bool whole = true;  // all before was taken: a confederation segment here leads the path or adjoins what was taken
  two_octet.each_segment([&](SegmentType type, std::span<const std::uint32_t> as_numbers) {
    if (is_confederation(type)) {
      if (whole) out.add_segment(type, as_numbers);
      return;
    }
    const auto take = type == SegmentType::set ? (missing > 0 ? as_numbers.size() : 0)
                                               : std::min<std::size_t>(missing, as_numbers.size());
    if (take > 0) out.add_segment(type, as_numbers.first(take));
    missing -= type == SegmentType::set ? (take > 0 ? 1 : 0) : static_cast<unsigned>(take);
    whole = whole && take == as_numbers.size();
  });
  as4.each_segment(
      [&](SegmentType type, std::span<const std::uint32_t> as_numbers) { out.add_segment(type, as_numbers); });
  return out;
}

std::string AsPath::text() const {
  std::string out;
  each_segment([&](SegmentType type, std::span<const std::uint32_t> as_numbers) {
    if (!out.empty()) out += ' ';
    switch (type) {
      case SegmentType::sequence:
        out += fmt::format("{}", fmt::join(as_numbers, " "));
        break;
      case SegmentType::set:
        out += fmt::format("{{{}}}", fmt::join(as_numbers, ","));
        break;
      case SegmentType::confed_sequence:
        out += fmt::format("({})", fmt::join(as_numbers, " "));
        break;
      case SegmentType::confed_set:
        out += fmt::format("[{}]", fmt::join(as_numbers, ","));
        break;
    }
  });
  return out;
}

}  // namespace sluice::bgp
