// File and manifests read together: errors, complaints, and what stays.
#include "control/daemon/config_source.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace sluice::daemon::config_source_test {
namespace {

constexpr const char* kGood = R"(
ports: {int_vlan: {device: "net_af_packet0,iface=eth9"}}
self-ips: [{address: 10.0.0.2/24, port: int_vlan}]
pools: {web: {members: ["10.0.0.11:80"]}}
virtual-servers: {web: {destination: "10.0.0.80:80", pool: web}}
)";

constexpr const char* kManifest = R"(
apiVersion: v1
kind: ConfigMap
metadata: {name: nginx-vs, namespace: default, labels: {f5type: virtual-server}}
data:
  schema: "f5schemadb://bigip-virtual-server_v0.1.7.json"
  data: |
    {"virtualServer": {"backend": {"servicePort": 80, "serviceName": "svc"},
      "frontend": {"virtualAddress": {"port": 80, "bindAddr": "10.0.0.81"}, "partition": "k8s", "mode": "tcp"}}}
)";

class ConfigSourceTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "sluice-source-" + std::to_string(::getpid());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_ + "/manifests");
    path_ = folder_ + "/sluice.yaml";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) { std::ofstream(folder_ + "/" + name) << text; }

  std::string folder_, path_;
};

TEST_F(ConfigSourceTest, NoFileIsAnErrorThatNamesIt) {
  const LoadedConfig loaded = ConfigSource(path_).load();
  EXPECT_FALSE(loaded.config);
  ASSERT_FALSE(loaded.errors.empty());
  EXPECT_NE(loaded.errors[0].text().find("sluice.yaml"), std::string::npos);
}

TEST_F(ConfigSourceTest, AllErrorsOfTheFileAtOnce) {
  write("sluice.yaml", "ports: 7\nself-ips: [{address: banana, port: x}]\n");
  const LoadedConfig loaded = ConfigSource(path_).load();
  EXPECT_FALSE(loaded.config);
  EXPECT_GE(loaded.errors.size(), 2u);
}

TEST_F(ConfigSourceTest, ManifestsAreMergedAndABadOneRejectsOnlyItself) {
  write("sluice.yaml", std::string(kGood) + "manifests: manifests\n");
  write("manifests/a.yaml", kManifest);
  write("manifests/b.yaml",
        "kind: ConfigMap\nmetadata: {name: x, labels: {f5type: virtual-server}}\ndata: {data: '{'}\n");
  ConfigSource source(path_);
  const LoadedConfig loaded = source.load();
  ASSERT_TRUE(loaded.config) << loaded.errors[0].text();
  EXPECT_EQ(loaded.config->virtual_servers.size(), 2u);
  EXPECT_FALSE(loaded.complaints.empty());
  EXPECT_EQ(source.watched_paths(*loaded.config).size(), 2u);
}

TEST_F(ConfigSourceTest, ABrokenManifestKeepsItsLastGoodVersion) {
  write("sluice.yaml", std::string(kGood) + "manifests: manifests\n");
  write("manifests/a.yaml", kManifest);
  ConfigSource source(path_);
  ASSERT_EQ(source.load().config->virtual_servers.size(), 2u);
  write("manifests/a.yaml", "{");
  const LoadedConfig broken = source.load();
  ASSERT_TRUE(broken.config);
  EXPECT_EQ(broken.config->virtual_servers.size(), 2u);
  EXPECT_FALSE(broken.complaints.empty());
  // A check of the same files knows nothing of what was before, and changes nothing.
  EXPECT_EQ(ConfigSource::check(path_).config->virtual_servers.size(), 1u);
  EXPECT_EQ(source.load().config->virtual_servers.size(), 2u);
}

TEST_F(ConfigSourceTest, TextInPlaceOfTheFile) {
  write("sluice.yaml", kGood);
  write("manifests/a.yaml", kManifest);
  ConfigSource source(path_);
  const LoadedConfig loaded = source.load(path_, std::string(kGood) + "manifests: manifests\n");
  ASSERT_TRUE(loaded.config) << loaded.errors[0].text();
  EXPECT_EQ(loaded.config->manifests, folder_ + "/manifests");
  EXPECT_EQ(loaded.config->virtual_servers.size(), 2u);
  EXPECT_FALSE(ConfigSource(path_).preview("other.yaml", "ports: 7").config);
}

// Long manifests are not parsed on the control thread: they wait, and take effect once somebody has parsed them.
TEST_F(ConfigSourceTest, LongManifestsWaitToBeParsedElsewhere) {
  write("sluice.yaml", std::string(kGood) + "manifests: manifests\n");
  ConfigSource source(path_);
  source.set_manifest_bytes_at_once(1000);
  write("manifests/vs.yaml", std::string(kManifest) + std::string(2000, '#'));
  LoadedConfig loaded = source.load();
  ASSERT_TRUE(loaded.config);
  EXPECT_EQ(loaded.config->virtual_servers.size(), 1u);
  ASSERT_EQ(loaded.warnings.size(), 1u);
  EXPECT_NE(loaded.warnings[0].message.find("bytes are read in the background"), std::string::npos);
  EXPECT_EQ(source.preview().warnings.size(), 1u);
  auto waiting = source.take_waiting_manifests();
  ASSERT_EQ(waiting.size(), 1u);
  source.offer({waiting[0], k8s::ObjectStore::parse(waiting[0].file, waiting[0].text)});
  loaded = source.load();
  ASSERT_TRUE(loaded.config);
  EXPECT_EQ(loaded.config->virtual_servers.size(), 2u);
  EXPECT_EQ(source.preview().config->virtual_servers.size(), 2u);
  EXPECT_TRUE(source.take_waiting_manifests().empty());
}

}  // namespace
}  // namespace sluice::daemon::config_source_test
