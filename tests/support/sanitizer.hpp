// SPDX-License-Identifier: MIT
#pragma once

// SPLITVIT_SANITIZED: 1 under an address or thread sanitizer, which make programs many times slower
// and bring an operator new of their own.

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SPLITVIT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SPLITVIT_SANITIZED 1
#endif
#endif
#ifndef SPLITVIT_SANITIZED
#define SPLITVIT_SANITIZED 0
#endif
