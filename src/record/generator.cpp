#include "record/generator.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "record/gensort_lcg.hpp"
#include "record/window_sum.hpp"
#include "runtime/error.hpp"
#include "runtime/on_threads.hpp"

namespace sluice {
namespace {

constexpr std::size_t kRecord = kGensortRecordBytes;
using gensort::high, gensort::low, gensort::jump, gensort::Affine, gensort::kIncrement, gensort::kMultiplier;

/// The ten part masks of a binary record, in a row.
constexpr unsigned char kMaskBytes[kRecord] = {
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xf0, 0xe8, 0xe4, 0xe2, 0xe1, 0xd8, 0xd4,
    0xd2, 0xd1, 0xcc, 0xca, 0xc9, 0xc6, 0xc5, 0xc3, 0xb8, 0xb4, 0xb2, 0xb1, 0xac, 0xaa, 0xa9, 0xa6, 0xa5,
    0xa3, 0x9c, 0x9a, 0x99, 0x96, 0x95, 0x93, 0x8e, 0x8d, 0x8b, 0x87, 0x78, 0x74, 0x72, 0x71, 0x6c, 0x6a,
    0x69, 0x66, 0x65, 0x63, 0x5c, 0x5a, 0x59, 0x56, 0x55, 0x53, 0x4e, 0x4d, 0x4b, 0x47, 0x3c, 0x3a, 0x39,
    0x36, 0x35, 0x33, 0x2e, 0x2d, 0x2b, 0x27, 0x1e, 0x1d, 0x1b, 0x17, 0x0f, 0xc8, 0xc4, 0xc2, 0xc1, 0x98,
    0x94, 0x92, 0x91, 0x8c, 0xe0, 0x17, 0x0f, 0x33, 0x2e, 0x2d, 0x2b, 0x27, 0x1e, 0x1d, 0x1b};

void store_top10(std::byte* out, Uint128 x) {
    const std::uint64_t first = __builtin_bswap64(high(x));
    const auto last = __builtin_bswap16(static_cast<std::uint16_t>(low(x) >> 48));
    std::memcpy(out, &first, 8);
    std::memcpy(out + 8, &last, 2);
}

/// Writes top10 of `count` successive states, 10 bytes each. Four interleaved generators hide the latency of the
/// multiply.
void make_key_stream(std::byte* out, std::size_t count, Uint128 state) {
    constexpr Affine four = jump(4);
    Uint128 s[4] = {state, 0, 0, 0};
    for (int i = 1; i < 4; ++i) s[i] = s[i - 1] * kMultiplier + kIncrement;
    std::size_t i = 0;
    for (; i + 4 <= count; i += 4, out += 40) {
        for (int lane = 0; lane < 4; ++lane) {
            store_top10(out + 10 * lane, s[lane]);
            s[lane] = s[lane] * four.factor + four.offset;
        }
    }
    for (int lane = 0; i < count; ++i, ++lane) store_top10(out + 10 * lane, s[lane]);
}

using Wide __attribute__((vector_size(32), aligned(1), may_alias)) = long long;

// What chooses a version runs in the loader, before a sanitizer's runtime is there, and would crash in it.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SLUICE_CLONES
#else
#define SLUICE_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif

/// Record n is the 100 bytes from 10 n on of the stream of keys, XOR fixed masks. Four overlapping 32-byte moves a
/// record; the compiler makes AVX-512, AVX2 and baseline versions, one is chosen at load time.
SLUICE_CLONES void assemble_any(std::byte* out, const std::byte* stream, std::size_t count) {
    const Wide m0 = *reinterpret_cast<const Wide*>(kMaskBytes), m1 = *reinterpret_cast<const Wide*>(kMaskBytes + 32);
    const Wide m2 = *reinterpret_cast<const Wide*>(kMaskBytes + 64),
               m3 = *reinterpret_cast<const Wide*>(kMaskBytes + 68);
    for (std::size_t i = 0; i < count; ++i, out += kRecord, stream += 10) {
        const Wide r0 = *reinterpret_cast<const Wide*>(stream) ^ m0,
                   r1 = *reinterpret_cast<const Wide*>(stream + 32) ^ m1;
        const Wide r2 = *reinterpret_cast<const Wide*>(stream + 64) ^ m2,
                   r3 = *reinterpret_cast<const Wide*>(stream + 68) ^ m3;
        *reinterpret_cast<Wide*>(out) = r0;
        *reinterpret_cast<Wide*>(out + 32) = r1;
        *reinterpret_cast<Wide*>(out + 64) = r2;
        *reinterpret_cast<Wide*>(out + 68) = r3;
    }
}

constexpr std::size_t kStreamFront = 32, kStreamBehind = 64;  // bytes around the key stream that assemble may read

#if defined(__x86_64__)
#define SLUICE_AVX2 __attribute__((target("arch=x86-64-v3")))

constexpr std::size_t kGroup = 8;  // records: 800 bytes, 25 vectors

/// The masks of two groups' records, one behind the other.
alignas(64) constexpr auto kGroupMasks = [] {
    std::array<unsigned char, 2 * kGroup * kRecord> masks{};
    for (std::size_t i = 0; i < masks.size(); ++i) masks[i] = kMaskBytes[i % kRecord];
    return masks;
}();

SLUICE_AVX2 inline __m256i load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }

/// The 32 bytes from 32 * kVector on of a group; seven of the 25 hold the end of one record and the start of the next.
template <std::size_t kVector>
SLUICE_AVX2 inline void assemble_vector(std::byte* out, const std::byte* stream) {
    constexpr std::size_t kAt = 32 * kVector, kFirst = kAt / kRecord, kOffset = kAt % kRecord;
    const std::byte* const from = stream + 10 * kFirst + kOffset;
    __m256i bytes = load(from);
    if constexpr (kOffset + 32 > kRecord) {
        // The next record's window begins 90 bytes back.
        constexpr int kNext = 0xFF << ((kRecord - kOffset) / 4) & 0xFF;
        bytes = _mm256_blend_epi32(bytes, load(from - 90), kNext);
    }
    bytes = _mm256_xor_si256(bytes, load(kGroupMasks.data() + kAt));
    _mm256_store_si256(reinterpret_cast<__m256i*>(out + kAt), bytes);
}

template <std::size_t... kVectors>
SLUICE_AVX2 inline void assemble_group(std::byte* out, const std::byte* stream, std::index_sequence<kVectors...>) {
    (assemble_vector<kVectors>(out, stream), ...);
}

/// `out` is aligned to 32 bytes. A group at a time, so that no store crosses a cache line.
SLUICE_AVX2 void assemble_groups(std::byte* out, const std::byte* stream, std::size_t groups) {
    for (; groups > 0; --groups, out += kGroup * kRecord, stream += kGroup * 10)
        assemble_group(out, stream, std::make_index_sequence<kGroup * kRecord / 32>());
}

#define SLUICE_AVX512 __attribute__((target("arch=x86-64-v4")))

/// The same in whole cache lines, of which 16 records fill 25; 14 of them hold the end of one record and the start of
/// the next.
template <std::size_t kLine>
SLUICE_AVX512 inline void assemble_line(std::byte* out, const std::byte* stream) {
    constexpr std::size_t kAt = 64 * kLine, kFirst = kAt / kRecord, kOffset = kAt % kRecord;
    const std::byte* const from = stream + 10 * kFirst + kOffset;
    __m512i bytes = _mm512_loadu_si512(from);
    if constexpr (kOffset + 64 > kRecord) {
        constexpr auto kNext = static_cast<__mmask16>(0xFFFF << ((kRecord - kOffset) / 4));
        bytes = _mm512_mask_loadu_epi32(bytes, kNext, from - 90);
    }
    const __m512i masks = _mm512_loadu_si512(kGroupMasks.data() + kAt);
    _mm512_store_si512(out + kAt, _mm512_xor_si512(bytes, masks));
}

template <std::size_t... kLines>
SLUICE_AVX512 inline void assemble_lines(std::byte* out, const std::byte* stream, std::index_sequence<kLines...>) {
    (assemble_line<kLines>(out, stream), ...);
}

/// `out` is aligned to 64 bytes.
SLUICE_AVX512 void assemble_groups_512(std::byte* out, const std::byte* stream, std::size_t groups) {
    for (; groups > 0; --groups, out += 2 * kGroup * kRecord, stream += 2 * kGroup * 10)
        assemble_lines(out, stream, std::make_index_sequence<2 * kGroup * kRecord / 64>());
}

/// How records are put together in groups, from an aligned address on.
struct Assembler {
    std::size_t align_bytes, group_records;
    void (*assemble)(std::byte* out, const std::byte* stream, std::size_t groups);
};

Assembler best_assembler() {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return {64, 2 * kGroup, assemble_groups_512};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2")) return {32, kGroup, assemble_groups};
    return {1, 1, nullptr};
}
#endif

void assemble(std::byte* out, const std::byte* stream, std::size_t count) {
#if defined(__x86_64__)
    static const Assembler best = best_assembler();
    const std::size_t past = reinterpret_cast<std::uintptr_t>(out) % best.align_bytes;
    if (best.assemble != nullptr && past % 4 == 0) {
        std::size_t before = 0;  // 100 bytes and the alignment have four in common, so some record begins at it
        while (before < count && (past + before * kRecord) % best.align_bytes != 0) ++before;
        assemble_any(out, stream, before);
        out += before * kRecord, stream += before * 10, count -= before;
        const std::size_t groups = count / best.group_records, records = groups * best.group_records;
        best.assemble(out, stream, groups);
        out += records * kRecord, stream += records * 10, count -= records;
    }
#endif
    assemble_any(out, stream, count);
}

void make_ascii(std::byte* record, Uint128 n, Uint128 state) {
    char text[kRecord];
    std::uint64_t digits = high(state);
    for (int i = 0; i < 8; ++i, digits /= 95) text[i] = static_cast<char>(' ' + digits % 95);
    digits = low(state);
    for (int i = 8; i < 10; ++i, digits /= 95) text[i] = static_cast<char>(' ' + digits % 95);
    text[10] = text[11] = ' ';
    for (int i = 0; i < 32; ++i) text[12 + i] = "0123456789ABCDEF"[static_cast<unsigned>(n >> (124 - 4 * i)) & 15];
    text[44] = text[45] = ' ';
    for (int i = 0; i < 13; ++i)
        std::memset(text + 46 + 4 * i, "0123456789ABCDEF"[(low(state) >> (48 - 4 * i)) & 15], 4);
    text[98] = '\r';
    text[99] = '\n';
    std::memcpy(record, text, kRecord);
}

/// Row of the skew table for record n, with the reference's quirk at 2^60 and 2^124.
unsigned skew_row(Uint128 n) {
    const unsigned length = high(n) != 0 ? 128 - static_cast<unsigned>(std::countl_zero(high(n)))
                                         : 64 - static_cast<unsigned>(std::countl_zero(low(n)));
    if (length > 124) return 128;
    return length > 60 && length <= 64 ? 64 : length;
}

using SkewTable = std::array<std::array<std::byte, 6>, 129>;

const SkewTable& skew_table(bool ascii) {
    static const std::array<SkewTable, 2> tables = [] {
        std::array<SkewTable, 2> made{};
        for (unsigned row = 0; row < 129; ++row) {
            std::byte record[kRecord];
            const Uint128 state = generator_state(row);
            store_top10(record, state);
            std::copy_n(record, 6, made[0][row].begin());
            make_ascii(record, row, state);
            std::copy_n(record, 6, made[1][row].begin());
        }
        return made;
    }();
    return tables[ascii ? 1 : 0];
}

}  // namespace

Uint128 generator_state(Uint128 n) { return gensort::state_of(n); }

RecordGenerator::RecordGenerator(GeneratorOptions options, Uint128 first_record)
    : options_(options), next_(first_record), state_(generator_state(first_record)) {}

void RecordGenerator::skew(std::byte* record, Uint128 n, Uint128 state) const {
    const auto& row = skew_table(options_.ascii)[skew_row(n)];
    if (options_.ascii) {
        const std::uint64_t bytes = (low(state) >> 32) & 7;
        if (bytes <= 6) std::copy_n(row.begin(), bytes, record);
        return;
    }
    const unsigned bits = gensort::skewed_bits(state);
    std::copy_n(row.begin(), bits / 8, record);
    if (bits % 8 != 0) {
        const auto from_row = static_cast<std::byte>(0xff00u >> (bits % 8));
        record[bits / 8] = (row[bits / 8] & from_row) | (record[bits / 8] & ~from_row);
    }
}

void RecordGenerator::fill_binary(std::byte* out, std::size_t count) {
    constexpr std::size_t kBlock = 128;  // its key stream (1.4 kB) stays in the first-level cache
    std::byte stream_memory[kStreamFront + (kBlock + 9) * 10 + kStreamBehind];
    std::byte* const stream = stream_memory + kStreamFront;
    static constexpr Affine kBlockJump = jump(kBlock);
    while (count > 0) {
        const std::size_t block = std::min(count, kBlock);
        make_key_stream(stream, block + 9, state_);
        assemble(out, stream, block);
        if (options_.skewed) {
            Uint128 state = state_;
            for (std::size_t i = 0; i < block; ++i, state = state * kMultiplier + kIncrement)
                skew(out + i * kRecord, next_ + i, state);
        }
        const Affine step = block == kBlock ? kBlockJump : jump(block);
        state_ = state_ * step.factor + step.offset;
        next_ += block;
        out += block * kRecord;
        count -= block;
    }
}

void RecordGenerator::fill_ascii(std::byte* out, std::size_t count) {
    for (; count > 0; --count, out += kRecord, ++next_, state_ = state_ * kMultiplier + kIncrement) {
        make_ascii(out, next_, state_);
        if (options_.skewed) skew(out, next_, state_);
    }
}

void RecordGenerator::fill(std::span<std::byte> out) {
    SLUICE_CHECK(out.size() % kRecord == 0);
    if (options_.ascii) {
        fill_ascii(out.data(), out.size() / kRecord);
    } else {
        fill_binary(out.data(), out.size() / kRecord);
    }
}

namespace {

/// By making the records, block by block.
RecordSum sum_made(GeneratorOptions options, Uint128 first, std::uint64_t count) {
    RecordGenerator generator(options, first);
    std::array<std::byte, 128 * kRecord> block;  // in the first-level cache
    RecordSum sum;
    while (count > 0) {
        const auto records = std::span(block).first(std::min<std::uint64_t>(128, count) * kRecord);
        generator.fill(records);
        sum += sum_records(records, kRecord);
        count -= records.size() / kRecord;
    }
    return sum;
}

/// Records from `first` on, at most `most`, whose sum window_sum takes at once: they share a row of the skew table.
std::uint64_t window_sum_piece(GeneratorOptions options, Uint128 first, std::uint64_t most) {
    if (options.ascii || !window_sum::supported()) return 0;
    std::uint64_t piece = std::min<std::uint64_t>(most, std::uint64_t{1} << 24);
    if (options.skewed) {  // the row depends on the length of the record's number
        Uint128 past = 1;
        while (past != 0 && past <= first) past <<= 1;
        piece = static_cast<std::uint64_t>(std::min<Uint128>(piece, past - first));
    }
    return piece < window_sum::kSmallest ? 0 : piece / window_sum::kStreams * window_sum::kStreams;
}

RecordSum sum_windows(GeneratorOptions options, Uint128 first, std::uint64_t count) {
    static const std::uint32_t mask_crc = record_crc(std::as_bytes(std::span(kMaskBytes)));
    std::uint32_t first_crc[window_sum::kStreams];
    for (std::uint64_t s = 0; s < window_sum::kStreams; ++s)
        first_crc[s] = static_cast<std::uint32_t>(sum_made(options, first + s * (count / window_sum::kStreams), 1).sum);
    window_sum::Skew skew{options.skewed, 0};
    if (options.skewed) {
        for (const std::byte b : skew_table(false)[skew_row(first)]) skew.row = skew.row << 8 | std::uint64_t(b);
        skew.row <<= 16;
    }
    return {count, window_sum::sum(first, count, first_crc, mask_crc, skew)};
}

}  // namespace

RecordSum RecordGenerator::fill_summed(std::span<std::byte> out) {
    const std::uint64_t count = out.size() / kRecord, whole = window_sum_piece(options_, next_, count);
    RecordSum sum;
    if (whole > 0) sum = sum_windows(options_, next_, whole);
    fill(out.first(whole * kRecord));
    for (auto rest = out.subspan(whole * kRecord); !rest.empty();) {  // summed while they are in the cache
        const auto piece = rest.first(std::min<std::size_t>(rest.size(), 128 * kRecord));
        fill(piece);
        sum += sum_records(piece, kRecord);
        rest = rest.subspan(piece.size());
    }
    return sum;
}

RecordSum expected_sum(GeneratorOptions options, Uint128 start, std::uint64_t count, unsigned threads) {
    const std::uint64_t workers = std::clamp<std::uint64_t>(count / 100'000, 1, std::max(1u, threads));
    std::vector<RecordSum> sums(workers);
    const auto work = [&](std::uint64_t worker) {
        Uint128 first = start + (count / workers * worker + std::min(worker, count % workers));
        std::uint64_t left = count / workers + (worker < count % workers ? 1 : 0);
        RecordSum sum;
        while (left > 0) {
            std::uint64_t piece = window_sum_piece(options, first, left);
            if (piece > 0) {
                sum += sum_windows(options, first, piece);
            } else {
                piece = std::min(left, window_sum::kSmallest);
                sum += sum_made(options, first, piece);
            }
            first += piece;
            left -= piece;
        }
        sums[worker] = sum;
    };
    on_threads(workers, work);
    RecordSum total;
    for (const RecordSum& sum : sums) total += sum;
    return total;
}

}  // namespace sluice
