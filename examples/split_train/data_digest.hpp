// SPDX-License-Identifier: MIT
#pragma once

#include <string>  // string

#include "split_train/options.hpp"  // Options

namespace split_train {

/// Tells data apart by the bytes of their files; of folders by the paths of their images in order,
/// their sizes, and the content of 1,000 of them, chosen by their paths. 16 hexadecimal digits;
/// empty for images that are drawn.
///
/// Errors  As load_data, but files are not checked for what they hold.
std::string data_digest(const Options& options);

}  // namespace split_train
