// SPDX-License-Identifier: MIT
#pragma once

#include <memory>  // shared_ptr

#include <splitvit/autograd/variable.hpp>  // Variable
#include <splitvit/core/hash_set.hpp>      // HashSet
#include <splitvit/core/workspace.hpp>     // Recycled

namespace splitvit::inline SPLITVIT_BUILD {

/// Adds to every leaf that `result` depends on the gradient of sum(result * gradient). The graph is
/// used up: an operation's stored values are freed as soon as it has passed its gradient on.
///
/// Shapes  gradient: as result.
/// Errors  ShapeError if the shapes differ; std::invalid_argument if result depends on no leaf that
///         requires a gradient, or on something that an earlier call has used up.
template <std::floating_point T>
void backward(const Variable<T>& result, Tensor<T> gradient) {
  using Node = detail::Node<T>;
  if (!result.requires_grad())
    throw std::invalid_argument(
        "backward: the result does not depend on anything that needs a gradient");

  // Inputs before users. An explicit stack: a graph may be deeper than the call stack.
  typename Node::Nodes order;
  const auto number_of = [](const Node* node) { return reinterpret_cast<std::uintptr_t>(node); };
  HashSet seen{256, [](std::uint64_t node) { return node; },
               [](std::uint64_t a, std::uint64_t b) { return a == b; }};
  seen.insert(number_of(result.node().get()));
  using Visit = std::pair<std::shared_ptr<Node>, std::size_t>;  // of a node and its next input
  std::vector<Visit, Recycled<Visit>> stack{{result.node(), 0}};
  while (!stack.empty()) {
    auto& [node, next_input] = stack.back();
    if (next_input == node->inputs.size()) {
      order.push_back(std::move(node));
      stack.pop_back();
    } else {
      std::shared_ptr<Node> input = node->inputs[next_input++];
      if (input->used_up)
        throw std::invalid_argument(
            "backward: an earlier call has used up a part of the graph; add the results and call "
            "it once");
      if (seen.insert(number_of(input.get()))) stack.push_back({std::move(input), 0});
    }
  }

  result.add_gradient(std::move(gradient));
  while (!order.empty()) {
    const std::shared_ptr<Node> node = std::move(order.back());
    order.pop_back();
    if (node->inputs.empty()) continue;  // a leaf keeps its gradient
    // An operation may give an input no share; then there is nothing to pass on.
    if (node->gradient.shape() == node->value.shape())
      node->operation(node->value, std::move(node->gradient));
    node->release();
  }
}

/// The same for a result of one element, such as a loss, with gradient 1.
template <std::floating_point T>
void backward(const Variable<T>& loss) {
  if (loss.defined() && loss.value().size() != 1)
    throw ShapeError(
        {"backward: a loss has one element, not shape ", loss.shape(), "; give a gradient"});
  backward(loss, Tensor<T>::full(loss.shape(), T{1}));
}

SPLITVIT_ONCE(void backward(const Variable<float>&, Tensor<float>));
SPLITVIT_ONCE(void backward(const Variable<float>&));

}  // namespace splitvit::inline SPLITVIT_BUILD
