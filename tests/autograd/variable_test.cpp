// SPDX-License-Identifier: MIT
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/autograd/ops/arithmetic.hpp>
#include <splitvit/autograd/ops/sum.hpp>
#include <splitvit/autograd/variable.hpp>

#include "autograd/probe.hpp"
#include "support/catch.hpp"

using splitvit::grad_enabled;
using splitvit::Index;
using splitvit::NoGrad;
using splitvit::Shape;
using splitvit::ShapeError;
using splitvit::Tensor;
using splitvit::Variable;
using splitvit::test::equal_bits;
using splitvit::test::tensor;

// An operation as a user writes it: in another namespace, with nothing but record().
namespace stranger {
namespace {

/// x^3
template <class T>
Variable<T> cube(const Variable<T>& x) {
  Tensor<T> y = x.value();
  for (T& v : y.span()) v = v * v * v;
  return splitvit::record(std::move(y), {x}, [x](const Tensor<T>&, const Tensor<T>& dy) {
    Tensor<T> dx = dy;
    for (Index i = 0; i < dx.size(); ++i) dx[i] *= 3 * x.value()[i] * x.value()[i];
    x.add_gradient(std::move(dx));
  });
}

}  // namespace
}  // namespace stranger

TEST_CASE("Variable: nothing, constants and leaves", "[autograd][variable]") {
  const Variable<float> nothing;
  CHECK(!nothing.defined());
  const Variable<float> constant{tensor<float>({2}, {1, 2})};
  CHECK(constant.defined());
  CHECK(!constant.requires_grad());
  const auto leaf = Variable<float>::parameter(tensor<float>({1, 2}, {3, 4}));
  CHECK(leaf.requires_grad());
  CHECK(!leaf.has_gradient());
  CHECK(leaf.shape() == Shape{1, 2});
  CHECK(leaf.dim(1) == 2);
  CHECK(leaf.gradient().shape() == Shape{0});
}

TEST_CASE("Variable: copies share value and gradient", "[autograd][variable]") {
  const auto leaf = Variable<float>::parameter(tensor<float>({2}, {1, 2}));
  const Variable<float> copy = leaf;
  copy.mutable_value()[0] = 9;
  CHECK(leaf.value()[0] == 9);
  copy.add_gradient(tensor<float>({2}, {5, 6}));
  CHECK(leaf.has_gradient());
  leaf.mutable_gradient()[1] = 7;
  CHECK(equal_bits(copy.gradient(), tensor<float>({2}, {5, 7})));
  copy.clear_gradient();
  CHECK(!leaf.has_gradient());
}

TEST_CASE("Variable: add_gradient adds, and only where a gradient is needed",
          "[autograd][variable]") {
  const auto leaf = Variable<double>::parameter(Tensor<double>{{2}});
  leaf.add_gradient(tensor<double>({2}, {1, 2}));
  leaf.add_gradient(tensor<double>({2}, {10, 20}));
  CHECK(equal_bits(leaf.gradient(), tensor<double>({2}, {11, 22})));
  const Variable<double> constant{Tensor<double>{{2}}};
  constant.add_gradient(tensor<double>({2}, {1, 2}));
  CHECK(!constant.has_gradient());
  CHECK(splitvit::test::text_of<ShapeError>([&] { leaf.add_gradient(Tensor<double>{{3}}); }) ==
        "add_gradient: a gradient (3) for a value (2)");
}

TEST_CASE("record: keeps nothing where no input needs a gradient", "[autograd][variable]") {
  const auto kept = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = kept;
  const auto make = [](const Variable<float>& x, std::shared_ptr<int> memory) {
    return record(x.value(), {x},
                  [memory = std::move(memory)](const Tensor<float>&, const Tensor<float>&) {});
  };
  const auto leaf = Variable<float>::parameter(Tensor<float>{{1}});
  {
    const auto constant = make(Variable<float>{Tensor<float>{{1}}}, std::make_shared<int>(2));
    CHECK(!constant.requires_grad());
    CHECK(constant.node()->inputs.empty());
    const auto result = make(leaf, kept);
    CHECK(result.requires_grad());
    CHECK(result.node()->inputs.size() == 1);
    CHECK(watch.use_count() == 2);
  }
  CHECK(watch.use_count() == 1);  // a graph that is not used goes with its result
  leaf.set_requires_grad(false);
  CHECK(!make(leaf, kept).requires_grad());
  CHECK(watch.use_count() == 1);
}

TEST_CASE("record: hands the operation its value and its gradient", "[autograd][variable]") {
  const auto x = Variable<double>::parameter(tensor<double>({2}, {2, 3}));
  bool called = false;
  const auto y = record(tensor<double>({3}, {4, 5, 6}), {x},
                        [&called, x](const Tensor<double>& value, const Tensor<double>& gradient) {
                          called = true;
                          CHECK(equal_bits(value, tensor<double>({3}, {4, 5, 6})));
                          CHECK(equal_bits(gradient, tensor<double>({3}, {1, 0, -1})));
                          x.add_gradient(tensor<double>({2}, {7, 8}));
                        });
  CHECK(!called);
  backward(y, tensor<double>({3}, {1, 0, -1}));
  CHECK(called);
  CHECK(equal_bits(x.gradient(), tensor<double>({2}, {7, 8})));
}

TEST_CASE("record: a user's operation", "[autograd][variable]") {
  const auto x = Variable<float>::parameter(tensor<float>({3}, {1, -2, 3}));
  backward(sum(stranger::cube(x)));
  CHECK(equal_bits(x.gradient(), tensor<float>({3}, {3, 12, 27})));
  splitvit::Rng rng{.seed = 1};
  CHECK(gradcheck([](const auto& v) { return splitvit::test::probe(stranger::cube(v)); },
                  splitvit::test::drawn<double>({2, 3}, rng)));
}

TEST_CASE("Variable: a deep graph goes without backward, and without overflow",
          "[autograd][variable]") {
  std::weak_ptr<splitvit::detail::Node<float>> middle;
  const auto leaf = Variable<float>::parameter(Tensor<float>::full({1}, 1.0f));
  {
    Variable<float> x = leaf;
    for (int i = 0; i < 100'000; ++i) {
      x = i % 2 == 0 ? add(x, leaf) : mul(x, x);  // the second has its input twice
      if (i == 50'000) middle = x.node();
    }
    CHECK(!middle.expired());
  }
  CHECK(middle.expired());
  CHECK(leaf.node().use_count() == 1);
}

TEST_CASE("Variable: a part of a graph outlives its result", "[autograd][variable]") {
  const auto leaf = Variable<double>::parameter(tensor<double>({1}, {3}));
  Variable<double> middle = leaf;
  for (int i = 0; i < 10; ++i) middle = scale(middle, 2.0);
  {
    auto result = middle;
    for (int i = 0; i < 10; ++i) result = add(result, middle);
  }
  backward(middle);
  CHECK(leaf.gradient()[0] == 1024.0);
}

TEST_CASE("NoGrad: operations record no graph while it lives", "[autograd]") {
  const auto x = Variable<double>::parameter(Tensor<double>::full({3}, 1.0));
  const auto records = [&] { return sum(x).requires_grad(); };
  {
    const NoGrad no_grad;
    CHECK(!records());
    {
      const NoGrad again;
      CHECK(!records());
    }
    CHECK(!records());  // an inner guard does not end the outer one
    CHECK(x.requires_grad());
  }
  CHECK(records());
}

TEST_CASE("NoGrad: ends with an error, and concerns its own thread only", "[autograd]") {
  try {
    const NoGrad no_grad;
    throw std::runtime_error("on the way");
  } catch (const std::runtime_error&) {
  }
  CHECK(grad_enabled());

  const NoGrad no_grad;
  bool elsewhere = false;
  std::thread{[&] { elsewhere = grad_enabled(); }}.join();
  CHECK(elsewhere);
}
