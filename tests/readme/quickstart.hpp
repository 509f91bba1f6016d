// SPDX-License-Identifier: MIT
#pragma once

#include <thread>   // jthread
#include <utility>  // move

#include <splitvit/splitvit.hpp>  // everything

// What the first block of the README takes for granted; examples/01_quickstart.cpp has it in full.

namespace sv = splitvit;

inline const sv::Rng rng{.seed = 42};
inline const auto data = sv::data::make_shapes({.samples = 64, .test_samples = 16, .classes = 4});
inline const sv::nn::VitConfig vit{
    .image = 32, .patch = 8, .dim = 64, .heads = 4, .depth = 4, .classes = 4};
inline constexpr sv::Index cut = 2;
inline const sv::data::Loader<float> train{data.train, {.batch = 32, .seed = 42}};
inline const sv::data::Loader<float> test{data.test, {.batch = 128, .shuffle = false}};
