// Neighbor entries from worker to worker; see neighbors.h.
#include "control/daemon/neighbors.h"

#include <memory>
#include <vector>

#include "control/daemon/ask.h"
#include "dataplane/ip/neighbor.h"

namespace sluice::daemon {
namespace {

constexpr std::size_t kEventsPerTask = 256;

using Events = std::vector<ip::NeighborEvent>;

class Learn : public worker::Task {
 public:
  Learn(unsigned worker, lb::Datapath& datapath, std::shared_ptr<const std::vector<Events>> events)
      : worker_(worker), datapath_(datapath), events_(std::move(events)) {}
  void run(Instant now) noexcept override {
    for (std::size_t from = 0; from < events_->size(); ++from) {
      if (from == worker_) continue;
      for (const ip::NeighborEvent& event : (*events_)[from]) datapath_.neighbors().learn(now, event);
    }
  }

 private:
  unsigned worker_;
  lb::Datapath& datapath_;
  std::shared_ptr<const std::vector<Events>> events_;
};

}  // namespace

void Neighbors::exchange() {
  if (engine_.workers() == 1 || asking_) return;
  asking_ = true;
  ask_workers<Events>(
      engine_,
      [](Instant, lb::Datapath& datapath) {
        Events events;
        while (events.size() < kEventsPerTask) {
          const auto event = datapath.neighbors().next_event();
          if (!event) break;
          events.push_back(*event);
        }
        return events;
      },
      [this](std::vector<Events> all) {
        asking_ = false;
        bool any = false;
        for (const Events& events : all) any = any || !events.empty();
        if (!any) return;
        auto shared = std::make_shared<const std::vector<Events>>(std::move(all));
        engine_.post_all(
            [&](unsigned worker, lb::Datapath& datapath) { return std::make_unique<Learn>(worker, datapath, shared); });
      });
}

}  // namespace sluice::daemon
