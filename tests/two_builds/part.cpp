// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include <splitvit/codec/transform.hpp>
#include <splitvit/kernel/gemm.hpp>

// Compiled twice, for two instruction sets, into one program: each must call its own product, and
// each must read the symbols that the other one wrote.

#define JOIN_NOW(a, b) a##b
#define JOIN(a, b) JOIN_NOW(a, b)

namespace sv = splitvit;
using Bytes = std::vector<std::byte>;

double PART();
Bytes JOIN(PART, _send)(int message);
double JOIN(PART, _receive)(const Bytes& bytes, int message);

namespace {

/// Tokens in which all channels depend on each other.
sv::Tensor<float> tokens(int message) {
  sv::Rng rng{.seed = static_cast<std::uint64_t>(message)};
  sv::Tensor<float> x{{6, 10, 24}};
  for (sv::Index i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>(rng.uniform()) + (i % 24 == 0 ? 0.0f : 0.8f * x[i - 1]);
  return x;
}

sv::codec::Transform codec{.step = 0.3, .refresh = 7};

}  // namespace

Bytes JOIN(PART, _send)(int message) {
  Bytes bytes;
  sv::Rng rng;
  sv::codec::encode<float>(codec, tokens(message).view(), bytes, rng);
  return bytes;
}

/// The relative squared error. Throws where the two differ in a symbol.
double JOIN(PART, _receive)(const Bytes& bytes, int message) {
  const auto x = tokens(message);
  const auto came = sv::codec::decode<float>(codec, bytes, x.shape()).values;
  double error = 0, size = 0;
  for (sv::Index i = 0; i < x.size(); ++i) {
    error += std::pow(static_cast<double>(came[i] - x[i]), 2);
    size += std::pow(static_cast<double>(x[i]), 2);
  }
  return error / size;
}

/// The largest error of a product (37, 50) times (50, 45).
double PART() {
  constexpr sv::Index M = 37, K = 50, N = 45;
  std::vector<float> a(M * K), b(K * N), c(M * N);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i * 37 % 101) / 101;
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i * 53 % 97) / 97;
  const sv::kernel::Packed<float> packed{sv::kernel::Factor<float>{b.data(), K, N, N, 1}};
  sv::kernel::multiply<float>(sv::kernel::Factor<float>{a.data(), M, K, K, 1}, packed,
                              sv::kernel::Matrix<float>{c.data(), M, N, N});
  double worst = 0;
  for (std::size_t i = 0; i < M; ++i)
    for (std::size_t j = 0; j < N; ++j) {
      double sum = 0;
      for (std::size_t k = 0; k < K; ++k)
        sum += static_cast<double>(a[i * K + k]) * static_cast<double>(b[k * N + j]);
      worst = std::max(worst, std::abs(sum - static_cast<double>(c[i * N + j])));
    }
  return worst;
}
