// Sequence numbers that wrap, the list of chunks, and their pool.
#include "dataplane/tcp/chunk.h"

#include <gtest/gtest.h>

namespace sluice::tcp::test {
namespace {

TEST(Seq, ComparesAcrossTheWrap) {
  const Seq before{0xfffffff0}, after{0x10};
  EXPECT_TRUE(before < after);
  EXPECT_TRUE(after > before);
  EXPECT_EQ(after - before, 0x20u);
  EXPECT_EQ(before + 0x20, after);
  EXPECT_EQ(max(before, after), after);
  EXPECT_EQ(min(before, after), before);
  EXPECT_TRUE(in_range(Seq{0}, before, after));
  EXPECT_FALSE(in_range(after, before, after));
}

TEST(ChunkList, KeepsOrderAndCountsBytes) {
  ChunkPool pool(3);
  ChunkList list;
  Chunk* chunks[3];
  for (std::uint32_t i = 0; i < 3; ++i) {
    chunks[i] = pool.allocate();
    chunks[i]->length = 10 * (i + 1);
  }
  EXPECT_EQ(pool.allocate(), nullptr);
  list.push_back(chunks[2]);
  list.push_front(chunks[0]);
  list.insert_after(chunks[0], chunks[1]);
  EXPECT_EQ(list.bytes(), 60u);
  list.erase(chunks[1]);
  EXPECT_EQ(list.bytes(), 40u);
  EXPECT_EQ(chunks[0]->next, chunks[2]);
  EXPECT_EQ(chunks[2]->previous, chunks[0]);
  EXPECT_EQ(list.pop_front(), chunks[0]);
  EXPECT_EQ(list.pop_front(), chunks[2]);
  EXPECT_EQ(list.pop_front(), nullptr);
  EXPECT_TRUE(list.empty());
  for (Chunk* chunk : chunks) pool.release(chunk);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST(Chunk, SynAndFinTakeSequenceNumbers) {
  Chunk chunk;
  chunk.seq = Seq{0xffffffff};
  chunk.length = 10;
  chunk.fin = true;
  EXPECT_EQ(chunk.span(), 11u);
  EXPECT_EQ(chunk.end(), Seq{10});
}

}  // namespace
}  // namespace sluice::tcp::test
