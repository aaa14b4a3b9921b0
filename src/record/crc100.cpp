// The CRC of a fixed-length message is a linear function of its bits: each 8-byte word times a constant that depends on
// its place alone. So all products of a record are independent, and one reduction at the end suffices; no chain of
// folds.
//
// Notation as in crc100_constants.hpp. With M the 800-bit message, the raw CRC (no initial value, no final inversion)
// is M * x^32 mod P. The word at byte offset o contributes Q * x^(800 - 8(o+8)) * x^32, hence its constant is x^(800 -
// 8(o+8) + 31) mod P; the last four bytes need none.
#include "record/crc100.hpp"

#include <zlib.h>

#include <array>
#include <cstring>

#include "record/crc100_constants.hpp"
#if defined(__x86_64__)
// g++ 12 takes the deliberately undefined operands inside its own intrinsics for a mistake of ours (GCC bug 105593).
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>
#endif

namespace sluice::crc100 {
namespace {

constexpr std::size_t kRecord = 100;
constexpr std::size_t kAheadBytes = 4096;  // the processor's own prefetcher stops at pages
constexpr std::array<std::uint64_t, 12> make_word_constants() {
    std::array<std::uint64_t, 12> constants{};
    for (unsigned word = 0; word < 12; ++word) constants[word] = reflected_constant(800 - 64 * (word + 1) + 31);
    return constants;
}
alignas(64) constexpr std::array<std::uint64_t, 12> kWord = make_word_constants();
/// CRC-32 of 100 zero bytes: what initial value and final inversion add to the raw CRC.
std::uint32_t zero_crc() {
    static const std::uint32_t value = [] {
        const std::array<unsigned char, kRecord> zeros{};
        return static_cast<std::uint32_t>(::crc32(0, zeros.data(), kRecord));
    }();
    return value;
}

std::uint64_t sum_zlib(const std::byte* records, std::size_t count) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < count; ++i)
        sum += ::crc32(0, reinterpret_cast<const unsigned char*>(records + i * kRecord), kRecord);
    return sum;
}

#if defined(__x86_64__)
std::uint32_t load32(const std::byte* from) {
    std::uint32_t value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

__attribute__((target("pclmul,sse4.1"))) std::uint64_t sum_pclmul(const std::byte* records, std::size_t count) {
    const std::uint32_t zeros = zero_crc();
    const __m128i fold = _mm_set_epi64x(0, static_cast<long long>(kFold));
    const __m128i barrett = _mm_set_epi64x(static_cast<long long>(kQuotient), static_cast<long long>(kModulus));
    const __m128i low32 = _mm_set_epi64x(0, 0xFFFFFFFF);
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < count; ++i, records += kRecord) {
        for (std::size_t line = 0; line < kRecord; line += 64) __builtin_prefetch(records + kAheadBytes + line);
        __m128i acc = _mm_set_epi64x(load32(records + 96), 0);
        for (unsigned block = 0; block < 6; ++block) {
            const __m128i data = _mm_loadu_si128(reinterpret_cast<const __m128i*>(records + 16 * block));
            const __m128i constants = _mm_load_si128(reinterpret_cast<const __m128i*>(&kWord[2 * block]));
            acc = _mm_xor_si128(acc, _mm_clmulepi64_si128(data, constants, 0x00));
            acc = _mm_xor_si128(acc, _mm_clmulepi64_si128(data, constants, 0x11));
        }
        // The low word holds degrees 64..95: fold it onto the high word, then reduce those 64 bits to 32.
        const __m128i value = _mm_srli_si128(_mm_xor_si128(acc, _mm_clmulepi64_si128(acc, fold, 0x00)), 8);
        const __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(value, low32), barrett, 0x10);
        const __m128i product = _mm_clmulepi64_si128(_mm_and_si128(quotient, low32), barrett, 0x00);
        sum += static_cast<std::uint32_t>(_mm_extract_epi32(_mm_xor_si128(value, product), 1)) ^ zeros;
    }
    return sum;
}

#define SLUICE_VPCLMUL __attribute__((target("avx2,vpclmulqdq,pclmul,sse4.1")))

/// Unreduced 128-bit value of one record.
SLUICE_VPCLMUL inline __m128i accumulate_avx2(const std::byte* record, const __m256i (&constants)[3]) {
    __m256i acc = _mm256_setzero_si256();
    for (unsigned block = 0; block < 3; ++block) {
        const __m256i data = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(record + 32 * block));
        acc = _mm256_xor_si256(acc, _mm256_clmulepi64_epi128(data, constants[block], 0x00));
        acc = _mm256_xor_si256(acc, _mm256_clmulepi64_epi128(data, constants[block], 0x11));
    }
    const __m128i tail = _mm_slli_si128(_mm_cvtsi32_si128(static_cast<int>(load32(record + 96))), 8);
    return _mm_xor_si128(_mm_xor_si128(_mm256_castsi256_si128(acc), _mm256_extracti128_si256(acc, 1)), tail);
}

SLUICE_VPCLMUL std::uint64_t sum_avx2(const std::byte* records, std::size_t count) {
    const __m256i constants[3] = {_mm256_load_si256(reinterpret_cast<const __m256i*>(&kWord[0])),
                                  _mm256_load_si256(reinterpret_cast<const __m256i*>(&kWord[4])),
                                  _mm256_load_si256(reinterpret_cast<const __m256i*>(&kWord[8]))};
    const __m256i fold = _mm256_set1_epi64x(static_cast<long long>(kFold));
    const __m256i quotient_of = _mm256_set1_epi64x(static_cast<long long>(kQuotient)),
                  modulus = _mm256_set1_epi64x(static_cast<long long>(kModulus));
    const __m256i low32 = _mm256_set1_epi64x(0xFFFFFFFF);
    const __m256i zeros = _mm256_set1_epi64x(static_cast<long long>(zero_crc()));
    __m256i sums = _mm256_setzero_si256();  // only the high words of its lanes count
    std::size_t i = 0;
    for (; i + 2 <= count; i += 2, records += 2 * kRecord) {
        for (std::size_t line = 0; line < 2 * kRecord; line += 64) __builtin_prefetch(records + kAheadBytes + line);
        const __m256i acc = _mm256_inserti128_si256(_mm256_castsi128_si256(accumulate_avx2(records, constants)),
                                                    accumulate_avx2(records + kRecord, constants), 1);
        // Two records at once; each lane's value lives in its high word.
        const __m256i value = _mm256_xor_si256(acc, _mm256_clmulepi64_epi128(acc, fold, 0x00));
        const __m256i quotient = _mm256_clmulepi64_epi128(_mm256_and_si256(value, low32), quotient_of, 0x01);
        const __m256i product = _mm256_clmulepi64_epi128(_mm256_and_si256(quotient, low32), modulus, 0x00);
        const __m256i aligned = _mm256_unpacklo_epi64(product, product);
        const __m256i crc = _mm256_xor_si256(_mm256_srli_epi64(_mm256_xor_si256(value, aligned), 32), zeros);
        sums = _mm256_add_epi64(sums, crc);
    }
    return static_cast<std::uint64_t>(_mm256_extract_epi64(sums, 1)) +
           static_cast<std::uint64_t>(_mm256_extract_epi64(sums, 3)) + sum_pclmul(records, count - i);
}

#define SLUICE_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,vpclmulqdq,pclmul,sse4.1")))

/// Unreduced 128-bit value of one record.
SLUICE_AVX512 inline __m128i accumulate_avx512(const std::byte* record, __m512i constants_a, __m256i constants_b) {
    const __m512i a = _mm512_loadu_si512(record);
    const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(record + 64));
    const __m512i pa = _mm512_xor_si512(_mm512_clmulepi64_epi128(a, constants_a, 0x00),
                                        _mm512_clmulepi64_epi128(a, constants_a, 0x11));
    const __m256i pb = _mm256_xor_si256(_mm256_clmulepi64_epi128(b, constants_b, 0x00),
                                        _mm256_clmulepi64_epi128(b, constants_b, 0x11));
    const __m256i half =
        _mm256_xor_si256(_mm256_xor_si256(_mm512_castsi512_si256(pa), _mm512_extracti64x4_epi64(pa, 1)), pb);
    const __m128i tail = _mm_slli_si128(_mm_cvtsi32_si128(static_cast<int>(load32(record + 96))), 8);
    return _mm_xor_si128(_mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1)), tail);
}

SLUICE_AVX512 std::uint64_t sum_avx512(const std::byte* records, std::size_t count) {
    const __m512i constants_a = _mm512_loadu_si512(&kWord[0]);
    const __m256i constants_b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(&kWord[8]));
    const __m512i fold = _mm512_set1_epi64(static_cast<long long>(kFold));
    const __m512i quotient_of = _mm512_set1_epi64(static_cast<long long>(kQuotient)),
                  modulus = _mm512_set1_epi64(static_cast<long long>(kModulus));
    const __m512i low32 = _mm512_set1_epi64(0xFFFFFFFF);
    const __m512i zeros = _mm512_set1_epi64(static_cast<long long>(zero_crc()));
    __m512i sums = _mm512_setzero_si512();
    std::size_t i = 0;
    for (; i + 4 <= count; i += 4, records += 4 * kRecord) {
        for (std::size_t line = 0; line < 4 * kRecord; line += 64) __builtin_prefetch(records + kAheadBytes + line);
        __m512i acc = _mm512_castsi128_si512(accumulate_avx512(records, constants_a, constants_b));
        acc = _mm512_inserti64x2(acc, accumulate_avx512(records + kRecord, constants_a, constants_b), 1);
        acc = _mm512_inserti64x2(acc, accumulate_avx512(records + 2 * kRecord, constants_a, constants_b), 2);
        acc = _mm512_inserti64x2(acc, accumulate_avx512(records + 3 * kRecord, constants_a, constants_b), 3);
        // Four records at once; each lane's value lives in its high word.
        const __m512i value = _mm512_xor_si512(acc, _mm512_clmulepi64_epi128(acc, fold, 0x00));
        const __m512i quotient = _mm512_clmulepi64_epi128(_mm512_and_si512(value, low32), quotient_of, 0x01);
        const __m512i product = _mm512_clmulepi64_epi128(_mm512_and_si512(quotient, low32), modulus, 0x00);
        const __m512i aligned = _mm512_unpacklo_epi64(product, product);
        const __m512i crc = _mm512_xor_si512(_mm512_srli_epi64(_mm512_xor_si512(value, aligned), 32), zeros);
        sums = _mm512_mask_add_epi64(sums, 0xAA, sums, crc);
    }
    return static_cast<std::uint64_t>(_mm512_reduce_add_epi64(sums)) + sum_pclmul(records, count - i);
}
#endif

}  // namespace

Kernel best_kernel() noexcept {
#if defined(__x86_64__)
    static const Kernel best = [] {
        __builtin_cpu_init();
        if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("vpclmulqdq")) {
            return Kernel::avx512;
        }
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("vpclmulqdq")) return Kernel::avx2;
        return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1") ? Kernel::pclmul : Kernel::zlib;
    }();
    return best;
#else
    return Kernel::zlib;
#endif
}

std::uint64_t sum(const std::byte* records, std::size_t count, Kernel kernel) {
#if defined(__x86_64__)
    if (kernel == Kernel::avx512) return sum_avx512(records, count);
    if (kernel == Kernel::avx2) return sum_avx2(records, count);
    if (kernel == Kernel::pclmul) return sum_pclmul(records, count);
#endif
    return sum_zlib(records, count);
}

}  // namespace sluice::crc100
