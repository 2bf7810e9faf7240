// One request of the admin API and its answer, apart from how they travel.
//
// Called by: admin/api (answers), control/io/http_server (implements it). Runs on: control thread.
// Tested by: tests/control/admin/api_test.cc, tests/control/io/http_server_test.cc
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace sluice::admin {

// The answerer may keep it and answer later; dropping it unanswered answers 500.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const std::string& method() const = 0;  // "GET"
  virtual const std::string& target() const = 0;  // "/v1/virtual?name=x"
  virtual const std::string& body() const = 0;

  // The whole answer at once.
  virtual void respond(unsigned status, std::string_view content_type, std::string body) = 0;
  // Or bit by bit: stream(), write() any number of times, finish(). write() is false when the client is gone.
  virtual void stream(std::string_view content_type) = 0;
  virtual bool write(std::string data) = 0;
  virtual void finish() = 0;
  // `gone` runs once if the client goes away before finish().
  virtual void on_gone(std::function<void()> gone) = 0;
};

}  // namespace sluice::admin
