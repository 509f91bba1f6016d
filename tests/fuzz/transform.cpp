// SPDX-License-Identifier: MIT
// A message from a stranger, for a Transform that has read others before: refused with WireError,
// or decoded to finite numbers of the announced shape. What is refused changes nothing: the next
// message of the true sender is still understood.
// Input: u8 with bits 0 and 1 for the basis and bit 2 for double; u8 messages before, 0 to 3; u8
// each for B, N and D, 1 to 8; then the bytes that came. corpus/make_transform.cpp makes the first
// inputs.

#include <cstdint>  // uint8_t
#include <cstdlib>  // abort
#include <map>      // map
#include <span>     // as_bytes, span
#include <string>   // string
#include <tuple>    // tuple
#include <vector>   // vector

#include <splitvit/codec/transform.hpp>  // Transform
#include <splitvit/core/state.hpp>       // state_bytes

#include "support/transform_messages.hpp"  // message_tokens, transform_of

namespace {

using namespace splitvit;

void require(bool condition) {
  if (!condition) std::abort();
}

/// A receiver that has read some messages, and the next one.
struct Session {
  codec::Transform receiver;
  std::vector<std::byte> state, next;
};

template <class T>
const Session& session_of(unsigned kind, int before, const Shape& shape) {
  static std::map<std::tuple<unsigned, int, std::string>, Session> all;
  const auto [place, is_new] = all.try_emplace({kind, before, shape.text()});
  Session& session = place->second;
  if (!is_new) return session;
  codec::Transform sender = session.receiver = test::transform_of(kind);
  Rng rng;
  for (int message = 0; message <= before; ++message) {
    if (message > 0) codec::decode<T>(session.receiver, session.next, shape);
    session.next.clear();
    codec::encode<T>(sender, test::message_tokens<T>(shape, message).view(), session.next, rng);
  }
  session.state = state_bytes(session.receiver);
  return session;
}

template <class T>
void receive(unsigned kind, int before, const Shape& shape, std::span<const std::byte> in) {
  const Session& session = session_of<T>(kind, before, shape);
  codec::Transform receiver = session.receiver;
  try {
    const auto x = codec::decode<T>(receiver, in, shape).values;
    require(x.shape() == shape && all_finite(x.view()));
  } catch (const WireError&) {
    require(state_bytes(receiver) == session.state);
    const auto x = codec::decode<T>(receiver, session.next, shape).values;
    require(all_finite(x.view()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 5) return 0;
  const auto extent = [&](std::size_t i) { return Index{data[i] % 8 + 1}; };
  const Shape shape{extent(2), extent(3), extent(4)};
  const auto in = std::as_bytes(std::span{data + 5, size - 5});
  if ((data[0] & 4) == 0)
    receive<float>(data[0] % 4u, data[1] % 4, shape, in);
  else
    receive<double>(data[0] % 4u, data[1] % 4, shape, in);
  return 0;
}
