// SPDX-License-Identifier: MIT
// How much can a server see of the images, and of labels that it does not get? Of a model that
// split_train has trained, at one cut, behind one method's stage and codec.
//
//   leakage MODEL.safetensors DATA METHOD CUT [--steps N] [--seed S] [--drop-patches R]
//           [--pictures FILE.ppm] [--threads N] [--compute float32|bf16] [--json FILE]
//
// DATA is idx: or cifar: as split_train has it. The attacker sends the test images through the
// client's part and learns its inverse from them in N steps, and then draws the first 512 training
// images, which it has not seen. CUT 0 is after the stem. The pictures are eight of these, and
// below each what was drawn.

#include <algorithm>   // clamp
#include <cmath>       // cos
#include <cstdio>      // fprintf, fopen, fwrite
#include <cstdlib>     // atof, atoi, atoll
#include <functional>  // function
#include <numbers>     // pi
#include <numeric>     // accumulate
#include <optional>    // optional
#include <stdexcept>   // runtime_error
#include <string>      // string
#include <vector>      // vector

#include <splitvit/autograd/backward.hpp>           // backward
#include <splitvit/autograd/ops/cross_entropy.hpp>  // cross_entropy
#include <splitvit/autograd/ops/sum.hpp>            // sum
#include <splitvit/compress/token_choice.hpp>       // undropped_tokens
#include <splitvit/core/parallel.hpp>               // with_threads
#include <splitvit/data/cifar.hpp>                  // read_cifar_files
#include <splitvit/data/endless.hpp>                // Endless
#include <splitvit/data/loader.hpp>                 // Batch, Loader
#include <splitvit/io/safetensors.hpp>              // read_safetensors
#include <splitvit/leakage.hpp>                     // Inverter, psnr, ssim, Tap, ...
#include <splitvit/nn/cut.hpp>                      // make_part
#include <splitvit/nn/distance_correlation.hpp>     // distance_correlation
#include <splitvit/nn/model_info.hpp>               // model_info
#include <splitvit/nn/weights.hpp>                  // load_weights
#include <splitvit/spec/method.hpp>                 // parse_method
#if SPLITVIT_HAS_IMAGES
#include <splitvit/images/idx_gz.hpp>  // read_idx_or_gz
#else
#include <splitvit/data/idx.hpp>  // read_idx
#endif

#include "rows.hpp"

using namespace splitvit;

namespace {

constexpr Index batch_size = 64, secret_batches = 8;

struct Experiment {
  std::string model, data, method;
  Index cut = 0;
  int steps = 1000;
  std::uint64_t seed = 0;
  double drop_patches = 0;  ///< as the client has trained
  std::string pictures;
  kernel::Compute compute = kernel::Compute::float32;  ///< of the attacker
};

std::vector<std::string> parts_of(const std::string& text) {
  std::vector<std::string> parts{""};
  for (const char c : text.substr(text.find(':') + 1)) {
    if (c == ',')
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

data::TrainTest read_data(const std::string& text) {
  const auto files = parts_of(text);
  if (text.starts_with("cifar:") && files.size() == 2)
    return data::read_cifar_files(files[0], files[1]);
  if (text.starts_with("idx:") && files.size() == 4) {
    const data::IdxFiles train{files[0], files[1]}, test{files[2], files[3]};
#if SPLITVIT_HAS_IMAGES
    return images::read_idx_or_gz(train, test);
#else
    return data::read_idx(train, test);
#endif
  }
  throw std::runtime_error("DATA '" + text + "': wanted cifar:TRAIN,TEST or idx: and four files");
}

/// The trained model, cut, and what the attacker has.
class Attack {
 public:
  explicit Attack(const Experiment& experiment)
      : experiment_{experiment}, data_{read_data(experiment.data)} {
    const auto file = nn::VitWeights{io::read_safetensors(experiment.model)};
    const auto info = nn::model_info(file);
    if (!info) throw std::runtime_error(experiment.model + " was not written by split_train");
    config_ = info->sizes;
    const auto method = spec::parse_method<float>(experiment.method);
    const Index first_end = std::max(Index{1}, experiment.cut);
    client_.emplace(config_, 0, first_end);
    server_.emplace(config_, first_end, config_.depth);
    if (method.bottleneck) {
      client_->encoder = nn::make_encoder<float>(config_.dim, *method.bottleneck, {});
      server_->decoder = nn::make_decoder<float>(config_.dim, *method.bottleneck, {});
    }
    nn::load_weights<float>(std::vector{*client_, *server_}, file);
    tap_.emplace(*client_, method.stage, method.codec, experiment.seed);
    pixels_ = {.mean = info->mean, .deviation = info->deviation};
  }

  void run(bench::Rows& rows) {
    std::vector<data::Batch<float>> secrets;
    const data::Loader<float> in_order{data_.train, options(false)};
    for (auto epoch = in_order.epoch(0); std::ssize(secrets) < secret_batches;)
      secrets.push_back(std::move(*epoch.next()));
    const Learnt learnt = learn();
    add_similarities(secrets, learnt, rows);
    add_inference(secrets, rows);
  }

 private:
  struct Learnt {
    std::optional<leakage::Inverter<float>> untrained, trained;
    Tensor<float> mean;  ///< of the attacker's images
  };

  data::LoaderOptions options(bool shuffle) const {
    return {.batch = batch_size,
            .image = config_.image,
            .channels = config_.channels,
            .shuffle = shuffle,
            .normalise = pixels_,
            .drop_last = true,
            .seed = experiment_.seed};
  }
  /// In 0..1.
  Tensor<float> pixels_of(const Tensor<float>& images) const {
    Tensor<float> pixels = images;
    const Index area = images.dim(2) * images.dim(3);
    for (Index i = 0; i < images.size(); ++i) {
      const auto channel = static_cast<std::size_t>(i / area % images.dim(1));
      pixels[i] = static_cast<float>(static_cast<double>(images[i]) * pixels_.deviation[channel] +
                                     pixels_.mean[channel]);
    }
    return pixels;
  }

  leakage::Seen<float> see(const Tensor<float>& images) {
    const NoGrad no_grad;
    if (experiment_.cut > 0)
      return tap_->send(
          client_->to_cut(Variable<float>{images}, NeedWeights::cls, tap_->required_statistic(), {},
                          compress::undropped_tokens(images.dim(0), config_.tokens(),
                                                     experiment_.drop_patches, drops_)));
    nn::AtCut<float> at_stem{
        .tokens = (*client_->stem)(Variable<float>{images}), .cls_attention = {}, .statistics = {}};
    const Index B = at_stem.tokens.dim(0), N = at_stem.tokens.dim(1);
    at_stem.cls_attention = Tensor<float>::full({B, N}, 1.0f / static_cast<float>(N));
    return tap_->send(std::move(at_stem));
  }

  Learnt learn() {
    data::Endless<float> batches{data::Loader<float>{data_.test, options(true)}};
    nn::VitConfig drawer = config_;
    drawer.dim = 96;
    drawer.heads = 3;
    drawer.depth = 2;
    Learnt learnt;
    for (int step = 0; step < experiment_.steps; ++step) {
      const auto batch = batches();
      const auto seen = see(batch.images);
      const auto pixels = pixels_of(batch.images);
      if (step == 0) {
        const Rng rng{.seed = experiment_.seed};
        learnt.untrained.emplace(drawer, seen.tokens.dim(2), rng);
        learnt.trained.emplace(drawer, seen.tokens.dim(2), rng);
        learnt.trained->use(experiment_.compute);
        learnt.mean = Tensor<float>{{pixels.dim(1), pixels.dim(2), pixels.dim(3)}};
      }
      for (Index i = 0; i < pixels.size(); ++i)
        learnt.mean[i % learnt.mean.size()] +=
            pixels[i] / static_cast<float>(batch_size * experiment_.steps);
      const double place = static_cast<double>(step) / experiment_.steps;
      learnt.trained->set_learning_rate(1e-3 * (1 + std::cos(std::numbers::pi * place)) / 2);
      learnt.trained->learn(seen, pixels);
    }
    return learnt;
  }

  /// Sums over images that can be compared with what an attacker draws.
  struct Similarity {
    double ssim = 0, psnr = 0, images = 0;

    void add(const Tensor<float>& image, const Tensor<float>& drawn) {
      auto limited = drawn;
      for (float& pixel : limited.span()) pixel = std::clamp(pixel, 0.0f, 1.0f);
      ssim += leakage::ssim(image, limited, 1);
      psnr += leakage::psnr(image, limited, 1);
      images += 1;
    }
    void report(const std::string& name, bench::Rows& rows) const {
      rows.add(name + ": SSIM", ssim / images, "");
      rows.add(name + ": PSNR", psnr / images, "dB");
    }
  };

  static Tensor<float> image_of(const Tensor<float>& images, Index i) {
    const Index size = images.size() / images.dim(0);
    return {
        Shape{images.dim(1), images.dim(2), images.dim(3)},
        images.span().subspan(static_cast<std::size_t>(i * size), static_cast<std::size_t>(size))};
  }

  void add_similarities(const std::vector<data::Batch<float>>& secrets, const Learnt& learnt,
                        bench::Rows& rows) {
    Similarity trained, untrained, mean;
    double correlation = 0, alone = 0, of_one_class = 0, all_rows = 0, all = 0;
    std::vector<Tensor<float>> pictures;
    for (const auto& batch : secrets) {
      const auto seen = see(batch.images);
      const auto pixels = pixels_of(batch.images);
      const auto good = learnt.trained->draw(seen.tokens),
                 bad = learnt.untrained->draw(seen.tokens);
      const auto row_of = seen.rows_of(batch_size);
      std::vector<Index> sent;  // samples
      for (Index i = 0; i < batch_size; ++i)
        if (row_of[static_cast<std::size_t>(i)] >= 0) sent.push_back(i);
      for (const Index i : sent) {
        const Index row = row_of[static_cast<std::size_t>(i)];
        const auto image = image_of(pixels, i);
        trained.add(image, image_of(good, row));
        untrained.add(image, image_of(bad, row));
        mean.add(image, learnt.mean);
        if (pictures.size() < 16) {
          pictures.push_back(image);
          pictures.push_back(image_of(good, row));
        }
      }
      const auto [images, tokens] = paired(pixels, seen, sent, row_of);
      correlation += nn::distance_correlation(images, tokens) / secret_batches;
      for (const auto& members : seen.members) {
        const auto label_of = [&](Index i) { return batch.labels.row(i).argmax(); };
        all_rows += 1;
        all += static_cast<double>(members.size());
        alone += members.size() == 1 ? 1 : 0;
        of_one_class += std::ranges::all_of(
                            members, [&](Index i) { return label_of(i) == label_of(members[0]); })
                            ? 1
                            : 0;
      }
    }
    trained.report("inverse network", rows);
    untrained.report("untrained network", rows);
    mean.report("mean image", rows);
    rows.add("distance correlation", correlation, "");
    rows.add("samples sent", 100 * all / (batch_size * secret_batches), "%");
    rows.add("samples alone in their row", 100 * alone / all, "%");
    rows.add("rows of one class", 100 * of_one_class / all_rows, "%");
    if (!experiment_.pictures.empty()) write(pictures);
  }

  /// The samples that were sent, and the row of each.
  static std::pair<Tensor<float>, Tensor<float>> paired(const Tensor<float>& pixels,
                                                        const leakage::Seen<float>& seen,
                                                        const std::vector<Index>& sent,
                                                        const std::vector<Index>& row_of) {
    const auto count = static_cast<Index>(sent.size());
    const Index of_image = pixels.size() / pixels.dim(0),
                of_row = seen.tokens.size() / seen.tokens.dim(0);
    std::pair<Tensor<float>, Tensor<float>> pair{Tensor<float>{{count, of_image}},
                                                 Tensor<float>{{count, of_row}}};
    for (Index i = 0; i < count; ++i) {
      const Index sample = sent[static_cast<std::size_t>(i)];
      const Index row = row_of[static_cast<std::size_t>(sample)];
      std::copy_n(pixels.data() + sample * of_image, of_image, pair.first.data() + i * of_image);
      std::copy_n(seen.tokens.data() + row * of_row, of_row, pair.second.data() + i * of_row);
    }
    return pair;
  }

  /// What one learns of labels that are never sent: from the gradients of each sample's loss at the
  /// cut and behind the last block, and from the features at the cut.
  void add_inference(const std::vector<data::Batch<float>>& secrets, bench::Rows& rows) const {
    std::vector<leakage::Guess> norms, cosines, last_norms, last_cosines;
    leakage::ClusterGuess clusters;
    for (const auto& batch : secrets) {
      std::vector<Index> labels;
      for (Index i = 0; i < batch_size; ++i) labels.push_back(batch.labels.row(i).argmax());
      Tensor<float> features;
      {
        const NoGrad no_grad;
        features = client_->to_cut(Variable<float>{batch.images}, NeedWeights::none).tokens.value();
      }
      const auto tokens = Variable<float>::parameter(features);
      const auto cls = server_->blocks.cls(tokens);
      const auto last = Variable<float>::parameter(cls.value());
      backward(cross_entropy((*server_->classifier)(last), batch.labels));
      backward(cls, last.gradient());
      const auto append = [](std::vector<leakage::Guess>& all,
                             const std::vector<leakage::Guess>& some) {
        all.insert(all.end(), some.begin(), some.end());
      };
      append(norms, leakage::guess_by_norm(tokens.gradient(), labels));
      append(cosines, leakage::guess_by_cosine(tokens.gradient(), labels));
      append(last_norms, leakage::guess_by_norm(last.gradient(), labels));
      append(last_cosines, leakage::guess_by_cosine(last.gradient(), labels));
      const auto found = leakage::guess_by_clusters(features, labels, config_.classes,
                                                    Rng{.seed = experiment_.seed});
      clusters.accuracy += found.accuracy / secret_batches;
      clusters.guessing += found.guessing / secret_batches;
    }
    rows.add("gradients at the cut: AUC of norms", leakage::area_under_curve(norms), "");
    rows.add("AUC of cosines", leakage::area_under_curve(cosines), "");
    rows.add("behind the last block: AUC of norms", leakage::area_under_curve(last_norms), "");
    rows.add("AUC of cosines, last", leakage::area_under_curve(last_cosines), "");
    rows.add("labels from clusters", 100 * clusters.accuracy, "%");
    rows.add("labels by guessing", 100 * clusters.guessing, "%");
  }

  /// Images above, drawn ones below.
  void write(const std::vector<Tensor<float>>& pictures) const {
    const Index side = config_.image, across = static_cast<Index>(pictures.size() / 2);
    std::vector<unsigned char> bytes(static_cast<std::size_t>(2 * side * across * side * 3));
    for (std::size_t n = 0; n < pictures.size(); ++n)
      for (Index y = 0; y < side; ++y)
        for (Index x = 0; x < side; ++x)
          for (Index c = 0; c < 3; ++c) {
            const Index channel = config_.channels == 3 ? c : 0;
            const float value = pictures[n][(channel * side + y) * side + x];
            const Index row = static_cast<Index>(n % 2) * side + y;
            const Index column = static_cast<Index>(n / 2) * side + x;
            bytes[static_cast<std::size_t>((row * across * side + column) * 3 + c)] =
                static_cast<unsigned char>(std::clamp(value, 0.0f, 1.0f) * 255.0f + 0.5f);
          }
    std::FILE* const file = std::fopen(experiment_.pictures.c_str(), "wb");
    if (file == nullptr) throw std::runtime_error("cannot write " + experiment_.pictures);
    std::fprintf(file, "P6\n%td %td\n255\n", across * side, 2 * side);
    std::fwrite(bytes.data(), 1, bytes.size(), file);
    std::fclose(file);
  }

  const Experiment& experiment_;
  data::TrainTest data_;
  nn::VitConfig config_;
  data::ChannelStatistics pixels_;
  std::optional<nn::Part<float>> client_, server_;
  std::optional<leakage::Tap<float>> tap_;
  Rng drops_{.seed = experiment_.seed};
};

/// Takes what is only for this program out of the command line.
bench::Arguments read_arguments(int argc, char** argv, Experiment& experiment) {
  std::vector<char*> rest;
  for (int i = 0; i < argc; ++i) {
    const std::string name = argv[i];
    const bool has_value = i + 1 < argc;
    if (name == "--steps" && has_value)
      experiment.steps = std::max(1, std::atoi(argv[++i]));
    else if (name == "--seed" && has_value)
      experiment.seed = static_cast<std::uint64_t>(std::atoll(argv[++i]));
    else if (name == "--drop-patches" && has_value)
      experiment.drop_patches = std::atof(argv[++i]);
    else if (name == "--pictures" && has_value)
      experiment.pictures = argv[++i];
    else
      rest.push_back(argv[i]);
  }
  const bench::Arguments arguments{static_cast<int>(rest.size()), rest.data()};
  if (arguments.names.size() != 4) arguments.refuse("wanted MODEL.safetensors DATA METHOD CUT");
  experiment.compute = arguments.compute;
  experiment.model = arguments.names[0];
  experiment.data = arguments.names[1];
  experiment.method = arguments.names[2];
  experiment.cut = std::atoi(arguments.names[3].c_str());
  return arguments;
}

}  // namespace

int main(int argc, char** argv) {
  Experiment experiment;
  const bench::Arguments arguments = read_arguments(argc, argv, experiment);
  try {
    bench::Rows rows;
    with_threads(arguments.threads, [&] { Attack{experiment}.run(rows); });
    rows.report(arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "leakage: %s\n", error.what());
    return 1;
  }
}
