// SPDX-License-Identifier: MIT
#pragma once

#include <charconv>      // from_chars
#include <cstdint>       // uint16_t
#include <stdexcept>     // invalid_argument
#include <string>        // string, to_string
#include <string_view>   // string_view
#include <system_error>  // errc

// Endpoint: a host and a port, and how people write them.

namespace splitvit::transport {

/// Where to listen, or what to connect to. Loopback unless another host is named.
struct Endpoint {
  std::string host = "127.0.0.1";  ///< a name, an IPv4 or an IPv6 address without brackets
  std::uint16_t port = 0;          ///< to listen on 0 means: any free port

  /// "host:port", with brackets around an IPv6 address.
  std::string text() const {
    const bool brackets = host.find(':') != std::string::npos;
    return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
  }
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

/// Reads "HOST:PORT" or "[IPV6]:PORT".
///
/// Errors  std::invalid_argument saying what is missing or wrong.
inline Endpoint parse_endpoint(std::string_view text) {
  const auto fail = [&](const std::string& why) -> std::invalid_argument {
    return std::invalid_argument("parse_endpoint: '" + std::string{text} + "': " + why);
  };
  const bool brackets = text.starts_with('[');
  const std::size_t host_end = brackets ? text.find(']') : text.find(':');
  if (host_end == std::string_view::npos)
    throw fail(brackets ? "']' is missing" : "a port is missing, write HOST:PORT");
  const std::string_view host = text.substr(brackets ? 1 : 0, host_end - (brackets ? 1 : 0));
  std::string_view port = text.substr(host_end + (brackets ? 1 : 0));
  if (host.empty()) throw fail("a host is missing, write HOST:PORT");
  if (!port.starts_with(':')) throw fail("a port is missing, write [IPV6]:PORT");
  port.remove_prefix(1);
  if (port.find(':') != std::string_view::npos)
    throw fail("an IPv6 address needs brackets, write [IPV6]:PORT");
  Endpoint endpoint{.host = std::string{host}, .port = 0};
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
  if (error != std::errc{} || end != port.data() + port.size())
    throw fail("the port must be a number from 0 to 65535");
  return endpoint;
}

}  // namespace splitvit::transport
