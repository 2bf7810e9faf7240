// Long manifests: the control thread does not parse them, another thread does, and the next sync takes them.
#include "control/io/manifest_reader.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace sluice::io {
namespace {

namespace fs = std::filesystem;

std::string services(int count) {
  std::string out;
  for (int i = 0; i < count; ++i) {
    out += "---\napiVersion: v1\nkind: Service\nmetadata: {name: s" + std::to_string(i) +
           "}\nspec: {ports: [{name: http, port: 80}]}\n";
  }
  return out;
}

class ManifestReaderTest : public ::testing::Test {
 protected:
  ManifestReaderTest() : folder_(fs::temp_directory_path() / ("sluice-reader-" + std::to_string(::getpid()))) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    files_.set_bytes_at_once(1000);
  }
  ~ManifestReaderTest() override { fs::remove_all(folder_); }
  void write(const char* name, std::string_view text) { std::ofstream(folder_ / name) << text; }
  std::vector<std::string> known() const {
    std::vector<std::string> out;
    for (const auto& file : store_.files()) out.push_back(fs::path(file).filename());
    return out;
  }

  const fs::path folder_;
  k8s::ObjectStore store_;
  ManifestFolder files_;
  Loop loop_;
};

using Names = std::vector<std::string>;

TEST_F(ManifestReaderTest, LongFilesAreParsedElsewhere) {
  write("long.yaml", services(2000));
  write("short.yaml", services(1));
  const std::thread::id control = std::this_thread::get_id();
  unsigned batches = 0;
  ManifestReader reader(loop_, [&](std::vector<ParsedManifest> parsed) {
    EXPECT_EQ(std::this_thread::get_id(), control);
    ASSERT_EQ(parsed.size(), 1u);
    ++batches;
    for (ParsedManifest& one : parsed) files_.offer(std::move(one));
    loop_.stop();
  });
  EXPECT_TRUE(files_.sync(folder_, store_).empty());
  EXPECT_EQ(known(), Names{"short.yaml"});
  ASSERT_EQ(files_.waiting().size(), 1u);
  reader.read(files_.take_waiting());
  EXPECT_TRUE(reader.busy());
  // A change meanwhile does not disturb it, nor does asking again.
  EXPECT_TRUE(files_.sync(folder_, store_).empty());
  reader.read(files_.take_waiting());
  loop_.run();
  EXPECT_EQ(batches, 1u);
  EXPECT_FALSE(reader.busy());
  EXPECT_TRUE(files_.sync(folder_, store_).empty());
  EXPECT_EQ(known(), (Names{"long.yaml", "short.yaml"}));
  EXPECT_TRUE(files_.waiting().empty());
  // The same text again is nothing new.
  files_.sync(folder_, store_);
  EXPECT_TRUE(files_.waiting().empty());
}

TEST_F(ManifestReaderTest, ManyShortFilesAreBoundedToo) {
  for (int i = 0; i < 10; ++i) write(("f" + std::to_string(i) + ".yaml").c_str(), services(4));
  files_.sync(folder_, store_);
  EXPECT_EQ(known().size() + files_.waiting().size(), 10u);
  EXPECT_GE(files_.waiting().size(), 5u);
}

// What was parsed is used only if the file still says the same; its last good objects stay meanwhile.
TEST_F(ManifestReaderTest, AnOldTextIsNotTaken) {
  write("long.yaml", services(100));
  files_.sync(folder_, store_);
  auto waiting = files_.take_waiting();
  ASSERT_EQ(waiting.size(), 1u);
  auto parsed = k8s::ObjectStore::parse(waiting[0].file, waiting[0].text);
  write("long.yaml", services(101));
  files_.offer({waiting[0], parsed});
  files_.sync(folder_, store_);
  EXPECT_EQ(known(), Names{});
  EXPECT_EQ(files_.waiting().size(), 1u);
  fs::remove(folder_ / "long.yaml");
  files_.sync(folder_, store_);
  EXPECT_TRUE(files_.waiting().empty());
}

TEST_F(ManifestReaderTest, EndsWhileItReads) {
  write("long.yaml", services(500));
  files_.sync(folder_, store_);
  {
    ManifestReader reader(loop_, [](std::vector<ParsedManifest>) { FAIL() << "nobody is there any more"; });
    reader.read(files_.take_waiting());
  }
  loop_.post([this] { loop_.stop(); });
  loop_.run();
}

}  // namespace
}  // namespace sluice::io
