// The lists of idle server conns; see idle_servers.h.
#include "lb/l7/idle_servers.h"

namespace sluice::lb {

IdleServer* IdleServers::add(const IdleServer& like, Instant expires_at) {
  const auto handle = slab_.emplace();
  if (!handle) return nullptr;
  IdleServer& idle = slab_[handle->index];
  idle.conn = like.conn;
  idle.member = like.member;
  idle.virtual_server_id = like.virtual_server_id;
  idle.requests = like.requests;
  idle.opened_at = like.opened_at;
  idle.self = *handle;
  idle.member->idle_conns.fetch_add(1, std::memory_order_relaxed);

  IdleServer*& head = buckets_[bucket_of(idle.member->id, idle.virtual_server_id)];
  idle.bucket_next = head;
  if (head) head->bucket_previous = &idle;
  head = &idle;
  idle.older = newest_;
  (newest_ ? newest_->newer : oldest_) = &idle;
  newest_ = &idle;
  wheel_.schedule(idle, expires_at);
  return &idle;
}

IdleServer* IdleServers::find(const MemberRuntime& member, std::uint32_t virtual_server_id) {
  IdleServer* idle = buckets_[bucket_of(member.id, virtual_server_id)];
  while (idle && (idle->member != &member || idle->virtual_server_id != virtual_server_id)) idle = idle->bucket_next;
  return idle;
}

void IdleServers::remove(IdleServer& idle) {
  wheel_.cancel(idle);
  (idle.bucket_previous ? idle.bucket_previous->bucket_next
                        : buckets_[bucket_of(idle.member->id, idle.virtual_server_id)]) = idle.bucket_next;
  if (idle.bucket_next) idle.bucket_next->bucket_previous = idle.bucket_previous;
  (idle.older ? idle.older->newer : oldest_) = idle.newer;
  (idle.newer ? idle.newer->older : newest_) = idle.older;
  idle.member->idle_conns.fetch_sub(1, std::memory_order_release);  // the last touch: it may go now
  slab_.erase(idle.self.index);
}

}  // namespace sluice::lb
