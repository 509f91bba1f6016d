// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <splitvit/core/file.hpp>
#include <splitvit/images/image_file.hpp>

#include "support/catch.hpp"
#include "support/image_bytes.hpp"
#include "support/storage_error.hpp"
#include "support/temporary_folder.hpp"

using namespace splitvit;
using support::complaint_of;
using Bytes = support::FileBytes;
using Colour = std::array<int, 3>;

namespace {

const std::filesystem::path samples =
    std::filesystem::path{SPLITVIT_SOURCE_DIR} / "tests/fuzz/corpus/image_files";

/// What a colour picture of 10 by 12 pixels is made of.
std::vector<std::uint8_t> colours(unsigned height, unsigned width) {
  std::vector<std::uint8_t> out;
  for (unsigned y = 0; y < height; ++y)
    for (unsigned x = 0; x < width; ++x)
      for (const unsigned value : {20 * x + 3 * y, 9 * x * y + 40, 200 - 11 * x + 5 * y})
        out.push_back(static_cast<std::uint8_t>(value % 256));
  return out;
}

Colour pixel(const Tensor<std::uint8_t>& image, Index x, Index y) {
  Colour out{};
  for (std::size_t c = 0; c < 3; ++c)
    out[c] = image[(static_cast<Index>(c) * image.dim(1) + y) * image.dim(2) + x];
  return out;
}

bool within(const Colour& a, const Colour& b, int levels) {
  for (std::size_t c = 0; c < 3; ++c)
    if (std::abs(a[c] - b[c]) > levels) return false;
  return true;
}

void check_refused(const Bytes& bytes, Reason reason, const std::string& text,
                   const images::ImageLimits& limits = {}) {
  const auto said = complaint_of([&] { images::decode_image(bytes, "the file", limits); });
  REQUIRE(said);
  CHECK(said->reason == reason);
  CHECK_THAT(said->text, ContainsSubstring("the file: ") && ContainsSubstring(text));
}

}  // namespace

// The files were written and read by Pillow 13.0.0.
TEST_CASE("read_image_file: JPEG within two levels of Pillow", "[images]") {
  for (const char* name : {"baseline", "progressive"}) {
    CAPTURE(name);
    const auto image = images::read_image_file(samples / name);
    REQUIRE(image.shape() == Shape{3, 10, 12});
    CHECK(within(pixel(image, 0, 0), {14, 38, 196}, 2));
    CHECK(within(pixel(image, 5, 4), {174, 182, 221}, 2));
    CHECK(within(pixel(image, 11, 9), {247, 140, 158}, 2));
    CHECK(within(pixel(image, 3, 8), {29, 53, 153}, 2));
  }
}

TEST_CASE("read_image_file: PNG of each kind", "[images]") {
  const auto plain = images::read_image_file(samples / "png_rgb");
  REQUIRE(plain.shape() == Shape{3, 10, 12});
  CHECK(pixel(plain, 5, 4) == Colour{112, 220, 165});
  const auto alpha = images::read_image_file(samples / "png_alpha");
  CHECK(std::ranges::equal(alpha.span(), plain.span()));
  CHECK(images::read_image_file(samples / "png_palette").shape() == plain.shape());
  CHECK(pixel(images::read_image_file(samples / "png_16"), 4, 3) == Colour{2, 2, 2});
  const auto black_and_white = images::read_image_file(samples / "png_1");
  for (const std::uint8_t v : black_and_white.span()) REQUIRE((v == 0 || v == 255));
}

TEST_CASE("decode_png: palette, 16 bits, interlaced, grey", "[images]") {
  const auto decoded = [](const Bytes& bytes) { return images::decode_image(bytes, "png"); };
  const auto palette = decoded(support::png_bytes(
      1, 3, {2, 0, 1},
      {.kind = PNG_COLOR_TYPE_PALETTE, .palette = {{1, 2, 3}, {4, 5, 6}, {7, 8, 9}}}));
  CHECK(pixel(palette, 0, 0) == Colour{7, 8, 9});
  CHECK(pixel(palette, 1, 0) == Colour{1, 2, 3});
  CHECK(pixel(palette, 2, 0) == Colour{4, 5, 6});

  const auto deep = decoded(support::png_bytes(1, 1, {10, 200, 20, 0, 30, 255}, {.depth = 16}));
  CHECK(pixel(deep, 0, 0) == Colour{10, 20, 30});
  const auto grey =
      decoded(support::png_bytes(1, 2, {0b01'11'0000}, {.depth = 2, .kind = PNG_COLOR_TYPE_GRAY}));
  CHECK(pixel(grey, 0, 0) == Colour{85, 85, 85});
  CHECK(pixel(grey, 1, 0) == Colour{255, 255, 255});
  const auto alpha =
      decoded(support::png_bytes(1, 1, {70, 0}, {.kind = PNG_COLOR_TYPE_GRAY_ALPHA}));
  CHECK(pixel(alpha, 0, 0) == Colour{70, 70, 70});

  const auto straight = decoded(support::png_bytes(11, 13, colours(11, 13)));
  const auto interlaced =
      decoded(support::png_bytes(11, 13, colours(11, 13), {.interlaced = true}));
  CHECK(std::ranges::equal(interlaced.span(), straight.span()));
}

TEST_CASE("decode_image: sizes that few have tried", "[images]") {
  for (const auto& [height, width] : {std::pair{1u, 1u}, {10u, 8000u}, {8000u, 10u}}) {
    const Shape wanted{3, Index{height}, Index{width}};
    const auto values = colours(height, width);
    CHECK(images::decode_image(support::jpeg_bytes(height, width, values), "jpeg").shape() ==
          wanted);
    const auto png = images::decode_image(support::png_bytes(height, width, values), "png");
    CHECK(png.shape() == wanted);
    CHECK(pixel(png, width - 1, height - 1)[1] ==
          static_cast<int>((9 * (width - 1) * (height - 1) + 40) % 256));
  }
}

TEST_CASE("decode_image: grey becomes three equal channels", "[images]") {
  const std::vector<std::uint8_t> values(64, 90);
  const auto grey =
      images::decode_image(support::jpeg_bytes(8, 8, values, {.space = JCS_GRAYSCALE}), "jpeg");
  CHECK(grey.shape() == Shape{3, 8, 8});
  CHECK(pixel(grey, 3, 4) == Colour{90, 90, 90});
}

TEST_CASE("decode_image: turned as EXIF says, by content and not by name", "[images]") {
  for (const bool big : {false, true}) {
    const std::string exif = support::exif_with(6, big);
    const auto jpeg =
        images::decode_image(support::jpeg_bytes(8, 16, colours(8, 16), {.exif = exif}), "jpeg");
    CHECK(jpeg.shape() == Shape{3, 16, 8});
    const auto png =
        images::decode_image(support::png_bytes(2, 3, colours(2, 3), {.exif = exif}), "png");
    REQUIRE(png.shape() == Shape{3, 3, 2});
    CHECK(pixel(png, 1, 0) == Colour{0, 40, 200});  // the first pixel has gone to the right
  }
  const auto turned = images::read_image_file(samples / "png_turned");
  CHECK(turned.shape() == Shape{3, 12, 10});
  CHECK(images::read_image_file(samples / "turned").shape() == Shape{3, 12, 10});
  const support::TemporaryFolder folder;
  const auto misnamed = folder.write("cat.jpg", support::png_bytes(1, 1, {1, 2, 3}));
  CHECK(pixel(images::read_image_file(misnamed), 0, 0) == Colour{1, 2, 3});
}

TEST_CASE("decode_image: cut anywhere, a file is refused", "[images]") {
  for (const Bytes& whole : {support::jpeg_bytes(10, 12, colours(10, 12)),
                             support::jpeg_bytes(10, 12, colours(10, 12), {.progressive = true}),
                             support::png_bytes(10, 12, colours(10, 12))})
    for (std::size_t size = 0; size < whole.size(); ++size) {
      CAPTURE(size, whole.size());
      const auto said =
          complaint_of([&] { images::decode_image(std::span{whole}.first(size), "image"); });
      // The mark at the end of a JPEG is no part of the picture.
      if (size + 2 < whole.size()) REQUIRE(said);
    }
}

TEST_CASE("decode_image: what it refuses, it names", "[images]") {
  const std::vector<std::uint8_t> ink(4 * 64, 100);
  check_refused(support::jpeg_bytes(8, 8, ink, {.space = JCS_CMYK}), Reason::wrong_content, "CMYK");
  check_refused(read_file(samples / "cmyk", 10000), Reason::wrong_content, "CMYK");
  check_refused(read_file(samples / "cut", 10000), Reason::damaged_file, "Premature end");
  check_refused(read_file(samples / "png_cut", 10000), Reason::damaged_file, "end is missing");
  check_refused(read_file(samples / "png_chunk", 10000), Reason::damaged_file, "end is missing");
  check_refused(read_file(samples / "huge", 10000), Reason::too_long, "65500 by 65500");
  check_refused(read_file(samples / "gif", 10000), Reason::foreign_file, "GIF, wanted JPEG or PNG");
  check_refused({}, Reason::foreign_file, "an empty file");
  check_refused(Bytes(50), Reason::foreign_file, "neither JPEG nor PNG");
  const images::ImageLimits small{.pixels = 119};
  check_refused(support::jpeg_bytes(10, 12, colours(10, 12)), Reason::too_long, "10 by 12", small);
  check_refused(support::png_bytes(10, 12, colours(10, 12)), Reason::too_long, "at most 119",
                small);
  CHECK(support::fails_with(Reason::too_long,
                            [] { images::read_image_file(samples / "png_rgb", {.bytes = 100}); }));
}

TEST_CASE("decode_jpeg: a file of thousands of scans ends soon", "[images]") {
  // The last scan of a progressive file, again and again.
  Bytes bytes = support::jpeg_bytes(16, 16, colours(16, 16), {.progressive = true});
  std::size_t last = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); ++i)
    if (bytes[i] == std::byte{0xFF} && bytes[i + 1] == std::byte{0xDA}) last = i;
  const Bytes scan(bytes.begin() + static_cast<std::ptrdiff_t>(last), bytes.end() - 2);
  for (int i = 0; i < 5000; ++i) bytes.insert(bytes.end() - 2, scan.begin(), scan.end());
  check_refused(bytes, Reason::damaged_file, "too many scans");
}
