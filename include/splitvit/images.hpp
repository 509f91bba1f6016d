// SPDX-License-Identifier: MIT
#pragma once

// An optional part: link splitvit::images.

#include <splitvit/images/exif.hpp>
#include <splitvit/images/folder_listing.hpp>
#include <splitvit/images/folder_set.hpp>
#include <splitvit/images/gzip.hpp>
#include <splitvit/images/idx_gz.hpp>
#include <splitvit/images/image_file.hpp>
#include <splitvit/images/jpeg.hpp>
#include <splitvit/images/library_calls.hpp>
#include <splitvit/images/limits.hpp>
#include <splitvit/images/npz.hpp>
#include <splitvit/images/png.hpp>
#include <splitvit/images/zip.hpp>
