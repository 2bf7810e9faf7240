// The chunk pool; see chunk.h.
#include "dataplane/tcp/chunk.h"

namespace sluice::tcp {

ChunkPool::ChunkPool(std::uint32_t capacity) : chunks_(std::make_unique<Chunk[]>(capacity)), capacity_(capacity) {
  for (std::uint32_t i = capacity; i-- > 0;) {
    chunks_[i].next = free_;
    free_ = &chunks_[i];
  }
}

Chunk* ChunkPool::allocate() {
  Chunk* chunk = free_;
  if (!chunk) return nullptr;
  free_ = chunk->next;
  *chunk = Chunk{};
  ++in_use_;
  return chunk;
}

void ChunkPool::release(Chunk* chunk) {
  assert(!chunk->packet);
  chunk->next = free_;
  free_ = chunk;
  --in_use_;
}

}  // namespace sluice::tcp
