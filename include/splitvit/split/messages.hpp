// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // clamp, copy_n, count, max, transform
#include <cmath>      // isfinite, log, round

#include <splitvit/core/bytes.hpp>           // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>           // ArgumentError, Reason
#include <splitvit/core/shape.hpp>           // Index, Shape
#include <splitvit/core/text.hpp>            // counted
#include <splitvit/core/workspace.hpp>       // RecycledVector
#include <splitvit/nn/concepts.hpp>          // Module, parameters
#include <splitvit/tensor/tensor.hpp>        // Tensor
#include <splitvit/wire/tensor_payload.hpp>  // get_tensor, put_tensor

// The payloads of the training messages. The readers take hostile bytes: every size is checked
// against the agreed model before memory is taken.

namespace splitvit::inline SPLITVIT_BUILD::split {

/// Sets `bytes` to sizes of tokens, (samples, tokens) or empty, as they are sent: whole, 1 to 255.
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

/// What share of a step a forward message is: so many of the images in the step's batch.
struct StepShare {
  std::uint32_t images = 0;          ///< that the message stands for, at least 1
  std::uint32_t images_of_step = 0;  ///< the sum over all its parts; 0: the message is the step

  bool is_part() const { return images_of_step > 0; }
  /// The weight of the message's mean loss in the loss of the step, in (0, 1].
  double weight() const {
    return is_part() ? static_cast<double>(images) / static_cast<double>(images_of_step) : 1.0;
  }
  friend bool operator==(const StepShare&, const StepShare&) = default;
};

/// What a client sends in a step or an evaluation: activations, and labels.
///
///   u32 samples   u32 tokens   u32 bytes of labels   u8 flags   u32 images   u32 images of the
///   step u16 size of each sample   u8 size of each token   labels, see wire/labels.hpp activations
///
/// Flags, added up: 1 if sizes of samples follow; 2 if sizes of tokens do; in a step 4 if the reply
/// is to have no gradient; in an evaluation 8 if the codec wrote the activations, else they are
/// numbers of the model's type; in a step 16 if it is a part, and both counts of images follow.
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
  StepShare share = {};        ///< in a step
  bool wants_gradient = true;  ///< in a step
  bool is_coded = false;       ///< in an evaluation

  /// Bytes of the header without sizes, labels and counts of images; those of the counts.
  static constexpr std::size_t header_bytes = 13, share_bytes = 8;
  static constexpr Index largest_size = 65535;
  static constexpr std::uint8_t sizes_follow = 1, token_sizes_follow = 2, no_gradient = 4,
                                coded = 8, part_of_step = 16;

  Shape shape(Index width) const { return {samples, tokens, width}; }

  /// Appends everything except the activations, which come last.
  ///
  /// Errors  std::invalid_argument for another number of sizes than samples, or of token sizes than
  ///         tokens, a size of a sample outside 1..65535, or a part without images or with more
  ///         than the step.
  void put_header(std::vector<std::byte>& out) const {
    const auto require_sizes = [&](std::size_t came, Index wanted) {
      if (came > 0 && static_cast<Index>(came) != wanted)
        throw ArgumentError({"forward: ", counted(came, "size"), " for ",
                             counted(samples, "sample"), " of ", counted(tokens, "token")});
    };
    require_sizes(sizes.size(), samples);
    require_sizes(token_sizes.size(), samples * tokens);
    ByteWriter writer{out};
    writer.put(static_cast<std::uint32_t>(samples), static_cast<std::uint32_t>(tokens),
               static_cast<std::uint32_t>(labels.size()));
    writer.put(static_cast<std::uint8_t>(
        (sizes.empty() ? 0 : sizes_follow) | (token_sizes.empty() ? 0 : token_sizes_follow) |
        (wants_gradient ? 0 : no_gradient) | (is_coded ? coded : 0) |
        (share.is_part() ? part_of_step : 0)));
    if (share.is_part()) {
      if (share.images < 1 || share.images > share.images_of_step)
        throw ArgumentError({"forward: a part of ", counted(share.images, "image"),
                             " in a step of ", share.images_of_step});
      writer.put(share.images, share.images_of_step);
    }
    for (const Index size : sizes) {
      if (size < 1 || size > largest_size)
        throw ArgumentError(
            {"forward: a row stands for ", size, " samples, 1 to 65535 can be sent"});
      writer.put(static_cast<std::uint16_t>(size));
    }
    writer.put_bytes(token_sizes);
    writer.put_bytes(labels);
  }

  /// The logarithm of each token's size, (samples, tokens); empty without token sizes.
  template <std::floating_point T>
  Tensor<T> log_token_sizes() const {
    if (token_sizes.empty()) return {};
    Tensor<T> logs = Tensor<T>::uninitialised({samples, tokens});
    std::transform(token_sizes.begin(), token_sizes.end(), logs.data(), [](std::byte size) {
      return std::log(static_cast<T>(std::to_integer<int>(size)));
    });
    return logs;
  }

  /// Borrows from the payload.
  ///
  /// Errors  WireError: truncated; malformed for a size of 0, a part without images or with more
  ///         than the step; bad_flags; wrong_shape for no samples or tokens, or more than the
  ///         limits allow; too_long for labels.
  static ForwardMessage read(std::span<const std::byte> payload, const ForwardLimits& most) {
    ByteReader in{payload, "forward"};
    ForwardMessage message;
    std::uint32_t samples = 0, tokens = 0, label_bytes = 0;
    std::uint8_t flags = 0;
    in.get_to(samples, tokens);
    const auto agreed = static_cast<std::uint64_t>(most.tokens);
    const std::uint64_t sample_bytes = std::max(tokens * static_cast<std::uint64_t>(most.width),
                                                static_cast<std::uint64_t>(most.classes)) *
                                       most.number_size;
    if (samples < 1 || tokens < 1 || tokens > agreed || samples > most.bytes / sample_bytes)
      in.refuse(Reason::wrong_shape,
                {counted(samples, "sample"), " of ", counted(tokens, "token"), " came, at most ",
                 counted(agreed, "token"), " and ", counted(most.bytes, "byte"), " are allowed"});
    message.samples = static_cast<Index>(samples);
    message.tokens = static_cast<Index>(tokens);
    in.get_to(label_bytes);
    // A class id takes a byte here and 16 in memory.
    if (label_bytes > most.bytes / 16)
      in.refuse(Reason::too_long, {counted(label_bytes, "byte"), " of labels came, at most ",
                                   most.bytes / 16, " are allowed"});
    in.get_to(flags);
    constexpr int all_flags =
        sizes_follow | token_sizes_follow | no_gradient | coded | part_of_step;
    if (flags > all_flags)
      in.refuse(Reason::bad_flags, {"flags ", flags, ", wanted 0 to ", all_flags});
    message.wants_gradient = (flags & no_gradient) == 0;
    message.is_coded = (flags & coded) != 0;
    if ((flags & part_of_step) != 0) {
      in.get_to(message.share.images, message.share.images_of_step);
      if (message.share.images < 1 || message.share.images > message.share.images_of_step)
        in.refuse(Reason::malformed, {"a part of ", counted(message.share.images, "image"),
                                      " came, in a step of ", message.share.images_of_step});
    }
    if ((flags & sizes_follow) != 0) {
      ByteReader all{in.get_bytes(2 * static_cast<std::size_t>(samples)), "sizes"};
      while (all.left() > 0) message.sizes.push_back(all.get<std::uint16_t>());
      if (std::count(message.sizes.begin(), message.sizes.end(), 0) > 0)
        in.refuse(Reason::malformed, {"a sample of size 0 came"});
    }
    if ((flags & token_sizes_follow) != 0) {
      message.token_sizes =
          in.get_bytes(static_cast<std::size_t>(message.samples * message.tokens));
      if (std::count(message.token_sizes.begin(), message.token_sizes.end(), std::byte{0}) > 0)
        in.refuse(Reason::malformed, {"a token of size 0 came"});
    }
    message.labels = in.get_bytes(label_bytes);
    message.encoded = in.get_bytes(in.left());
    return message;
  }
};

/// What the server sends in a step: f64 loss, f64 seconds, the gradient as the codec wrote it, if
/// one was asked for.
struct BackwardMessage {
  double loss = 0;     ///< of a part, times its weight: those of all parts add up to the step's
  double seconds = 0;  ///< of the server, from the forward message to its answer
  std::span<const std::byte> encoded = {};

  static constexpr std::size_t header_bytes = 16;

  void put_header(std::vector<std::byte>& out) const { ByteWriter{out}.put(loss, seconds); }

  /// Borrows from the payload. Errors  WireError: truncated; not_finite, also for negative seconds.
  static BackwardMessage read(std::span<const std::byte> payload) {
    ByteReader in{payload, "backward"};
    BackwardMessage message;
    in.get_to(message.loss, message.seconds);
    message.encoded = in.get_bytes(in.left());
    if (!std::isfinite(message.loss) || !std::isfinite(message.seconds) || message.seconds < 0)
      in.refuse(Reason::not_finite,
                {"loss ", message.loss, " and ", message.seconds,
                 " seconds came, wanted finite numbers and no negative seconds"});
    return message;
  }
};

/// A checkpoint message: u64 step, and whether the sender has a checkpoint of it, as u8. A client
/// sends it when it has one; the server writes its own and answers.
struct CheckpointMessage {
  enum class Held : std::uint8_t {
    no,          ///< it could not be written
    yes,         ///< it is on the disk
    never,       ///< the server keeps no checkpoints
    with_turns,  ///< the server keeps one whenever it has given turns, and no others
  };

  std::uint64_t step = 0;
  Held held = Held::yes;
  std::uint64_t every = 0;  ///< steps, after which the server wants one, too; 0: it does not mind

  std::vector<std::byte> payload() const {
    std::vector<std::byte> out;
    ByteWriter{out}.put(step, static_cast<std::uint8_t>(held), every);
    return out;
  }

  /// Errors  WireError: truncated, too_long; malformed for another value; wrong_step.
  static CheckpointMessage read(std::span<const std::byte> payload, std::uint64_t step) {
    ByteReader in{payload, "checkpoint"};
    CheckpointMessage message;
    std::uint8_t held = 0;
    in.get_to(message.step, held, message.every);
    in.expect_end();
    message.held = static_cast<Held>(held);
    if (message.held > Held::with_turns) in.refuse(Reason::malformed, {"'held' is ", held});
    if (message.step != step)
      in.refuse(Reason::wrong_step, {"step ", message.step, " came, wanted step ", step});
    return message;
  }
};

/// What the server sends in an evaluation: f64 sum of losses, then a bit for each sample, the
/// lowest of a byte first: whether it was recognised. What is left of the last byte is zero.
struct Score {
  double loss_sum = 0;
  std::vector<bool> correct = {};

  std::vector<std::byte> payload() const {
    std::vector<std::byte> out;
    ByteWriter{out}.put(loss_sum);
    const std::size_t begin = out.size();
    out.resize(begin + (correct.size() + 7) / 8);
    for (std::size_t i = 0; i < correct.size(); ++i)
      if (correct[i]) out[begin + i / 8] |= std::byte{1} << (i % 8);
    return out;
  }

  /// Errors  WireError: truncated; malformed for too many bits; not_finite.
  static Score read(std::span<const std::byte> payload, Index samples) {
    ByteReader in{payload, "score"};
    Score score;
    score.loss_sum = in.get<double>();
    const auto bit =
        [bits = in.get_bytes((static_cast<std::size_t>(samples) + 7) / 8)](std::size_t i) {
          return (bits[i / 8] >> (i % 8) & std::byte{1}) != std::byte{};
        };
    in.expect_end();
    for (Index i = 0; i < samples; ++i) score.correct.push_back(bit(static_cast<std::size_t>(i)));
    for (auto i = static_cast<std::size_t>(samples); i % 8 != 0; ++i)
      if (bit(i)) in.refuse(Reason::malformed, {"a bit came for sample ", i, " of ", samples});
    if (!std::isfinite(score.loss_sum)) in.refuse(Reason::not_finite, {"loss ", score.loss_sum});
    return score;
  }
};

/// The payload of a weights message: u32 count, then name and tensor of a module's parameters.
template <std::floating_point T, nn::Module<T> M>
std::vector<std::byte> weights_payload(const M& module) {
  const auto all = nn::parameters<T>(module);
  std::size_t bytes = 0;
  for (const auto& [name, parameter] : all)
    bytes += name.size() + 128 + parameter.value().span().size_bytes();
  std::vector<std::byte> payload;
  payload.reserve(bytes);
  ByteWriter{payload}.put(static_cast<std::uint32_t>(all.size()));
  for (const auto& [name, parameter] : all) {
    ByteWriter{payload}.put_text(name);
    wire::put_tensor<T>(payload, parameter.shape(), parameter.value().span());
  }
  return payload;
}

/// Fills a module with what weights_payload wrote. Changes nothing if it throws.
///
/// Errors  WireError unless names and shapes are exactly as in the module.
template <std::floating_point T, nn::Module<T> M>
void read_weights(std::span<const std::byte> payload, const M& module) {
  constexpr std::size_t longest_name = 256;
  ByteReader in{payload, "weights"};
  const auto all = nn::parameters<T>(module);
  if (const auto count = in.get<std::uint32_t>(); count != all.size())
    in.refuse(Reason::wrong_shape,
              {counted(count, "tensor"), " came, ", all.size(), " are expected"});
  std::vector<Tensor<T>> values;
  for (const auto& [name, parameter] : all) {
    if (in.get_text(longest_name) != name)
      in.refuse(Reason::wrong_shape, {"another tensor came where ", name, " is expected"});
    values.push_back(Tensor<T>::uninitialised(parameter.shape()));
    wire::get_tensor<T>(in, parameter.shape(), values.back().span(), "weights: " + name);
  }
  in.expect_end();
  for (std::size_t i = 0; i < all.size(); ++i)
    std::copy_n(values[i].data(), values[i].size(), all[i].second.mutable_value().data());
}

}  // namespace splitvit::inline SPLITVIT_BUILD::split
