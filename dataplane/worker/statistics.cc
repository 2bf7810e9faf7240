// Arithmetic on WorkerStatistics; see engine.h.
#include "dataplane/worker/engine.h"

namespace sluice::worker {

double WorkerStatistics::busy_percent() const {
  const auto all = busy_cycles + idle_cycles;
  return all == 0 ? 0 : 100.0 * static_cast<double>(busy_cycles) / static_cast<double>(all);
}

double WorkerStatistics::cycles_per_packet() const {
  return rx_packets == 0 ? 0 : static_cast<double>(busy_cycles) / static_cast<double>(rx_packets);
}

WorkerStatistics operator-(const WorkerStatistics& newer, const WorkerStatistics& older) {
  WorkerStatistics out = newer;
  for (const auto field : {&WorkerStatistics::rx_packets, &WorkerStatistics::rx_bytes, &WorkerStatistics::tx_packets,
                           &WorkerStatistics::tx_bytes, &WorkerStatistics::turns, &WorkerStatistics::busy_turns,
                           &WorkerStatistics::busy_cycles, &WorkerStatistics::idle_cycles, &WorkerStatistics::sleeps,
                           &WorkerStatistics::tasks, &WorkerStatistics::handover_in, &WorkerStatistics::handover_out,
                           &WorkerStatistics::ring_drops, &WorkerStatistics::drops, &WorkerStatistics::consumed}) {
    out.*field -= older.*field;
  }
  for (std::size_t i = 0; i < out.ports.size() && i < older.ports.size(); ++i) {
    out.ports[i].rx_packets -= older.ports[i].rx_packets;
    out.ports[i].rx_bytes -= older.ports[i].rx_bytes;
    out.ports[i].tx_packets -= older.ports[i].tx_packets;
    out.ports[i].tx_bytes -= older.ports[i].tx_bytes;
  }
  return out;
}

}  // namespace sluice::worker
