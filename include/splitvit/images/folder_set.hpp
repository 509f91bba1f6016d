// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>   // binary_search, find_if, min
#include <atomic>      // atomic
#include <filesystem>  // path
#include <functional>  // function
#include <new>         // bad_alloc

#include <splitvit/core/error.hpp>             // StorageError
#include <splitvit/core/parallel.hpp>          // parallel_for
#include <splitvit/core/shape.hpp>             // Index, Shape
#include <splitvit/data/concepts.hpp>          // Dataset
#include <splitvit/data/resize.hpp>            // Resizer
#include <splitvit/images/folder_listing.hpp>  // FolderListing
#include <splitvit/images/image_file.hpp>      // read_image_file
#include <splitvit/images/limits.hpp>          // ImageLimits
#include <splitvit/tensor/tensor.hpp>          // Tensor

namespace splitvit::inline SPLITVIT_BUILD::images {

enum class OnBadFile : std::uint8_t { refuse, skip };

struct FolderOptions {
  Index image = 0;  ///< resize to (image, image); 0: each its own size
  /// Bytes of decoded images that are kept. While it decodes one, a thread takes up to 12 bytes a
  /// pixel besides.
  std::uintmax_t memory = std::uintmax_t{1} << 30;
  OnBadFile on_bad_file = OnBadFile::refuse;  ///< a file that cannot be decoded
  ImageLimits limits = {};                    ///< of each file
  std::function<void(Index read, Index files)> progress =
      {};  ///< called now and then while opening
};

/// Image files as a data set. Opening it decodes every file once, on all threads, so that a bad one
/// is found before training. What fits into `memory` is kept as decoded, the rest is decoded again
/// whenever it is asked for.
///
/// Shapes  images (3, image, image), or (3, height, width) of their own.
/// Errors  StorageError naming the first bad file in the order of the listing, or the class that no
///         file is left of; image(i) if a file has changed since.
class FolderSet {
 public:
  explicit FolderSet(FolderListing listing, const FolderOptions& options = {})
      : listing_{std::move(listing)}, image_{options.image}, limits_{options.limits} {
    if (image_ < 0 || image_ > 65536)
      throw ArgumentError({"FolderSet: image must be 0 to 65536, not ", image_});
    const std::vector<FolderListing::File> files = std::exchange(listing_.files, {});
    const auto count = static_cast<Index>(files.size());
    std::atomic<std::uintmax_t> kept_bytes{0};
    for (Index begin = 0; begin < count; begin += part) {  // the first bad file is named, always
      const auto listed = std::span{files}.subspan(
          static_cast<std::size_t>(begin), static_cast<std::size_t>(std::min(count - begin, part)));
      std::vector<Tensor<std::uint8_t>> images(listed.size());
      std::vector<std::optional<StorageError>> errors(listed.size());
      parallel_for(static_cast<Index>(listed.size()), 1, [&](Index first, Index last) {
        for (auto k = static_cast<std::size_t>(first); k < static_cast<std::size_t>(last); ++k)
          try {
            auto image = decoded(listed[k].path);
            const auto bytes = static_cast<std::uintmax_t>(image.size());
            if (kept_bytes.fetch_add(bytes) + bytes <= options.memory)
              images[k] = std::move(image);
            else
              kept_bytes -= bytes;
          } catch (const StorageError& error) {
            errors[k] = error;
          } catch (const std::bad_alloc&) {
            errors[k] = StorageError(Reason::too_long,
                                     {listed[k].path.string(), ": not enough memory to decode it"});
          }
      });
      for (std::size_t k = 0; k < listed.size(); ++k) {
        if (!errors[k]) {
          listing_.files.push_back(listed[k]);
          kept_.push_back(std::move(images[k]));
        } else if (options.on_bad_file == OnBadFile::refuse) {
          throw *errors[k];
        } else {
          skipped_.emplace_back(errors[k]->what());
        }
      }
      if (options.progress) options.progress(begin + static_cast<Index>(listed.size()), count);
    }
    kept_bytes_ = kept_bytes;
    for (const FolderListing::File& file : files)
      if (!std::ranges::binary_search(listing_.files, file.label, {}, &FolderListing::File::label))
        throw StorageError(Reason::wrong_content,
                           {"class '", listing_.classes[static_cast<std::size_t>(file.label)],
                            "': not one image can be read; ", reason_of(file)});
  }

  const std::vector<std::string>& class_names() const { return listing_.classes; }
  /// One line for each file that was left out: its path and what is wrong with it.
  const std::vector<std::string>& skipped() const { return skipped_; }
  std::uintmax_t kept_bytes() const { return kept_bytes_; }
  const std::filesystem::path& path(Index i) const {
    return listing_.files.at(static_cast<std::size_t>(i)).path;
  }

  Index size() const { return static_cast<Index>(listing_.files.size()); }
  Index classes() const { return static_cast<Index>(listing_.classes.size()); }
  Shape image_shape() const { return {3, image_, image_}; }
  Index label(Index i) const { return listing_.files.at(static_cast<std::size_t>(i)).label; }
  Tensor<std::uint8_t> image(Index i) const {
    const Tensor<std::uint8_t>& kept = kept_.at(static_cast<std::size_t>(i));
    return kept.empty() ? decoded(listing_.files[static_cast<std::size_t>(i)].path) : kept;
  }

 private:
  static constexpr Index part = 1024;  ///< files that are decoded at a time

  /// The line about a file in skipped_, which begins with its path.
  const std::string& reason_of(const FolderListing::File& file) const {
    const std::string begin = file.path.string() + ": ";
    return *std::find_if(skipped_.begin(), skipped_.end(),
                         [&](const std::string& line) { return line.starts_with(begin); });
  }

  Tensor<std::uint8_t> decoded(const std::filesystem::path& file) const {
    auto image = read_image_file(file, limits_);
    if (image_ == 0 || (image.dim(1) == image_ && image.dim(2) == image_)) return image;
    auto out = Tensor<std::uint8_t>::uninitialised(image_shape());
    data::Resizer{image.dim(1), image.dim(2), image_, image_}(3, image.span(), out.span());
    return out;
  }

  FolderListing listing_;
  Index image_;
  ImageLimits limits_;
  std::vector<Tensor<std::uint8_t>> kept_;  ///< as many as there are files; empty: not kept
  std::uintmax_t kept_bytes_ = 0;
  std::vector<std::string> skipped_;
};

static_assert(data::Dataset<FolderSet>);

}  // namespace splitvit::inline SPLITVIT_BUILD::images
