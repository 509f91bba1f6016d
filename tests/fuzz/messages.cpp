// SPDX-License-Identifier: MIT

// Fuzz target: the messages of training from a hostile peer. They are refused with a WireError, or
// hold what the agreed model allows; weights that are refused leave the module as it was.
//
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Itests
//       -isystem /usr/include/eigen3 tests/fuzz/messages.cpp -o messages
//   ./messages -malloc_limit_mb=4 -max_len=8192 <a new folder> tests/fuzz/corpus/messages
//
// The first byte of an input chooses the message (bits 0 and 1) and float or double (bit 2).
// corpus/make_corpus.cpp makes the first inputs.

#include <cmath>    // isfinite
#include <cstddef>  // byte, size_t
#include <cstdint>  // uint8_t
#include <cstdlib>  // abort
#include <span>     // as_bytes, span
#include <vector>   // vector

#include <splitvit/core/error.hpp>      // WireError
#include <splitvit/nn/cut.hpp>          // make_tail
#include <splitvit/split/messages.hpp>  // Activations, Gradient, Score, read_weights
#include <splitvit/wire/labels.hpp>     // read_labels

#include "fuzz/small_vit.hpp"  // fuzzed_vit

namespace {

using namespace splitvit;
using Bytes = std::span<const std::byte>;

void require(bool condition) {
  if (!condition) std::abort();
}

template <class T>
void read_activations(Bytes payload) {
  constexpr std::uint64_t most_bytes = 4096;
  constexpr auto vit = test::fuzzed_vit;
  const auto came = split::Activations::read(payload, {.tokens = vit.tokens(),
                                                       .width = vit.dim,
                                                       .classes = vit.classes,
                                                       .number_size = sizeof(T),
                                                       .bytes = most_bytes});
  const Shape shape = came.shape(vit.dim);
  require(shape.elements() > 0 && shape[1] <= test::fuzzed_vit.tokens());
  require(static_cast<std::uint64_t>(shape.elements()) * sizeof(T) <= most_bytes);
  require(came.sizes.empty() || came.sizes.size() == static_cast<std::size_t>(came.samples));
  require(split::Activations::head_bytes + 2 * came.sizes.size() + came.token_sizes.size() +
              came.targets.size() + came.encoded.size() ==
          payload.size());
  const Tensor<T> logs = came.log_token_sizes<T>();
  for (const T log_size : logs.span()) require(log_size >= 0);
  const Labels labels = wire::read_labels(came.targets, came.samples, vit.classes);
  require(labels.row_count() == came.samples);
}

void read_gradient(Bytes payload) {
  const auto came = split::Gradient::read(payload, 7);
  require(came.step == 7 && std::isfinite(came.loss) && std::isfinite(came.seconds));
  require(split::Gradient::head_bytes + came.encoded.size() == payload.size());
}

void read_score(Bytes payload) {
  const auto came = split::Score::read(payload, 5);
  require(came.correct >= 0 && came.correct <= 5 && std::isfinite(came.loss_sum));
}

template <class T>
std::vector<std::byte> weights_of(const nn::Tail<T>& tail) {
  wire::PayloadWriter out;
  split::put_weights<T>(out, tail);
  return out.gather();
}

template <class T>
void read_weights(Bytes payload) {
  const auto tail = nn::make_tail<T>(test::fuzzed_vit, 1, Rng{.seed = 1});
  const auto before = weights_of(tail);
  try {
    split::read_weights<T>(payload, tail);
  } catch (const WireError&) {
    require(weights_of(tail) == before);
    return;
  }
  // What was accepted can be sent on, and comes back bit for bit.
  const auto after = weights_of(tail);
  split::read_weights<T>(after, tail);
  require(weights_of(tail) == after);
}

template <class T>
void read(unsigned message, Bytes payload) {
  switch (message) {
    case 0:
      return read_activations<T>(payload);
    case 1:
      return read_gradient(payload);
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
    if ((choice & 4) == 0)
      read<float>(choice & 3, payload);
    else
      read<double>(choice & 3, payload);
  } catch (const WireError&) {
  }
  return 0;
}
