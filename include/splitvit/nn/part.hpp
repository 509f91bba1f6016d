// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/ops/reshape.hpp>    // reshape
#include <splitvit/autograd/ops/tokens.hpp>     // pick_tokens
#include <splitvit/core/error.hpp>              // ArgumentError, joined, ShapeError
#include <splitvit/core/random.hpp>             // Rng
#include <splitvit/kernel/token_statistic.hpp>  // TokenStatistic
#include <splitvit/nn/bottleneck.hpp>           // Encoder, Decoder
#include <splitvit/nn/init.hpp>                 // initialise
#include <splitvit/nn/token_statistics.hpp>     // TokenStatistics
#include <splitvit/nn/vit.hpp>                  // VitConfig, Stem, Blocks, Classifier

namespace splitvit::inline SPLITVIT_BUILD::nn {

/// What a part computes at the cut after it, before its encoder.
template <std::floating_point T>
struct AtCut {
  Variable<T> tokens;       ///< (B, N, D)
  Tensor<T> cls_attention;  ///< (B, N), of the last block; empty if not needed
  Tensor<T> statistics;     ///< (B, N, W), see TokenStatistics::result; empty if not needed
};

/// Errors  std::invalid_argument unless the config makes a model and 0 <= first < last <= depth, or
///         both are depth.
inline void require_part(const VitConfig& config, Index first, Index last) {
  require_valid(config);
  if (first < 0 || last > config.depth || first > last || (first == last && last < config.depth))
    throw ArgumentError({"part: blocks [", first, ", ", last, ") of a model of ", config.depth,
                         ", wanted 0 <= first < last <= depth"});
}

/// Blocks [first, last) of a model. The first part of a model also has the stem and takes images,
/// the last part has the classifier and gives logits; it may have nothing else. With a bottleneck
/// at a cut, the part before the cut has its encoder and the part after it the decoder. A copy
/// shares the parameters. Letters: B, samples; N, tokens, CLS first; D, the width of the model's
/// tokens.
template <std::floating_point T>
struct Part {
  VitConfig config;                        ///< of the whole model
  Index first, last;                       ///< the numbers of the blocks in the whole model
  std::optional<Decoder<T>> decoder = {};  ///< of a bottleneck at the input
  std::optional<Stem<T>> stem = {};        ///< if first == 0
  Blocks<T> blocks;
  std::optional<Classifier<T>> classifier = {};  ///< if last == depth
  std::optional<Encoder<T>> encoder = {};        ///< of a bottleneck at the output

  /// Parameters zero, norms one; see make_part. Errors  as require_part.
  Part(const VitConfig& c, Index first_, Index last_);

  /// Computes the batch at the cut after this part, for compression stages and then encode().
  /// Shapes  input: images (B, channels, image, image) if there is a stem, else tokens
  ///         (B, N, input_width()). log_sizes (B, N) or empty: the logarithm of the number of
  ///         tokens that each token stands for; attention then weighs it as that many tokens.
  ///         kept (B, P) or empty: which tokens of each sample reach the first block; N is then P
  ///         behind it.
  /// Errors  std::logic_error for a part that ends with the classifier; ShapeError for an input
  ///         that does not fit; those of pick_tokens.
  /// Source  log_sizes: proportional attention of Token Merging, arXiv:2210.09461.
  AtCut<T> to_cut(const Variable<T>& input, NeedWeights need_weights = NeedWeights::cls,
                  TokenStatistic statistic = TokenStatistic::none, const Tensor<T>& log_sizes = {},
                  const Tensor<Index>& kept = {}) const;

  /// Encodes the tokens at the cut after this part.
  /// Shapes  tokens (B, N, D), any number of samples and tokens -> (B, N, output_width()).
  /// Errors  std::logic_error for a part that ends with the classifier.
  Variable<T> encode(const Variable<T>& tokens) const;

  /// What the next part needs, of a part between two others where no stage acts: all tokens, or
  /// only CLS if no block follows.
  /// Shapes  input and log_sizes as in to_cut -> (B, N, D), or (B, 1, D) behind the last block.
  /// Errors  as to_cut.
  Variable<T> to_next(const Variable<T>& input, const Tensor<T>& log_sizes = {}) const;

  /// The class scores, of the part that ends with the classifier.
  /// Shapes  input and log_sizes as in to_cut -> (B, classes).
  /// Errors  as to_cut, but std::logic_error for a part that ends at a cut.
  Variable<T> logits(const Variable<T>& input, const Tensor<T>& log_sizes = {}) const;

  /// How the products of stem and blocks are computed; those of a bottleneck and the classifier,
  /// and all that crosses a cut, stay of type T, so the other party may choose for itself. Errors
  /// std::invalid_argument if this build cannot.
  void use(Compute compute);

  /// The width of a token that comes in; a part with a stem takes images instead.
  Index input_width() const { return decoder ? decoder->input_width() : config.dim; }
  /// The width of a token that encode() gives.
  Index output_width() const { return encoder ? encoder->output_width() : config.dim; }

  /// On one line, for messages: "blocks [0, 3) of 12, with stem".
  std::string description() const;

  void each_parameter(auto&& see) const {
    if (decoder) nested("decoder.", *decoder, see);
    if (stem) stem->each_parameter(see);
    blocks.each_parameter(see);
    if (classifier) classifier->each_parameter(see);
    if (encoder) nested("encoder.", *encoder, see);
  }

 private:
  Variable<T> tokens_of(const char* operation, const Variable<T>& input) const;

  [[noreturn]] void refuse(const char* operation, const char* reason) const {
    throw std::logic_error(
        joined({"Part: ", operation, ": this part is ", description(), "; ", reason}));
  }
};

/// Makes one part alone. With the same rng, all parts of a model start as make_vit's whole model.
/// Errors  as require_part.
template <std::floating_point T>
Part<T> make_part(const VitConfig& config, Index first, Index last, const Rng& rng) {
  Part<T> part{config, first, last};
  initialise<T>(part, rng);
  return part;
}

template <std::floating_point T>
Part<T>::Part(const VitConfig& c, Index first_, Index last_)
    : config{(require_part(c, first_, last_), c)},
      first{first_},
      last{last_},
      blocks{c, first_, last_} {
  if (first == 0) stem.emplace(c.channels, c.patch, c.patches(), c.dim);
  if (last == c.depth) classifier.emplace(c);
}

template <std::floating_point T>
AtCut<T> Part<T>::to_cut(const Variable<T>& input, NeedWeights need_weights,
                         TokenStatistic statistic, const Tensor<T>& log_sizes,
                         const Tensor<Index>& kept) const {
  if (classifier) refuse("to_cut", "no cut follows its classifier");
  TokenStatistics<T> statistics{statistic, config.heads};
  Variable<T> tokens = tokens_of("to_cut", input);
  if (!kept.empty()) tokens = pick_tokens(tokens, kept);
  auto out = blocks(std::move(tokens), need_weights, &statistics, log_sizes);
  return {std::move(out.y), std::move(out.cls_attention), std::move(statistics).result()};
}

template <std::floating_point T>
Variable<T> Part<T>::to_next(const Variable<T>& input, const Tensor<T>& log_sizes) const {
  if (classifier) refuse("to_next", "no part follows its classifier");
  Variable<T> tokens = tokens_of("to_next", input);
  if (last < config.depth)
    return blocks(std::move(tokens), NeedWeights::none, nullptr, log_sizes).y;
  const Variable<T> cls = blocks.cls(std::move(tokens), log_sizes);
  return reshape(cls, Shape{cls.dim(0), 1, config.dim});
}

template <std::floating_point T>
Variable<T> Part<T>::encode(const Variable<T>& tokens) const {
  if (classifier) refuse("encode", "no cut follows its classifier");
  return encoder ? (*encoder)(tokens) : tokens;
}

template <std::floating_point T>
Variable<T> Part<T>::logits(const Variable<T>& input, const Tensor<T>& log_sizes) const {
  if (!classifier) refuse("logits", "it ends at a cut and has no classifier");
  return (*classifier)(blocks.cls(tokens_of("logits", input), log_sizes));
}

template <std::floating_point T>
void Part<T>::use(Compute compute) {
  blocks.use(compute);
  if (stem) stem->patch_embed.use(compute);
}

template <std::floating_point T>
std::string Part<T>::description() const {
  std::string text = joined({"blocks [", first, ", ", last, ") of ", config.depth});
  const char* before = ", with ";
  using Piece = std::pair<bool, const char*>;
  for (const auto& [has, name] : {Piece{decoder, "decoder"}, Piece{stem, "stem"},
                                  Piece{classifier, "classifier"}, Piece{encoder, "encoder"}})
    if (has) text += std::exchange(before, " and ") + std::string{name};
  return text;
}

template <std::floating_point T>
Variable<T> Part<T>::tokens_of(const char* operation, const Variable<T>& input) const {
  if (stem && decoder)
    refuse(operation, "no cut comes before its stem, so it cannot have a decoder");
  if (stem) return (*stem)(input);
  const Shape& shape = input.shape();
  if (shape.rank() != 3 || shape[1] < 1 || shape[2] != input_width())
    throw ShapeError({"Part: ", operation, ": tokens ", shape.text(), ", wanted (B, N, ",
                      input_width(), ") with N >= 1"});
  return decoder ? (*decoder)(input) : input;
}

SPLITVIT_ONCE(struct Part<float>);
SPLITVIT_ONCE(Part<float> make_part<float>(const VitConfig&, Index, Index, const Rng&));

}  // namespace splitvit::inline SPLITVIT_BUILD::nn
