// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/io/file.hpp>
#include <splitvit/io/json.hpp>
#include <splitvit/io/other_weights.hpp>
#include <splitvit/io/safetensors.hpp>
