// Fuzzes the request side: whatever comes, in whatever pieces, what goes out is canonical and means one message only.
//
// The first byte chooses how the input is cut into pieces and which options hold. Oracles: the same result in one piece
// and in many; what goes out is read by llhttp strict and by the tests' own reader, which find the same messages with
// the same bodies; sizes stay within the limits; the gather budget returns to zero.
//
// Runs on: libFuzzer, or the seeds as a unit test. Covers: message_reader, head_scan, head_judge, head_writer.
#include <cstdlib>
#include <iostream>

#include "tests/lb/l7/http_forward.h"
#include "tests/lb/l7/http_llhttp.h"
#include "tests/lb/l7/http_reference.h"

namespace sluice::lb::http::test {
namespace {

void require(bool condition, const std::string& what, const std::string& out) {
  if (condition) return;
  std::cerr << what << "\n--- what went out:\n" << out << "\n---\n";
  std::abort();
}

void check_meaning(const Forwarded& result) {
  const std::string out = result.all();
  std::vector<Message> ours;
  ReferenceReader reference(out);
  while (!reference.all()) {
    auto message = reference.request();
    require(message.has_value(), "the reference reader refuses it: " + reference.problem(), out);
    ours.push_back(std::move(*message));
  }
  require(ours.size() == result.messages.size(), "another number of messages went out", out);
  LlhttpReader llhttp;
  const std::vector<Message> theirs = llhttp.read(out, true);
  require(llhttp.problem().empty(), "llhttp refuses it: " + llhttp.problem(), out);
  require(theirs == ours, "llhttp and the reference reader differ", out);
}

void run(std::string_view input, unsigned choice) {
  HttpOptions options;
  if ((choice & 1) != 0)
    options.limits = {.head_bytes_max = 512, .target_bytes_max = 64, .headers_max = 8, .body_bytes_max = 64};
  options.connect_method = false;  // what follows CONNECT is no HTTP
  options.trace_method = (choice & 2) != 0;
  options.forwarded.x_forwarded_for = options.forwarded.x_forwarded_port = (choice & 4) != 0;
  if ((choice & 8) != 0)
    options.header_rules = {{HeaderRuleSide::request, HeaderRuleAction::replace, "X-Rule", "one"},
                            {HeaderRuleSide::request, HeaderRuleAction::remove, "Accept", ""}};
  Forwarder once(MessageReader::Kind::request, options);
  if ((choice & 16) != 0) once.rewrite.drop_cookie = "SRV";
  const Forwarded result = once.run(input, whole());
  check_meaning(result);

  const std::size_t piece = 1 + (choice >> 5) * 7;
  Forwarder many(MessageReader::Kind::request, options);
  many.rewrite = once.rewrite;
  const Forwarded other = many.run(input, [piece](std::size_t) { return piece; });
  require(other.error.status == result.error.status, "pieces change the answer",
          std::string(result.error.reason) + " / " + other.error.reason);
  require(other.messages.size() == result.messages.size(), "pieces change the number of messages", other.all());
  for (std::size_t i = 0; i < result.messages.size(); ++i) {
    ReferenceReader a(result.messages[i]), b(other.messages[i]);
    require(a.request() == b.request(), "pieces change a message", other.messages[i]);
  }
  if (other.error) require(many.scratch().budget.bytes_used == 0, "a gather buffer is left", "");
  many.reader().drop_buffer();
  require(many.scratch().budget.bytes_used == 0, "the budget does not return to zero", "");
}

}  // namespace
}  // namespace sluice::lb::http::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1 || size > 16384) return 0;
  sluice::lb::http::test::run({reinterpret_cast<const char*>(data) + 1, size - 1}, data[0]);
  return 0;
}
