// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>           // byte, size_t
#include <functional>        // function
#include <initializer_list>  // initializer_list
#include <optional>          // nullopt, optional
#include <string>            // string
#include <string_view>       // string_view
#include <vector>            // vector

#include <splitvit/core/error.hpp>   // Reason, ReasonedError
#include <splitvit/core/random.hpp>  // Rng

// Bytes to send, and the reason of an error, for tests.

namespace splitvit::test {

inline std::vector<std::byte> bytes_of(std::string_view text) {
  std::vector<std::byte> bytes;
  for (const char c : text) bytes.push_back(static_cast<std::byte>(c));
  return bytes;
}

inline std::vector<std::byte> bytes_of(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

inline std::vector<std::byte> random_bytes(std::size_t count, Rng rng = {.seed = 5}) {
  std::vector<std::byte> bytes(count);
  for (std::byte& b : bytes) b = static_cast<std::byte>(rng.bits());
  return bytes;
}

/// Why `work` fails with one of our errors; nothing if it succeeds. `text` gets its text.
template <class Error = ReasonedError>
std::optional<Reason> reason_of(const std::function<void()>& work, std::string* text = nullptr) {
  try {
    work();
  } catch (const Error& error) {
    if (text != nullptr) *text = error.what();
    return error.reason();
  }
  return std::nullopt;
}

}  // namespace splitvit::test
