// SPDX-License-Identifier: MIT
// A source, so that precompiled.hpp has a program to belong to.
