// SPDX-License-Identifier: MIT
#pragma once

#include <string>  // string

#include <splitvit/data/any_dataset.hpp>  // AnyDataset
#include <splitvit/data/loader.hpp>       // Loader
#include <splitvit/nn/vit.hpp>            // VitConfig
#include <splitvit/split/client.hpp>      // Client

#include "split_train/data.hpp"     // Data
#include "split_train/options.hpp"  // Options

namespace split_train {

using AnyLoader = splitvit::data::Loader<float, splitvit::data::AnyDataset>;

/// How the images to train with, or those to test with, are made into batches.
splitvit::data::LoaderOptions loader_options(const Options& options,
                                             const splitvit::nn::VitConfig& vit, const Data& data,
                                             bool training);

/// What the client computes with in a run: the data in batches, and a client without a link.
struct ClientSide {
  ClientSide(const Options& options, const std::string& method, const Data& data);

  splitvit::nn::VitConfig vit;
  AnyLoader train, test;
  splitvit::split::Client<float> client;
};

}  // namespace split_train
