// PacketPool on DPDK's mbuf pool; see sink.h.
#include <rte_errno.h>
#include <rte_mempool.h>

#include "dataplane/packet/sink.h"

namespace sluice::packet {

Result<PacketPool> PacketPool::create(const std::string& name, std::uint32_t count, std::uint32_t cache, int socket) {
  const std::string place = "packet pool " + name;
  if (count == 0) return fail(place, "0 buffers: give at least 1");
  // DPDK wants a cache of at most 512, and count >= 1.5 * cache.
  cache = std::min({cache, std::uint32_t{RTE_MEMPOOL_CACHE_MAX_SIZE}, count * 2 / 3});
  rte_mempool* pool = rte_pktmbuf_pool_create(name.c_str(), count, cache, 0, RTE_MBUF_DEFAULT_BUF_SIZE, socket);
  if (pool != nullptr) return PacketPool(pool);
  if (rte_errno == EEXIST) return fail(place, "a pool of this name exists already");
  return fail(place, "no memory for " + std::to_string(count) + " buffers of " +
                         std::to_string(RTE_MBUF_DEFAULT_BUF_SIZE) + " bytes (" + rte_strerror(rte_errno) +
                         "): raise engine.memory_mb or lower engine.packet_buffers");
}

std::uint32_t PacketPool::in_use() const { return rte_mempool_in_use_count(pool_); }

std::uint32_t PacketPool::size() const { return pool_->size; }

void PacketPool::destroy() {
  rte_mempool_free(pool_);
  pool_ = nullptr;
}

}  // namespace sluice::packet
