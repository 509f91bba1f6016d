// Which tokens of which images survive? Trains a small ViT for a moment, then draws what ADC's
// token stage keeps of eight test images: what_is_kept.svg, dropped patches faded. Some
// seconds on one core.

#include <cstdio>
#include <fstream>
#include <string>

#include <splitvit/splitvit.hpp>

namespace sv = splitvit;

int main(int argc, char** argv) {
  const std::string path = argc > 1 ? argv[1] : "what_is_kept.svg";
  constexpr sv::Index image = 32, patch = 4, across = image / patch, shown = 8;

  // 1. A model that has seen some shapes, so that its attention means something.
  const auto data = sv::data::make_shapes({.samples = 512, .test_samples = shown, .classes = 4});
  const sv::nn::VitConfig vit{
      .image = image, .patch = patch, .dim = 48, .heads = 3, .depth = 3, .classes = 4};
  const auto model = sv::nn::make_vit<float>(vit, sv::Rng{.seed = 1});
  sv::optim::Optimizer optimizer{sv::optim::Adam{.lr = 1e-3}, sv::nn::parameters<float>(model)};
  auto epoch = sv::data::Loader<float>{data.train, {.batch = 32, .seed = 1}}.epoch(0);
  while (const auto batch = epoch.next()) {
    sv::backward(sv::cross_entropy(model(sv::Variable<float>{batch->images}),
                                   std::span<const sv::Index>{batch->labels}));
    optimizer.step();
    optimizer.clear_gradients();
  }

  // 2. How CLS looks at the patches in the second block, and the 20 tokens that stay.
  auto test = sv::data::Loader<float>{data.test, {.batch = shown, .shuffle = false}}.epoch(0);
  const auto batch = test.next();
  const auto tokens = model.stem(sv::Variable<float>{batch->images});
  const auto at_cut = model.blocks.blocks[1](model.blocks.blocks[0](tokens).y, sv::ClsRow::keep);
  const auto kept = sv::compress::best_tokens(at_cut.cls_attention, 20);

  // 3. Draw: each pixel a square, each dropped patch under a veil.
  std::ofstream svg{path};
  svg << "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 " << shown * 36 << " 36' "
      << "shape-rendering='crispEdges'>\n";
  const auto square = [&](sv::Index x, sv::Index y, sv::Index size, const std::string& fill) {
    svg << "<rect x='" << x << "' y='" << y << "' width='" << size << "' height='" << size << "' "
        << fill << "/>\n";
  };
  for (sv::Index i = 0; i < shown; ++i) {
    const std::uint8_t* pixels = data.test.images.data() + i * 3 * image * image;
    for (sv::Index p = 0; p < image * image; ++p) {
      const auto channel = [&](sv::Index c) {
        return std::to_string(pixels[c * image * image + p]);
      };
      square(i * 36 + 2 + p % image, 2 + p / image, 1,
             "fill='rgb(" + channel(0) + "," + channel(1) + "," + channel(2) + ")'");
    }
    std::vector<bool> stays(across * across + 1);
    for (const sv::Index token : kept.view().slice(i, i + 1).span())
      stays[static_cast<std::size_t>(token)] = true;
    for (sv::Index j = 0; j < across * across; ++j)
      if (!stays[static_cast<std::size_t>(j + 1)])  // token 0 is CLS
        square(i * 36 + 2 + j % across * patch, 2 + j / across * patch, patch,
               "fill='white' fill-opacity='0.82'");
  }
  svg << "</svg>\n";
  svg.close();
  if (!svg) return 1;
  std::printf("%s: 19 of %td patches of %td images\n", path.c_str(), across * across, shown);
}
