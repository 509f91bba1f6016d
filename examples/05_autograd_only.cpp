// The gradient core by itself: a small network learns whether a point lies within a ring. No
// ViT, no link. Also shows an operation and a module of your own. Some seconds on one core.

#include <cmath>
#include <cstdio>
#include <string>

#include <splitvit/autograd/backward.hpp>
#include <splitvit/autograd/gradcheck.hpp>
#include <splitvit/autograd/ops/cross_entropy.hpp>
#include <splitvit/autograd/ops/sum.hpp>
#include <splitvit/core/random.hpp>
#include <splitvit/nn/block.hpp>
#include <splitvit/nn/concepts.hpp>
#include <splitvit/nn/loss.hpp>
#include <splitvit/optim/adam.hpp>
#include <splitvit/optim/optimizer.hpp>

namespace sv = splitvit;
using Var = sv::Variable<double>;

// 1. An operation of your own: its value, and how a gradient passes through it.
Var sine(const Var& x) {
  const auto apply = [&](auto f) {
    sv::Tensor<double> y{x.shape()};
    for (sv::Index i = 0; i < y.size(); ++i) y[i] = f(x.value()[i]);
    return y;
  };
  return sv::record(
      apply([](double v) { return std::sin(v); }), {x},
      [x, slope = apply([](double v) { return std::cos(v); })](
          const auto&, const sv::Tensor<double>& dy) { x.add_gradient(sv::mul(slope, dy)); });
}

// 2. A module of your own: what it computes, and what its parameters are called.
struct SineNet {
  sv::nn::Linear<double> hidden{2, 32}, out{32, 2};
  Var operator()(const Var& x) const { return out(sine(hidden(x))); }
  void each_parameter(auto&& see) const {
    sv::nn::nested("hidden.", hidden, see);
    sv::nn::nested("out.", out, see);
  }
};

int main() {
  sv::Rng rng{.seed = 1};
  const auto x = sv::Tensor<double>::full(sv::Shape{3}, 0.3);
  if (!sv::gradcheck([](const Var& v) { return sv::sum(sv::square(sine(v))); }, x)) return 1;

  // 3. Data: points, and whether their distance from the centre is that of the ring.
  sv::Tensor<double> points{sv::Shape{512, 2}};
  std::vector<sv::Index> inside;
  for (double& v : points.span()) v = rng.uniform(-1, 1);
  for (sv::Index i = 0; i < 512; ++i) {
    const double radius = std::hypot(points[2 * i], points[2 * i + 1]);
    inside.push_back(radius > 0.4 && radius < 0.8 ? 1 : 0);
  }

  // 4. Learn.
  const SineNet net;
  net.each_parameter([&](const std::string&, const Var& parameter) {
    for (double& v : parameter.mutable_value().span()) v = 2 * rng.normal();
  });
  sv::optim::Optimizer optimizer{sv::optim::Adam{.lr = 3e-2}, sv::nn::parameters<double>(net)};
  double loss = 0;
  for (int step = 0; step < 600; ++step) {
    const Var loss_now = sv::cross_entropy(net(Var{points}), inside);
    loss = loss_now.value()[0];
    sv::backward(loss_now);
    optimizer.step();
    optimizer.clear_gradients();
  }
  const auto correct = sv::nn::count_correct(net(Var{points}).value(), inside);
  std::printf("loss %.3f, %.1f %% of the points right\n", loss,
              100.0 * static_cast<double>(correct) / 512);
  return correct > 480 ? 0 : 1;
}
