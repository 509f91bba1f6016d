// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/io/file.hpp>
#include <splitvit/io/json.hpp>
#include <splitvit/io/safetensors.hpp>
