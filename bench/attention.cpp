// SPDX-License-Identifier: MIT
// What does the class token look at after each block of a trained model? What ADC clusters and
// what it ranks by, in three numbers a block.
//
//   attention WEIGHTS.safetensors CIFAR.bin [--threads N] [--json FILE]
//
// deit_tiny at 224 pixels, the first 256 images of a file in CIFAR-10's layout. Uniform attention
// to patches would give 10 % to a tenth of them.

#include <algorithm>   // sort
#include <cstdio>      // fprintf
#include <filesystem>  // path
#include <functional>  // greater
#include <numeric>     // accumulate
#include <span>        // span
#include <string>
#include <vector>

#include <splitvit/autograd/variable.hpp>  // NoGrad
#include <splitvit/core/parallel.hpp>      // with_threads
#include <splitvit/data/cifar.hpp>         // cifar10_layout, read_cifar
#include <splitvit/data/loader.hpp>        // Loader
#include <splitvit/data/normalise.hpp>     // imagenet_statistics
#include <splitvit/io/safetensors.hpp>     // read_safetensors
#include <splitvit/nn/cut.hpp>             // make_vit
#include <splitvit/nn/vit.hpp>             // vit_named
#include <splitvit/nn/weights.hpp>         // load_weights

#include "rows.hpp"

using namespace splitvit;

namespace {

/// Rows of CLS attention (B, N) of many batches, added up.
struct Seen {
  double images = 0, self = 0, top = 0;
  std::vector<double> sums, squares;  ///< of each entry

  void add(TensorView<const float> rows) {
    const Index N = rows.dim(1);
    sums.resize(static_cast<std::size_t>(N));
    squares.resize(sums.size());
    for (Index b = 0; b < rows.dim(0); ++b) {
      const auto row = rows.slice(b, b + 1).span();
      for (std::size_t j = 0; j < row.size(); ++j) {
        sums[j] += static_cast<double>(row[j]);
        squares[j] += static_cast<double>(row[j]) * static_cast<double>(row[j]);
      }
      std::vector<double> patches(row.begin() + 1, row.end());
      std::ranges::sort(patches, std::greater{});
      const auto tenth = static_cast<std::ptrdiff_t>(patches.size() / 10);
      const double all = std::accumulate(patches.begin(), patches.end(), 0.0);
      images += 1;
      self += static_cast<double>(row[0]);
      top += std::accumulate(patches.begin(), patches.begin() + tenth, 0.0) / all;
    }
  }

  /// How much of the variance of the rows is that of entry 0.
  double share_of_self() const {
    const auto variance = [&](std::size_t j) {
      return squares[j] / images - sums[j] / images * (sums[j] / images);
    };
    double all = 0;
    for (std::size_t j = 0; j < sums.size(); ++j) all += variance(j);
    return variance(0) / all;
  }
};

}  // namespace

int main(int argc, char** argv) {
  const bench::Arguments arguments{argc, argv};
  if (arguments.names.size() != 2) {
    std::fprintf(stderr, "attention: wanted two files, WEIGHTS.safetensors and CIFAR.bin\n");
    return 2;
  }
  const nn::VitConfig config = nn::vit_named("deit_tiny");
  const auto model = nn::make_vit<float>(config, Rng{.seed = 1});
  nn::load_weights<float>(model, config, io::read_safetensors(arguments.names[0]));
  const std::filesystem::path file = arguments.names[1];
  const auto images = data::read_cifar(std::span{&file, 1}, data::cifar10_layout);
  const data::Loader<float> loader{images,
                                   {.batch = 32,
                                    .image = config.image,
                                    .shuffle = false,
                                    .normalise = data::imagenet_statistics}};
  const auto depth = static_cast<std::size_t>(config.depth);
  std::vector<Seen> after(depth);
  const NoGrad no_grad;
  with_threads(arguments.threads, [&] {
    auto epoch = loader.epoch(0);
    for (int part = 0; part < 8; ++part) {
      const auto batch = epoch.next();
      if (!batch) break;
      auto tokens = model.stem(Variable<float>{batch->images});
      for (std::size_t l = 0; l < depth; ++l) {
        auto out = model.blocks.blocks[l](tokens, NeedWeights::cls);
        after[l].add(out.cls_attention.view());
        tokens = out.y;
      }
    }
  });
  bench::Rows rows;
  for (std::size_t l = 0; l < depth; ++l) {
    const std::string block = "block " + std::to_string(l + 1) + ": ";
    rows.add(block + "CLS to itself", 100 * after[l].self / after[l].images, "%");
    rows.add(block + "rest, to a tenth of patches", 100 * after[l].top / after[l].images, "%");
    rows.add(block + "variance from entry 0", 100 * after[l].share_of_self(), "%");
  }
  rows.report(arguments);
}
