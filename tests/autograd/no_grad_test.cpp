// SPDX-License-Identifier: MIT
#include <stdexcept>
#include <thread>

#include <splitvit/autograd/no_grad.hpp>
#include <splitvit/autograd/ops/sum.hpp>
#include <splitvit/autograd/variable.hpp>

#include "support/catch.hpp"

namespace splitvit {

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

}  // namespace splitvit
