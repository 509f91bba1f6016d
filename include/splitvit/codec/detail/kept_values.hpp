// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // fill

#include <splitvit/codec/concepts.hpp>          // contexts, Decoded, encode, saturated_values
#include <splitvit/codec/detail/index_set.hpp>  // get_index_sets, put_index_sets
#include <splitvit/codec/detail/require.hpp>  // announced_sample_size, require_finite, sample_size
#include <splitvit/core/bytes.hpp>            // ByteReader
#include <splitvit/core/options.hpp>          // require_options
#include <splitvit/core/parallel.hpp>         // parallel_for
#include <splitvit/core/random.hpp>           // Rng
#include <splitvit/kernel/largest.hpp>        // kept_entries, largest_entries
#include <splitvit/tensor/tensor.hpp>         // Tensor, TensorView

// Some values of each sample, chosen by their indices, and their gradients in the backward pass.
// Letters: B samples of n values, of which k are kept.

namespace splitvit::inline SPLITVIT_BUILD::codec {

/// The context of both sides: where the kept values were, and the context of their codec.
template <class ValuesContext>
struct KeptContext {
  Shape shape{0};                      ///< of the whole tensor
  Index count = 0;                     ///< k
  std::vector<std::uint32_t> indices;  ///< B times k, ascending, into the flattened sample
  ValuesContext values;
  Index saturated = 0;  ///< see saturated_values
};

namespace detail {
/// Calls body(indices of sample b, b) for all samples, on several threads.
template <class Body>
void for_each_sample(std::span<const std::uint32_t> indices, Index count, const Body& body) {
  const Index B = static_cast<Index>(indices.size()) / count;
  parallel_for(B, 1, [&](Index begin, Index end) {
    for (Index b = begin; b < end; ++b)
      body(indices.subspan(static_cast<std::size_t>(b * count), static_cast<std::size_t>(count)),
           b);
  });
}

/// The values at `indices` of each sample, (B, k).
template <class T>
Tensor<T> gather_kept(TensorView<const T> x, std::span<const std::uint32_t> indices, Index count) {
  const Index n = x.size() / x.dim(0);
  auto kept = Tensor<T>::uninitialised({x.dim(0), count});
  for_each_sample(indices, count, [&](std::span<const std::uint32_t> at, Index b) {
    const T* const from = x.data() + b * n;
    T* const to = kept.data() + b * count;
    for (std::size_t i = 0; i < at.size(); ++i) to[i] = from[at[i]];
  });
  return kept;
}

/// The adjoint: a tensor with the values there and zero elsewhere.
template <class T>
Tensor<T> scatter_kept(const Tensor<T>& kept, std::span<const std::uint32_t> indices,
                       const Shape& shape) {
  const Index count = kept.dim(1), n = shape.elements() / kept.dim(0);
  auto x = Tensor<T>::uninitialised(shape);
  for_each_sample(indices, count, [&](std::span<const std::uint32_t> at, Index b) {
    const T* const from = kept.data() + b * count;
    T* const to = x.data() + b * n;
    std::fill(to, to + n, T{0});
    for (std::size_t i = 0; i < at.size(); ++i) to[at[i]] = from[i];
  });
  return x;
}

/// Where the k largest values of each sample are: B times k indices.
template <std::floating_point T>
std::vector<std::uint32_t> largest_of_samples(TensorView<const T> x, Index k) {
  const Index B = x.dim(0), n = x.size() / B;
  std::vector<std::uint32_t> indices(static_cast<std::size_t>(B * k));
  parallel_for(B, 1, [&](Index begin, Index end) {
    for (Index b = begin; b < end; ++b)
      kernel::largest_entries<T>({x.data() + b * n, static_cast<std::size_t>(n)},
                                 {indices.data() + b * k, static_cast<std::size_t>(k)});
  });
  return indices;
}

/// How many values a codec with a rate keeps of each sample of x, k, after all checks.
template <class C, std::floating_point T>
Index kept_count(const C& codec, TensorView<const T> x) {
  require_options(C::name, codec);
  const Index n = sample_size(x.shape(), std::string{C::name});
  require_finite(x, std::string{C::name});
  return kernel::kept_entries(codec.rate, n);
}
/// The same for an announced shape.
template <class C>
Index announced_count(const C& codec, const Shape& shape) {
  require_options(C::name, codec);
  return kernel::kept_entries(codec.rate, announced_sample_size(shape, std::string{C::name}));
}

/// Appends index sets and the values there.
template <std::floating_point T, class Values>
KeptContext<SenderContext<Values, T>> encode_kept(TensorView<const T> x,
                                                  std::vector<std::uint32_t> indices, Index count,
                                                  Values& values, std::vector<std::byte>& out,
                                                  Rng& rng) {
  put_index_sets(indices, count, x.size() / x.dim(0), out);
  const Tensor<T> kept = gather_kept(x, indices, count);
  auto context = codec::encode<T>(values, kept.view(), out, rng);
  const Index saturated = saturated_values(context);
  return {x.shape(), count, std::move(indices), std::move(context), saturated};
}

/// Reads what encode_kept wrote, for k = `count`.
template <std::floating_point T, class Values>
Decoded<T, KeptContext<ReceiverContext<Values, T>>> decode_kept(std::span<const std::byte> in,
                                                                const Shape& shape, Index count,
                                                                Values& values,
                                                                const std::string& codec) {
  ByteReader reader{in, codec};
  const Index B = shape[0];
  auto indices = get_index_sets(reader, B, count, shape.elements() / B);
  auto kept = codec::decode<T>(values, reader.get_bytes(reader.left()), Shape{B, count});
  auto x = scatter_kept(kept.values, indices, shape);
  return {std::move(x), {shape, count, std::move(indices), std::move(kept.context)}};
}

/// Appends the gradient of the kept values.
template <std::floating_point T, class Values>
void encode_kept_gradient(TensorView<const T> gradient,
                          const KeptContext<ReceiverContext<Values, T>>& context, Values& values,
                          std::vector<std::byte>& out, Rng& rng, const std::string& codec) {
  require_gradient_shape(gradient.shape(), context.shape, codec);
  require_finite(gradient, codec);
  const Tensor<T> kept = gather_kept(gradient, context.indices, context.count);
  codec::encode_gradient<T>(values, kept.view(), context.values, out, rng);
}

template <std::floating_point T, class Values>
Tensor<T> decode_kept_gradient(std::span<const std::byte> in,
                               const KeptContext<SenderContext<Values, T>>& context,
                               const Shape& shape, Values& values, const std::string& codec) {
  require_announced_gradient(shape, context.shape, codec);
  const auto kept =
      codec::decode_gradient<T>(values, in, context.values, Shape{shape[0], context.count});
  return scatter_kept(kept, context.indices, shape);
}
}  // namespace detail

}  // namespace splitvit::inline SPLITVIT_BUILD::codec
