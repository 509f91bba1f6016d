// SPDX-License-Identifier: MIT
#pragma once

// All of kernel/, but two that are slow to compile: eigen_gemm.hpp, symmetric_eigen.hpp.

#include <splitvit/kernel/adam.hpp>
#include <splitvit/kernel/attention.hpp>
#include <splitvit/kernel/block.hpp>
#include <splitvit/kernel/block_kept.hpp>
#include <splitvit/kernel/brain_pair.hpp>
#include <splitvit/kernel/cls_self_attention.hpp>
#include <splitvit/kernel/compute.hpp>
#include <splitvit/kernel/dct.hpp>
#include <splitvit/kernel/fft.hpp>
#include <splitvit/kernel/float16.hpp>
#include <splitvit/kernel/gelu.hpp>
#include <splitvit/kernel/gemm.hpp>
#include <splitvit/kernel/kmeans.hpp>
#include <splitvit/kernel/kmeans_start.hpp>
#include <splitvit/kernel/largest.hpp>
#include <splitvit/kernel/layer_norm.hpp>
#include <splitvit/kernel/linear.hpp>
#include <splitvit/kernel/matrix.hpp>
#include <splitvit/kernel/matrix_unit.hpp>
#include <splitvit/kernel/pack.hpp>
#include <splitvit/kernel/patch_embed.hpp>
#include <splitvit/kernel/resample.hpp>
#include <splitvit/kernel/rows.hpp>
#include <splitvit/kernel/simd.hpp>
#include <splitvit/kernel/softmax_entropy.hpp>
#include <splitvit/kernel/sub_vectors.hpp>
#include <splitvit/kernel/tile.hpp>
#include <splitvit/kernel/token_statistic.hpp>
#include <splitvit/kernel/token_statistics.hpp>
#include <splitvit/kernel/vector_ops.hpp>
