// Insertion and erasure of the flow index; see flow_index.h.
#include "dataplane/flow/flow_index.h"

namespace sluice::flow {

void FlowIndex::insert(std::uint64_t hash, std::uint32_t reference) {
  assert(size_ < keys_max_);
  for (std::size_t at = home(hash);; at = (at + 1) & mask_) {
    Bucket& bucket = buckets_[at];
    const unsigned free = match(bucket, 0);
    if (free != 0) {
      const int slot = std::countr_zero(free);
      bucket.tags[slot] = tag_of(hash);
      bucket.references[slot] = reference;
      break;
    }
    ++bucket.passed;
  }
  ++size_;
}

void FlowIndex::erase(std::uint64_t hash, std::uint32_t reference) {
  const std::uint8_t tag = tag_of(hash);
  // Every bucket before the one that holds the key counted it in passing, and only those.
  for (std::size_t at = home(hash);; at = (at + 1) & mask_) {
    Bucket& bucket = buckets_[at];
    for (unsigned matches = match(bucket, tag); matches != 0; matches &= matches - 1) {
      const int slot = std::countr_zero(matches);
      if (bucket.references[slot] != reference) continue;
      bucket.tags[slot] = 0;
      --size_;
      return;
    }
    assert(bucket.passed > 0);
    --bucket.passed;
  }
}

}  // namespace sluice::flow
