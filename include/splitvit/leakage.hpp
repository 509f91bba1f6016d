// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/leakage/inverse_network.hpp>
#include <splitvit/leakage/label_inference.hpp>
#include <splitvit/leakage/roc.hpp>
#include <splitvit/leakage/similarity.hpp>
#include <splitvit/leakage/tap.hpp>
