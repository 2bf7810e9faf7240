// Fuzzes the response side: what reaches the client is canonical and means one message only, or the connection closes.
//
// The first byte chooses pieces, the requests' methods and the client's version. Oracles as in http_request_fuzz.
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

Forwarded forward(std::string_view input, unsigned choice, const Pieces& pieces, bool head, bool old_client) {
  Forwarder forwarder(MessageReader::Kind::response);
  forwarder.methods = {head ? Method::head : Method::get};
  forwarder.client_http_1_0 = old_client;
  Forwarded result = forwarder.run(input, pieces, (choice & 4) != 0);
  forwarder.reader().drop_buffer();
  require(forwarder.scratch().budget.bytes_used == 0, "the budget does not return to zero", "");
  return result;
}

void run(std::string_view input, unsigned choice) {
  const bool head = (choice & 1) != 0, old_client = (choice & 2) != 0;
  const Forwarded result = forward(input, choice, whole(), head, old_client);
  require(!result.error || result.error.status == 502, "a response's error is not 502", result.all());
  for (const std::string& text : result.messages) {
    ReferenceReader reference(text);
    const auto ours = reference.response(head ? "HEAD" : "GET");
    require(ours.has_value() && reference.all(), "the reference reader refuses it: " + reference.problem(), text);
    require(!old_client || !ours->chunked, "chunks to an HTTP/1.0 client", text);
    LlhttpReader llhttp;
    auto theirs = llhttp.read(text, false, {head ? "HEAD" : "GET"});
    require(llhttp.problem().empty() && theirs.size() == 1, "llhttp refuses it: " + llhttp.problem(), text);
    theirs[0].until_close = ours->until_close;  // llhttp does not tell
    require(theirs[0] == *ours, "llhttp and the reference reader differ", text);
  }
  const std::size_t piece = 1 + (choice >> 3);
  const Forwarded other = forward(
      input, choice, [piece](std::size_t) { return piece; }, head, old_client);
  require(other.error.status == result.error.status, "pieces change the answer",
          std::string(result.error.reason) + " / " + other.error.reason);
  require(other.messages.size() == result.messages.size(), "pieces change the number of messages", other.all());
  for (std::size_t i = 0; i < result.messages.size(); ++i) {
    ReferenceReader a(result.messages[i]), b(other.messages[i]);
    require(a.response(head ? "HEAD" : "GET") == b.response(head ? "HEAD" : "GET"), "pieces change a message",
            other.messages[i]);
  }
}

}  // namespace
}  // namespace sluice::lb::http::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1 || size > 16384) return 0;
  sluice::lb::http::test::run({reinterpret_cast<const char*>(data) + 1, size - 1}, data[0]);
  return 0;
}
