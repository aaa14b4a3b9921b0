// CRC-32 is linear over GF(2). With t(n) the ten random bytes of record n, gensort's record n is the
// 100-byte window t(n) .. t(n+9) XOR fixed masks, so CRC(n) = CRC(masks) XOR R(n), R(n) being the raw CRC of the window
// (no initial value, no final inversion), and
//     R(n+1) = R(n) x^80 + t(n+10) x^32 + t(n) x^832   (mod P).
// Of t = h x^16 + l, 64 and 16 bits, R(n) x^80 + t(n+10) x^32 = (h(n+10) XOR R(n) on its first 32 bits) x^48 + l x^32.
// Skew XORs d(n) onto the first six bytes of record n. R then is the raw CRC of the skewed window: what leaves is the
// skewed key, and d(n+1) x^768 enters. Bits are reflected, products as in crc100.cpp.
#include "record/window_sum.hpp"

#include <cstring>

#include "record/crc100_constants.hpp"
#include "record/gensort_lcg.hpp"
#include "runtime/error.hpp"
#if defined(__x86_64__)
// g++ 12 takes the deliberately undefined operands inside its own intrinsics for a mistake of ours (GCC bug 105593).
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>
#endif

namespace sluice::window_sum {
namespace {

#if defined(__x86_64__)
#define SLUICE_VPCLMUL __attribute__((target("avx2,bmi2,vpclmulqdq,pclmul,sse4.1")))

constexpr std::uint64_t kWindow = 10,
                        kBlock = 64;  // records; a block's rows (9 to 19 kB) stay in the first-level cache

/// The ten bytes of a state as they lie in the record.
struct Word80 {
    std::uint64_t first;  // eight bytes
    std::uint64_t last;   // two bytes, then zeros
};

struct Rows {
    alignas(32) Word80 plain[kBlock + kWindow][kStreams];   // what enters
    alignas(32) Word80 skewed[kBlock + kWindow][kStreams];  // what leaves; unused without skew
};

constexpr auto kKeepMask = [] {
    struct {
        std::uint64_t bits[64];
    } masks{};
    for (unsigned b = 1; b <= 48; ++b) masks.bits[b] = ~std::uint64_t{0} << (64 - b);
    return masks;
}();

/// Fills rows from..to-1 with the next states of all streams.
template <bool kSkewed>
SLUICE_VPCLMUL inline void make_rows(Rows& rows, std::uint64_t from, std::uint64_t to, Uint128 (&states)[kStreams],
                                     std::uint64_t skew_row) {
    for (std::uint64_t row = from; row < to; ++row) {
        for (std::uint64_t s = 0; s < kStreams; ++s) {
            const std::uint64_t high = gensort::high(states[s]), low = gensort::low(states[s]);
            const std::uint64_t last = __builtin_bswap64(low) & 0xFFFF;
            rows.plain[row][s] = {__builtin_bswap64(high), last};
            if constexpr (kSkewed) {
                const std::uint64_t replaced = kKeepMask.bits[low >> 32 & 63];
                rows.skewed[row][s] = {__builtin_bswap64(high ^ ((high ^ skew_row) & replaced)), last};
            }
            states[s] = gensort::next(states[s]);
        }
    }
}

SLUICE_VPCLMUL inline __m256i load(const Word80& words) {
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(&words));
}

/// Both lanes hold these two words.
SLUICE_VPCLMUL inline __m256i pair(std::uint64_t low, std::uint64_t high) {
    return _mm256_set_epi64x(static_cast<long long>(high), static_cast<long long>(low), static_cast<long long>(high),
                             static_cast<long long>(low));
}

template <bool kSkewed>
SLUICE_VPCLMUL std::uint64_t sum_windows(Uint128 first, std::uint64_t count, const std::uint32_t (&first_crc)[kStreams],
                                         std::uint32_t mask_crc, std::uint64_t skew_row) {
    using namespace crc100;
    constexpr unsigned kVectors = kStreams / 2;
    // Products carry one x too many, so each constant is one power short. `last` holds its two bytes in
    // front: 48 powers up.
    const __m256i leave = pair(reflected_constant(848 - 1), reflected_constant(832 - 48 - 1));
    const __m256i enter = pair(reflected_constant(48 - 1), reflected_constant(768 - 1));
    const __m256i fold = pair(kFold, 0), barrett = pair(kModulus, kQuotient);
    const __m256i low32 = _mm256_set1_epi64x(0xFFFFFFFF), high_word = pair(0, ~std::uint64_t{0});
    const __m256i masks = _mm256_set1_epi64x(mask_crc);

    const std::uint64_t each = count / kStreams;
    Uint128 states[kStreams];
    __m256i crc[kVectors], sums[kVectors];
    for (std::uint64_t s = 0; s < kStreams; ++s) states[s] = gensort::state_of(first + s * each);
    for (unsigned v = 0; v < kVectors; ++v) {
        crc[v] = _mm256_set_epi64x(0, first_crc[2 * v + 1] ^ mask_crc, 0, first_crc[2 * v] ^ mask_crc);
        sums[v] = _mm256_setzero_si256();
    }
    Rows rows;
    make_rows<kSkewed>(rows, 0, kWindow, states, skew_row);
    for (std::uint64_t done = 0; done < each; done += kBlock) {
        make_rows<kSkewed>(rows, kWindow, kWindow + kBlock, states, skew_row);
        const std::uint64_t steps = each - done < kBlock ? each - done : kBlock;
        for (std::uint64_t i = 0; i < steps; ++i) {
            for (unsigned v = 0; v < kVectors; ++v) {
                sums[v] = _mm256_add_epi64(sums[v], _mm256_xor_si256(crc[v], masks));
                const __m256i entering = load(rows.plain[i + kWindow][2 * v]);
                const __m256i leaving = load(kSkewed ? rows.skewed[i][2 * v] : rows.plain[i][2 * v]);
                __m256i acc = _mm256_xor_si256(_mm256_clmulepi64_epi128(leaving, leave, 0x00),
                                               _mm256_clmulepi64_epi128(leaving, leave, 0x11));
                if constexpr (kSkewed) {
                    const __m256i change =
                        _mm256_xor_si256(load(rows.plain[i + 1][2 * v]), load(rows.skewed[i + 1][2 * v]));
                    acc = _mm256_xor_si256(acc, _mm256_clmulepi64_epi128(change, enter, 0x10));
                }
                acc = _mm256_xor_si256(acc, _mm256_and_si256(_mm256_slli_epi64(entering, 16), high_word));
                acc = _mm256_xor_si256(acc, _mm256_clmulepi64_epi128(_mm256_xor_si256(entering, crc[v]), enter, 0x00));
                // The low word holds degrees 64..95: fold it onto the high word, then reduce those 64 bits to 32.
                const __m256i value = _mm256_xor_si256(acc, _mm256_clmulepi64_epi128(acc, fold, 0x00));
                const __m256i high = _mm256_unpackhi_epi64(value, value);
                const __m256i quotient = _mm256_clmulepi64_epi128(_mm256_and_si256(high, low32), barrett, 0x10);
                const __m256i product = _mm256_clmulepi64_epi128(_mm256_and_si256(quotient, low32), barrett, 0x00);
                crc[v] = _mm256_srli_epi64(_mm256_xor_si256(high, product), 32);  // low words; the others are noise
            }
        }
        std::memcpy(rows.plain[0], rows.plain[kBlock], sizeof rows.plain[0] * kWindow);
        if constexpr (kSkewed) std::memcpy(rows.skewed[0], rows.skewed[kBlock], sizeof rows.skewed[0] * kWindow);
    }
    std::uint64_t total = 0;
    for (const __m256i& part : sums) {
        total += static_cast<std::uint64_t>(_mm256_extract_epi64(part, 0)) +
                 static_cast<std::uint64_t>(_mm256_extract_epi64(part, 2));
    }
    return total;
}
#endif

}  // namespace

bool supported() noexcept {
#if defined(__x86_64__)
    static const bool has = [] {
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("vpclmulqdq");
    }();
    return has;
#else
    return false;
#endif
}

std::uint64_t sum(Uint128 first, std::uint64_t count, const std::uint32_t (&first_crc)[kStreams],
                  std::uint32_t mask_crc, Skew skew) {
    SLUICE_CHECK(supported() && count >= kSmallest && count % kStreams == 0 && count <= std::uint64_t{1} << 31);
#if defined(__x86_64__)
    return skew.skewed ? sum_windows<true>(first, count, first_crc, mask_crc, skew.row)
                       : sum_windows<false>(first, count, first_crc, mask_crc, 0);
#else
    static_cast<void>(first), static_cast<void>(first_crc), static_cast<void>(mask_crc), static_cast<void>(skew);
    return 0;
#endif
}

}  // namespace sluice::window_sum
