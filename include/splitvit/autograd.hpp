// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/autograd/backward.hpp>
#include <splitvit/autograd/gradcheck.hpp>
#include <splitvit/autograd/ops/activation.hpp>
#include <splitvit/autograd/ops/arithmetic.hpp>
#include <splitvit/autograd/ops/attention.hpp>
#include <splitvit/autograd/ops/block.hpp>
#include <splitvit/autograd/ops/cls_self_attention.hpp>
#include <splitvit/autograd/ops/cross_entropy.hpp>
#include <splitvit/autograd/ops/layer_norm.hpp>
#include <splitvit/autograd/ops/linear.hpp>
#include <splitvit/autograd/ops/patch_embed.hpp>
#include <splitvit/autograd/ops/reshape.hpp>
#include <splitvit/autograd/ops/softmax.hpp>
#include <splitvit/autograd/ops/sum.hpp>
#include <splitvit/autograd/ops/tokens.hpp>
#include <splitvit/autograd/variable.hpp>
