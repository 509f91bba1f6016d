// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, copy, find, max, transform
#include <cmath>      // isfinite, log, round
#include <concepts>   // floating_point
#include <cstddef>    // byte, size_t, to_integer
#include <cstdint>    // uint8_t, uint16_t, uint32_t, uint64_t
#include <span>       // span
#include <stdexcept>  // invalid_argument
#include <string>     // string, to_string
#include <utility>    // move
#include <vector>     // vector

#include <splitvit/core/bytes.hpp>           // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>           // Reason, WireError
#include <splitvit/core/shape.hpp>           // Index, Shape
#include <splitvit/core/workspace.hpp>       // RecycledVector
#include <splitvit/nn/concepts.hpp>          // Module, parameters
#include <splitvit/tensor/tensor.hpp>        // Tensor
#include <splitvit/wire/tensor_payload.hpp>  // PayloadReader, PayloadWriter

// The payloads of the training messages. The readers take hostile bytes: every size is checked
// against the agreed model before memory is taken.

namespace splitvit::split {

namespace detail {

/// The bits that say which sizes follow in a forward message.
inline constexpr std::uint8_t sizes_follow = 1, token_sizes_follow = 2;

inline RecycledVector<Index> read_sizes(ByteReader& in, Index samples) {
  RecycledVector<Index> sizes;
  ByteReader all{in.get_bytes(2 * static_cast<std::size_t>(samples)), "sizes"};
  while (all.left() > 0) {
    sizes.push_back(all.get<std::uint16_t>());
    if (sizes.back() == 0) throw WireError(Reason::malformed, "forward: a sample of size 0 came");
  }
  return sizes;
}

inline std::span<const std::byte> read_token_sizes(ByteReader& in, Index tokens) {
  const std::span<const std::byte> sizes = in.get_bytes(static_cast<std::size_t>(tokens));
  if (std::ranges::find(sizes, std::byte{0}) != sizes.end())
    throw WireError(Reason::malformed, "forward: a token of size 0 came");
  return sizes;
}

}  // namespace detail

/// Writes sizes of tokens, (samples, tokens) or empty, as they are sent: rounded, at most 255. They
/// replace the contents of `bytes`.
template <std::floating_point T>
void put_token_sizes(const Tensor<T>& sizes, std::vector<std::byte>& bytes) {
  bytes.clear();
  for (const T size : sizes.span())
    bytes.push_back(static_cast<std::byte>(std::clamp(std::round(size), T{1}, T{255})));
}

/// The limits of a forward message, from the agreed settings.
struct ForwardLimits {
  Index tokens = 0;             ///< of a sample
  Index width = 0;              ///< of a token, as sent or as decoded, whichever is larger
  Index classes = 0;            ///< of a label
  std::size_t number_size = 4;  ///< bytes of a number
  std::uint64_t bytes = 0;      ///< of all activations, and of all targets, when decoded
};

/// What a client sends in a step: activations as the codec wrote them, and labels.
///
///   u32 samples   u32 tokens   u32 bytes of labels
///   u8 1 if sizes of samples follow, plus 2 if sizes of tokens do   u16 size of each sample
///   u8 size of each token   labels, see wire/labels.hpp   activations
///
/// Shapes  tokens (samples, tokens, w); w, the width that crosses the cut, is agreed.
struct ForwardMessage {
  Index samples = 0;
  Index tokens = 0;
  RecycledVector<Index> sizes = {};  ///< how many samples each row stands for; empty: one
  /// (samples tokens): how many tokens each one stands for, 1..255; empty: one.
  std::span<const std::byte> token_sizes = {};
  std::span<const std::byte> labels = {};
  std::span<const std::byte> encoded = {};

  /// Bytes of the header without sizes and labels.
  static constexpr std::size_t header_bytes = 13;
  static constexpr Index largest_size = 65535;

  Shape shape(Index width) const { return {samples, tokens, width}; }

  /// Appends everything except the activations, which come last.
  ///
  /// Errors  std::invalid_argument for another number of sizes than samples, or of token sizes than
  ///         tokens, or a size of a sample outside 1..65535.
  void put_header(std::vector<std::byte>& out) const {
    ByteWriter writer{out};
    writer.put(static_cast<std::uint32_t>(samples));
    writer.put(static_cast<std::uint32_t>(tokens));
    writer.put(static_cast<std::uint32_t>(labels.size()));
    writer.put(static_cast<std::uint8_t>((sizes.empty() ? 0 : detail::sizes_follow) |
                                         (token_sizes.empty() ? 0 : detail::token_sizes_follow)));
    if (!sizes.empty() && static_cast<Index>(sizes.size()) != samples)
      throw std::invalid_argument("forward: " + std::to_string(sizes.size()) + " sizes for " +
                                  std::to_string(samples) + " samples");
    for (const Index size : sizes) {
      if (size < 1 || size > largest_size)
        throw std::invalid_argument("forward: a row stands for " + std::to_string(size) +
                                    " samples, 1 to 65535 can be sent");
      writer.put(static_cast<std::uint16_t>(size));
    }
    if (!token_sizes.empty() && static_cast<Index>(token_sizes.size()) != samples * tokens)
      throw std::invalid_argument("forward: " + std::to_string(token_sizes.size()) + " sizes for " +
                                  std::to_string(samples) + " samples of " +
                                  std::to_string(tokens) + " tokens");
    writer.put_bytes(token_sizes);
    writer.put_bytes(labels);
  }

  /// The logarithm of each token's size, (samples, tokens); empty without token sizes.
  template <std::floating_point T>
  Tensor<T> log_token_sizes() const {
    if (token_sizes.empty()) return {};
    Tensor<T> logs = Tensor<T>::uninitialised({samples, tokens});
    std::ranges::transform(token_sizes, logs.data(), [](std::byte size) {
      return std::log(static_cast<T>(std::to_integer<int>(size)));
    });
    return logs;
  }

  /// Borrows from the payload.
  ///
  /// Errors  WireError: truncated; malformed for a size of 0 or a wrong mark of sizes;
  ///         wrong_shape for no samples or tokens, or more of them than the limits allow; too_long
  ///         for labels.
  static ForwardMessage read(std::span<const std::byte> payload, const ForwardLimits& most) {
    ByteReader in{payload, "forward"};
    ForwardMessage message;
    const std::uint64_t samples = in.get<std::uint32_t>();
    const std::uint64_t tokens = in.get<std::uint32_t>();
    const auto agreed = static_cast<std::uint64_t>(most.tokens);
    const std::uint64_t sample_bytes = std::max(tokens * static_cast<std::uint64_t>(most.width),
                                                static_cast<std::uint64_t>(most.classes)) *
                                       most.number_size;
    if (samples < 1 || tokens < 1 || tokens > agreed || samples > most.bytes / sample_bytes)
      throw WireError(Reason::wrong_shape,
                      "forward: " + std::to_string(samples) + " samples of " +
                          std::to_string(tokens) + " tokens came; the model has at most " +
                          std::to_string(agreed) + " tokens, a message at most " +
                          std::to_string(most.bytes) + " bytes");
    message.samples = static_cast<Index>(samples);
    message.tokens = static_cast<Index>(tokens);
    const auto label_bytes = in.get<std::uint32_t>();
    // A class id takes a byte here and 16 in memory.
    if (label_bytes > most.bytes / 16)
      throw WireError(Reason::too_long, "forward: " + std::to_string(label_bytes) +
                                            " bytes of labels came, at most " +
                                            std::to_string(most.bytes / 16) + " are allowed");
    const auto follow = in.get<std::uint8_t>();
    if (follow > (detail::sizes_follow | detail::token_sizes_follow))
      throw WireError(Reason::malformed, "forward: the byte that says which sizes follow is " +
                                             std::to_string(follow) + ", wanted 0 to 3");
    if ((follow & detail::sizes_follow) != 0)
      message.sizes = detail::read_sizes(in, message.samples);
    if ((follow & detail::token_sizes_follow) != 0)
      message.token_sizes = detail::read_token_sizes(in, message.samples * message.tokens);
    message.labels = in.get_bytes(label_bytes);
    message.encoded = in.get_bytes(in.left());
    return message;
  }
};

/// What the server sends in a step.
///
///   f64 loss   f64 seconds   the gradient as the codec wrote it
struct BackwardMessage {
  double loss = 0;
  double seconds = 0;  ///< of the server, from the forward message to its answer
  std::span<const std::byte> encoded = {};

  static constexpr std::size_t header_bytes = 16;

  void put_header(std::vector<std::byte>& out) const {
    ByteWriter writer{out};
    writer.put(loss);
    writer.put(seconds);
  }

  /// Borrows from the payload.
  ///
  /// Errors  WireError: truncated; not_finite, also for negative seconds.
  static BackwardMessage read(std::span<const std::byte> payload) {
    ByteReader in{payload, "backward"};
    BackwardMessage message;
    message.loss = in.get<double>();
    message.seconds = in.get<double>();
    message.encoded = in.get_bytes(in.left());
    if (!std::isfinite(message.loss) || !std::isfinite(message.seconds) || message.seconds < 0)
      throw WireError(Reason::not_finite, "backward: loss " + std::to_string(message.loss) +
                                              " and " + std::to_string(message.seconds) +
                                              " seconds came, wanted finite numbers and no "
                                              "negative seconds");
    return message;
  }
};

/// What the server sends in an evaluation.
///
///   f64 sum of losses   u32 correct predictions
struct Score {
  double loss_sum = 0;
  Index correct = 0;

  std::vector<std::byte> payload() const {
    std::vector<std::byte> out;
    ByteWriter writer{out};
    writer.put(loss_sum);
    writer.put(static_cast<std::uint32_t>(correct));
    return out;
  }

  /// Errors  WireError: truncated, malformed for more correct predictions than samples.
  static Score read(std::span<const std::byte> payload, Index samples) {
    ByteReader in{payload, "score"};
    Score score;
    score.loss_sum = in.get<double>();
    score.correct = static_cast<Index>(in.get<std::uint32_t>());
    in.expect_end();
    if (score.correct > samples || !std::isfinite(score.loss_sum))
      throw WireError(Reason::malformed, "score: " + std::to_string(score.correct) + " of " +
                                             std::to_string(samples) + " correct, loss " +
                                             std::to_string(score.loss_sum));
    return score;
  }
};

/// The parameters of a module: u32 count, then name and tensor of each, in its order.
template <std::floating_point T, nn::Module<T> M>
void put_weights(wire::PayloadWriter& out, const M& module) {
  const auto all = nn::parameters<T>(module);
  out.put(static_cast<std::uint32_t>(all.size()));
  for (const auto& [name, parameter] : all) {
    out.put_text(name);
    out.put_tensor(parameter.shape(), parameter.value().span());
  }
}

/// Fills a module with what put_weights wrote. Changes nothing if it throws.
///
/// Errors  WireError unless names and shapes are exactly as in the module.
template <std::floating_point T, nn::Module<T> M>
void read_weights(std::span<const std::byte> payload, const M& module) {
  constexpr std::size_t longest_name = 256;
  wire::PayloadReader in{payload, "weights"};
  const auto all = nn::parameters<T>(module);
  const auto count = in.get<std::uint32_t>();
  if (count != all.size())
    throw WireError(Reason::wrong_shape, "weights: " + std::to_string(count) + " tensors came, " +
                                             std::to_string(all.size()) + " are expected");
  std::vector<Tensor<T>> values;
  for (const auto& [name, parameter] : all) {
    const std::string came = in.get_text(longest_name);
    if (came != name)
      throw WireError(Reason::wrong_shape,
                      "weights: a tensor of another name came where " + name + " is expected");
    const auto tensor = in.get_tensor<T>();
    tensor.require_shape(parameter.shape(), "weights: " + name);
    values.push_back(Tensor<T>::uninitialised(parameter.shape()));
    tensor.copy_to(values.back().span());
  }
  in.expect_end();
  for (std::size_t i = 0; i < all.size(); ++i)
    std::ranges::copy(values[i].span(), all[i].second.mutable_value().data());
}

}  // namespace splitvit::split
