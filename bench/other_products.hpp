// SPDX-License-Identifier: MIT
#pragma once

#include <string>  // string
#include <vector>  // vector

#include <Eigen/Core>
#if SPLITVIT_BENCH_DNNL
#include <dnnl.h>
#endif
#if SPLITVIT_BENCH_OPENBLAS
#include <cblas.h>
#endif

#include <splitvit/core/shape.hpp>  // Index

// Matrix products of other libraries, to compare with: Eigen, and oneDNN and OpenBLAS where they
// are installed (Debian and Ubuntu: apt-get install libdnnl-dev libopenblas-dev).

namespace splitvit::bench {

/// A matrix as it is stored, row by row, to be transposed first or not.
struct Operand {
  const float* data;
  Index rows, cols;  ///< before it is transposed
  bool transposed = false;
};

/// C (M, N) = op(A) op(B) + beta C, on one thread if OMP_NUM_THREADS and OPENBLAS_NUM_THREADS
/// are 1.
struct OtherProduct {
  std::string name;
  void (*multiply)(const Operand& a, const Operand& b, float beta, float* c, Index M, Index N);
};

inline Index depth_of(const Operand& a) { return a.transposed ? a.rows : a.cols; }

inline void multiply_by_eigen(const Operand& a, const Operand& b, float beta, float* c, Index M,
                              Index N) {
  using Plain = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Eigen::Map<const Plain> left{a.data, a.rows, a.cols}, right{b.data, b.rows, b.cols};
  Eigen::Map<Plain> result{c, M, N};
  if (beta == 0.0f) result.setZero();
  if (a.transposed)
    result.noalias() += left.transpose() * right;
  else if (b.transposed)
    result.noalias() += left * right.transpose();
  else
    result.noalias() += left * right;
}

#if SPLITVIT_BENCH_DNNL
inline void multiply_by_dnnl(const Operand& a, const Operand& b, float beta, float* c, Index M,
                             Index N) {
  dnnl_sgemm(a.transposed ? 'T' : 'N', b.transposed ? 'T' : 'N', M, N, depth_of(a), 1.0f, a.data,
             a.cols, b.data, b.cols, beta, c, N);
}
#endif

#if SPLITVIT_BENCH_OPENBLAS
inline void multiply_by_openblas(const Operand& a, const Operand& b, float beta, float* c, Index M,
                                 Index N) {
  const auto way = [](const Operand& x) { return x.transposed ? CblasTrans : CblasNoTrans; };
  const auto size = [](Index n) { return static_cast<blasint>(n); };
  cblas_sgemm(CblasRowMajor, way(a), way(b), size(M), size(N), size(depth_of(a)), 1.0f, a.data,
              size(a.cols), b.data, size(b.cols), beta, c, size(N));
}
#endif

inline std::vector<OtherProduct> other_products() {
  std::vector<OtherProduct> all{{"Eigen", multiply_by_eigen}};
#if SPLITVIT_BENCH_DNNL
  all.push_back({"oneDNN", multiply_by_dnnl});
#endif
#if SPLITVIT_BENCH_OPENBLAS
  all.push_back({"OpenBLAS", multiply_by_openblas});
#endif
  return all;
}

}  // namespace splitvit::bench
