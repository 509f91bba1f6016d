// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/tensor/elementwise.hpp>
#include <splitvit/tensor/reduce.hpp>
#include <splitvit/tensor/tensor.hpp>
#include <splitvit/tensor/transpose.hpp>
