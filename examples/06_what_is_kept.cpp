// Which tokens of which images survive? Trains a small ViT for a moment, then draws eight test
// images and below them what ADC's token stage sends of each: what_is_kept.svg. Under ten
// seconds on one core.

#include <cstdio>
#include <fstream>
#include <map>
#include <string>

#include <splitvit/splitvit.hpp>

namespace sv = splitvit;

int main(int argc, char** argv) {
  const std::string path = argc > 1 ? argv[1] : "what_is_kept.svg";
  constexpr sv::Index image = 32, patch = 4, across = image / patch, shown = 8, sent = 20;

  // 1. A model that has seen some shapes, so that its attention means something.
  const auto data =
      sv::data::make_shapes({.samples = 1024, .test_samples = shown, .classes = 4, .noise = 0.0});
  const sv::nn::VitConfig vit{
      .image = image, .patch = patch, .dim = 48, .heads = 3, .depth = 3, .classes = 4};
  const auto model = sv::nn::make_vit<float>(vit, sv::Rng{.seed = 1});
  sv::optim::Optimizer optimizer{sv::optim::Adam{.lr = 1e-3}, sv::nn::parameters<float>(model)};
  const sv::data::Loader<float> train{data.train, {.batch = 32, .seed = 1}};
  for (sv::Index e = 0; e < 5; ++e) {
    auto epoch = train.epoch(e);
    while (const auto batch = epoch.next()) {
      sv::backward(sv::cross_entropy(model(sv::Variable<float>{batch->images}), batch->labels));
      optimizer.step();
      optimizer.clear_gradients();
    }
  }

  // 2. How CLS looks at the patches in the second block, and the 20 tokens that stay.
  auto test = sv::data::Loader<float>{data.test, {.batch = shown, .shuffle = false}}.epoch(0);
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
  for (sv::Index i = 0; i < shown; ++i) {
    const std::uint8_t* pixels = data.test.images.data() + i * 3 * image * image;
    const auto colour = [&](sv::Index p) {
      const auto channel = [&](sv::Index c) {
        return text(pixels[c * image * image + p] / 8 * 8 + 4);  // few colours, long runs
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
    for (const sv::Index token : kept.view().slice(i, i + 1).span())
      if (token > 0)  // token 0 is CLS
        svg << box((token - 1) % across * patch, (token - 1) / across * patch, patch, patch);
    svg << "'/></clipPath>\n<g transform='translate(0 " << step << ")'>"
        << "<rect width='" << image << "' height='" << image << "' fill='#f1f1f1'/>"
        << "<use href='#image" << i << "' clip-path='url(#sent" << i << ")'/></g></g>\n";
  }
  svg << "</svg>\n";
  svg.close();
  if (!svg) return 1;
  std::printf("%s: %td of %td patches of %td images\n", path.c_str(), sent - 1, across * across,
              shown);
}
