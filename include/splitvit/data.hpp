// SPDX-License-Identifier: MIT
#pragma once

#include <splitvit/data/any_dataset.hpp>
#include <splitvit/data/augment.hpp>
#include <splitvit/data/cifar.hpp>
#include <splitvit/data/concepts.hpp>
#include <splitvit/data/endless.hpp>
#include <splitvit/data/idx.hpp>
#include <splitvit/data/image_operations.hpp>
#include <splitvit/data/loader.hpp>
#include <splitvit/data/normalise.hpp>
#include <splitvit/data/partition.hpp>
#include <splitvit/data/prefetch.hpp>
#include <splitvit/data/rand_augment.hpp>
#include <splitvit/data/relabelled.hpp>
#include <splitvit/data/resize.hpp>
#include <splitvit/data/shapes.hpp>
#include <splitvit/data/subset.hpp>
#include <splitvit/data/transform.hpp>
