#pragma once
/// Copies past the caches, for memory that a device reads next.

#include <cstddef>

namespace sluice {

/// As memcpy; where `to` is aligned to 32 bytes and the processor has AVX2, by streaming stores: whole lines are
/// written without being read first, and push nothing out of the caches. Follow with stream_fence().
void stream_copy(std::byte* to, const std::byte* from, std::size_t bytes) noexcept;

/// Orders streaming stores before all that follows, a hand-over to another thread or device included.
void stream_fence() noexcept;

}  // namespace sluice
