// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>         // any_of
#include <initializer_list>  // initializer_list
#include <memory>            // shared_ptr, allocate_shared

#include <splitvit/core/workspace.hpp>      // Memory, Recycled, Scoped
#include <splitvit/tensor/elementwise.hpp>  // add_to
#include <splitvit/tensor/tensor.hpp>       // Tensor

namespace splitvit::inline SPLITVIT_BUILD {

namespace detail {
/// Whether operations of this thread record a graph.
inline bool& recording() {
  thread_local bool on = true;
  return on;
}

struct Recorder;

/// The backward function of an operation behind two pointers to functions, so that the graph is
/// compiled once for each T and not once for each operation. Its memory comes from the workspace.
template <std::floating_point T>
class Operation {
 public:
  Operation() = default;
  template <class Given, class Backward = std::remove_cvref_t<Given>>
    requires(!std::same_as<Backward, Operation>)
  explicit Operation(Given&& backward) : closure_{sizeof(Backward)} {
    new (closure_.data()) Backward(std::forward<Given>(backward));
    run_ = [](void* closure, const Tensor<T>& y, Tensor<T>&& dy) {
      (*static_cast<Backward*>(closure))(y, std::move(dy));
    };
    destroy_ = [](void* closure) { static_cast<Backward*>(closure)->~Backward(); };
  }
  Operation(Operation&&) noexcept = default;
  Operation& operator=(Operation&& other) noexcept {
    reset();
    closure_ = std::move(other.closure_);
    run_ = other.run_;
    destroy_ = other.destroy_;
    return *this;
  }
  ~Operation() { reset(); }

  void operator()(const Tensor<T>& y, Tensor<T>&& dy) { run_(closure_.data(), y, std::move(dy)); }
  void reset() {
    if (closure_.data() == nullptr) return;
    destroy_(closure_.data());
    closure_ = Memory<std::byte>{};
  }

 private:
  Memory<std::byte> closure_;
  void (*run_)(void* closure, const Tensor<T>& y, Tensor<T>&& dy) = nullptr;
  void (*destroy_)(void* closure) = nullptr;
};

/// One value of the graph. Keeps alive what it was computed from, never the other way.
template <std::floating_point T>
struct Node {
  using Nodes = std::vector<std::shared_ptr<Node>, Recycled<std::shared_ptr<Node>>>;

  explicit Node(Tensor<T> v) : value{std::move(v)} {}
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  /// Releases all nodes that only this one keeps alive, one by one: nested destructors of a deep
  /// graph would overflow the call stack.
  ~Node();

  /// Frees what the operation saved. The value stays: a caller may still hold the handle.
  void release();

  Tensor<T> value;
  Tensor<T> gradient;  // shape (0) until the first share arrives
  Nodes inputs;
  Operation<T> operation;
  bool requires_grad = false;
  bool used_up = false;  // its operation has been released
};

template <std::floating_point T>
Node<T>::~Node() {
  operation.reset();  // it holds the inputs, too
  Nodes nodes = std::move(inputs);
  while (!nodes.empty()) {
    const std::shared_ptr<Node> node = std::move(nodes.back());
    nodes.pop_back();
    if (node.use_count() > 1) continue;
    for (std::shared_ptr<Node>& input : node->inputs) nodes.push_back(std::move(input));
    node->release();
  }
}

template <std::floating_point T>
void Node<T>::release() {
  operation.reset();
  inputs.clear();
  gradient = Tensor<T>{};
  requires_grad = false;
  used_up = true;
}
}  // namespace detail

/// Whether operations of this thread record a graph.
inline bool grad_enabled() { return detail::recording(); }

/// Operations of this thread record no graph while it lives, as under torch.no_grad.
class NoGrad : detail::Scoped<bool> {
 public:
  NoGrad() : Scoped{detail::recording(), false} {}
};

/// A handle to a tensor that remembers how it was computed, so that backward() can find gradients.
/// Copies share the tensor.
template <std::floating_point T>
class Variable {
  using Node = detail::Node<T>;

 public:
  /// No value yet.
  Variable() = default;
  /// A constant: data, which no gradient reaches.
  explicit Variable(Tensor<T> value);
  Variable(const Variable&) = default;
  Variable(Variable&&) noexcept = default;
  Variable& operator=(Variable other) noexcept {
    node_.swap(other.node_);
    return *this;
  }
  /// Not inline: destructors of handles are everywhere, and were a tenth of a program.
  [[gnu::noinline]] ~Variable();
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

  /// False if it is not defined.
  bool requires_grad() const { return defined() && node_->requires_grad; }
  /// Leaves only: whether operations recorded from now on pass a gradient to it.
  void set_requires_grad(bool needed) const { node_->requires_grad = needed; }
  bool has_gradient() const { return !node_->gradient.empty(); }
  /// Same shape as value(), once backward() has run; shape (0) before.
  const Tensor<T>& gradient() const { return node_->gradient; }
  Tensor<T>& mutable_gradient() const { return node_->gradient; }
  void clear_gradient() const { node_->gradient = Tensor<T>{}; }

  /// For the backward function of an operation. Does nothing where no gradient is required.
  /// Errors  ShapeError if the share has another shape than the value.
  void add_gradient(Tensor<T> share) const;

  /// Adds the share that fill(share) writes into an uninitialised tensor, where one is required.
  template <std::invocable<Tensor<T>&> Fill>
  void add_gradient_from(const Fill& fill) const {
    if (!requires_grad()) return;
    Tensor<T> share = Tensor<T>::uninitialised(shape());
    fill(share);
    add_gradient(std::move(share));
  }

  const std::shared_ptr<Node>& node() const { return node_; }

 private:
  friend struct detail::Recorder;

  Variable(Tensor<T> value, std::initializer_list<Variable> inputs, detail::Operation<T> operation)
      : Variable{std::move(value)} {
    node_->operation = std::move(operation);
    node_->requires_grad = true;
    for (const Variable& input : inputs)
      if (input.requires_grad()) node_->inputs.push_back(input.node_);
  }
  static bool records(std::initializer_list<Variable> inputs) {
    return grad_enabled() && std::any_of(inputs.begin(), inputs.end(), [](const Variable& input) {
             return input.requires_grad();
           });
  }

  std::shared_ptr<Node> node_;
};

namespace detail {
/// What record() below may do. Clang 16 takes no function with constraints for a friend.
struct Recorder {
  template <std::floating_point T, class Backward>
  static Variable<T> record(Tensor<T> value, std::initializer_list<Variable<T>> inputs,
                            Backward&& backward) {
    if (!Variable<T>::records(inputs)) return Variable<T>{std::move(value)};
    return {std::move(value), inputs, Operation<T>{std::forward<Backward>(backward)}};
  }
};
}  // namespace detail

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
Variable<T> record(Tensor<T> value, std::initializer_list<Variable<T>> inputs,
                   Backward&& backward) {
  return detail::Recorder::record(std::move(value), inputs, std::forward<Backward>(backward));
}

template <std::floating_point T>
Variable<T>::Variable(Tensor<T> value)
    : node_{std::allocate_shared<Node>(Recycled<Node>{}, std::move(value))} {}

template <std::floating_point T>
void Variable<T>::add_gradient(Tensor<T> share) const {
  if (!requires_grad()) return;
  if (share.shape() != shape())
    throw ShapeError({"add_gradient: a gradient ", share.shape(), " for a value ", shape()});
  if (node_->gradient.empty())
    node_->gradient = std::move(share);
  else
    add_to(node_->gradient, share);
}

template <std::floating_point T>
Variable<T>::~Variable() = default;

SPLITVIT_ONCE(struct detail::Node<float>);
SPLITVIT_ONCE(class Variable<float>);

}  // namespace splitvit::inline SPLITVIT_BUILD
