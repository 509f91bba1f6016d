// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/ops/cross_entropy.hpp>  // cross_entropy
#include <splitvit/autograd/ops/tokens.hpp>         // mean_of_tokens
#include <splitvit/core/labels.hpp>                 // Labels
#include <splitvit/core/options.hpp>                // describe_options, Required
#include <splitvit/core/text.hpp>                   // number_from
#include <splitvit/nn/block.hpp>                    // LayerNorm, Linear
#include <splitvit/nn/concepts.hpp>                 // nested

// Feedback: in which steps the server sends its gradient. LocalHead: what gives the client one in
// the others.

namespace splitvit::inline SPLITVIT_BUILD::nn {

namespace detail {
/// gradient, local, or every:K; as a number 1, 0, or K.
struct FeedbackKind {
  static constexpr std::string_view before_number = "every:";

  std::string usage() const { return "gradient|local|every:K"; }
  std::string wanted() const { return "gradient, local, or every:K with K at least 1"; }
  bool allows(std::uint64_t) const { return true; }
  std::string text(std::uint64_t every) const {
    if (every < 2) return every == 1 ? "gradient" : "local";
    return std::string{before_number} + std::to_string(every);
  }
  template <std::same_as<std::uint64_t> V>
  std::optional<V> read(std::string_view text) const {
    if (text == "gradient") return 1;
    if (text == "local") return 0;
    if (!text.starts_with(before_number)) return std::nullopt;
    const auto every = number_from<V>(text.substr(before_number.size()));
    return every && *every > 0 ? every : std::nullopt;
  }
};
}  // namespace detail

/// Where the gradient of a client's part comes from. Without the server's, the bytes of the way
/// back are saved, and the client computes while the server does.
///
/// Source  after DSL-Aux, arXiv:2601.19261, and FSL-SAGE, arXiv:2505.23182. What the head is, and
///         that it sees what no stage has made smaller: ours.
struct Feedback {
  std::uint64_t every = 1;  ///< the server sends its gradient in each such step; 0: never

  /// Whether this step, from 1, has the local head's gradient instead of the server's.
  bool is_local(std::uint64_t step) const { return every == 0 || step % every != 0; }
  bool needs_head() const { return every != 1; }

  static constexpr std::string_view name = "feedback";
  static void each_option(auto& self, auto&& see) {
    see("", self.every, Required{detail::FeedbackKind{}});
  }
  std::string description() const { return describe_options(*this); }

  friend bool operator==(const Feedback&, const Feedback&) = default;
};

/// A classifier at the client's end of a cut: the mean of all tokens, a norm and a linear layer,
/// which starts as zeros. It is trained with the client's part and is no part of the model.
template <std::floating_point T>
struct LocalHead {
  LayerNorm<T> norm;
  Linear<T> head;

  /// Shapes  of tokens that are `width` wide, as the client's encoder returns them.
  LocalHead(Index width, Index classes) : norm{width}, head{width, classes} {}

  /// The mean loss of a batch.
  /// Shapes  tokens (B, N, width), labels of B rows -> (1).
  Variable<T> loss(const Variable<T>& tokens, const Labels& labels) const {
    return cross_entropy(head(norm(mean_of_tokens(tokens))), labels);
  }

  void each_parameter(auto&& see) const {
    nested("norm.", norm, see);
    nested("head.", head, see);
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::nn
