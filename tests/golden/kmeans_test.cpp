// SPDX-License-Identifier: MIT
// k-means from given centroids against PyTorch. Any kmeans* file in the format of the README is
// run: cases are found in the files, none is listed here.

#include <algorithm>
#include <string>
#include <vector>

#include <splitvit/compress/kmeans.hpp>

#include "support/catch.hpp"
#include "support/golden.hpp"

namespace splitvit {
namespace {

using compress::kmeans_from;
using compress::KMeansStop;

/// Points were rounded to float after some results had been computed from them.
template <class T>
golden::Tolerance centroid_tolerance() {
  return {.rtol = std::same_as<T, double> ? 1e-7 : 1e-5, .atol = 0.0};
}

template <class T>
void check_kmeans_case(const golden::File& file, const std::string& name) {
  const auto at = [&](const char* tensor) { return name + "/" + tensor; };
  const auto x = file.get<T>(at("x"));
  const auto init = file.get<T>(at("init"));
  const std::vector<Index> init_index = file.indices(at("init_index"));
  const golden::Tolerance close = centroid_tolerance<T>();

  // The starting centroids are rows of x.
  Tensor<T> picked{init.shape()};
  for (std::size_t k = 0; k < init_index.size(); ++k)
    std::copy_n(x.data() + init_index[k] * x.dim(1), x.dim(1),
                picked.data() + static_cast<Index>(k) * x.dim(1));
  CHECK(golden::difference(file.name() + ": " + at("init"), picked, init, {}) == "");

  const auto first = kmeans_from(x, init, {.max_iterations = 1});
  CHECK(file.compare(at("first_assignment"), first.assignment) == "");

  const auto full = kmeans_from(x, init, {.max_iterations = 10000, .stop = KMeansStop::fixpoint});
  CHECK(file.compare(at("assignment"), full.assignment) == "");
  CHECK(file.compare(at("centroids"), full.centroids, close) == "");
  CHECK(file.compare(at("inertia"), full.inertia, close) == "");
  CHECK(full.rounds == file.integer(at("rounds")));

  const auto faithful = kmeans_from(x, init, {.stop = KMeansStop::shift});
  CHECK(file.compare(at("ref_assignment"), faithful.assignment) == "");
  CHECK(file.compare(at("ref_centroids"), faithful.centroids, close) == "");
  CHECK(faithful.rounds == file.integer(at("ref_rounds")));
}

bool is_kmeans_case(const golden::File& file, const std::string& name) {
  for (const char* tensor :
       {"x", "init", "init_index", "first_assignment", "assignment", "centroids", "inertia",
        "rounds", "ref_assignment", "ref_centroids", "ref_rounds"})
    if (!file.has(name + "/" + tensor)) return false;
  return true;
}

template <class T>
void check_kmeans_files() {
  const auto names = golden::files("kmeans");
  REQUIRE(std::ranges::count(names, "kmeans") == 1);
  for (const std::string& name : names) {
    const golden::File file{name};
    const std::vector<std::string> cases = file.cases();
    if (cases.empty()) FAIL(name << ": no case");
    for (const std::string& which : cases) {
      INFO(name << ": " << which);
      if (!is_kmeans_case(file, which)) {
        FAIL_CHECK("a case without the tensors of a k-means case");
        continue;
      }
      check_kmeans_case<T>(file, which);
    }
  }
}

}  // namespace

TEST_CASE("golden: k-means in double", "[golden][kmeans]") { check_kmeans_files<double>(); }

TEST_CASE("golden: k-means in float", "[golden][kmeans]") { check_kmeans_files<float>(); }

}  // namespace splitvit
