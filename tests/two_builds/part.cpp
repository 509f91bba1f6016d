// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include <splitvit/kernel/gemm.hpp>

// Compiled twice, for two instruction sets, into one program: each must call its own product.

namespace sv = splitvit;

double PART();

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
