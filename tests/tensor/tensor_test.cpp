// SPDX-License-Identifier: MIT
#include <array>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include <splitvit/tensor/tensor.hpp>

#include "support/catch.hpp"

using splitvit::Index;
using splitvit::Shape;
using splitvit::ShapeError;
using splitvit::Tensor;
using splitvit::TensorView;

TEST_CASE("Tensor: makes zeros, copies or a value", "[tensor]") {
  const Tensor<float> zeros{{2, 3}};
  for (const float v : zeros.span()) CHECK(v == 0.0f);
  const std::array<int, 4> numbers{1, 2, 3, 4};
  const Tensor<int> copy{{2, 2}, numbers};
  CHECK(copy[3] == 4);
  CHECK(copy.dim(1) == 2);
  CHECK(Tensor<double>::full({3}, 2.5)[2] == 2.5);
  CHECK(Tensor<float>{}.empty());
  CHECK(Tensor<float>{}.shape() == Shape{0});
  CHECK(Tensor<float>{Shape{}}.size() == 1);
  CHECK_THROWS_AS((Tensor<int>{{5}, numbers}), ShapeError);
}

TEST_CASE("Tensor: storage is aligned to 64 bytes", "[tensor]") {
  for (const Index n : {1, 3, 17, 1000}) {
    const Tensor<std::uint8_t> bytes{{n}};
    CHECK(reinterpret_cast<std::uintptr_t>(bytes.data()) % 64 == 0);
  }
}

TEST_CASE("Tensor: is a value", "[tensor]") {
  Tensor<int> a = Tensor<int>::full({2}, 7);
  Tensor<int> b = a;
  b[0] = 1;
  CHECK(a[0] == 7);
  a = b;
  CHECK(a[0] == 1);
  a = *&a;
  CHECK(a[0] == 1);
  const int* storage = a.data();
  Tensor<int> moved = std::move(a);
  CHECK(moved.data() == storage);
  CHECK(a.empty());  // a moved-from tensor has no elements
  CHECK(a.shape() == Shape{0});
}

TEST_CASE("Tensor: reshaped keeps the numbers and, if it can, the storage", "[tensor]") {
  Tensor<int> a = Tensor<int>::full({2, 3}, 4);
  CHECK(a.reshaped({6}).shape() == Shape{6});
  CHECK(a.shape() == Shape{2, 3});
  const int* storage = a.data();
  const Tensor<int> b = std::move(a).reshaped({3, 2});
  CHECK(b.data() == storage);
  CHECK_THROWS_WITH(b.reshaped({5}), ContainsSubstring("(3, 2) has 6 elements"));
}

TEST_CASE("TensorView: borrows, and may give up writing", "[tensor]") {
  STATIC_REQUIRE(std::is_convertible_v<TensorView<int>, TensorView<const int>>);
  STATIC_REQUIRE(!std::is_convertible_v<TensorView<const int>, TensorView<int>>);
  Tensor<int> a{{2, 2}};
  a.view()[1] = 5;
  CHECK(a[1] == 5);
  const TensorView<const int> read = a.view();
  CHECK(read[1] == 5);
  std::vector<int> three(3);
  CHECK_THROWS_AS((TensorView<int>{three, {2, 2}}), ShapeError);
  CHECK(TensorView<int>{}.size() == 0);
}

TEST_CASE("TensorView: slices of the first axis", "[tensor]") {
  Tensor<int> a{{3, 2}};
  for (Index i = 0; i < 6; ++i) a[i] = static_cast<int>(i);
  const auto part = a.view().slice(1, 3);
  CHECK(part.shape() == Shape{2, 2});
  CHECK(part[0] == 2);
  CHECK(a.view().slice(3, 3).size() == 0);
  CHECK_THROWS_AS(a.view().slice(-1, 1), ShapeError);
  CHECK_THROWS_AS(a.view().slice(2, 1), ShapeError);
  CHECK_THROWS_AS(a.view().slice(0, 4), ShapeError);
  CHECK_THROWS_AS((Tensor<int>{Shape{}}.view().slice(0, 0)), ShapeError);
  Tensor<int> none{{0, 4}};
  CHECK(none.view().slice(0, 0).shape() == Shape{0, 4});
}
