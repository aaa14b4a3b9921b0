#include "sort/scatter.hpp"

#include <cstring>

namespace sluice {
namespace {

/// With the size known the copy is a handful of vector moves. The loop is compiled for each processor generation.
template <std::uint32_t kBytes>
inline std::size_t scatter_fixed(const std::byte* records, std::span<const std::uint32_t> slot,
                                 std::span<OpenSlot> open) {
    for (std::size_t i = 0; i < slot.size(); ++i, records += kBytes) {
        OpenSlot& to = open[slot[i]];
        if (to.end - to.write < static_cast<std::ptrdiff_t>(kBytes)) return i;
        std::memcpy(to.write, records, kBytes);
        to.write += kBytes;
    }
    return slot.size();
}

#if defined(__x86_64__)
__attribute__((target("arch=x86-64-v3"), flatten)) std::size_t scatter_100_avx2(const std::byte* records,
                                                                                std::span<const std::uint32_t> slot,
                                                                                std::span<OpenSlot> open) {
    return scatter_fixed<100>(records, slot, open);
}
#endif

std::size_t scatter_any(const std::byte* records, std::span<const std::uint32_t> slot, std::span<OpenSlot> open,
                        std::uint32_t record_bytes) {
    for (std::size_t i = 0; i < slot.size(); ++i, records += record_bytes) {
        OpenSlot& to = open[slot[i]];
        if (to.end - to.write < static_cast<std::ptrdiff_t>(record_bytes)) return i;
        std::memcpy(to.write, records, record_bytes);
        to.write += record_bytes;
    }
    return slot.size();
}

}  // namespace

std::size_t scatter_records(const std::byte* records, std::span<const std::uint32_t> slot, std::span<OpenSlot> open,
                            std::uint32_t record_bytes) {
    if (record_bytes != 100) return scatter_any(records, slot, open, record_bytes);
#if defined(__x86_64__)
    static const bool avx2 = [] {
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
    }();
    if (avx2) return scatter_100_avx2(records, slot, open);
#endif
    return scatter_fixed<100>(records, slot, open);
}

}  // namespace sluice
