// SPDX-License-Identifier: MIT
#include "split_train/augmentation.hpp"

#include <algorithm>  // count

#include <splitvit/data/augment.hpp>       // Crop, Flip, ResizedCrop
#include <splitvit/data/rand_augment.hpp>  // paper_augmentation

#include "split_train/data.hpp"     // split_at_commas
#include "split_train/options.hpp"  // UsageError

namespace split_train {

namespace data = splitvit::data;

std::vector<data::AnyTransform> augmentation_of(const std::string& text) {
  std::vector<data::AnyTransform> out;
  const std::vector<std::string> names = split_at_commas(text);
  for (const std::string& name : names) {
    if (std::ranges::count(names, name) > 1)
      throw UsageError("--augment '" + text + "': " + name + " is given twice");
    if (name == "flip")
      out.push_back(data::Flip{});
    else if (name == "crop")
      out.push_back(data::Crop{});
    else if (name == "resized-crop")
      out.push_back(data::ResizedCrop{});
    else if (name == "paper")
      for (data::AnyTransform& transform : data::paper_augmentation()) out.push_back(transform);
    else if (text != "none")
      throw UsageError("--augment '" + text +
                       "': wanted none, or some of flip, crop, resized-crop and paper, joined by "
                       "commas");
  }
  return out;
}

bool wants_own_size(const std::string& text) {
  for (const std::string& name : split_at_commas(text))
    if (name == "resized-crop" || name == "paper") return true;
  return false;
}

}  // namespace split_train
