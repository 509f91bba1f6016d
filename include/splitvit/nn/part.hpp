// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>   // floating_point
#include <optional>   // optional
#include <stdexcept>  // invalid_argument, logic_error
#include <string>     // string, to_string
#include <utility>    // move

#include <splitvit/core/error.hpp>              // ShapeError
#include <splitvit/core/random.hpp>             // Rng
#include <splitvit/kernel/token_statistic.hpp>  // TokenStatistic
#include <splitvit/nn/bottleneck.hpp>           // Encoder, Decoder
#include <splitvit/nn/init.hpp>                 // initialise
#include <splitvit/nn/token_statistics.hpp>     // TokenStatistics
#include <splitvit/nn/vit.hpp>                  // VitConfig, Stem, Blocks, Classifier

// Part: a run of blocks of a ViT, which one party trains. cut.hpp makes all parts of a model.

namespace splitvit::nn {

/// What a part computes at the cut behind it, before its encoder.
template <std::floating_point T>
struct AtCut {
  Variable<T> tokens;       ///< (B, N, D)
  Tensor<T> cls_attention;  ///< (B, N), of the last block; empty unless asked for
  Tensor<T> statistics;     ///< (B, N, W), see TokenStatistics::result; empty unless asked for
};

/// Errors  std::invalid_argument unless the config makes a model and 0 <= first < last <= depth.
inline void require_part(const VitConfig& config, Index first, Index last) {
  require_valid(config);
  if (first < 0 || first >= last || last > config.depth)
    throw std::invalid_argument(
        "part: blocks [" + std::to_string(first) + ", " + std::to_string(last) +
        ") of a model of " + std::to_string(config.depth) + ", wanted 0 <= first < last <= depth");
}

/// Blocks [first, last) of a model. The first part of a model also has the stem and takes images,
/// the last part has the classifier and gives logits. Letters: B, samples; N, tokens, CLS first;
/// D, the width of the model's tokens.
///
/// Where a bottleneck is wanted at a cut, the part before the cut gets its encoder and the part
/// after the cut its decoder; see bottleneck.hpp. A copy shares the parameters.
template <std::floating_point T>
struct Part {
  VitConfig config;                        ///< of the whole model
  Index first, last;                       ///< the numbers of the blocks in the whole model
  std::optional<Decoder<T>> decoder = {};  ///< of a bottleneck at the input
  std::optional<Stem<T>> stem = {};        ///< if first == 0
  Blocks<T> blocks;
  std::optional<Classifier<T>> classifier = {};  ///< if last == depth
  std::optional<Encoder<T>> encoder = {};        ///< of a bottleneck at the output

  /// Parameters zero, norms one; make_part gives them their starting values.
  /// Errors  as require_part.
  Part(const VitConfig& c, Index first_, Index last_)
      : config{(require_part(c, first_, last_), c)},
        first{first_},
        last{last_},
        blocks{c, first_, last_} {
    if (first == 0) stem.emplace(c.channels, c.patch, c.patches(), c.dim);
    if (last == c.depth) classifier.emplace(c);
  }

  /// Computes what is at the cut behind this part. Compression stages work on it; encode() comes
  /// after them.
  ///
  /// Shapes  input: images (B, channels, image, image) if there is a stem, else tokens
  ///         (B, N, input_width()). log_sizes (B, N) or empty: where a token stands for several,
  ///         the logarithm of their number; attention then weighs it as that many tokens.
  /// Errors  std::logic_error for a part that ends with the classifier; ShapeError for an input
  /// that does not fit. Source  log_sizes: Bolya et al., "Token Merging: Your ViT But Faster",
  /// arXiv:2210.09461,
  ///         proportional attention.
  AtCut<T> to_cut(const Variable<T>& input, NeedWeights need_weights = NeedWeights::cls,
                  kernel::TokenStatistic statistic = kernel::TokenStatistic::none,
                  const Tensor<T>& log_sizes = {}) const {
    if (classifier) refuse("to_cut", "no cut follows its classifier");
    TokenStatistics<T> statistics{statistic, config.heads};
    AttentionOutput<T> out =
        blocks(tokens_of("to_cut", input), need_weights, &statistics, log_sizes);
    return {std::move(out.y), std::move(out.cls_attention), std::move(statistics).result()};
  }

  /// Encodes what crosses the cut behind this part.
  ///
  /// Shapes  tokens (B, N, D), any number of samples and tokens -> (B, N, output_width()).
  /// Errors  std::logic_error for a part that ends with the classifier.
  Variable<T> encode(const Variable<T>& tokens) const {
    if (classifier) refuse("encode", "no cut follows its classifier");
    return encoder ? (*encoder)(tokens) : tokens;
  }

  /// The class scores, of the part that ends with the classifier.
  ///
  /// Shapes  input and log_sizes as in to_cut -> (B, classes).
  /// Errors  std::logic_error for a part that ends at a cut; ShapeError for an input that does not
  /// fit.
  Variable<T> logits(const Variable<T>& input, const Tensor<T>& log_sizes = {}) const {
    if (!classifier) refuse("logits", "it ends at a cut and has no classifier");
    return (*classifier)(blocks.cls(tokens_of("logits", input), log_sizes));
  }

  /// The width of a token that comes in. A part with a stem takes images instead.
  Index input_width() const { return decoder ? decoder->input_width() : config.dim; }

  /// The width of a token that encode() gives.
  Index output_width() const { return encoder ? encoder->output_width() : config.dim; }

  /// On one line, for messages: "blocks [0, 3) of 12, with stem".
  std::string description() const {
    std::string text = "blocks [" + std::to_string(first) + ", " + std::to_string(last) + ") of " +
                       std::to_string(config.depth);
    const char* before = ", with ";
    const auto add = [&](bool has, const char* name) {
      if (!has) return;
      text += before + std::string{name};
      before = " and ";
    };
    add(decoder.has_value(), "decoder");
    add(stem.has_value(), "stem");
    add(classifier.has_value(), "classifier");
    add(encoder.has_value(), "encoder");
    return text;
  }

  void each_parameter(auto&& see) const {
    if (decoder) nested("decoder.", *decoder, see);
    if (stem) stem->each_parameter(see);
    blocks.each_parameter(see);
    if (classifier) classifier->each_parameter(see);
    if (encoder) nested("encoder.", *encoder, see);
  }

 private:
  Variable<T> tokens_of(const char* operation, const Variable<T>& input) const {
    if (stem && decoder)
      refuse(operation, "no cut comes before its stem, so it cannot have a decoder");
    if (stem) return (*stem)(input);
    const Shape& shape = input.shape();
    if (shape.rank() != 3 || shape[1] < 1 || shape[2] != input_width())
      throw ShapeError("Part: " + std::string{operation} + ": tokens " + shape.text() +
                       ", wanted (B, N, " + std::to_string(input_width()) + ") with N >= 1");
    return decoder ? (*decoder)(input) : input;
  }

  [[noreturn]] void refuse(const char* operation, const char* reason) const {
    throw std::logic_error("Part: " + std::string{operation} + ": this part is " + description() +
                           "; " + reason);
  }
};

/// Makes one part alone, without the memory of the others. Its starting values are drawn from rng's
/// seed and stream. Given the same rng, all parts of a model start as make_vit's whole model.
/// Errors  as require_part.
template <std::floating_point T>
Part<T> make_part(const VitConfig& config, Index first, Index last, const Rng& rng) {
  Part<T> part{config, first, last};
  initialise<T>(part, rng);
  return part;
}

}  // namespace splitvit::nn
