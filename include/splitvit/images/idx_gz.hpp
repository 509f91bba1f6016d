// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>  // path

#include <splitvit/core/file.hpp>      // read_file
#include <splitvit/data/concepts.hpp>  // ImageSet, require_alike, TrainTest
#include <splitvit/data/idx.hpp>       // IdxFiles, IdxOptions, parse_idx
#include <splitvit/images/gzip.hpp>    // gunzip, is_gzip

namespace splitvit::inline SPLITVIT_BUILD::images {

/// Reads a set from its two IDX files, each as it is or compressed with gzip, as they are usually
/// kept.
/// Errors  as data::read_idx and gunzip.
inline data::ImageSet read_idx_or_gz(const data::IdxFiles& files,
                                     const data::IdxOptions& options = {}) {
  const auto content = [&](const std::filesystem::path& file) {
    auto bytes = read_file(file, options.limit);
    return is_gzip(bytes) ? gunzip(bytes, options.limit, file.string()) : std::move(bytes);
  };
  const auto images = content(files.images);
  return data::parse_idx(images, content(files.labels), files, options);
}

/// Reads a set for training and one for testing. Errors  as above and as data::require_alike.
inline data::TrainTest read_idx_or_gz(const data::IdxFiles& train, const data::IdxFiles& test,
                                      const data::IdxOptions& options = {}) {
  data::TrainTest out{.train = read_idx_or_gz(train, options),
                      .test = read_idx_or_gz(test, options)};
  data::require_alike(out, test.images.string());
  return out;
}

}  // namespace splitvit::inline SPLITVIT_BUILD::images
