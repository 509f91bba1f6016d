// SPDX-License-Identifier: MIT
#pragma once

#include <memory>   // make_shared, shared_ptr
#include <numeric>  // iota

#include <splitvit/core/labels.hpp>     // Labels
#include <splitvit/core/parallel.hpp>   // available_threads, parallel_for, with_threads
#include <splitvit/core/random.hpp>     // Rng
#include <splitvit/core/shape.hpp>      // Index, Shape
#include <splitvit/core/text.hpp>       // counted
#include <splitvit/data/concepts.hpp>   // Dataset, ImageSet
#include <splitvit/data/normalise.hpp>  // ChannelStatistics
#include <splitvit/data/prefetch.hpp>   // Prefetch
#include <splitvit/data/resize.hpp>     // Resizer
#include <splitvit/data/transform.hpp>  // AnyTransform
#include <splitvit/tensor/tensor.hpp>   // Tensor, TensorView

namespace splitvit::inline SPLITVIT_BUILD::data {

/// What a model is given at once.
/// Shapes  images (B, channels, height, width); labels of B rows; indices B values.
/// Units   images: normalised, see ChannelStatistics. indices: places in the data set.
template <std::floating_point T>
struct Batch {
  Tensor<T> images;
  Labels labels;
  std::vector<Index> indices;
};

/// How batches are made. Augmentation comes first, at the image's own size, then resizing.
struct LoaderOptions {
  Index batch = 64;     ///< samples in a batch; the last one may have fewer
  Index image = 0;      ///< resize to (image, image); 0 keeps the size of all images
  Index channels = 3;   ///< 3: grey becomes three equal channels; 1: grey only
  bool shuffle = true;  ///< a new order each epoch
  std::vector<AnyTransform> augment = {};  ///< in this order; none for a test set
  ChannelStatistics normalise = {};        ///< mean 0.5, deviation 0.25
  bool drop_last = false;                  ///< leave out a last batch that would not be full
  std::uint64_t seed = 0;                  ///< of order and augmentation
  Index ahead = 2;                         ///< batches kept ready by another thread; 0: no thread
};

/// Makes batches from a data set: shuffled, augmented, resized, normalised, ahead of time.
///
/// Order and augmentation depend on (seed, epoch, sample) alone, so an epoch can be begun again in
/// the middle: `loader.epoch(3, 17)` goes on as if batches 0 to 16 of epoch 3 had been taken.
///
///   const data::Loader<float> loader{set, {.batch = 32, .seed = 7}};
///   auto epoch = loader.epoch(0);
///   while (auto batch = epoch.next()) train(batch->images, batch->labels);
template <std::floating_point T, Dataset Set = ImageSet>
class Loader {
 public:
  using Epoch = Prefetch<Batch<T>>;

  /// `set` must outlive the loader and its epochs.
  /// Errors  std::invalid_argument for options out of range, an empty set, or images whose
  ///         channels do not fit.
  explicit Loader(const Set& set, const LoaderOptions& options = {});
  explicit Loader(const Set&& set, const LoaderOptions& options = {}) = delete;

  /// (channels, height, width) of each image in a batch.
  const Shape& image_shape() const { return plan_->out_shape; }

  Index batches_per_epoch() const {
    const Index size = plan_->set->size(), batch = plan_->options.batch;
    return plan_->options.drop_last ? size / batch : (size + batch - 1) / batch;
  }

  /// The samples of an epoch, in the order in which they come.
  std::vector<Index> order(Index epoch) const;

  /// The batches of an epoch from `first_batch` on; call next() until it returns nothing.
  /// Errors  std::invalid_argument for a negative epoch or a batch that is not there.
  ///         next() throws std::invalid_argument for a label outside [0, classes).
  Epoch epoch(Index epoch, Index first_batch = 0) const;

 private:
  static constexpr std::uint64_t for_order = 0x6f72646572;        // "order"
  static constexpr std::uint64_t for_augment = 0x6175676d656e74;  // "augment"

  // All that an epoch needs, shared with its thread, so that the loader itself can be moved.
  struct Plan {
    const Set* set;
    LoaderOptions options;
    Shape in_shape, out_shape;
    std::optional<Resizer> resizer;                  // if all images change their size alike
    std::array<std::array<T, 256>, 3> normalised{};  // of each value, for each channel

    Plan(const Set& images, const LoaderOptions& o);

    Rng rng(std::uint64_t purpose, Index epoch, Index sample) const {
      return Rng{.seed = options.seed}.at(purpose, static_cast<std::uint64_t>(epoch),
                                          static_cast<std::uint64_t>(sample));
    }

    Batch<T> make_batch(Index epoch, Index batch, const std::vector<Index>& order) const;

    void make_image(Index epoch, Index sample, std::span<T> out) const;
  };

  std::shared_ptr<const Plan> plan_;
};

template <std::floating_point T, Dataset Set>
Loader<T, Set>::Loader(const Set& set, const LoaderOptions& options)
    : plan_{std::make_shared<const Plan>(set, options)} {}

template <std::floating_point T, Dataset Set>
std::vector<Index> Loader<T, Set>::order(Index epoch) const {
  std::vector<Index> out(static_cast<std::size_t>(plan_->set->size()));
  std::iota(out.begin(), out.end(), Index{0});
  if (plan_->options.shuffle)
    plan_->rng(for_order, epoch, 0).template shuffle<Index>(std::span{out});
  return out;
}

template <std::floating_point T, Dataset Set>
auto Loader<T, Set>::epoch(Index epoch, Index first_batch) const -> Epoch {
  if (epoch < 0 || first_batch < 0 || first_batch > batches_per_epoch())
    throw ArgumentError({"Loader: epoch ", epoch, " from batch ", first_batch, ", there are ",
                         batches_per_epoch(), " batches"});
  // The other thread keeps to the limit that holds here.
  return {first_batch, batches_per_epoch(), plan_->options.ahead,
          [plan = plan_, epoch, order = order(epoch), threads = available_threads()](Index batch) {
            return with_threads(threads, [&] { return plan->make_batch(epoch, batch, order); });
          }};
}

template <std::floating_point T, Dataset Set>
Loader<T, Set>::Plan::Plan(const Set& images, const LoaderOptions& o)
    : set{&images}, options{o}, in_shape{images.image_shape()} {
  const auto require = [](bool fine, TextParts text) {
    if (!fine) throw ArgumentError({"Loader: ", joined(text)});
  };
  const Index size = images.size();
  const Shape& in = in_shape;
  require(size >= 1, {"the data set is empty"});
  const bool sizes_differ = in.rank() == 3 && in[1] == 0 && in[2] == 0;
  require(sizes_differ || (in.rank() == 3 && in.elements() > 0), {"images of shape ", in.text()});
  require(!sizes_differ || o.image > 0, {"images differ in size: image must say which they get"});
  require(o.batch >= 1, {"batch must be at least 1, not ", o.batch});
  require(o.image >= 0, {"image must not be negative: ", o.image});
  require(o.ahead >= 0, {"ahead must not be negative: ", o.ahead});
  require(o.channels == 1 || o.channels == 3, {"channels must be 1 or 3, not ", o.channels});
  require(in[0] == o.channels || in[0] == 1,
          {counted(o.channels, "channel"), " wanted, images have ", in[0]});
  require(!o.drop_last || size >= o.batch,
          {"not one full batch of ", o.batch, " in ", counted(size, "sample")});

  const Index height = o.image > 0 ? o.image : in[1];
  const Index width = o.image > 0 ? o.image : in[2];
  out_shape = {o.channels, height, width};
  if (!sizes_differ && (height != in[1] || width != in[2]))
    resizer.emplace(in[1], in[2], height, width);
  for (std::size_t c = 0; c < 3; ++c) {
    const double mean = o.normalise.mean[c], deviation = o.normalise.deviation[c];
    require(deviation > 0.0, {"a deviation must be above 0"});
    for (std::size_t v = 0; v < 256; ++v)
      normalised[c][v] = static_cast<T>((static_cast<double>(v) / 255.0 - mean) / deviation);
  }
}

template <std::floating_point T, Dataset Set>
Batch<T> Loader<T, Set>::Plan::make_batch(Index epoch, Index batch,
                                          const std::vector<Index>& order) const {
  const Index begin = batch * options.batch;
  const Index end = std::min(begin + options.batch, static_cast<Index>(order.size()));
  Batch<T> out{
      .images = Tensor<T>::uninitialised({end - begin, out_shape[0], out_shape[1], out_shape[2]}),
      .labels = {},
      .indices = {order.begin() + begin, order.begin() + end}};
  std::vector<Index> classes;
  for (const Index sample : out.indices) {
    classes.push_back(set->label(sample));
    if (classes.back() < 0 || classes.back() >= set->classes())
      throw ArgumentError({"Loader: sample ", sample, " has label ", classes.back(), ", there are ",
                           set->classes(), " classes"});
  }
  out.labels = classes;
  parallel_for(end - begin, 8, [&](Index from, Index to) {
    for (Index i = from; i < to; ++i)
      make_image(epoch, out.indices[static_cast<std::size_t>(i)],
                 out.images.view().slice(i, i + 1).span());
  });
  return out;
}

template <std::floating_point T, Dataset Set>
void Loader<T, Set>::Plan::make_image(Index epoch, Index sample, std::span<T> out) const {
  Tensor<std::uint8_t> image = set->image(sample);
  const bool differs = image.shape().rank() != 3 || image.dim(0) != in_shape[0] || image.empty() ||
                       (in_shape[1] > 0 && !(image.shape() == in_shape));
  if (differs)
    throw ShapeError({"Loader: sample ", sample, " is ", image.shape().text(),
                      ", wanted images of shape ", in_shape.text()});
  Rng dice = rng(for_augment, epoch, sample);
  for (const AnyTransform& transform : options.augment) {
    image = transform(std::move(image), dice);
    if (image.shape().rank() != 3 || image.dim(0) != in_shape[0] || image.empty())
      throw ShapeError({"Loader: a transform made ", image.shape().text(), " of sample ", sample,
                        ", wanted ", in_shape[0], " channels"});
  }
  const Index height = image.dim(1), width = image.dim(2);
  if (height != out_shape[1] || width != out_shape[2]) {
    auto resized = Tensor<std::uint8_t>::uninitialised({in_shape[0], out_shape[1], out_shape[2]});
    if (resizer && height == in_shape[1] && width == in_shape[2])
      (*resizer)(in_shape[0], image.span(), resized.span());
    else
      Resizer{height, width, out_shape[1], out_shape[2]}(in_shape[0], image.span(), resized.span());
    image = std::move(resized);
  }
  const std::span<const std::uint8_t> raw = image.span();
  const auto plane = static_cast<std::size_t>(out_shape[1] * out_shape[2]);
  for (std::size_t c = 0; c < out.size() / plane; ++c) {
    const std::size_t from = in_shape[0] == 1 ? 0 : c * plane;  // grey: the same plane again
    for (std::size_t p = 0; p < plane; ++p) out[c * plane + p] = normalised[c][raw[from + p]];
  }
}

SPLITVIT_ONCE(class Prefetch<Batch<float>>);
SPLITVIT_ONCE(class Loader<float>);

}  // namespace splitvit::inline SPLITVIT_BUILD::data
