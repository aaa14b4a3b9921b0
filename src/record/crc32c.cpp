#include "record/crc32c.hpp"

#include <array>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace sluice {
namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;  // bit-reflected

constexpr std::array<std::uint32_t, 256> make_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t value = byte;
        for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? kPolynomial : 0);
        table[byte] = value;
    }
    return table;
}
constexpr auto kTable = make_table();

std::uint32_t update_table(std::uint32_t crc, const std::byte* data, std::size_t bytes) {
    for (; bytes > 0; --bytes, ++data) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<std::uint32_t>(*data)) & 0xff];
    return crc;
}

#if defined(__x86_64__)
constexpr std::size_t kStream = 4096;  // three such blocks at a time keep the unit of three cycles' latency busy
constexpr std::size_t kAheadBytes = 3 * kStream;  // of the next three: the processor's own prefetcher stops at pages

/// The register after `kStream` zero bytes, by its four bytes: how a stream's value is carried over the next stream.
struct ShiftTables {
    std::uint32_t by_byte[4][256];
    ShiftTables() {
        for (int byte = 0; byte < 4; ++byte) {
            for (std::uint32_t value = 0; value < 256; ++value) {
                std::uint32_t crc = value << (8 * byte);
                for (std::size_t i = 0; i < kStream; ++i) crc = (crc >> 8) ^ kTable[crc & 0xff];
                by_byte[byte][value] = crc;
            }
        }
    }
    std::uint32_t operator()(std::uint32_t crc) const {
        return by_byte[0][crc & 0xff] ^ by_byte[1][crc >> 8 & 0xff] ^ by_byte[2][crc >> 16 & 0xff] ^
               by_byte[3][crc >> 24];
    }
};

__attribute__((target("sse4.2"))) std::uint32_t update_sse42(std::uint32_t crc, const std::byte* data,
                                                             std::size_t bytes) {
    static const ShiftTables shift;
    const auto load = [](const std::byte* from) {
        std::uint64_t word;
        std::memcpy(&word, from, sizeof word);
        return word;
    };
    for (; bytes >= 3 * kStream; bytes -= 3 * kStream, data += 3 * kStream) {
        std::uint64_t a = crc, b = 0, c = 0;
        for (std::size_t line = 0; line < kStream; line += 64) {
            for (std::size_t stream = 0; stream < 3; ++stream)
                __builtin_prefetch(data + stream * kStream + line + kAheadBytes);
            for (std::size_t i = line; i < line + 64; i += 8) {
                a = __builtin_ia32_crc32di(a, load(data + i));
                b = __builtin_ia32_crc32di(b, load(data + kStream + i));
                c = __builtin_ia32_crc32di(c, load(data + 2 * kStream + i));
            }
        }
        crc =
            shift(shift(static_cast<std::uint32_t>(a)) ^ static_cast<std::uint32_t>(b)) ^ static_cast<std::uint32_t>(c);
    }
    for (; bytes >= 8; bytes -= 8, data += 8) crc = static_cast<std::uint32_t>(__builtin_ia32_crc32di(crc, load(data)));
    return update_table(crc, data, bytes);
}
#endif

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t seed) {
#if defined(__x86_64__)
    static const bool hardware = [] {
        __builtin_cpu_init();
        return __builtin_cpu_supports("sse4.2") != 0;
    }();
    if (hardware) return ~update_sse42(~seed, bytes.data(), bytes.size());
#endif
    return ~update_table(~seed, bytes.data(), bytes.size());
}

}  // namespace sluice
