// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/codec/any_codec.hpp>
#include <splitvit/codec/c3.hpp>
#include <splitvit/codec/c3_keys.hpp>
#include <splitvit/codec/cls_exact.hpp>
#include <splitvit/codec/coded.hpp>
#include <splitvit/codec/concepts.hpp>
#include <splitvit/codec/fedlite.hpp>
#include <splitvit/codec/float32.hpp>
#include <splitvit/codec/half.hpp>
#include <splitvit/codec/quantise.hpp>
#include <splitvit/codec/sl_acc.hpp>
#include <splitvit/codec/sl_fac.hpp>
#include <splitvit/codec/split_fc.hpp>
#include <splitvit/codec/token_scaled.hpp>
#include <splitvit/codec/top_k.hpp>
#include <splitvit/codec/transform.hpp>
#include <splitvit/codec/two_way.hpp>
