// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>    // min
#include <array>        // array
#include <concepts>     // floating_point
#include <cstddef>      // size_t
#include <cstdint>      // uint32_t, uint64_t
#include <limits>       // numeric_limits
#include <stdexcept>    // invalid_argument
#include <string>       // string
#include <string_view>  // string_view

#include <splitvit/codec/any_codec.hpp>          // AnyCodec
#include <splitvit/codec/c3.hpp>                 // C3
#include <splitvit/codec/cls_exact.hpp>          // ClsExact
#include <splitvit/codec/detail/codec_text.hpp>  // CodecText, find_outside, Interval
#include <splitvit/codec/fedlite.hpp>            // FedLite
#include <splitvit/codec/float32.hpp>            // Float32
#include <splitvit/codec/half.hpp>               // Bfloat16, Float16
#include <splitvit/codec/quantise.hpp>           // Quantise
#include <splitvit/codec/random_top_k.hpp>       // RandomTopK
#include <splitvit/codec/receipts.hpp>           // is_straight_through
#include <splitvit/codec/sl_acc.hpp>             // SlAcc, SlAccRange
#include <splitvit/codec/sl_fac.hpp>             // SlFac, TokenGrid
#include <splitvit/codec/split_fc.hpp>           // SplitFc, SplitFcFill
#include <splitvit/codec/token_scaled.hpp>       // TokenScaled
#include <splitvit/codec/top_k.hpp>              // TopK
#include <splitvit/codec/two_way.hpp>            // TwoWay

// parse_codec: a codec from a text, as people write it on a command line.

namespace splitvit::codec {

/// The codec that a text names:
///
///   text   = codec | codec/codec      one for activations / another one for gradients
///   codec  = name[:value][,option=value]...   or   name(value)[,option=value]...
///
///   float32  float16  q:8  q:4,range=tensor,rounding=stochastic  topk:0.1,values=(q:8)
///   cls-exact(q:4),cls=float16  scaled(q:8,range=tensor)  q:4/float16
///
/// A value with a comma or a slash stands in parentheses. What is left out has the default of
/// the codec's type. codec_usages() says how each codec is written.
///
/// Errors  std::invalid_argument naming the part that is wrong and what is possible.
template <std::floating_point T>
AnyCodec<T> parse_codec(std::string_view text);

namespace detail {

/// One codec that parse_codec knows.
template <class T>
struct CodecEntry {
  std::string_view name;
  std::string_view usage;  ///< how to write it; what is in brackets may be left out
  AnyCodec<T> (*make)(CodecText&);
};

inline constexpr Interval above_0_to_1{0, 1, true};

/// A codec within a codec.
template <class T>
AnyCodec<T> inner_codec(CodecText& text, std::string_view option) {
  const auto given = text.value(option);
  return given ? parse_codec<T>(*given) : AnyCodec<T>{Float32{}};
}

/// The codec that a wrapper cannot do without.
template <class T>
AnyCodec<T> wrapped_codec(CodecText& text) {
  const auto given = text.value("");
  if (!given) text.fail("needs a codec in parentheses");
  return parse_codec<T>(*given);
}

template <class T>
AnyCodec<T> make_quantise(CodecText& text) {
  Quantise made;
  made.bits = static_cast<int>(text.whole("", made.bits, 1, 16));
  made.gradient_bits = static_cast<int>(text.whole("gradient_bits", made.bits, 1, 16));
  made.range = text.choice("range", made.range, range_names);
  made.gradient_range = text.choice("gradient_range", made.gradient_range, range_names);
  made.rounding = text.choice("rounding", made.rounding, rounding_names);
  return made;
}

template <class T>
AnyCodec<T> make_fedlite(CodecText& text) {
  FedLite<> made;
  constexpr Index most = std::numeric_limits<std::uint32_t>::max();
  made.pieces = text.whole("", made.pieces, 1, most);
  made.groups = text.whole("groups", made.groups, 1, made.pieces);
  made.words = text.whole("words", made.words, 2, 65536);
  made.iterations = static_cast<int>(text.whole("iterations", made.iterations, 1, 1'000'000));
  made.correction = text.real("correction", made.correction, {0, 1e6});
  return made;
}

/// Sets the least and the most bits that a codec may choose.
template <class Made>
void set_bit_limits(CodecText& text, Made& made) {
  made.max_bits = static_cast<int>(text.whole("max_bits", made.max_bits, 1, 16));
  made.min_bits = static_cast<int>(
      text.whole("min_bits", std::min(made.min_bits, made.max_bits), 1, made.max_bits));
}

template <class T>
AnyCodec<T> make_sl_acc(CodecText& text) {
  static constexpr std::array<Named<int>, 2> directions{{{"1", 1}, {"-1", -1}}};
  static constexpr std::array<Named<SlAccRange>, 2> ranges{
      {{"group", SlAccRange::group}, {"channel", SlAccRange::channel}}};
  SlAcc made;
  made.groups = static_cast<int>(text.whole("", made.groups, 1, 16));
  set_bit_limits(text, made);
  made.blend = text.real("blend", made.blend, {0, 1, false, true});
  made.direction = text.choice("direction", made.direction, directions);
  made.range = text.choice("range", made.range, ranges);
  return made;
}

template <class T>
AnyCodec<T> make_sl_fac(CodecText& text) {
  SlFac made;
  made.theta = text.real("", made.theta, above_0_to_1);
  made.mid_bits = static_cast<int>(text.whole("mid_bits", made.mid_bits, 1, 16));
  set_bit_limits(text, made);
  if (const auto grid = text.extents("grid")) made.grid = TokenGrid{grid->first, grid->second};
  return made;
}

template <class T>
AnyCodec<T> make_split_fc(CodecText& text) {
  static constexpr std::array<Named<SplitFcFill>, 2> fills{
      {{"zero", SplitFcFill::zero}, {"mean", SplitFcFill::mean}}};
  SplitFc made;
  made.keep = text.real("", made.keep, above_0_to_1);
  made.up_bits = text.real("up_bits", made.up_bits, {0, 8});
  made.down_bits = text.real("down_bits", made.down_bits, {0, 8});
  made.end_bits = static_cast<int>(text.whole("end_bits", made.end_bits, 1, 16));
  made.mean_bits = static_cast<int>(text.whole("mean_bits", made.mean_bits, 1, 16));
  made.fill = text.choice("fill", made.fill, fills);
  made.keep_cls = text.choice("keep_cls", made.keep_cls);
  return made;
}

/// All codecs that parse_codec knows. A new one is added here.
template <class T>
inline constexpr std::array codec_entries{
    CodecEntry<T>{"float32", "float32", [](CodecText&) -> AnyCodec<T> { return Float32{}; }},
    CodecEntry<T>{"float16", "float16[,scaled=yes|no]",
                  [](CodecText& text) -> AnyCodec<T> {
                    return Float16{.scaled = text.choice("scaled", true)};
                  }},
    CodecEntry<T>{"bfloat16", "bfloat16", [](CodecText&) -> AnyCodec<T> { return Bfloat16{}; }},
    CodecEntry<T>{"q",
                  "q[:BITS][,gradient_bits=BITS][,range=tensor|sample|token|channel]"
                  "[,gradient_range=...][,rounding=nearest|stochastic]",
                  make_quantise<T>},
    CodecEntry<T>{"topk", "topk[:RATE][,values=CODEC]",
                  [](CodecText& text) -> AnyCodec<T> {
                    return TopK<AnyCodec<T>>{.rate = text.real("", 0.1, above_0_to_1),
                                             .values = inner_codec<T>(text, "values")};
                  }},
    CodecEntry<T>{"random_topk", "random_topk[:RATE][,alpha=ALPHA][,values=CODEC]",
                  [](CodecText& text) -> AnyCodec<T> {
                    return RandomTopK<AnyCodec<T>>{
                        .rate = text.real("", 0.1, above_0_to_1),
                        .alpha = text.real("alpha", 0.1, {0, 1, false, true}),
                        .values = inner_codec<T>(text, "values")};
                  }},
    CodecEntry<T>{"cls-exact", "cls-exact(CODEC)[,cls=CODEC]",
                  [](CodecText& text) -> AnyCodec<T> {
                    return ClsExact<AnyCodec<T>, AnyCodec<T>>{.rest = wrapped_codec<T>(text),
                                                              .cls = inner_codec<T>(text, "cls")};
                  }},
    CodecEntry<T>{"scaled", "scaled(CODEC)",
                  [](CodecText& text) -> AnyCodec<T> {
                    return TokenScaled<AnyCodec<T>>{.inner = wrapped_codec<T>(text)};
                  }},
    CodecEntry<T>{"c3", "c3[:RATIO][,seed=SEED][,unitary=yes|no]",
                  [](CodecText& text) -> AnyCodec<T> {
                    return C3{.ratio = text.whole("", 4, 1, 65536),
                              .seed = static_cast<std::uint64_t>(
                                  text.whole("seed", 0, 0, std::numeric_limits<Index>::max())),
                              .unitary = text.choice("unitary", false)};
                  }},
    CodecEntry<T>{"fedlite",
                  "fedlite[:PIECES][,groups=GROUPS][,words=WORDS][,iterations=ROUNDS]"
                  "[,correction=LAMBDA]",
                  make_fedlite<T>},
    CodecEntry<T>{"slacc",
                  "slacc[:GROUPS][,min_bits=BITS][,max_bits=BITS][,blend=SHARE]"
                  "[,direction=1|-1][,range=group|channel]",
                  make_sl_acc<T>},
    CodecEntry<T>{"slfac",
                  "slfac[:THETA][,mid_bits=BITS][,min_bits=BITS][,max_bits=BITS]"
                  "[,grid=ROWSxCOLUMNS]",
                  make_sl_fac<T>},
    CodecEntry<T>{"splitfc",
                  "splitfc[:KEEP][,up_bits=BITS][,down_bits=BITS][,end_bits=BITS]"
                  "[,mean_bits=BITS][,fill=zero|mean][,keep_cls=yes|no]",
                  make_split_fc<T>},
};

/// One codec, without a slash.
template <class T>
AnyCodec<T> parse_single_codec(std::string_view written) {
  CodecText text{written};
  std::string all;
  for (const CodecEntry<T>& entry : codec_entries<T>) {
    all += (all.empty() ? "" : ", ") + std::string{entry.name};
    if (entry.name != text.name()) continue;
    text.set_usage(entry.usage);
    AnyCodec<T> made = entry.make(text);
    text.finish();
    return made;
  }
  text.fail("names no codec; possible are " + all);
}

}  // namespace detail

/// How each codec is written, one a line, for help texts.
inline std::string codec_usages() {
  std::string all;
  for (const auto& entry : detail::codec_entries<float>) all += std::string{entry.usage} + "\n";
  return all;
}

template <std::floating_point T>
AnyCodec<T> parse_codec(std::string_view text) {
  const std::size_t slash = detail::find_outside(text, '/');
  if (slash == std::string_view::npos) return detail::parse_single_codec<T>(text);
  const auto parse_way = [&](std::string_view way) {
    AnyCodec<T> made = detail::parse_single_codec<T>(way);
    if (!is_straight_through<T>(made))
      throw std::invalid_argument("parse_codec: '" + std::string{way} + "' in '" +
                                  std::string{text} +
                                  "' remembers what it sent, so it must take both ways");
    return made;
  };
  return TwoWay<AnyCodec<T>, AnyCodec<T>>{.up = parse_way(text.substr(0, slash)),
                                          .down = parse_way(text.substr(slash + 1))};
}

}  // namespace splitvit::codec
