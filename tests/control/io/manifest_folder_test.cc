// The object store follows the files of a folder: new, changed, gone, unreadable, another folder.
#include "control/io/manifest_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace sluice::io {
namespace {

namespace fs = std::filesystem;

class ManifestFolderTest : public ::testing::Test {
 protected:
  ManifestFolderTest() : root_(fs::temp_directory_path() / ("sluice-manifests-" + std::to_string(::getpid()))) {
    fs::create_directories(root_ / "m");
  }
  ~ManifestFolderTest() override { fs::remove_all(root_); }

  static void write(const fs::path& path, std::string_view text) { std::ofstream(path) << text; }
  std::string sync(const fs::path& folder) {
    std::string out;
    for (const auto& error : files_.sync(folder, store_)) out += error.text() + '\n';
    return out;
  }
  std::vector<std::string> known() const {
    std::vector<std::string> out;
    for (const auto& file : store_.files()) out.push_back(fs::path(file).filename());
    return out;
  }

  fs::path root_;
  k8s::ObjectStore store_;
  ManifestFolder files_;
};

using Names = std::vector<std::string>;

TEST_F(ManifestFolderTest, FollowsTheFiles) {
  EXPECT_EQ(sync(root_ / "m"), "");
  EXPECT_EQ(known(), Names{});
  write(root_ / "m" / "a.yaml", "# a");
  write(root_ / "m" / "b.yml", "# b");
  write(root_ / "m" / "c.json", "{}");
  write(root_ / "m" / "d.txt", "no");
  write(root_ / "m" / ".e.yaml", "no");
  fs::create_directory(root_ / "m" / "f.yaml");
  EXPECT_EQ(sync(root_ / "m"), "");
  EXPECT_EQ(known(), (Names{"a.yaml", "b.yml", "c.json"}));
  fs::remove(root_ / "m" / "b.yml");
  EXPECT_EQ(sync(root_ / "m"), "");
  EXPECT_EQ(known(), (Names{"a.yaml", "c.json"}));
}

TEST_F(ManifestFolderTest, ChangesAreApplied) {
  const fs::path file = root_ / "m" / "a.yaml";
  write(file, "# nothing");
  sync(root_ / "m");
  EXPECT_TRUE(store_.to_model({}).errors.empty());
  write(file, "kind: Service");
  sync(root_ / "m");
  const auto errors = store_.to_model({}).errors;
  ASSERT_FALSE(errors.empty());
  EXPECT_EQ(errors[0].place, file.string() + ":1:1 Service apiVersion");
}

TEST_F(ManifestFolderTest, AMissingFolderKeepsWhatItHad) {
  write(root_ / "m" / "a.yaml", "# a");
  sync(root_ / "m");
  fs::remove_all(root_ / "m");
  EXPECT_EQ(
      sync(root_ / "m"),
      (root_ / "m").string() + ": cannot be read: No such file or directory; its last good objects stay in force\n");
  EXPECT_EQ(known(), Names{"a.yaml"});
}

TEST_F(ManifestFolderTest, AFileThatCannotBeReadKeepsWhatItSaid) {
  write(root_ / "m" / "a.yaml", "# a");
  sync(root_ / "m");
  fs::remove(root_ / "m" / "a.yaml");
  ASSERT_EQ(::mkfifo((root_ / "m" / "a.yaml").c_str(), 0600), 0);
  EXPECT_EQ(sync(root_ / "m"), (root_ / "m" / "a.yaml").string() + ": is no regular file\n");
  EXPECT_EQ(known(), Names{"a.yaml"});
}

TEST_F(ManifestFolderTest, AnotherFolder) {
  fs::create_directory(root_ / "n");
  write(root_ / "m" / "a.yaml", "# a");
  write(root_ / "n" / "b.yaml", "# b");
  sync(root_ / "m");
  EXPECT_EQ(sync(root_ / "n"), "");
  EXPECT_EQ(known(), Names{"b.yaml"});
  EXPECT_EQ(sync(""), "");
  EXPECT_EQ(known(), Names{});
}

}  // namespace
}  // namespace sluice::io
