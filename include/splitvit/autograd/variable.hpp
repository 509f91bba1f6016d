// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>          // floating_point, invocable
#include <initializer_list>  // initializer_list
#include <memory>            // shared_ptr, allocate_shared
#include <optional>          // optional
#include <string>            // string
#include <utility>           // move

#include <splitvit/autograd/no_grad.hpp>    // grad_enabled
#include <splitvit/core/workspace.hpp>      // Recycled
#include <splitvit/tensor/elementwise.hpp>  // add_to
#include <splitvit/tensor/tensor.hpp>       // Tensor

// Variable: a tensor that remembers how it was computed, so that backward() can find the
// gradient of a loss with respect to it. record() makes one from an operation of your own.

namespace splitvit {

namespace detail {

/// One value of the graph. Points to what it was computed from, never the other way, so
/// the graph lives as long as its result.
template <std::floating_point T>
struct Node {
  explicit Node(Tensor<T> v) : value{std::move(v)} {}
  virtual ~Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// Adds this operation's share to the gradients of its inputs, given its own gradient.
  virtual void backward() {}
  /// Frees what the operation saved. Its value stays: a caller may still hold the handle.
  virtual void release() {}

  Tensor<T> value;
  Tensor<T> gradient;  // shape (0) until the first share arrives
  RecycledVector<std::shared_ptr<Node>> inputs;
  bool requires_grad = false;
  bool used_up = false;  // its operation has been released
};

/// Releases nodes, and all nodes that only they keep alive, one by one: nested destructors of a
/// deep graph would overflow the call stack.
template <std::floating_point T>
void let_go(RecycledVector<std::shared_ptr<Node<T>>> nodes) {
  while (!nodes.empty()) {
    const std::shared_ptr<Node<T>> node = std::move(nodes.back());
    nodes.pop_back();
    if (node.use_count() > 1) continue;
    for (std::shared_ptr<Node<T>>& input : node->inputs) nodes.push_back(std::move(input));
    node->release();
  }
}

template <std::floating_point T, class Backward>
struct RecordedNode final : Node<T> {
  RecordedNode(Tensor<T> v, Backward b) : Node<T>{std::move(v)}, operation{std::move(b)} {}
  ~RecordedNode() override {
    operation.reset();  // it holds the inputs, too
    let_go(std::move(this->inputs));
  }
  void backward() override { (*operation)(this->value, std::move(this->gradient)); }
  void release() override {
    operation.reset();
    this->inputs.clear();
    this->gradient = Tensor<T>{};
    this->requires_grad = false;
    this->used_up = true;
  }

  std::optional<Backward> operation;
};

}  // namespace detail

/// A handle to a tensor in the graph of operations. Copies share the tensor.
template <std::floating_point T>
class Variable {
 public:
  /// No value yet.
  Variable() = default;
  /// A constant: data, which no gradient reaches.
  explicit Variable(Tensor<T> value)
      : node_{
            std::allocate_shared<detail::Node<T>>(Recycled<detail::Node<T>>{}, std::move(value))} {}
  /// A leaf that collects a gradient: a weight.
  static Variable parameter(Tensor<T> value) {
    Variable leaf{std::move(value)};
    leaf.node_->requires_grad = true;
    return leaf;
  }

  bool defined() const { return node_ != nullptr; }
  const Tensor<T>& value() const { return node_->value; }
  /// For optimisers and loaders of weights. Not while a graph that used it awaits backward().
  Tensor<T>& mutable_value() const { return node_->value; }
  const Shape& shape() const { return node_->value.shape(); }
  Index dim(std::size_t axis) const { return node_->value.dim(axis); }

  bool requires_grad() const { return node_->requires_grad; }
  /// Leaves only: whether operations recorded from now on pass a gradient to it.
  void set_requires_grad(bool needed) const { node_->requires_grad = needed; }
  bool has_gradient() const { return !node_->gradient.empty(); }
  /// Same shape as value(), once backward() has run; shape (0) before.
  const Tensor<T>& gradient() const { return node_->gradient; }
  Tensor<T>& mutable_gradient() const { return node_->gradient; }
  void clear_gradient() const { node_->gradient = Tensor<T>{}; }

  /// Adds a share to the gradient; for the backward function of an operation. Does nothing where no
  /// gradient is required.
  /// Errors  ShapeError if the share has another shape than the value.
  void add_gradient(Tensor<T> share) const {
    if (!requires_grad()) return;
    if (share.shape() != shape())
      throw ShapeError("add_gradient: a gradient " + share.shape().text() + " for a value " +
                       shape().text());
    if (node_->gradient.empty())
      node_->gradient = std::move(share);
    else
      add_to(node_->gradient, share);
  }

  const std::shared_ptr<detail::Node<T>>& node() const { return node_; }

 private:
  template <std::floating_point U, class Backward>
    requires std::invocable<Backward&, const Tensor<U>&, const Tensor<U>&>
  friend Variable<U> record(Tensor<U> value, std::initializer_list<Variable<U>> inputs,
                            Backward backward);

  std::shared_ptr<detail::Node<T>> node_;
};

/// Makes the result of an operation. `backward(y, dy)` is called once, with the value and its
/// gradient, and adds its share to each input with add_gradient:
///
///   Variable<T> square(const Variable<T>& x) {
///     return record(mul(x.value(), x.value()), {x}, [x](const auto&, const auto& dy) {
///       x.add_gradient(scale(mul(x.value(), dy), T{2}));  // d(x^2) = 2x dx
///     });
///   }
///
/// Where no input requires a gradient, or under NoGrad, nothing is kept.
template <std::floating_point T, class Backward>
  requires std::invocable<Backward&, const Tensor<T>&, const Tensor<T>&>
Variable<T> record(Tensor<T> value, std::initializer_list<Variable<T>> inputs, Backward backward) {
  bool needed = false;
  for (const Variable<T>& input : inputs) needed = needed || input.requires_grad();
  if (!needed || !grad_enabled()) return Variable<T>{std::move(value)};
  using Node = detail::RecordedNode<T, Backward>;
  auto node = std::allocate_shared<Node>(Recycled<Node>{}, std::move(value), std::move(backward));
  node->requires_grad = true;
  for (const Variable<T>& input : inputs)
    if (input.requires_grad()) node->inputs.push_back(input.node());
  Variable<T> result;
  result.node_ = std::move(node);
  return result;
}

}  // namespace splitvit
