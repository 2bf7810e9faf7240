// A thread for each batch of long manifests; see manifest_reader.h.
#include "control/io/manifest_reader.h"

#include <signal.h>
#include <sys/resource.h>

#include <utility>

namespace sluice::io {
namespace {

constexpr int kNice = 10;  // packets and timers first

std::vector<ParsedManifest> parse_all(const std::map<std::string, std::string>& texts) {
  std::vector<ParsedManifest> out;
  for (const auto& [file, text] : texts) out.push_back({{file, text}, k8s::ObjectStore::parse(file, text)});
  return out;
}

}  // namespace

ManifestReader::ManifestReader(Loop& loop, std::function<void(std::vector<ParsedManifest>)> done)
    : loop_(loop), done_(std::move(done)) {}

ManifestReader::~ManifestReader() {
  *alive_ = false;
  if (thread_.joinable()) thread_.join();
}

void ManifestReader::read(std::vector<ManifestText> texts) {
  for (ManifestText& text : texts) {
    const auto running = running_.find(text.file);
    if (running != running_.end() && running->second == text.text) continue;  // its answer is on the way
    waiting_.insert_or_assign(std::move(text.file), std::move(text.text));
  }
  if (!busy() && !waiting_.empty()) start();
}

void ManifestReader::start() {
  running_ = std::exchange(waiting_, {});
  // Signals are for the control thread.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this, alive = alive_] {
    ::setpriority(PRIO_PROCESS, 0, kNice);  // of this thread alone (Linux)
    auto parsed = std::make_shared<std::vector<ParsedManifest>>(parse_all(running_));
    loop_.post([this, alive, parsed] {
      if (*alive) finish(std::move(*parsed));
    });
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void ManifestReader::finish(std::vector<ParsedManifest> parsed) {
  thread_.join();
  running_.clear();
  if (!waiting_.empty()) start();
  done_(std::move(parsed));
}

}  // namespace sluice::io
