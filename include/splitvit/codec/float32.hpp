// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>    // atomic
#include <concepts>  // floating_point
#include <cstddef>   // byte, size_t
#include <span>      // span
#include <string>    // string, to_string
#include <vector>    // vector

#include <splitvit/codec/concepts.hpp>  // Decoded, NoReceipt
#include <splitvit/core/bytes.hpp>      // ByteReader, ByteWriter
#include <splitvit/core/error.hpp>      // WireError
#include <splitvit/core/finite.hpp>     // all_finite
#include <splitvit/core/parallel.hpp>   // parallel_for
#include <splitvit/core/random.hpp>     // Rng
#include <splitvit/tensor/reduce.hpp>   // all_finite
#include <splitvit/tensor/tensor.hpp>   // Tensor, TensorView

// Float32: the numbers as they are. The baseline that other codecs are compared with.

namespace splitvit::codec {

/// Writes each number as it is, little-endian, row by row: 4 bytes a number both ways. It is
/// named for the usual element type; a tensor of double takes 8 bytes a number, so that
/// training in double is exact, too.
///
/// Errors  WireError: not_finite for NaN or infinity, when writing and when reading;
///         wrong_shape if there are not as many bytes as the announced shape takes.
struct Float32 {
  template <std::floating_point T>
  NoReceipt encode(TensorView<const T> x, std::vector<std::byte>& out, Rng&) const {
    write(x, out);
    return {};
  }

  template <std::floating_point T>
  Decoded<T, NoReceipt> decode(std::span<const std::byte> in, const Shape& shape) const {
    return {read<T>(in, shape), {}};
  }

  template <std::floating_point T>
  void encode_gradient(TensorView<const T> gradient, const NoReceipt&, std::vector<std::byte>& out,
                       Rng&) const {
    write(gradient, out);
  }

  template <std::floating_point T>
  Tensor<T> decode_gradient(std::span<const std::byte> in, const NoReceipt&,
                            const Shape& shape) const {
    return read<T>(in, shape);
  }

  /// What it does, on one line.
  std::string description() const { return "float32"; }

 private:
  template <class T>
  static void write(TensorView<const T> x, std::vector<std::byte>& out) {
    if (!all_finite(x))
      throw WireError(Reason::not_finite,
                      "Float32: NaN or infinity in a tensor " + x.shape().text() + " to be sent");
    ByteWriter{out}.put_array(x.span());
  }

  template <class T>
  static Tensor<T> read(std::span<const std::byte> in, const Shape& shape) {
    // Divided, not multiplied: a hostile shape must not overflow.
    if (in.size() % sizeof(T) != 0 ||
        in.size() / sizeof(T) != static_cast<std::size_t>(shape.elements()))
      throw WireError(Reason::wrong_shape, "Float32: " + std::to_string(in.size()) +
                                               " bytes for a tensor " + shape.text() + " of " +
                                               std::to_string(sizeof(T)) + " bytes each");
    Tensor<T> out = Tensor<T>::uninitialised(shape);
    std::atomic<bool> is_finite = true;
    parallel_for(out.size(), Index{1} << 14, [&](Index begin, Index end) {
      const auto first = static_cast<std::size_t>(begin);
      const auto part = out.span().subspan(first, static_cast<std::size_t>(end - begin));
      ByteReader{in.subspan(first * sizeof(T), part.size_bytes()), "Float32"}.get_array(part);
      if (!all_finite<T>(part)) is_finite = false;
    });
    if (!is_finite)
      throw WireError(Reason::not_finite,
                      "Float32: NaN or infinity in a tensor " + shape.text() + " that came");
    return out;
  }
};

}  // namespace splitvit::codec
