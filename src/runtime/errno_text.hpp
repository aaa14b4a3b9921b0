#pragma once
/// What the kernel's error numbers mean to people.

#include <string>

namespace sluice {

/// "No space left on device (ENOSPC 28)". @param error  a positive errno
std::string errno_text(int error);

/// What to do about it, "; free space ...", where that follows from the number alone; else "". A full disk, a used-up
/// quota, a file that is too large, a lack of descriptors, processes or memory each have their own.
std::string errno_advice(int error);

}  // namespace sluice
