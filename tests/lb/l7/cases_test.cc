// The 144 public cases of /tests/lb/l7/cases.json against our reader and writer, beside what HAProxy and nginx
// answered.
//
// Runs on: the test. Covers: message_reader, head_scan, head_judge, head_agree, head_writer.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/lb/l7/http_forward.h"
#include "tests/lb/l7/http_llhttp.h"
#include "tests/lb/l7/http_reference.h"

namespace sluice::lb::http::test::cases_test {
namespace {

constexpr const char* kHost = "198.51.100.1:8080";

enum class Verdict { forwarded, refused, waits };

struct Case {
  std::string id, suite, payload;
  int haproxy = 0, nginx = 0;  // the status of the first response; 0: none
};

std::vector<Case> load() {
  std::ifstream file(SLUICE_CASES_JSON);
  const auto cases = nlohmann::json::parse(file);
  std::vector<Case> out;
  for (const auto& c : cases) {
    std::string payload;
    // Latin-1 in JSON's UTF-8.
    const std::string utf8 = c["payload"];
    for (std::size_t i = 0; i < utf8.size(); ++i) {
      const auto byte = static_cast<unsigned char>(utf8[i]);
      if (byte < 0x80)
        payload += utf8[i];
      else
        payload += static_cast<char>((byte & 3) << 6 | (static_cast<unsigned char>(utf8[++i]) & 0x3f));
    }
    for (std::size_t at; (at = payload.find("__HOST__")) != std::string::npos;) payload.replace(at, 8, kHost);
    const auto status = [&c](const char* who) { return c[who]["status"].is_null() ? 0 : c[who]["status"].get<int>(); };
    out.push_back({c["id"], c["suite"], payload, status("haproxy_2_6"), status("nginx_1_22")});
  }
  return out;
}

Verdict verdict_of(const Forwarded& result) {
  if (result.error) return Verdict::refused;
  return result.messages.empty() || result.in_message ? Verdict::waits : Verdict::forwarded;
}

// Where HAProxy and nginx differ: what we do, and why it is the stricter reading.
const std::map<std::string, std::pair<Verdict, const char*>> kDecided = {
    {"RFC9112-5.1-OBS-FOLD", {Verdict::refused, "9112 5.2: a server MUST reject obs-fold or replace it; we reject"}},
    {"RFC9112-2.3-INVALID-VERSION", {Verdict::refused, "9110 2.5: a major version that we do not speak; 505"}},
    {"RFC9112-3.2-FRAGMENT-IN-TARGET", {Verdict::refused, "9112 3.2: no target form has a fragment"}},
    {"RFC9112-5-INVALID-HEADER-NAME", {Verdict::refused, "9110 5.1: a field name is a token"}},
    {"RFC9112-5-HEADER-NO-COLON", {Verdict::refused, "9112 5: a field line has a colon"}},
    {"COMP-DUPLICATE-HOST-SAME", {Verdict::refused, "9112 3.2: more than one Host line MUST be answered with 400"}},
    {"COMP-HOST-WITH-PATH", {Verdict::refused, "9112 3.2: an invalid Host MUST be answered with 400"}},
    {"COMP-ASTERISK-WITH-GET", {Verdict::refused, "9112 3.2.4: asterisk-form is for OPTIONS only"}},
    {"COMP-OPTIONS-STAR", {Verdict::forwarded, "9112 3.2.4: valid; there is no stricter reading"}},
    {"COMP-EXPECT-UNKNOWN", {Verdict::refused, "9110 10.1.1: 417 for an expectation that cannot be met"}},
    {"COMP-METHOD-TRACE", {Verdict::refused, "9110 9.3.8: TRACE reflects the request; off unless enabled"}},
    {"COMP-TRACE-WITH-BODY", {Verdict::refused, "9110 9.3.8: a client MUST NOT send content in TRACE"}},
    {"COMP-TRACE-SENSITIVE", {Verdict::refused, "9110 9.3.8: TRACE reflects credentials; off unless enabled"}},
    {"COMP-HOST-EMPTY-VALUE", {Verdict::refused, "9110 4.2.1: an http URI with an empty host is invalid"}},
    {"COMP-REQUEST-LINE-TAB", {Verdict::refused, "9112 3: the separator is SP; other white space is only a MAY"}},
    {"SMUG-CL-COMMA-SAME", {Verdict::refused, "9112 6.3: a list is invalid unless the recipient chooses to mend it"}},
    {"SMUG-CL-COMMA-TRIPLE", {Verdict::refused, "9112 6.3: as above"}},
    {"SMUG-TRAILER-CL", {Verdict::refused, "9110 6.5.1: a sender MUST NOT send framing in trailers"}},
    {"SMUG-TRAILER-TE", {Verdict::refused, "9110 6.5.1: as above"}},
    {"SMUG-ABSOLUTE-URI-HOST-MISMATCH", {Verdict::refused, "9112 3.2.2: two readers could take either host"}},
    {"SMUG-MULTIPLE-HOST-COMMA", {Verdict::refused, "9112 3.2: an invalid Host MUST be answered with 400"}},
    {"MAL-CL-TAB-BEFORE-VALUE", {Verdict::forwarded, "9110 5.6.3: OWS has tabs; written anew with a space"}},
    {"MAL-URL-PERCENT-NULL", {Verdict::forwarded, "3986 2.1: a valid escape; what it means is the server's"}},
    {"MAL-POST-CL-HUGE-NO-BODY", {Verdict::waits, "no limit on bodies by default; with one it is 413"}},
};

Verdict expected(const Case& c) {
  const auto good = [](int status) { return status >= 100 && status < 300; };
  if (good(c.haproxy) && good(c.nginx)) return Verdict::forwarded;
  if (c.haproxy >= 400 && c.nginx >= 400) return Verdict::refused;
  if (c.haproxy == 0 && c.nginx == 0) return Verdict::waits;
  const auto decided = kDecided.find(c.id);
  EXPECT_NE(decided, kDecided.end()) << c.id << ": HAProxy " << c.haproxy << ", nginx " << c.nginx << ", and we?";
  return decided == kDecided.end() ? Verdict::refused : decided->second.first;
}

class Cases : public testing::TestWithParam<Case> {};

TEST_P(Cases, AnsweredAsByTheStricterOfHaproxyAndNginx) {
  const Case& c = GetParam();
  Forwarder forwarder(MessageReader::Kind::request);
  const Forwarded result = forwarder.run(c.payload, whole());
  EXPECT_EQ(verdict_of(result), expected(c))
      << result.error.status << " at " << result.error.offset << ": " << result.error.reason << "\n"
      << result.all();
  EXPECT_LE(result.error.offset, c.payload.size());
}

TEST_P(Cases, PiecesChangeNothing) {
  const Case& c = GetParam();
  Forwarder forwarder(MessageReader::Kind::request);
  const Forwarded once = forwarder.run(c.payload, whole());
  const auto same = [&](const Pieces& pieces, std::size_t at) {
    Forwarder other(MessageReader::Kind::request);
    const Forwarded result = other.run(c.payload, pieces);
    EXPECT_EQ(result.error.status, once.error.status) << at << ": " << result.error.reason;
    EXPECT_EQ(verdict_of(result), verdict_of(once)) << at;
    ASSERT_EQ(result.messages.size(), once.messages.size()) << at;
    for (std::size_t i = 0; i < once.messages.size(); ++i) {
      ReferenceReader a(result.messages[i]), b(once.messages[i]);
      const auto x = a.request(), y = b.request();
      ASSERT_TRUE(x && y) << at << a.problem() << b.problem();
      EXPECT_EQ(*x, *y) << at;
    }
    if (result.error) {
      EXPECT_EQ(other.scratch().budget.bytes_used, 0U) << at;
    }
  };
  same(bytewise(), 0);
  for (std::size_t at = 1; at < c.payload.size(); ++at) same(split_at(at), at);
}

TEST_P(Cases, WhatGoesOutMeansOneMessage) {
  const Case& c = GetParam();
  Forwarder forwarder(MessageReader::Kind::request);
  const Forwarded result = forwarder.run(c.payload, whole());
  const std::string out = result.all();
  std::vector<Message> ours;
  ReferenceReader reference(out);
  while (!reference.all()) {
    const auto message = reference.request();
    ASSERT_TRUE(message) << reference.problem() << "\n" << out;
    ours.push_back(*message);
    EXPECT_TRUE(message->all("content_length").empty() && message->all("transfer_encoding").empty());
  }
  EXPECT_EQ(ours.size(), result.messages.size());
  LlhttpReader llhttp;
  const std::vector<Message> theirs = llhttp.read(out, true);
  EXPECT_EQ(llhttp.problem(), "") << out;
  EXPECT_EQ(theirs, ours) << out;
}

INSTANTIATE_TEST_SUITE_P(Http11Probe, Cases, testing::ValuesIn(load()), [](const auto& one) {
  std::string name = one.param.id;
  for (char& ch : name)
    if (!std::isalnum(static_cast<unsigned char>(ch))) ch = '_';
  return name;
});

TEST(CasesFile, HasAllAndTheDecisionsAreNeeded) {
  const auto cases = load();
  EXPECT_EQ(cases.size(), 144U);
  for (const auto& decided : kDecided) {
    const auto& id = decided.first;
    const auto found = std::find_if(cases.begin(), cases.end(), [&id](const Case& c) { return c.id == id; });
    ASSERT_NE(found, cases.end()) << id;
    EXPECT_NE(found->haproxy / 100 == found->nginx / 100, true) << id << " is decided by both";
  }
}

}  // namespace
}  // namespace sluice::lb::http::test::cases_test
