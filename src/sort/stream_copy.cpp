#include "sort/stream_copy.hpp"

#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace sluice {

#if defined(__x86_64__)
namespace {

__attribute__((target("avx2"))) void stream_avx2(std::byte* to, const std::byte* from, std::size_t bytes) {
    for (; bytes >= 64; bytes -= 64, to += 64, from += 64) {
        const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
        const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 32));
        _mm256_stream_si256(reinterpret_cast<__m256i*>(to), low);
        _mm256_stream_si256(reinterpret_cast<__m256i*>(to + 32), high);
    }
    std::memcpy(to, from, bytes);
}

}  // namespace

void stream_copy(std::byte* to, const std::byte* from, std::size_t bytes) noexcept {
    static const bool avx2 = [] {
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx2") != 0;
    }();
    if (avx2 && reinterpret_cast<std::uintptr_t>(to) % 32 == 0) {
        stream_avx2(to, from, bytes);
    } else {
        std::memcpy(to, from, bytes);
    }
}
void stream_fence() noexcept { _mm_sfence(); }
#else
void stream_copy(std::byte* to, const std::byte* from, std::size_t bytes) noexcept { std::memcpy(to, from, bytes); }
void stream_fence() noexcept {}
#endif

}  // namespace sluice
