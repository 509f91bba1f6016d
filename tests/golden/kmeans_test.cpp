// SPDX-License-Identifier: MIT
// k-means from given centroids against PyTorch.

#include <algorithm>
#include <concepts>
#include <string>
#include <vector>

#include <splitvit/kernel/kmeans.hpp>
#include <splitvit/tensor/tensor.hpp>

#include "golden/cases.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

namespace splitvit {
namespace {

using kernel::KMeansOptions;
using kernel::KMeansStop;

/// As MergeSamples does it: in double.
template <class T>
kernel::Clustering<double> kmeans_of(const Tensor<T>& x, const Tensor<T>& start,
                                     const KMeansOptions& options) {
  const auto rows = test::as<double>(x), centroids = test::as<double>(start);
  return kernel::kmeans_from(kernel::dense(rows.data(), x.dim(0), x.dim(1)),
                             kernel::dense(centroids.data(), start.dim(0), start.dim(1)), options);
}

Tensor<double> centroids_of(const kernel::Clustering<double>& found, Index d) {
  return {{found.clusters, d}, std::span<const double>{found.centroids}};
}

std::vector<Index> indices_of(const kernel::Clustering<double>& found) {
  return {found.assignment.begin(), found.assignment.end()};
}

/// The sum of squared distances of the rows to their centroids.
template <class T>
double inertia_of(const Tensor<T>& x, const kernel::Clustering<double>& found) {
  const Index d = x.dim(1);
  double sum = 0.0;
  for (Index i = 0; i < x.size(); ++i) {
    const Index k = found.assignment[test::at(i / d)];
    const double gap = static_cast<double>(x[i]) - found.centroids[test::at(k * d + i % d)];
    sum += gap * gap;
  }
  return sum;
}

template <class T>
void check_kmeans_case(golden::Case<T> own) {
  // Points were rounded to float after some results had been computed from them.
  own.close = {.rtol = std::same_as<T, double> ? 1e-7 : 1e-5, .atol = 0.0};
  const auto x = own.get("x"), init = own.get("init");

  // The starting centroids are rows of x.
  Tensor<T> picked{init.shape()};
  T* row = picked.data();
  for (const Index i : own.indices("init_index"))
    row = std::copy_n(x.data() + i * x.dim(1), x.dim(1), row);
  CHECK(golden::difference(own.at("init"), picked, init, {}) == "");

  const auto first = kmeans_of(x, init, {.max_iterations = 1});
  own.agrees("first_assignment", indices_of(first));

  const auto full = kmeans_of(x, init, {.max_iterations = 10000, .stop = KMeansStop::fixpoint});
  own.agrees("assignment", indices_of(full));
  own.agrees("centroids", centroids_of(full, x.dim(1)));
  own.agrees("inertia", inertia_of(x, full));
  CHECK(full.rounds == own.integer("rounds"));

  const auto faithful = kmeans_of(x, init, {.stop = KMeansStop::shift});
  own.agrees("ref_assignment", indices_of(faithful));
  own.agrees("ref_centroids", centroids_of(faithful, x.dim(1)));
  CHECK(faithful.rounds == own.integer("ref_rounds"));
}

}  // namespace

TEMPLATE_TEST_CASE("golden: k-means", "[golden][kmeans]", double, float) {
  golden::each_case<TestType>("kmeans", [](const golden::Case<TestType>& own) {
    check_kmeans_case(own);
    return true;
  });
}

}  // namespace splitvit
