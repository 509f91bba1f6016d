// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>  // fill_n, copy_n

#include <splitvit/core/shape.hpp>      // Index, Shape
#include <splitvit/core/workspace.hpp>  // Memory

namespace splitvit::inline SPLITVIT_BUILD {

/// Borrows dense, row-major numbers. Valid as long as what it was taken from.
template <class T>
class TensorView {
 public:
  TensorView() = default;
  /// Errors  ShapeError if `values` is not as long as the shape says.
  TensorView(std::span<T> values, const Shape& shape) : data_{values.data()}, shape_{shape} {
    if (static_cast<Index>(values.size()) != shape.elements())
      throw ShapeError({"TensorView: ", values.size(), " values for shape ", shape});
  }
  /// A view that may write becomes one that may only read.
  operator TensorView<const T>() const
    requires(!std::is_const_v<T>)
  {
    return {span(), shape_};
  }

  const Shape& shape() const { return shape_; }
  Index dim(std::size_t axis) const { return shape_[axis]; }
  Index size() const { return shape_.elements(); }
  T* data() const { return data_; }
  std::span<T> span() const { return {data_, static_cast<std::size_t>(size())}; }
  T& operator[](Index i) const { return data_[i]; }

  /// Entries begin..end-1 of the first axis.
  TensorView slice(Index begin, Index end) const {
    if (shape_.rank() == 0 || begin < 0 || begin > end || end > shape_[0])
      throw ShapeError({"slice: entries ", begin, " to ", end, " of shape ", shape_});
    const Shape part = shape_.with(0, end - begin);
    const Index stride = shape_[0] == 0 ? 0 : size() / shape_[0];
    return {std::span<T>{data_ + begin * stride, static_cast<std::size_t>(part.elements())}, part};
  }

 private:
  T* data_ = nullptr;
  Shape shape_{0};
};

/// Owns dense, row-major numbers; a value. Storage is aligned to 64 bytes and comes from the
/// workspace in use, if one is (core/workspace.hpp).
template <class T>
class Tensor {
  static_assert(std::is_arithmetic_v<T>);

 public:
  /// No elements: shape (0).
  Tensor() = default;
  /// All zero.
  explicit Tensor(const Shape& shape) : Tensor{shape, Uninitialised{}} {
    std::fill_n(data(), size(), T{});
  }
  /// A copy of `values`. Errors  ShapeError if there are not as many as the shape says.
  Tensor(const Shape& shape, std::span<const T> values) : Tensor{shape, Uninitialised{}} {
    std::copy_n(TensorView<const T>{values, shape}.data(), size(), data());
  }
  Tensor(const Tensor& other) : Tensor{other.shape_, Uninitialised{}} {
    std::copy_n(other.data(), other.size(), data());
  }
  Tensor(Tensor&& other) noexcept
      : data_{std::move(other.data_)}, shape_{std::exchange(other.shape_, Shape{0})} {}
  Tensor& operator=(Tensor other) noexcept {
    std::swap(data_, other.data_);
    std::swap(shape_, other.shape_);
    return *this;
  }

  /// For a caller who writes every element before reading any.
  static Tensor uninitialised(const Shape& shape) { return Tensor{shape, Uninitialised{}}; }
  static Tensor full(const Shape& shape, T value) {
    Tensor out = uninitialised(shape);
    std::fill_n(out.data(), out.size(), value);
    return out;
  }

  const Shape& shape() const { return shape_; }
  Index dim(std::size_t axis) const { return shape_[axis]; }
  Index size() const { return shape_.elements(); }
  bool empty() const { return size() == 0; }
  T* data() { return data_.data(); }
  const T* data() const { return data_.data(); }
  std::span<T> span() { return {data(), static_cast<std::size_t>(size())}; }
  std::span<const T> span() const { return {data(), static_cast<std::size_t>(size())}; }
  T& operator[](Index i) { return data()[i]; }
  const T& operator[](Index i) const { return data()[i]; }
  TensorView<T> view() { return {span(), shape_}; }
  TensorView<const T> view() const { return {span(), shape_}; }

  /// The same numbers under another shape. Errors  ShapeError if the number of elements differs.
  Tensor reshaped(const Shape& shape) && {
    if (shape.elements() != size())
      throw ShapeError(
          {"reshaped: ", shape_, " has ", size(), " elements, ", shape, " has ", shape.elements()});
    Tensor out = std::move(*this);
    out.shape_ = shape;
    return out;
  }
  Tensor reshaped(const Shape& shape) const& { return Tensor{*this}.reshaped(shape); }

 private:
  struct Uninitialised {};
  Tensor(const Shape& shape, Uninitialised)
      : data_{static_cast<std::size_t>(shape.elements())}, shape_{shape} {}

  Memory<T> data_;
  Shape shape_{0};
};

}  // namespace splitvit::inline SPLITVIT_BUILD
