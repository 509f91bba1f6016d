// SPDX-License-Identifier: MIT

// Fuzz target: the messages of training from a hostile peer. They are refused with a WireError, or
// hold what the agreed model allows; weights that are refused leave the module as it was.
//
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Itests
//       -isystem /usr/include/eigen3 tests/fuzz/messages.cpp -o messages
//   ./messages -malloc_limit_mb=4 -max_len=8192 <a new folder> tests/fuzz/corpus/messages
//
// The first byte of an input chooses the message: with bit 4 a turn or, with bit 0, a client's
// request for it, of one that has found something with bit 1; with bit 3 a checkpoint; else one of
// training (bits 0 and 1), of float or double (bit 2).
// corpus/make_corpus.cpp makes the first inputs.

#include <cmath>    // isfinite
#include <cstddef>  // byte, size_t
#include <cstdint>  // uint8_t
#include <cstdlib>  // abort
#include <span>     // as_bytes, span
#include <vector>   // vector

#include <splitvit/core/error.hpp>      // WireError
#include <splitvit/nn/part.hpp>         // make_part
#include <splitvit/split/messages.hpp>  // ForwardMessage, BackwardMessage, Score, read_weights
#include <splitvit/split/turn.hpp>      // Turn, TurnRequest
#include <splitvit/wire/labels.hpp>     // read_labels

#include "fuzz/small_vit.hpp"  // fuzzed_vit

namespace {

using namespace splitvit;
using Bytes = std::span<const std::byte>;

void require(bool condition) {
  if (!condition) std::abort();
}

template <class T>
void read_forward(Bytes payload) {
  constexpr std::uint64_t most_bytes = 4096;
  constexpr auto vit = test::fuzzed_vit;
  const auto came = split::ForwardMessage::read(payload, {.tokens = vit.tokens(),
                                                          .width = vit.dim,
                                                          .classes = vit.classes,
                                                          .number_size = sizeof(T),
                                                          .bytes = most_bytes});
  const Shape shape = came.shape(vit.dim);
  require(shape.elements() > 0 && shape[1] <= test::fuzzed_vit.tokens());
  require(static_cast<std::uint64_t>(shape.elements()) * sizeof(T) <= most_bytes);
  require(came.sizes.empty() || came.sizes.size() == static_cast<std::size_t>(came.samples));
  const std::size_t share = came.share.is_part() ? split::ForwardMessage::share_bytes : 0;
  require(split::ForwardMessage::header_bytes + share + 2 * came.sizes.size() +
              came.token_sizes.size() + came.labels.size() + came.encoded.size() ==
          payload.size());
  require(came.share.weight() > 0 && came.share.weight() <= 1);
  const Tensor<T> logs = came.log_token_sizes<T>();
  for (const T log_size : logs.span()) require(log_size >= 0);
  const Labels labels = wire::read_labels(came.labels, came.samples, vit.classes);
  require(labels.row_count() == came.samples);
}

void read_backward(Bytes payload) {
  const auto came = split::BackwardMessage::read(payload);
  require(std::isfinite(came.loss) && std::isfinite(came.seconds));
  require(split::BackwardMessage::header_bytes + came.encoded.size() == payload.size());
}

void read_score(Bytes payload) {
  const auto came = split::Score::read(payload, 5);
  require(came.correct.size() == 5 && std::isfinite(came.loss_sum));
}

template <class T>
std::vector<std::byte> weights_of(const nn::Part<T>& part) {
  return split::weights_payload<T>(part);
}

template <class T>
void read_weights(Bytes payload) {
  const auto part = nn::make_part<T>(test::fuzzed_vit, 1, test::fuzzed_vit.depth, Rng{.seed = 1});
  const auto before = weights_of(part);
  try {
    split::read_weights<T>(payload, part);
  } catch (const WireError&) {
    require(weights_of(part) == before);
    return;
  }
  // What was accepted can be sent on, and comes back bit for bit.
  const auto after = weights_of(part);
  split::read_weights<T>(after, part);
  require(weights_of(part) == after);
}

void read_turn(bool is_request, bool has_found, Bytes payload) {
  if (!is_request) return require(split::Turn::read(payload, 3).number >= 3);
  const auto came = split::TurnRequest::read(payload, has_found);
  require(came.found.has_value() == has_found);
  if (has_found)
    require(std::isfinite(came.found->loss_sum) && came.found->correct <= came.found->samples);
}

template <class T>
void read(unsigned message, Bytes payload) {
  switch (message) {
    case 0:
      return read_forward<T>(payload);
    case 1:
      return read_backward(payload);
    case 2:
      return read_score(payload);
    default:
      return read_weights<T>(payload);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const unsigned choice = data[0];
  const Bytes payload = std::as_bytes(std::span{data, size}).subspan(1);
  try {
    if ((choice & 16) != 0)
      read_turn((choice & 1) != 0, (choice & 2) != 0, payload);
    else if ((choice & 8) != 0)
      require(split::CheckpointMessage::read(payload, 7).step == 7);
    else if ((choice & 4) == 0)
      read<float>(choice & 3, payload);
    else
      read<double>(choice & 3, payload);
  } catch (const WireError&) {
  }
  return 0;
}
