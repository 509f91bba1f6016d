// SPDX-License-Identifier: MIT
#pragma once

// What a first program needs: a ViT, stages, codecs, data and the two parties. A folder's header
// has all of the folder; each idea has a header of its own:
//
//   whole folders             splitvit/{core,kernel,tensor,autograd,data,io,nn,optim,compress,
//                             codec,transport,wire,split,spec,report}.hpp
//   other codecs              splitvit/codec/{c3,fedlite,sl_acc,sl_fac,split_fc,...}.hpp
//   stages, codecs from text  splitvit/spec/{stages,codecs,method}.hpp
//   files of data             splitvit/data/{cifar,idx}.hpp; link splitvit::images for
//                             splitvit/images.hpp: JPEG and PNG, folders, npz, IDX.gz
//   to go on after a crash    splitvit/split/checkpoints.hpp
//   several clients           splitvit/split/{sharing,simulation}.hpp,
//                             splitvit/data/{partition,subset,endless}.hpp
//   files of weights          splitvit/nn/weights.hpp, splitvit/io/safetensors.hpp
//   links                     splitvit/transport/{tcp,simulated,metered}.hpp
//   checks of your own code   splitvit/autograd/gradcheck.hpp, splitvit/transport/conformance.hpp
//   tables, charts, logs      splitvit/report/{summary,html,svg,metrics,progress}.hpp

#include <splitvit/autograd/backward.hpp>
#include <splitvit/autograd/ops/cross_entropy.hpp>
#include <splitvit/codec/float32.hpp>
#include <splitvit/codec/half.hpp>
#include <splitvit/codec/quantise.hpp>
#include <splitvit/codec/top_k.hpp>
#include <splitvit/compress/adc.hpp>
#include <splitvit/compress/drop_samples.hpp>
#include <splitvit/compress/merge_samples.hpp>
#include <splitvit/compress/merge_tokens.hpp>
#include <splitvit/compress/rest_token.hpp>
#include <splitvit/compress/select_tokens.hpp>
#include <splitvit/compress/then.hpp>
#include <splitvit/core/random.hpp>
#include <splitvit/data/loader.hpp>
#include <splitvit/data/shapes.hpp>
#include <splitvit/nn/cut.hpp>
#include <splitvit/nn/loss.hpp>
#include <splitvit/nn/vit.hpp>
#include <splitvit/optim/adam.hpp>
#include <splitvit/optim/optimizer.hpp>
#include <splitvit/optim/sgd.hpp>
#include <splitvit/split/client.hpp>
#include <splitvit/split/server.hpp>
#include <splitvit/tensor/tensor.hpp>
#include <splitvit/transport/memory.hpp>
#include <splitvit/version.hpp>
