// EAL's arguments, start, log and errors; see eal.h.
#include "dataplane/port/eal.h"

#include <pthread.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <rte_memory.h>
#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "dataplane/port/device.h"

namespace sluice::port {
namespace {

constexpr unsigned kMemoryMinMb = 32;
constexpr std::size_t kLineMax = 1024;

// What the log stream needs: one a process, as EAL itself.
struct LogState {
  std::mutex mutex;
  LogCallback callback;
  std::string partial;
  std::string last_error;
  std::FILE* stream = nullptr;
};

LogState& log_state() {
  static LogState state;
  return state;
}

LogLevel level_of(int level) {
  if (level <= static_cast<int>(RTE_LOG_ERR)) return LogLevel::error;
  if (level == static_cast<int>(RTE_LOG_WARNING)) return LogLevel::warning;
  return level <= static_cast<int>(RTE_LOG_INFO) ? LogLevel::info : LogLevel::debug;
}

// What net_tap says at every start on a kernel without the multiq qdisc, and without secondary processes.
bool is_harmless(std::string_view line) {
  constexpr std::string_view kHarmless[] = {"qdisc kind is unknown", "multiq qdisc", "Disabling rte flow support",
                                            "req to secondary"};
  return std::ranges::any_of(kHarmless, [&](auto part) { return line.find(part) != std::string_view::npos; });
}

void emit(LogState& state, LogLevel level, const std::string& line) {
  if (line.empty()) return;
  if (is_harmless(line)) level = LogLevel::debug;
  if (level == LogLevel::error) state.last_error = line;
  if (state.callback) {
    state.callback(level, line);
  } else if (level >= LogLevel::warning) {
    std::fprintf(stderr, "dpdk: %s\n", line.c_str());
  }
}

// stdio's cookie: EAL writes whole lines or pieces of them, on any thread.
ssize_t write_log(void*, const char* text, std::size_t size) {
  LogState& state = log_state();
  const std::lock_guard lock(state.mutex);
  const LogLevel level = level_of(rte_log_cur_msg_loglevel());
  for (const char c : std::string_view(text, size)) {
    if (c == '\n' || state.partial.size() == kLineMax) {
      emit(state, level, state.partial);
      state.partial.clear();
    }
    if (c != '\n') state.partial += c;
  }
  return static_cast<ssize_t>(size);
}

Status open_log(const LogCallback& callback) {
  LogState& state = log_state();
  {
    const std::lock_guard lock(state.mutex);
    state.callback = callback;
    state.last_error.clear();
  }
  if (state.stream != nullptr) return {};
  cookie_io_functions_t functions{};
  functions.write = write_log;
  state.stream = fopencookie(nullptr, "w", functions);
  if (state.stream == nullptr) return fail("engine", "no memory for the log of DPDK");
  setvbuf(state.stream, nullptr, _IOLBF, 0);
  rte_openlog_stream(state.stream);
  return {};
}

std::uint64_t read_number(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  file >> value;
  return value;
}

std::uint64_t free_hugepages_mb() {
  std::uint64_t kb = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/kernel/mm/hugepages", error)) {
    const std::string name = entry.path().filename();  // hugepages-2048kB
    const auto dash = name.find('-');
    if (dash == std::string::npos) continue;
    kb += std::strtoull(name.c_str() + dash + 1, nullptr, 10) * read_number(entry.path() / "free_hugepages");
  }
  return kb / 1024;
}

std::uint64_t available_memory_mb() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  for (std::uint64_t kb = 0; file >> key >> kb; file.ignore(256, '\n')) {
    if (key == "MemAvailable:") return kb / 1024;
  }
  return UINT64_MAX;  // an odd kernel: let DPDK find out
}

Status check_memory(const EalOptions& options) {
  const std::string wanted = std::to_string(options.memory_mb);
  if (options.memory_mb < kMemoryMinMb) {
    return fail("engine.memory_mb", wanted + " is too little: at least " + std::to_string(kMemoryMinMb));
  }
  if (options.hugepages) {
    const auto free_mb = free_hugepages_mb();
    if (free_mb >= options.memory_mb) return {};
    return fail("engine.hugepages", std::to_string(free_mb) + " MB of hugepages are free, engine.memory_mb asks for " +
                                        wanted + ": reserve them (`echo " +
                                        std::to_string((options.memory_mb + 1) / 2) +
                                        " > /proc/sys/vm/nr_hugepages`), or set `hugepages: false`");
  }
  if (const auto available = available_memory_mb(); available < options.memory_mb) {
    return fail("engine.memory_mb",
                wanted + " MB are more than the " + std::to_string(available) + " MB that are free");
  }
  return {};
}

unsigned first_allowed_core(const cpu_set_t& allowed) {
  for (unsigned core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &allowed)) return core;
  }
  return 0;
}

// Packet buffers and routing tables on ordinary pages cost a page walk for nearly every packet: the kernel is asked for
// transparent huge pages before anything has touched them. Refused, they are ordinary ones.
int advise_huge_pages(const rte_memseg_list* list, void*) {
  madvise(list->base_va, list->len, MADV_HUGEPAGE);
  return 0;
}

bool started = false;

}  // namespace

std::vector<std::string> eal_arguments(const EalOptions& options) {
  std::vector<std::string> args{"sluice"};
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  sched_getaffinity(0, sizeof allowed, &allowed);
  args.push_back("--lcores=0@" + std::to_string(first_allowed_core(allowed)));
  args.push_back("--iova-mode=va");
  args.push_back("--no-telemetry");
  if (options.hugepages) {
    args.insert(args.end(), {"--in-memory", "--file-prefix=" + options.file_prefix});
  } else {
    args.insert(args.end(), {"--no-huge", "--no-shconf"});
  }
  args.insert(args.end(), {"-m", std::to_string(options.memory_mb)});
  bool pci = false;
  for (const auto& text : options.devices) {
    const auto device = Device::parse(text);
    if (!device || !device->is_pci()) continue;
    args.insert(args.end(), {"-a", device->text()});
    pci = true;
  }
  if (!pci) args.push_back("--no-pci");
  args.insert(args.end(), options.extra_args.begin(), options.extra_args.end());
  return args;
}

Status start_eal(const EalOptions& options) {
  if (started) return fail("engine", "DPDK runs already in this process");
  if (auto enough = check_memory(options); !enough) return enough;
  if (auto opened = open_log(options.log); !opened) return opened;
  auto args = eal_arguments(options);
  std::vector<char*> argv;
  for (auto& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  cpu_set_t before;
  pthread_getaffinity_np(pthread_self(), sizeof before, &before);
  rte_errno = 0;
  const int result = rte_eal_init(static_cast<int>(args.size()), argv.data());
  const int error = rte_errno;
  pthread_setaffinity_np(pthread_self(), sizeof before, &before);  // EAL pins its caller: the control thread roams
  if (result < 0) {
    std::string text;
    for (const auto& arg : args) text += (text.empty() ? "" : " ") + arg;
    const auto last = last_eal_error();
    return fail("engine", "DPDK did not start (" + std::string(error != 0 ? rte_strerror(error) : "bad argument") +
                              (last.empty() ? "" : "; " + last) + "); its arguments were: " + text);
  }
  if (!options.hugepages) rte_memseg_list_walk(advise_huge_pages, nullptr);
  started = true;
  return {};
}

bool is_eal_started() { return started; }

void stop_eal() {
  if (!started) return;
  rte_eal_cleanup();
  started = false;
  const std::lock_guard lock(log_state().mutex);
  log_state().callback = nullptr;
}

std::string last_eal_error() {
  const std::lock_guard lock(log_state().mutex);
  return log_state().last_error;
}

}  // namespace sluice::port
