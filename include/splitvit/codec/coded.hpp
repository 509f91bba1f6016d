// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/codec/concepts.hpp>              // Pass
#include <splitvit/codec/detail/code_coder.hpp>     // CodeModel, get_code_streams, put_code_streams
#include <splitvit/codec/detail/coded_groups.hpp>   // code_count
#include <splitvit/codec/detail/coded_streams.hpp>  // MessageChain, padding
#include <splitvit/codec/detail/token_coder.hpp>    // TokenLayout
#include <splitvit/codec/quantise.hpp>              // Quantise
#include <splitvit/core/bytes.hpp>                  // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>                  // Reason
#include <splitvit/core/options.hpp>                // describe_options, OnePolicy, Required
#include <splitvit/core/random.hpp>                 // Rng
#include <splitvit/tensor/tensor.hpp>               // Tensor, TensorView

namespace splitvit::inline SPLITVIT_BUILD::codec {

namespace detail {
/// What a side of a session keeps of the messages in one direction.
struct CodedState {
  MessageChain chain = {};
  CodeModel model = {};

  /// See core/state.hpp.
  void each_state(auto&& see, const std::string& prefix) {
    chain.each_state(see, prefix);
    model.each_state(see, prefix);
  }
};
}  // namespace detail

/// The codes of Quantise in as many bits as they are worth, by tables that both sides learn from
/// earlier messages, in whole numbers only. What comes back is the same, bit for bit.
///
/// Shapes  As Quantise.
/// Sent    The ranges of Quantise; u8 1 where tables begin, else 0; u32 messages before; where
///         tables begin the mean of each column (u8); the streams of detail/coded_streams.hpp; u32
///         check of all codes so far; zeros to at least one byte for 2048 codes.
/// Grad    As Quantise, with tables of its own.
/// Errors  See Codec. WireError: wrong_step or bad_checksum if the sides have not seen the same
///         messages.
/// Source  Ours.
struct Coded {
  Quantise inner = {};

  detail::SessionStates<detail::CodedState> state = {};

  static constexpr std::string_view name = "coded";
  static void each_option(auto& self, auto&& see) {
    see("", self.inner, Required{OnePolicy<Quantise>{}});
  }
  std::string description() const { return describe_options(*this); }

  template <std::floating_point T>
  Index put(TensorView<const T> x, Pass pass, std::vector<std::byte>& out, Rng& rng) {
    require_options(name, inner);
    detail::CodedState& side = state.sent(pass);
    const auto put_codes = [&](Tensor<std::uint16_t>& codes, const auto&, Index W) {
      const std::size_t begin = out.size();
      const detail::CodeLayout layout = layout_of(x.shape(), codes.size(), W, pass);
      const bool starts = !side.model.fits(layout.W);
      if (starts) side = {};
      ByteWriter writer{out};
      writer.put(std::uint8_t{starts}, static_cast<std::uint32_t>(side.chain.messages));
      if (starts) {
        const auto means = detail::column_means(layout, codes.data());
        writer.put_array(std::span<const std::uint8_t>{means});
        side.model = detail::CodeModel::initial(means, layout.bits);
      }
      const auto seen = detail::put_code_streams(side.model, layout, codes.data(), out);
      side.model.learn(seen, layout.M);
      writer.put(side.chain.append(seen));
      detail::put_padding(out, begin, codes.size());
    };
    inner.put_ranges(x, pass, out, rng, put_codes);
    return 0;
  }

  template <std::floating_point T>
  Tensor<T> get(ByteReader& reader, const Shape& shape, Pass pass) {
    require_options(name, inner);
    detail::CodedState& kept = state.received(pass);
    const auto get_codes = [&](const auto& groups, Index W) {
      const Index count = detail::code_count<T>(groups);
      detail::require_least(reader, count);
      const std::size_t start = reader.position();
      const detail::CodeLayout layout = layout_of(shape, count, W, pass);
      const auto starts = reader.get<std::uint8_t>();
      if (starts > 1) reader.refuse(Reason::bad_flags, {"flags ", starts});
      detail::CodedState side;
      if (starts == 0) side = kept;
      side.chain.expect_number(reader);
      if (starts == 1) {
        reader.require(layout.W, 1);
        std::vector<std::uint8_t> means(static_cast<std::size_t>(layout.W));
        reader.get_array(std::span{means});
        side.model = detail::CodeModel::initial(means, layout.bits);
      }
      if (!side.model.fits(layout.W))
        reader.refuse(Reason::wrong_step, {"no tables for a tensor ", shape.text()});
      Tensor<std::uint16_t> codes{{count}};
      const auto seen = detail::get_code_streams(reader, side.model, layout, codes.data());
      side.model.learn(seen, layout.M);
      side.chain.expect_check(reader, seen);
      detail::expect_padding(reader, start, count);  // before anything is kept
      kept = std::move(side);
      return codes;
    };
    return inner.get_ranges<T>(reader, shape, pass, get_codes);
  }

  /// See StateVisitor.
  void each_state(auto&& see) { state.each_state(see); }

 private:
  /// Rows without codes are left out; with a range a channel, columns are.
  detail::CodeLayout layout_of(const Shape& shape, Index count, Index W, Pass pass) const {
    return {.M = W == 0 ? 0 : count / W,
            .W = W,
            .bits = inner.bits_in(pass),
            .above = detail::TokenLayout{shape, 0}.above};
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::codec
