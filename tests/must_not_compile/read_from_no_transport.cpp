// SPDX-License-Identifier: MIT
// A link reads and writes bytes; one that only reads is none, and the compiler names the concept.
// error: constraints not satisfied
// error: Transport
#include <array>
#include <cstddef>
#include <span>

#include <splitvit/transport/concepts.hpp>

struct Link {
  std::size_t read_some(std::span<std::byte> into) { return into.size(); }
#if !SPLITVIT_MISUSE
  std::size_t write_some(std::span<const std::byte> from) { return from.size(); }
#endif
};

int main() {
  Link link;
  std::array<std::byte, 4> bytes{};
  splitvit::transport::read_exactly(link, std::span<std::byte>{bytes});
}
