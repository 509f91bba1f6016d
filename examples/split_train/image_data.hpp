// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>  // path
#include <vector>      // vector

#include "split_train/data.hpp"     // Data
#include "split_train/options.hpp"  // Options

// Data sets for which splitvit::images is needed.

namespace split_train {

inline constexpr const char* built_without_images =
    "this program was built without libjpeg-turbo, libpng and zlib; cmake/setup.sh installs them, "
    "then build again";

/// The images of one set.
struct ImageFiles {
  std::filesystem::path folder;
  std::vector<std::filesystem::path> files;  ///< below it, sorted by class, then by path
};

/// The images of folder: for training, then those for testing. Errors  as load_folder.
std::vector<ImageFiles> list_images(const Options& options);

/// folder:TRAIN,TEST, or folder:DIR with --test-share.
///
/// Errors  UsageError for another text, or if this program was built without JPEG and PNG;
///         StorageError for files that cannot be trusted.
Data load_folder(const Options& options);

/// npz:FILE. Errors  as above.
Data load_npz(const Options& options);

/// idx:TRAIN-IMAGES,TRAIN-LABELS,TEST-IMAGES,TEST-LABELS, compressed or not. Without zlib a
/// compressed file is refused. Errors  as above.
Data load_idx(const Options& options);

}  // namespace split_train
