// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/compress/adc.hpp>
#include <splitvit/compress/add_noise.hpp>
#include <splitvit/compress/any_stage.hpp>
#include <splitvit/compress/concepts.hpp>
#include <splitvit/compress/cut_batch.hpp>
#include <splitvit/compress/drop_samples.hpp>
#include <splitvit/compress/gather.hpp>
#include <splitvit/compress/merge_samples.hpp>
#include <splitvit/compress/merge_tokens.hpp>
#include <splitvit/compress/rest_token.hpp>
#include <splitvit/compress/select_tokens.hpp>
#include <splitvit/compress/shuffle_tokens.hpp>
#include <splitvit/compress/then.hpp>
#include <splitvit/compress/token_choice.hpp>
