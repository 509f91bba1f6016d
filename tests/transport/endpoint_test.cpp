// SPDX-License-Identifier: MIT
#include <splitvit/transport/endpoint.hpp>

#include "support/catch.hpp"

using namespace splitvit::transport;

TEST_CASE("parse_endpoint: names and addresses", "[transport]") {
  CHECK(parse_endpoint("localhost:7000") == Endpoint{.host = "localhost", .port = 7000});
  CHECK(parse_endpoint("10.0.0.1:0") == Endpoint{.host = "10.0.0.1", .port = 0});
  CHECK(parse_endpoint("[::1]:65535") == Endpoint{.host = "::1", .port = 65535});
}

TEST_CASE("parse_endpoint: what it writes, it reads", "[transport]") {
  for (const auto* text : {"localhost:7000", "[fe80::1]:1", "127.0.0.1:0"})
    CHECK(parse_endpoint(text).text() == text);
  CHECK(Endpoint{}.text() == "127.0.0.1:0");
}

TEST_CASE("is_loopback: this machine only", "[transport]") {
  for (const auto* host : {"127.0.0.1", "127.1.2.3", "localhost", "::1"})
    CHECK(is_loopback({.host = host}));
  for (const auto* host : {"0.0.0.0", "::", "128.0.0.1", "127.example.org", "localhost.example.org",
                           "10.0.0.1", "12", "::2"})
    CHECK(!is_loopback({.host = host}));
}

TEST_CASE("parse_endpoint: says what is wrong", "[transport]") {
  const auto [text, why] = GENERATE(table<std::string, std::string>({
      {"", "a port is missing"},
      {"localhost", "a port is missing"},
      {":7000", "a host is missing"},
      {"[]:7000", "a host is missing"},
      {"*:7000", "0.0.0.0:PORT is every IPv4 address"},
      {"[*]:7000", "[::]:PORT every address"},
      {"*", "a port is missing"},
      {"7000", "a port is missing"},
      {"[::1]", "a port is missing"},
      {"[::1]7000", "a port is missing"},
      {"[::1:7000", "']' is missing"},
      {"::1:7000", "a host is missing"},
      {"fe80::1:7000", "needs brackets"},
      {"host:", "from 0 to 65535"},
      {"host:65536", "from 0 to 65535"},
      {"host:-1", "from 0 to 65535"},
      {"host:+1", "from 0 to 65535"},
      {"host: 1", "from 0 to 65535"},
      {"host:80a", "from 0 to 65535"},
  }));
  CHECK_THROWS_AS(parse_endpoint(text), std::invalid_argument);
  CHECK_THROWS_WITH(parse_endpoint(text), ContainsSubstring(why));
  CHECK_THROWS_WITH(parse_endpoint(text), ContainsSubstring("'" + text + "'"));
}
