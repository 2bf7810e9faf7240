// Chunk: a run of payload bytes in the packet it came in; what the send and receive queues are made of.
//
// A Chunk is one node (64 bytes) that names a packet and its place in the sequence space. Splicing moves the node from
// one conn's receive queue to the other's send queue: the bytes stay where the NIC put them until the peer acknowledges
// them. SYN and FIN are chunks without a packet, so that they are retransmitted by the same rules as bytes.
//
// Called by: tcp, lb/l7. Runs on: workers. Follows: RFC 2018, 6675, 8985 (the marks on sent chunks).
// Tested by: tests/dataplane/tcp/chunk_test.cc
#pragma once

#include <cassert>
#include <cstdint>
#include <memory>

#include "dataplane/base/time.h"
#include "dataplane/packet/packet.h"
#include "dataplane/tcp/seq.h"

namespace sluice::tcp {

struct Chunk {
  Chunk* next = nullptr;
  Chunk* previous = nullptr;
  packet::Packet packet;           // data() + header_length + acked_front is the first payload byte
  Seq seq;                         // of the first byte (or of the SYN or FIN)
  std::uint32_t length = 0;        // payload bytes, in all segments of the packet
  Instant sent_at{};               // last transmission; zero: never sent
  std::uint16_t acked_front = 0;   // payload bytes already acknowledged that still stand in the packet
  std::uint8_t header_length = 0;  // bytes of our last transmitted headers still in front of the payload
  std::uint8_t transmissions = 0;  // saturates
  bool syn : 1 = false;
  bool fin : 1 = false;
  bool sacked : 1 = false;  // RFC 2018: the peer holds it
  bool lost : 1 = false;    // taken for lost; not in flight until sent again
  bool push : 1 = false;    // set PSH when it goes out

  // Sequence numbers it takes.
  std::uint32_t span() const { return length + (syn ? 1U : 0U) + (fin ? 1U : 0U); }
  Seq end() const { return seq + span(); }
  bool sent() const { return transmissions != 0; }
};
static_assert(sizeof(Chunk) <= 64);

// A doubly linked list of chunks that does not own memory; move-only in spirit, 24 bytes.
class ChunkList {
 public:
  bool empty() const { return head_ == nullptr; }
  Chunk* front() const { return head_; }
  Chunk* back() const { return tail_; }
  std::uint32_t bytes() const { return bytes_; }  // payload bytes of all chunks
  std::uint32_t size() const { return size_; }    // chunks

  void push_back(Chunk* chunk) { insert_after(tail_, chunk); }
  void push_front(Chunk* chunk) { insert_after(nullptr, chunk); }
  // After `place`, or at the front when place is null.
  void insert_after(Chunk* place, Chunk* chunk) {
    chunk->previous = place;
    chunk->next = place ? place->next : head_;
    (place ? place->next : head_) = chunk;
    (chunk->next ? chunk->next->previous : tail_) = chunk;
    bytes_ += chunk->length;
    ++size_;
  }
  void erase(Chunk* chunk) {
    (chunk->previous ? chunk->previous->next : head_) = chunk->next;
    (chunk->next ? chunk->next->previous : tail_) = chunk->previous;
    chunk->next = chunk->previous = nullptr;
    assert(bytes_ >= chunk->length);
    bytes_ -= chunk->length;
    --size_;
  }
  Chunk* pop_front() {
    Chunk* chunk = head_;
    if (chunk) erase(chunk);
    return chunk;
  }
  // A chunk in the list grew or shrank at an end.
  void adjust(std::int32_t by) { bytes_ += static_cast<std::uint32_t>(by); }

 private:
  Chunk* head_ = nullptr;
  Chunk* tail_ = nullptr;
  std::uint32_t bytes_ = 0;
  std::uint32_t size_ = 0;
};

// All chunks of a worker, allocated once.
class ChunkPool {
 public:
  explicit ChunkPool(std::uint32_t capacity);
  // A fresh chunk, or nullptr when all are in use.
  Chunk* allocate();
  // Gives the chunk back; its packet must have been taken out or freed before.
  void release(Chunk* chunk);
  std::uint32_t in_use() const { return in_use_; }
  std::uint32_t capacity() const { return capacity_; }

 private:
  std::unique_ptr<Chunk[]> chunks_;
  Chunk* free_ = nullptr;
  std::uint32_t capacity_;
  std::uint32_t in_use_ = 0;
};

}  // namespace sluice::tcp
