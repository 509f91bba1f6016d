// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>       // floating_point
#include <cstddef>        // size_t
#include <functional>     // hash, equal_to
#include <memory>         // shared_ptr
#include <stdexcept>      // invalid_argument
#include <unordered_set>  // unordered_set: asked, never walked through
#include <utility>        // move

#include <splitvit/autograd/variable.hpp>  // Variable
#include <splitvit/core/workspace.hpp>     // Recycled, RecycledVector

// backward(): carries a gradient from a result to everything it was computed from.

namespace splitvit {

/// Adds to every leaf that `result` depends on the gradient of sum(result * gradient).
///
/// The graph is used up: each operation's stored values are freed as soon as it has passed its
/// gradient on, so memory falls during the backward pass. Leaves keep their gradients, and a second
/// call adds to them.
///
/// Shapes  gradient: as result.
/// Errors  ShapeError if the shapes differ; std::invalid_argument if result depends on no leaf that
///         requires a gradient, or on something that an earlier call has used up.
template <std::floating_point T>
void backward(const Variable<T>& result, Tensor<T> gradient) {
  using Node = detail::Node<T>;
  if (!result.defined() || !result.requires_grad())
    throw std::invalid_argument(
        "backward: the result does not depend on anything that needs a gradient");

  // Inputs before users. An explicit stack: a graph may be deeper than the call stack.
  RecycledVector<std::shared_ptr<Node>> order;
  std::unordered_set<const Node*, std::hash<const Node*>, std::equal_to<>, Recycled<const Node*>>
      seen{result.node().get()};
  struct Visit {
    std::shared_ptr<Node> node;
    std::size_t next_input;
  };
  RecycledVector<Visit> stack{{result.node(), 0}};
  while (!stack.empty()) {
    Visit& top = stack.back();
    if (top.next_input == top.node->inputs.size()) {
      order.push_back(std::move(top.node));
      stack.pop_back();
    } else {
      std::shared_ptr<Node> input = top.node->inputs[top.next_input++];
      if (input->used_up)
        throw std::invalid_argument(
            "backward: an earlier call has used up a part of the graph; add the results and call "
            "it once");
      if (seen.insert(input.get()).second) stack.push_back({std::move(input), 0});
    }
  }

  result.add_gradient(std::move(gradient));
  while (!order.empty()) {
    const std::shared_ptr<Node> node = std::move(order.back());
    order.pop_back();
    if (node->inputs.empty()) continue;  // a leaf keeps its gradient
    // An operation may give an input no share; then there is nothing to pass on.
    if (node->gradient.shape() == node->value.shape()) node->backward();
    node->release();
  }
}

/// The same for a result of one element, such as a loss, with gradient 1.
template <std::floating_point T>
void backward(const Variable<T>& loss) {
  if (loss.defined() && loss.value().size() != 1)
    throw ShapeError("backward: a loss has one element, not shape " + loss.shape().text() +
                     "; give a gradient");
  backward(loss, Tensor<T>::full(loss.shape(), T{1}));
}

}  // namespace splitvit
