// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>  // atomic

#include <splitvit/codec/concepts.hpp>        // Pass
#include <splitvit/codec/detail/require.hpp>  // require_exactly
#include <splitvit/core/bytes.hpp>            // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>            // Reason
#include <splitvit/core/options.hpp>          // describe_options
#include <splitvit/core/parallel.hpp>         // parallel_for
#include <splitvit/core/random.hpp>           // Rng
#include <splitvit/tensor/reduce.hpp>         // all_finite
#include <splitvit/tensor/tensor.hpp>         // Tensor, TensorView

namespace splitvit::inline SPLITVIT_BUILD::codec {

/// Writes each number as it is, little-endian, row by row: 4 bytes a number in both passes. It is
/// named for the usual element type; a tensor of double takes 8 bytes a number, so that training in
/// double is exact, too.
///
/// Errors  See Codec.
struct Float32 {
  static constexpr std::string_view name = "float32";
  static void each_option(auto&, auto&&) {}
  std::string description() const { return describe_options(*this); }

  template <std::floating_point T>
  Index put(TensorView<const T> x, Pass, std::vector<std::byte>& out, Rng&) const {
    ByteWriter{out}.put_array(x.span());
    return 0;
  }

  template <std::floating_point T>
  Tensor<T> get(ByteReader& reader, const Shape& shape, Pass) const {
    detail::require_exactly(reader, shape, sizeof(T));
    const auto in = reader.get_bytes(reader.left());
    Tensor<T> x = Tensor<T>::uninitialised(shape);
    std::atomic<bool> is_finite = true;
    parallel_for(x.size(), Index{1} << 14, [&](Index begin, Index end) {
      const auto first = static_cast<std::size_t>(begin);
      const auto part = x.span().subspan(first, static_cast<std::size_t>(end - begin));
      ByteReader{in.subspan(first * sizeof(T), part.size_bytes())}.get_array(part);
      if (!all_finite<T>(part)) is_finite = false;
    });
    if (!is_finite)
      reader.refuse(Reason::not_finite,
                    {"NaN or infinity in a tensor ", shape.text(), " that came"});
    return x;
  }
};

}  // namespace splitvit::inline SPLITVIT_BUILD::codec
