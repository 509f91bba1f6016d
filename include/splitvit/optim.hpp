// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/optim/adam.hpp>
#include <splitvit/optim/concepts.hpp>
#include <splitvit/optim/optimizer.hpp>
#include <splitvit/optim/schedule.hpp>
#include <splitvit/optim/sgd.hpp>
