// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/io/checkpoint.hpp>
#include <splitvit/io/checkpoint_policy.hpp>
#include <splitvit/io/file.hpp>
#include <splitvit/io/file_layer.hpp>
#include <splitvit/io/folder_lock.hpp>
#include <splitvit/io/generations.hpp>
#include <splitvit/io/json.hpp>
#include <splitvit/io/other_weights.hpp>
#include <splitvit/io/safetensors.hpp>
#include <splitvit/io/weights_digest.hpp>
