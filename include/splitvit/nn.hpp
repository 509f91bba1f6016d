// SPDX-License-Identifier: MIT
#pragma once

// All of nn/, but principal_axes.hpp, which is slow to compile.

#include <splitvit/nn/block.hpp>
#include <splitvit/nn/bottleneck.hpp>
#include <splitvit/nn/concepts.hpp>
#include <splitvit/nn/cut.hpp>
#include <splitvit/nn/distance_correlation.hpp>
#include <splitvit/nn/feedback.hpp>
#include <splitvit/nn/init.hpp>
#include <splitvit/nn/loss.hpp>
#include <splitvit/nn/model_info.hpp>
#include <splitvit/nn/part.hpp>
#include <splitvit/nn/token_statistics.hpp>
#include <splitvit/nn/vit.hpp>
#include <splitvit/nn/vit_weights.hpp>
#include <splitvit/nn/weight_names.hpp>
#include <splitvit/nn/weights.hpp>
