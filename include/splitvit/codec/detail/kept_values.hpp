// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>    // fill
#include <concepts>     // floating_point
#include <cstddef>      // byte, size_t
#include <cstdint>      // uint32_t
#include <span>         // span
#include <string>       // string
#include <type_traits>  // remove_const_t
#include <utility>      // move
#include <vector>       // vector

#include <splitvit/codec/concepts.hpp>          // Decoded, ReceiverReceipt, SenderReceipt
#include <splitvit/codec/detail/index_set.hpp>  // get_index_sets, put_index_sets
#include <splitvit/codec/receipts.hpp>          // saturated_values
#include <splitvit/core/bytes.hpp>              // ByteReader
#include <splitvit/core/error.hpp>              // ShapeError, WireError
#include <splitvit/core/parallel.hpp>           // parallel_for
#include <splitvit/core/random.hpp>             // Rng
#include <splitvit/tensor/tensor.hpp>           // Tensor, TensorView

// Sends of each sample only some values, once it is known which. Letters: B samples of n values,
// of which k stay.

namespace splitvit::codec {

/// What both sides remember of values that stayed: where they were, and what the codec that
/// wrote them left.
template <class ValuesReceipt>
struct KeptReceipt {
  Shape shape{0};                      ///< of the whole tensor
  Index count = 0;                     ///< k
  std::vector<std::uint32_t> indices;  ///< B times k, ascending, into the flattened sample
  ValuesReceipt values;
  Index saturated = 0;  ///< see saturated_values
};

namespace detail {

/// The values at `indices` of each sample, (B, k).
template <class T>
Tensor<T> gather_kept(TensorView<const T> x, std::span<const std::uint32_t> indices, Index count) {
  const Index B = x.dim(0), n = x.size() / B;
  auto kept = Tensor<T>::uninitialised({B, count});
  parallel_for(B, 1, [&](Index begin, Index end) {
    for (Index b = begin; b < end; ++b) {
      const std::uint32_t* const at = indices.data() + b * count;
      const T* const from = x.data() + b * n;
      T* const to = kept.data() + b * count;
      for (Index i = 0; i < count; ++i) to[i] = from[at[i]];
    }
  });
  return kept;
}

/// The opposite: a tensor with the values there and zero elsewhere.
template <class T>
Tensor<T> scatter_kept(const Tensor<T>& kept, std::span<const std::uint32_t> indices,
                       const Shape& shape) {
  const Index B = kept.dim(0), count = kept.dim(1), n = shape.elements() / B;
  auto x = Tensor<T>::uninitialised(shape);
  parallel_for(B, 1, [&](Index begin, Index end) {
    for (Index b = begin; b < end; ++b) {
      const std::uint32_t* const at = indices.data() + b * count;
      const T* const from = kept.data() + b * count;
      T* const to = x.data() + b * n;
      std::fill(to, to + n, T{0});
      for (Index i = 0; i < count; ++i) to[at[i]] = from[i];
    }
  });
  return x;
}

/// Appends index sets and the values there.
template <std::floating_point T, class Values>
KeptReceipt<SenderReceipt<Values, T>> encode_kept(TensorView<const T> x,
                                                  std::vector<std::uint32_t> indices, Index count,
                                                  Values& values, std::vector<std::byte>& out,
                                                  Rng& rng) {
  put_index_sets(indices, count, x.size() / x.dim(0), out);
  const Tensor<T> kept = gather_kept(x, indices, count);
  auto receipt = values.encode(kept.view(), out, rng);
  const Index saturated = saturated_values(receipt);
  return {x.shape(), count, std::move(indices), std::move(receipt), saturated};
}

/// What encode_kept wrote, for k = `count`.
template <std::floating_point T, class Values>
Decoded<T, KeptReceipt<ReceiverReceipt<Values, T>>> decode_kept(std::span<const std::byte> in,
                                                                const Shape& shape, Index count,
                                                                Values& values,
                                                                const std::string& codec) {
  ByteReader reader{in, codec};
  const Index B = shape[0];
  auto indices = get_index_sets(reader, B, count, shape.elements() / B, codec);
  auto kept = values.template decode<T>(reader.get_bytes(reader.left()), Shape{B, count});
  auto x = scatter_kept(kept.values, indices, shape);
  return {std::move(x), {shape, count, std::move(indices), std::move(kept.receipt)}};
}

/// Appends the gradient where values stayed.
template <std::floating_point T, class Values>
void encode_kept_gradient(TensorView<const T> gradient,
                          const KeptReceipt<ReceiverReceipt<Values, T>>& receipt, Values& values,
                          std::vector<std::byte>& out, Rng& rng, const std::string& codec) {
  if (!(gradient.shape() == receipt.shape))
    throw ShapeError(codec + ": gradient " + gradient.shape().text() + " of a tensor " +
                     receipt.shape.text());
  const Tensor<T> kept = gather_kept(gradient, receipt.indices, receipt.count);
  values.encode_gradient(kept.view(), receipt.values, out, rng);
}

template <std::floating_point T, class Values>
Tensor<T> decode_kept_gradient(std::span<const std::byte> in,
                               const KeptReceipt<SenderReceipt<Values, T>>& receipt,
                               const Shape& shape, Values& values, const std::string& codec) {
  if (!(shape == receipt.shape))
    throw WireError(Reason::wrong_shape,
                    codec + ": gradient " + shape.text() + " of a tensor " + receipt.shape.text());
  const auto kept =
      values.template decode_gradient<T>(in, receipt.values, Shape{shape[0], receipt.count});
  return scatter_kept(kept, receipt.indices, shape);
}

}  // namespace detail

}  // namespace splitvit::codec
