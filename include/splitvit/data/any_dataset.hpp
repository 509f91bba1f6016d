// SPDX-License-Identifier: MIT
#pragma once

#include <memory>  // make_shared, shared_ptr

#include <splitvit/core/shape.hpp>     // Index, Shape
#include <splitvit/data/concepts.hpp>  // Dataset
#include <splitvit/tensor/tensor.hpp>  // Tensor

namespace splitvit::inline SPLITVIT_BUILD::data {

/// Any data set, chosen while the program runs. Copies share it.
///
///   AnyDataset train = small ? AnyDataset{make_shapes({}).train} : images::FolderSet{listing};
///
/// Errors  The errors of the data set.
class AnyDataset {
 public:
  template <class Set>
    requires(!std::same_as<Set, AnyDataset>)
  AnyDataset(Set set) : set_{std::make_shared<const Model<Set>>(std::move(set))} {
    static_assert(Dataset<Set>, "AnyDataset holds a data set");
  }

  Index size() const { return set_->size(); }
  Index classes() const { return set_->classes(); }
  Shape image_shape() const { return set_->image_shape(); }
  Index label(Index i) const { return set_->label(i); }
  Tensor<std::uint8_t> image(Index i) const { return set_->image(i); }

 private:
  struct Interface {
    virtual ~Interface() = default;
    virtual Index size() const = 0;
    virtual Index classes() const = 0;
    virtual Shape image_shape() const = 0;
    virtual Index label(Index i) const = 0;
    virtual Tensor<std::uint8_t> image(Index i) const = 0;
  };

  template <class Set>
  struct Model final : Interface {
    explicit Model(Set held) : set{std::move(held)} {}

    Index size() const override { return set.size(); }
    Index classes() const override { return set.classes(); }
    Shape image_shape() const override { return set.image_shape(); }
    Index label(Index i) const override { return set.label(i); }
    Tensor<std::uint8_t> image(Index i) const override { return set.image(i); }

    Set set;
  };

  std::shared_ptr<const Interface> set_;
};

static_assert(Dataset<AnyDataset>);

}  // namespace splitvit::inline SPLITVIT_BUILD::data
