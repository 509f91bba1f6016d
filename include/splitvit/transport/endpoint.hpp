// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/core/text.hpp>  // number_from

namespace splitvit::inline SPLITVIT_BUILD::transport {

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

/// Whether a host is this machine itself, whoever looks its name up.
inline bool is_loopback(const Endpoint& endpoint) {
  const std::string& host = endpoint.host;
  const bool is_ipv4 = host.find_first_not_of("0123456789.") == host.npos;
  return host == "localhost" || host == "::1" || (is_ipv4 && host.starts_with("127."));
}

/// Reads "HOST:PORT" or "[IPV6]:PORT". Errors  std::invalid_argument saying what is wrong.
inline Endpoint parse_endpoint(std::string_view text) {
  const auto require = [&](bool holds, const char* why) {
    if (!holds) throw std::invalid_argument("address '" + std::string{text} + "': " + why);
  };
  const std::size_t brackets = text.starts_with('[') ? 1 : 0;
  const std::size_t host_end = brackets > 0 ? text.find(']') : text.find(':');
  require(host_end != text.npos,
          brackets > 0 ? "']' is missing" : "a port is missing, write HOST:PORT");
  const std::string_view host = text.substr(brackets, host_end - brackets);
  std::string_view port = text.substr(host_end + brackets);
  require(!host.empty(),
          "a host is missing, write HOST:PORT; 0.0.0.0:PORT is every IPv4 address of this machine, "
          "[::]:PORT every address");
  require(host != "*",
          "'*' is no host; 0.0.0.0:PORT is every IPv4 address of this machine, [::]:PORT every "
          "address");
  require(port.starts_with(':'), "a port is missing, write [IPV6]:PORT");
  port.remove_prefix(1);
  require(port.find(':') == port.npos, "an IPv6 address needs brackets, write [IPV6]:PORT");
  const auto number = number_from<std::uint16_t>(port);
  require(number.has_value(), "the port must be a number from 0 to 65535");
  return {.host = std::string{host}, .port = *number};
}

}  // namespace splitvit::inline SPLITVIT_BUILD::transport
