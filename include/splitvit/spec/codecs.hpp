// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/codec/any_codec.hpp>     // AnyCodec, is_straight_through
#include <splitvit/codec/c3.hpp>            // C3
#include <splitvit/codec/cls_exact.hpp>     // ClsExact
#include <splitvit/codec/coded.hpp>         // Coded
#include <splitvit/codec/fedlite.hpp>       // FedLite
#include <splitvit/codec/float32.hpp>       // Float32
#include <splitvit/codec/half.hpp>          // Bfloat16, Float16
#include <splitvit/codec/quantise.hpp>      // Quantise
#include <splitvit/codec/sl_acc.hpp>        // SlAcc
#include <splitvit/codec/sl_fac.hpp>        // SlFac
#include <splitvit/codec/split_fc.hpp>      // SplitFc
#include <splitvit/codec/token_scaled.hpp>  // TokenScaled
#include <splitvit/codec/top_k.hpp>         // TopK
#include <splitvit/codec/transform.hpp>     // Transform
#include <splitvit/codec/two_way.hpp>       // TwoWay
#include <splitvit/spec/grammar.hpp>        // find_outside, PolicyList, PolicyText

namespace splitvit::inline SPLITVIT_BUILD::spec {

/// TopK with draws, under a name of its own.
template <class Inside>
struct RandomTopK : codec::TopK<Inside> {
  RandomTopK() { this->alpha = 0.1; }
  static constexpr std::string_view name = "random_topk";
};

/// All codecs that a text can name, with codecs of type Inside in them. A new one is added here.
template <class Inside>
using Codecs =
    PolicyList<codec::Float32, codec::Float16, codec::Bfloat16, codec::Quantise,
               codec::TopK<Inside>, RandomTopK<Inside>, codec::ClsExact<Inside, Inside>,
               codec::TokenScaled<Inside>, codec::C3, codec::FedLite<Inside>, codec::SlAcc,
               codec::SlFac, codec::SplitFc, codec::Transform, codec::Coded>;

/// How codecs are written, one a line.
inline std::string codec_usages() { return Codecs<codec::Float32>::usages(); }

/// The codec of a text in the grammar of spec/grammar.hpp, or CODEC/CODEC: one for activations and
/// another one for gradients.
///
///   float32  float16  q:8  q:4,range=tensor,rounding=stochastic  topk:0.1,values=(q:8)
///   cls-exact(q:4),cls=float16  scaled(q:8,range=tensor)  q:4/float16  transform:2  coded(q:4)
///
/// Errors  std::invalid_argument naming the part that is wrong and what is possible.
template <std::floating_point T>
codec::AnyCodec<T> parse_codec(std::string_view text) {
  using Codec = codec::AnyCodec<T>;
  constexpr std::string_view reader = "parse_codec";
  const auto require_straight_through = [&](const Codec& made, std::string_view part) {
    if (!codec::is_straight_through<T>(made))
      refuse_text(reader, part, {"in '", text, "' needs its context, so it must take both passes"});
    return made;
  };
  const auto read_nested = [&](std::string_view part, const Nested& kind) {
    Codec made = parse_codec<T>(part);
    return kind.straight_through ? require_straight_through(made, part) : made;
  };
  const auto read = [&](std::string_view part) {
    Codec made;
    Codecs<Codec>::read(
        {reader, part}, "codec", [&](const auto& codec) { made = codec; }, read_nested);
    return made;
  };
  const std::size_t slash = find_outside(reader, text, "/");
  if (slash == text.npos) return read(text);
  const auto read_pass = [&](std::string_view part) {
    return require_straight_through(read(part), part);
  };
  return codec::TwoWay<Codec, Codec>{.up = read_pass(text.substr(0, slash)),
                                     .down = read_pass(text.substr(slash + 1))};
}

}  // namespace splitvit::inline SPLITVIT_BUILD::spec
