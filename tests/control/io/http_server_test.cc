// The HTTP server against clients that are right, wrong, slow, gone and too many.
#include "control/io/http_server.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <filesystem>
#include <thread>

namespace sluice::io {
namespace {

using Unix = boost::asio::local::stream_protocol;

class HttpServerTest : public testing::Test {
 protected:
  void SetUp() override { path_ = testing::TempDir() + "sluice-http-" + std::to_string(::getpid()) + "/admin.sock"; }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(std::filesystem::path(path_).parent_path());
  }

  void start(HttpHandler handler, HttpLimits limits = {}) {
    server_ = std::make_unique<HttpServer>(loop_, limits, std::move(handler));
    const auto ok = server_->listen_unix(path_);
    ASSERT_TRUE(ok) << ok.error().text();
  }

  // Runs `client` on a thread of its own while the loop serves it.
  void run_client(std::function<void()> client) {
    std::thread thread([&] {
      client();
      loop_.stop();
    });
    loop_.run();
    thread.join();
  }

  // Sends bytes, and returns all that comes back until the server closes or `until` is seen.
  std::string talk(const std::string& bytes, const std::string& until = "") {
    boost::asio::io_context context;
    Unix::socket socket(context);
    socket.connect(Unix::endpoint(path_));
    boost::system::error_code error;
    boost::asio::write(socket, boost::asio::buffer(bytes), error);
    std::string answer;
    char chunk[4096];
    while (!error && (until.empty() || answer.find(until) == std::string::npos)) {
      const auto n = socket.read_some(boost::asio::buffer(chunk), error);
      answer.append(chunk, n);
    }
    return answer;
  }

  Loop loop_;
  std::string path_;
  std::unique_ptr<HttpServer> server_;
};

void echo(const std::shared_ptr<HttpExchange>& exchange) {
  exchange->respond(200, "text/plain", exchange->method() + " " + exchange->target() + " " + exchange->body());
}

TEST_F(HttpServerTest, AnswersAndKeepsTheConnection) {
  start(echo);
  std::string answer;
  run_client([&] {
    answer = talk(
        "GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: "
        "close\r\n\r\nhi");
  });
  EXPECT_NE(answer.find("HTTP/1.1 200 OK"), std::string::npos);
  EXPECT_NE(answer.find("GET /a "), std::string::npos);
  EXPECT_NE(answer.find("POST /b hi"), std::string::npos);
}

TEST_F(HttpServerTest, SocketIsForItsOwnerOnly) {
  start(echo);
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  server_.reset();
  EXPECT_NE(::stat(path_.c_str(), &status), 0);
}

TEST_F(HttpServerTest, SecondDaemonIsRefusedAndADeadOnesSocketReplaced) {
  start(echo);
  HttpServer second(loop_, {}, echo);
  auto refused = second.listen_unix(path_);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text().find("another sluiced"), std::string::npos);
  server_.reset();
  {
    boost::asio::io_context context;
    Unix::acceptor dead(context, Unix::endpoint(path_));
  }
  EXPECT_TRUE(second.listen_unix(path_));
  HttpServer third(loop_, {}, echo);
  const std::string file = path_ + ".txt";
  std::fclose(std::fopen(file.c_str(), "w"));
  EXPECT_FALSE(third.listen_unix(file));
  EXPECT_FALSE(third.listen_unix(path_ + std::string(120, 'x')));
}

TEST_F(HttpServerTest, GarbageGets400AndALargeRequest413) {
  HttpLimits limits;
  limits.body_bytes_max = 100;
  start(echo, limits);
  std::string garbage, large, header;
  run_client([&] {
    garbage = talk("\x01\x02 nonsense\r\n\r\n");
    large = talk("POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n" + std::string(101, 'x'));
    header = talk("GET / HTTP/1.1\r\nX: " + std::string(10000, 'x') + "\r\n\r\n");
  });
  EXPECT_EQ(garbage.substr(0, 12), "HTTP/1.1 400");
  EXPECT_EQ(large.substr(0, 12), "HTTP/1.1 413");
  EXPECT_EQ(header.substr(0, 12), "HTTP/1.1 431");
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_F(HttpServerTest, SilentClientIsClosed) {
  HttpLimits limits;
  limits.read_timeout = 20ms;
  start(echo, limits);
  std::string answer = "untouched";
  run_client([&] { answer = talk("GET / HT"); });
  EXPECT_EQ(answer, "");
}

TEST_F(HttpServerTest, UnansweredRequestGets500) {
  start([](const std::shared_ptr<HttpExchange>&) {});
  std::string answer;
  run_client([&] { answer = talk("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"); });
  EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 500");
}

TEST_F(HttpServerTest, StreamsInChunks) {
  std::shared_ptr<HttpExchange> kept;
  int sent = 0;
  start([&](std::shared_ptr<HttpExchange> exchange) {
    exchange->stream("application/x-ndjson");
    kept = std::move(exchange);
  });
  Ticker ticker(loop_, 1ms, [&] {
    if (!kept) return;
    if (++sent <= 3) {
      EXPECT_TRUE(kept->write("line\n"));
    } else {
      kept->finish();
      kept.reset();
    }
  });
  std::string answer;
  run_client([&] { answer = talk("GET / HTTP/1.1\r\n\r\n", "0\r\n\r\n"); });
  EXPECT_NE(answer.find("5\r\nline\n\r\n5\r\nline\n\r\n5\r\nline\n\r\n0\r\n\r\n"), std::string::npos);
}

TEST_F(HttpServerTest, StreamLearnsThatTheClientIsGone) {
  bool gone = false;
  std::shared_ptr<HttpExchange> kept;
  start([&](std::shared_ptr<HttpExchange> exchange) {
    exchange->stream("text/plain");
    exchange->on_gone([&] {
      gone = true;
      loop_.stop();
    });
    kept = std::move(exchange);
  });
  std::thread client([&] { talk("GET / HTTP/1.1\r\n\r\n", "chunked"); });
  loop_.run();
  client.join();
  EXPECT_TRUE(gone);
  EXPECT_FALSE(kept->write("x"));
}

TEST_F(HttpServerTest, SlowReaderOfAStreamIsCutOffNotWaitedFor) {
  HttpLimits limits;
  limits.stream_bytes_max = 1 << 20;
  bool cut = false;
  std::shared_ptr<HttpExchange> kept;
  start(
      [&](std::shared_ptr<HttpExchange> exchange) {
        exchange->stream("text/plain");
        while (exchange->write(std::string(64 * 1024, 'x'))) {
        }
        cut = true;
        kept = std::move(exchange);
        loop_.stop();
      },
      limits);
  boost::asio::io_context context;
  Unix::socket client(context);
  client.connect(Unix::endpoint(path_));
  boost::asio::write(client, boost::asio::buffer(std::string("GET / HTTP/1.1\r\n\r\n")));
  loop_.run();
  EXPECT_TRUE(cut);
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_F(HttpServerTest, TooManyConnectionsAreClosedAndServiceGoesOn) {
  HttpLimits limits;
  limits.connections_max = 2;
  start(echo, limits);
  std::string refused, served;
  run_client([&] {
    boost::asio::io_context context;
    Unix::socket a(context), b(context);
    a.connect(Unix::endpoint(path_));
    b.connect(Unix::endpoint(path_));
    refused = talk("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
    a.close();
    for (int i = 0; i < 100 && served.empty(); ++i) served = talk("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
  });
  EXPECT_EQ(refused, "");
  EXPECT_EQ(served.substr(0, 12), "HTTP/1.1 200");
}

TEST_F(HttpServerTest, ListensOnTcp) {
  HttpServer server(loop_, {}, echo);
  ASSERT_TRUE(server.listen_tcp({*Ipv4Address::parse("127.0.0.1"), 0}));
  EXPECT_NE(server.tcp_port(), 0);
  HttpServer second(loop_, {}, echo);
  EXPECT_FALSE(second.listen_tcp({*Ipv4Address::parse("127.0.0.1"), server.tcp_port()}));
}

}  // namespace
}  // namespace sluice::io
