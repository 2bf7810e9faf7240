// The workers' error logs as one; see http_errors.h.
#include "control/daemon/http_errors.h"

#include <algorithm>
#include <memory>

#include "control/daemon/wall_time.h"
#include "control/io/loop.h"
#include "lb/l7/proxy.h"

namespace sluice::daemon {
namespace {

struct Question {
  std::string virtual_server;
  std::size_t limit;
  std::function<void(admin::HttpErrorsStatus)> answer;
  std::vector<WorkerErrors> workers;
  unsigned left;
};

class CopyErrors : public worker::Task {
 public:
  CopyErrors(unsigned index, lb::Datapath& datapath, std::shared_ptr<Question> question)
      : index_(index), datapath_(datapath), question_(std::move(question)) {
    errors_.records.reserve(lb::ErrorLog::kMax);
  }
  void run(Instant) noexcept override {
    datapath_.proxy().errors().list(errors_.records);
    errors_.total = datapath_.proxy().errors().total();
  }
  void done() override {
    question_->workers[index_] = std::move(errors_);
    if (--question_->left != 0) return;
    question_->answer(merge_errors(question_->workers, question_->virtual_server, question_->limit, io::now(),
                                   std::chrono::system_clock::now()));
  }

 private:
  unsigned index_;
  lb::Datapath& datapath_;
  std::shared_ptr<Question> question_;
  WorkerErrors errors_;
};

}  // namespace

admin::HttpErrorsStatus merge_errors(const std::vector<WorkerErrors>& workers, const std::string& virtual_server,
                                     std::size_t limit, Instant now, std::chrono::system_clock::time_point wall) {
  struct Found {
    const lb::ErrorRecord* record;
    unsigned worker;
  };
  admin::HttpErrorsStatus out;
  std::vector<Found> found;
  for (std::size_t i = 0; i < workers.size(); ++i) {
    out.total += workers[i].total;
    for (const lb::ErrorRecord& record : workers[i].records) {
      if (virtual_server.empty() || record.virtual_server.view() == std::string_view(virtual_server).substr(0, 64))
        found.push_back({&record, static_cast<unsigned>(i)});
    }
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Found& a, const Found& b) { return a.record->at > b.record->at; });
  if (found.size() > limit) found.resize(limit);
  for (const auto& [record, worker] : found) {
    admin::HttpErrorStatus& status = out.errors.emplace_back();
    status.time = wall_text(wall - std::chrono::duration_cast<std::chrono::microseconds>(now - record->at));
    status.age_s = to_seconds(now - record->at);
    status.side = lb::name_of(record->side);
    status.status = record->status;
    status.client = record->client.text();
    status.destination = record->destination.text();
    if (!record->member.address.is_zero()) status.member = record->member.text();
    status.virtual_server = record->virtual_server.view();
    status.offset = record->offset;
    status.reason = record->reason;
    status.worker = worker;
  }
  return out;
}

void gather_errors(PacketEngine& engine, const std::string& virtual_server, std::size_t limit,
                   std::function<void(admin::HttpErrorsStatus)> answer) {
  auto question = std::make_shared<Question>(Question{virtual_server, limit, std::move(answer),
                                                      std::vector<WorkerErrors>(engine.workers()), engine.workers()});
  engine.post_all(
      [&](unsigned index, lb::Datapath& datapath) { return std::make_unique<CopyErrors>(index, datapath, question); });
}

}  // namespace sluice::daemon
