// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // copy_n

#include <splitvit/autograd/backward.hpp>         // backward
#include <splitvit/autograd/ops/arithmetic.hpp>   // square, sub
#include <splitvit/autograd/ops/patch_embed.hpp>  // patches
#include <splitvit/autograd/ops/sum.hpp>          // mean
#include <splitvit/autograd/ops/tokens.hpp>       // pick_tokens
#include <splitvit/core/random.hpp>               // Rng
#include <splitvit/kernel/compute.hpp>            // Compute
#include <splitvit/kernel/patch_embed.hpp>        // join_patches, PatchSizes
#include <splitvit/kernel/vector_ops.hpp>         // add_numbers
#include <splitvit/leakage/tap.hpp>               // Seen
#include <splitvit/nn/block.hpp>                  // LayerNorm, Linear
#include <splitvit/nn/concepts.hpp>               // nested, parameters
#include <splitvit/nn/init.hpp>                   // initialise
#include <splitvit/nn/vit.hpp>                    // Blocks, VitConfig
#include <splitvit/optim/adam.hpp>                // Adam
#include <splitvit/optim/optimizer.hpp>           // Optimizer

// How well can somebody who sees what crosses the cut draw the images? An attacker who can send
// images of their own through the client's part learns its inverse from the pairs.
//
// Source  the attack: He, Zhang, Lee 2019, doi:10.1145/3359789.3359824. The network: ours.

namespace splitvit::inline SPLITVIT_BUILD::leakage {

namespace detail {
/// Puts the places to draw at in front of the tokens that came. If as many tokens came as there are
/// places, and CLS, then each is also added to its place, as a guess: unless they were shuffled,
/// token i + 1 belongs to patch i.
/// Shapes  places (1, Q, D), x (B, P, D) -> (B, Q + P, D). Grad  both.
template <std::floating_point T>
Variable<T> places_before(const Variable<T>& places, const Variable<T>& x) {
  const Index B = x.dim(0), Q = places.dim(1), D = x.dim(2);
  const Index of_places = Q * D, of_x = x.dim(1) * D, of_both = of_places + of_x;
  const bool adds = x.dim(1) == Q + 1;
  Tensor<T> y = Tensor<T>::uninitialised({B, Q + x.dim(1), D});
  for (Index b = 0; b < B; ++b) {
    T* const to = y.data() + b * of_both;
    const T* const from = x.value().data() + b * of_x;
    std::copy_n(places.value().data(), of_places, to);
    std::copy_n(from, of_x, to + of_places);
    if (adds) kernel::add_numbers(to, from + D, of_places);
  }
  return record(std::move(y), {places, x}, [=](const Tensor<T>&, const Tensor<T>& dy) {
    Tensor<T> of_each{places.shape()}, rest = Tensor<T>::uninitialised(x.shape());
    for (Index b = 0; b < B; ++b) {
      const T* const from = dy.data() + b * of_both;
      T* const to = rest.data() + b * of_x;
      kernel::add_numbers(of_each.data(), from, of_places);
      std::copy_n(from + of_places, of_x, to);
      if (adds) kernel::add_numbers(to + D, from, of_places);
    }
    places.add_gradient(std::move(of_each));
    x.add_gradient(std::move(rest));
  });
}
}  // namespace detail

/// Draws images from what crosses a cut, whatever number and order the tokens have: a token that is
/// learnt for each patch of the image, in front of those that came, blocks, and a linear layer.
template <std::floating_point T>
struct InverseNetwork {
  nn::VitConfig config;  ///< image, patch and channels of what is drawn; dim, heads, depth of this
  nn::Linear<T> enter;
  Variable<T> places;  ///< (1, patches, dim)
  nn::Blocks<T> blocks;
  nn::LayerNorm<T> norm;
  nn::Linear<T> leave;

  /// For tokens of this width.
  InverseNetwork(const nn::VitConfig& c, Index width, const Rng& rng)
      : config{c},
        enter{width, c.dim},
        places{Variable<T>::parameter(Tensor<T>{Shape{1, c.patches(), c.dim}})},
        blocks{c, 0, c.depth},
        norm{c.dim},
        leave{c.dim, c.channels * c.patch * c.patch} {
    nn::initialise<T>(*this, rng);
  }

  /// Shapes  tokens (K, P, width) -> patches (K, patches, channels * patch * patch).
  Variable<T> operator()(const Variable<T>& tokens) const {
    const Index K = tokens.dim(0), Q = config.patches();
    Tensor<Index> first = Tensor<Index>::uninitialised({K, Q});
    for (Index i = 0; i < K * Q; ++i) first[i] = i % Q;
    const auto all = blocks(detail::places_before(places, enter(tokens))).y;
    return leave(norm(pick_tokens(all, first)));
  }

  void each_parameter(auto&& see) const {
    nn::nested("enter.", enter, see);
    see("pos_embed", places);
    blocks.each_parameter(see);
    nn::nested("norm.", norm, see);
    nn::nested("leave.", leave, see);
  }
};

/// An attacker who learns to draw.
template <std::floating_point T>
class Inverter {
 public:
  Inverter(const nn::VitConfig& config, Index width, const Rng& rng, double lr = 1e-3)
      : network_{config, width, rng},
        optimizer_{optim::Adam{.lr = lr}, nn::parameters<T>(network_)} {}

  /// Takes a step on what was seen of images, and returns the mean squared error. A row that stands
  /// for several images is drawn as their mean.
  /// Shapes  images (B, channels, image, image).
  double learn(const Seen<T>& seen, const Tensor<T>& images) {
    const Index of_image = images.size() / images.dim(0);
    Tensor<T> wanted{images.shape().with(0, seen.tokens.dim(0))};
    for (std::size_t row = 0; row < seen.members.size(); ++row)
      for (const Index member : seen.members[row])
        for (Index i = 0; i < of_image; ++i)
          wanted[static_cast<Index>(row) * of_image + i] +=
              images[member * of_image + i] / static_cast<T>(seen.members[row].size());
    const Variable<T> loss =
        mean(square(sub(network_(Variable<T>{seen.tokens}),
                        patches(Variable<T>{std::move(wanted)}, network_.config.patch))));
    backward(loss);
    optimizer_.step();
    optimizer_.clear_gradients();
    return static_cast<double>(loss.value()[0]);
  }

  /// Shapes  tokens (K, P, width) -> images (K, channels, image, image).
  Tensor<T> draw(const Tensor<T>& tokens) const {
    const NoGrad no_grad;
    const nn::VitConfig& c = network_.config;
    const Tensor<T> rows = network_(Variable<T>{tokens}).value();
    const kernel::PatchSizes sizes{
        .channels = c.channels, .height = c.image, .width = c.image, .patch = c.patch};
    Tensor<T> images = Tensor<T>{{tokens.dim(0), c.channels, c.image, c.image}};
    for (Index k = 0; k < tokens.dim(0); ++k)
      kernel::join_patches(rows.data() + k * sizes.image(), images.data() + k * sizes.image(),
                           sizes);
    return images;
  }

  /// How the products of the blocks are computed. Errors  std::invalid_argument if this build
  /// cannot.
  void use(kernel::Compute compute) { network_.blocks.use(compute); }
  void set_learning_rate(double lr) { optimizer_.set_learning_rate(lr); }

 private:
  InverseNetwork<T> network_;
  optim::Optimizer<T> optimizer_;
};

}  // namespace splitvit::inline SPLITVIT_BUILD::leakage
