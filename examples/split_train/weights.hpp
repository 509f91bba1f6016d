// SPDX-License-Identifier: MIT
#pragma once

#include <string>  // string

#include <splitvit/io/safetensors.hpp>  // Metadata
#include <splitvit/nn/vit.hpp>          // VitConfig

#include "split_train/data.hpp"     // Data
#include "split_train/options.hpp"  // Options

// What the file of --weights says of its model, and what a saved model says of itself.

namespace split_train {

/// What was given on the command line, which a file must not contradict.
struct Given {
  bool model = false;
  bool cut = false;
  bool method = false;
};

/// Reads --weights, if given, and takes from them the model, its sizes, normalisation, class names
/// and bottleneck. A file of another program tells the sizes alone; it is normalised as for
/// ImageNet.
///
/// Errors  UsageError if an option contradicts the file; StorageError for a file that holds no ViT.
void use_weights(Options& options, const Given& given);

/// Gives data the classes of --weights or --classes, and the normalisation and notes of --weights.
///
/// Errors  UsageError if the data has classes that they do not have.
void use_weights(Data& data, const Options& options);

/// One line on loading --weights into a model for `classes` classes: which model they are of, and
/// what is renamed, left out, replaced or resampled.
///
/// Errors  StorageError if they do not fit.
std::string weights_notes(const Options& options, splitvit::Index classes);

/// The metadata of a model that was trained with these options on this data.
splitvit::io::Metadata saved_metadata(const Options& options, const std::string& method,
                                      const Data& data);

}  // namespace split_train
