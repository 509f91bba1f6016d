// Which tokens of which images survive? Trains a small ViT for a moment, then draws eight test
// images and below them what ADC's token stage sends of each.
//
//   06_what_is_kept [OUT.svg [IMAGES LABELS]]
//
// Of drawn shapes, or of real images in IDX files, such as train-images-idx3-ubyte.gz and
// train-labels-idx1-ubyte.gz of Fashion-MNIST. Under ten seconds on one core.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <map>
#include <string>

#include <splitvit/splitvit.hpp>
#if SPLITVIT_HAS_IMAGES
#include <splitvit/images/idx_gz.hpp>
#endif

namespace sv = splitvit;

namespace {

/// The first images of a set are shown, the next ones are learnt from.
sv::data::TrainTest real_images(const sv::data::IdxFiles& files, sv::Index shown) {
#if SPLITVIT_HAS_IMAGES
  const auto set = sv::images::read_idx_or_gz(files);
#else
  const auto set = sv::data::read_idx(files);
#endif
  const sv::Index first = std::min(shown, set.size());
  return {.train = sv::data::slice(set, first, std::min<sv::Index>(first + 2048, set.size())),
          .test = sv::data::slice(set, 0, first)};
}

int draw(int argc, char** argv) {
  const std::string path = argc > 1 ? argv[1] : "what_is_kept.svg";
  constexpr sv::Index image = 32, patch = 4, across = image / patch, shown = 8, sent = 20;

  // 1. A model that has seen some images, so that its attention means something.
  const auto data = argc > 3
                        ? real_images({argv[2], argv[3]}, shown)
                        : sv::data::make_shapes(
                              {.samples = 1024, .test_samples = shown, .classes = 4, .noise = 0.0});
  const sv::nn::VitConfig vit{.image = image,
                              .patch = patch,
                              .dim = 48,
                              .heads = 3,
                              .depth = 3,
                              .classes = data.train.classes()};
  const auto model = sv::nn::make_vit<float>(vit, sv::Rng{.seed = 1});
  sv::optim::Optimizer optimizer{sv::optim::Adam{.lr = 1e-3}, sv::nn::parameters<float>(model)};
  const sv::data::Loader<float> train{data.train, {.batch = 32, .image = image, .seed = 1}};
  for (sv::Index e = 0; e < 5; ++e) {
    auto epoch = train.epoch(e);
    while (const auto batch = epoch.next()) {
      sv::backward(sv::cross_entropy(model(sv::Variable<float>{batch->images}), batch->labels));
      optimizer.step();
      optimizer.clear_gradients();
    }
  }

  // 2. How CLS looks at the patches in the second block, and the 20 tokens that stay.
  auto test =
      sv::data::Loader<float>{data.test, {.batch = shown, .image = image, .shuffle = false}}.epoch(
          0);
  const auto batch = test.next();
  const auto tokens = model.stem(sv::Variable<float>{batch->images});
  const auto at_cut =
      model.blocks.blocks[1](model.blocks.blocks[0](tokens).y, sv::NeedWeights::cls);
  const auto kept = sv::compress::best_tokens(at_cut.cls_attention, sent);

  // 3. Draw each image with one path for each colour, and below it the patches that are sent.
  constexpr sv::Index step = image + 4;
  const auto text = [](sv::Index number) { return std::to_string(number); };
  const auto box = [&](sv::Index x, sv::Index y, sv::Index width, sv::Index height) {
    return "M" + text(x) + " " + text(y) + "h" + text(width) + "v" + text(height) + "h-" +
           text(width) + "z";
  };
  std::ofstream svg{path};
  svg << "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 " << shown * step << " " << 2 * step
      << "' shape-rendering='crispEdges'>\n"
      << "<rect width='100%' height='100%' rx='2' fill='#fff'/>\n";
  for (sv::Index i = 0; i < data.test.size(); ++i) {
    const float* pixels = batch->images.data() + i * 3 * image * image;
    const auto colour = [&](sv::Index p) {
      const auto channel = [&](sv::Index c) {
        const float value = 0.25f * pixels[c * image * image + p] + 0.5f;  // from 0 to 1
        return text(static_cast<sv::Index>(31.9f * value) * 8 + 4);        // few, for long runs
      };
      return "rgb(" + channel(0) + "," + channel(1) + "," + channel(2) + ")";
    };
    std::map<std::string, std::string> paths;
    for (sv::Index p = 0, end = 0; p < image * image; p = end) {
      for (end = p + 1; end % image != 0 && colour(end) == colour(p);) ++end;
      paths[colour(p)] += box(p % image, p / image, end - p, 1);
    }
    svg << "<g transform='translate(" << i * step + 2 << " 2)'><g id='image" << i << "'>\n";
    for (const auto& [fill, path_data] : paths)
      svg << "<path fill='" << fill << "' d='" << path_data << "'/>\n";
    svg << "</g>\n<clipPath id='sent" << i << "'><path d='";
    const auto of_image = kept.view().slice(i, i + 1).span();
    for (const sv::Index token : of_image)
      if (token > 0)  // token 0 is CLS
        svg << box((token - 1) % across * patch, (token - 1) / across * patch, patch, patch);
    svg << "'/></clipPath>\n<g transform='translate(0 " << step << ")'>"
        << "<rect width='" << image << "' height='" << image << "' fill='#f1f1f1'/>"
        << "<use href='#image" << i << "' clip-path='url(#sent" << i << ")'/></g></g>\n";
  }
  svg << "</svg>\n";
  svg.close();
  if (!svg) {
    std::fprintf(stderr, "%s cannot be written\n", path.c_str());
    return 1;
  }
  std::printf("%s: %td of %td patches of %td images\n", path.c_str(), sent - 1, across * across,
              shown);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return draw(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "06_what_is_kept: %s\n", error.what());
    return 1;
  }
}
