// SPDX-License-Identifier: MIT
// How fast is each kernel, on one thread? Products as a fraction of the multiply-adds measured
// beside them, ours and other libraries'; the others in numbers a second.
//
//   OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 kernels [products|attention|rows...] [--rounds N]
//       [--compute float32|bf16] [--json FILE]
//
// Shapes are of a piece of a block: three samples of a CIFAR-sized ViT (195 rows), or one of
// deit_tiny or deit_small (197). "against" is our speed over another library's, from the same
// round. With bf16 the products are of bfloat16, beside the peak of such.

#include <functional>
#include <string>
#include <vector>

#include <splitvit/core/parallel.hpp>
#include <splitvit/core/random.hpp>
#include <splitvit/kernel/adam.hpp>
#include <splitvit/kernel/attention.hpp>
#include <splitvit/kernel/compute.hpp>
#include <splitvit/kernel/gelu.hpp>
#include <splitvit/kernel/gemm.hpp>
#include <splitvit/kernel/layer_norm.hpp>

#include "other_products.hpp"
#include "peak.hpp"
#include "rows.hpp"

using namespace splitvit;
using namespace splitvit::kernel;

namespace {

std::vector<float> drawn(Index count) {
  Rng rng{.seed = 3};
  std::vector<float> numbers(static_cast<std::size_t>(count));
  for (float& v : numbers) v = static_cast<float>(rng.normal());
  return numbers;
}

/// Seconds of one call: of as many as take about 30 ms.
double time_of(const std::function<void()>& work) {
  work();
  for (int repeats = 1;; repeats *= 4) {
    const double time = bench::seconds_of([&] {
      for (int i = 0; i < repeats; ++i) work();
    });
    if (time > 0.03) return time / repeats;
  }
}

/// Stored is the type of the factors in a product; others' products are of floats.
template <class Stored>
void measure_products(bench::Rows& rows, Compute compute, const std::string& name, Index M, Index K,
                      Index N) {
  const std::vector<float> x = drawn(M * K), w = drawn(N * K), dy = drawn(M * N);
  std::vector<float> y(dy.size()), dx(x.size()), dw(w.size());
  const Matrix<const float> X{x.data(), M, K, K}, W{w.data(), N, K, K}, DY{dy.data(), M, N, N};
  const Packed<float, Stored> forward{transposed(W)}, backward{W};
  Packed<float, Stored> packed;
  const bench::Operand ox{x.data(), M, K}, ow{w.data(), N, K}, ody{dy.data(), M, N};
  const auto turned = [](bench::Operand operand) {
    operand.transposed = true;
    return operand;
  };

  const double flop = 2e-9 * static_cast<double>(M * K * N);
  using Other = std::function<void(const bench::OtherProduct&)>;
  const auto row = [&](const std::string& what, const std::function<void()>& work,
                       const Other& of_other) {
    const auto share = [&](const std::function<void()>& product) {
      const double peak = bench::peak_gflops_of(compute);
      return flop / time_of(product) / peak;
    };
    const double ours = share(work);
    rows.add(name + " " + what, ours, "of peak");
    if (compute != Compute::float32) return;
    for (const bench::OtherProduct& other : bench::other_products()) {
      const double theirs = share([&] { of_other(other); });
      rows.add(name + " " + what + ", " + other.name, theirs, "of peak");
      rows.add(name + " " + what + " against " + other.name, ours / theirs, "times as fast");
    }
  };
  row(
      "forward", [&] { multiply<float>(X, forward, {y.data(), M, N, N}); },
      [&](const auto& other) { other.multiply(ox, turned(ow), 0, y.data(), M, N); });
  row(
      "input gradient", [&] { multiply<float>(DY, backward, {dx.data(), M, K, K}); },
      [&](const auto& other) { other.multiply(ody, ow, 0, dx.data(), M, K); });
  row(
      "weight gradient",
      [&] { multiply_long<float>(DY, X, {dw.data(), N, K, K}, Into::add, packed); },
      [&](const auto& other) { other.multiply(turned(ody), ox, 1, dw.data(), N, K); });
}

void measure_rows(bench::Rows& rows) {
  const Index M = 1024, D = 192, n = M * D;
  const std::vector<float> x = drawn(n), dy = drawn(n), w = drawn(D);
  std::vector<float> y(x.size()), dx(x.size()), dw(w.size()), db(w.size());
  std::vector<float> mean(static_cast<std::size_t>(M)), scale(mean), m(x.size()), v(x.size());
  const auto row = [&](const std::string& name, const std::function<void()>& work) {
    rows.add(name, 1e-9 * static_cast<double>(n) / time_of(work), "G numbers/s");
  };
  const NormWeights<float> weights{w.data(), w.data(), 1e-6f};
  const NormKept<float> kept{mean.data(), scale.data()};
  row("GELU", [&] { gelu_values(x.data(), y.data(), n); });
  row("GELU and its gradient",
      [&] { gelu_values_and_gradient(x.data(), dy.data(), y.data(), dx.data(), n); });
  row("layer norm", [&] { normalise_rows(x.data(), weights, kept, y.data(), M, D); });
  row("layer norm backward", [&] {
    norm_rows_backward<float>(x.data(), w.data(), kept, dy.data(), nullptr, dx.data(), dw.data(),
                              db.data(), M, D);
  });
  std::vector<float> p = x;
  const AdamStep step{.beta1 = 0.9,
                      .beta2 = 0.999,
                      .epsilon = 1e-8,
                      .l2 = 0,
                      .shrink = 1,
                      .length = 1e-6,
                      .root_divisor = 1};
  row("Adam", [&] { adam_update<float>(p, dy, m, v, step); });
}

template <class Stored>
void measure_attention(bench::Rows& rows, Compute compute, Index N, Index D, Index H) {
  const AttentionSizes s{.B = 1, .N = N, .D = D, .H = H};
  const std::vector<float> qkv = drawn(N * 3 * D), dy = drawn(N * D);
  std::vector<float> y(dy.size()), dqkv(qkv.size()), cls(static_cast<std::size_t>(N));
  std::vector<float> log_sums(static_cast<std::size_t>(N * H));
  const double flop = 4e-9 * static_cast<double>(N * N * D);
  const std::string name = "attention, " + std::to_string(N) + " tokens";
  const auto row = [&](const std::string& what, double work, const std::function<void()>& call) {
    const double peak = bench::peak_gflops_of(compute);
    rows.add(name + what, work / time_of(call) / peak, "of peak");
  };
  row(" forward", flop,
      [&] { attend<float, Stored>(qkv.data(), y.data(), log_sums.data(), cls.data(), s); });
  row(" backward", 2.5 * flop, [&] {
    attend_backward<float, Stored>(qkv.data(), y.data(), log_sums.data(), dy.data(), dqkv.data(),
                                   s);
  });
}

}  // namespace

int main(int argc, char** argv) {
  bench::Arguments arguments{argc, argv};
  arguments.threads = 1;
  bench::Rows rows;
  with_threads(1, [&] {
    for (int round = 0; round < arguments.rounds; ++round) {
      with_stored<float>(arguments.compute, [&]<class Stored>() {
        const auto products = [&](const char* name, Index M, Index K, Index N) {
          measure_products<Stored>(rows, arguments.compute, name, M, K, N);
        };
        if (arguments.wants("products")) {
          products("qkv 195x192x576", 195, 192, 576);
          products("fc1 195x192x768", 195, 192, 768);
          products("fc2 195x768x192", 195, 768, 192);
          products("fc1 197x384x1536", 197, 384, 1536);
        }
        if (arguments.wants("attention"))
          for (const Index N : {65, 197})
            measure_attention<Stored>(rows, arguments.compute, N, 192, 3);
      });
      if (arguments.wants("rows")) measure_rows(rows);
    }
  });
  rows.report(arguments);
}
