#include "sort/scatter.hpp"

#include <algorithm>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace sluice {
namespace {

using Cursor = RecordScatter::Cursor;

constexpr std::size_t kLeastBurst = 512, kMostBurst = 1024;  // bytes; longer ones cost fewer mispredicted branches
constexpr std::size_t kStageBytes = 1u << 19;                // in all: half of the smallest second-level cache
constexpr int kSecondLevel = 2;                              // of the caches, to __builtin_prefetch
constexpr std::size_t kRestBytes = 128;                      // behind a burst, for the end of the record that fills it

std::size_t append_plain(const std::byte* records, std::span<const std::uint32_t> slot, Cursor* cursors,
                         std::uint32_t record_bytes) {
    for (std::size_t i = 0; i < slot.size(); ++i, records += record_bytes) {
        Cursor& to = cursors[slot[i]];
        if (to.end - to.write < static_cast<std::ptrdiff_t>(record_bytes)) return i;
        std::memcpy(to.write, records, record_bytes);
        to.write += record_bytes;
    }
    return slot.size();
}

#if defined(__x86_64__)
#define SLUICE_AVX2 __attribute__((target("arch=x86-64-v3")))

/// The burst of which `inside` is an address is complete: writes it, or as much of it as lies in the room.
template <std::size_t kBurst>
SLUICE_AVX2 inline void send_burst(const Cursor& to, std::byte* inside, const std::byte* stage) {
    std::byte* const first = inside - (reinterpret_cast<std::uintptr_t>(inside) & (kBurst - 1));
    if (first < to.begin) {  // the room begins within it, behind a header
        std::memcpy(to.begin, stage + (to.begin - first), kBurst - static_cast<std::uintptr_t>(to.begin - first));
        return;
    }
    if (to.streaming) {
        for (std::size_t at = 0; at < kBurst; at += 32) {
            _mm256_stream_si256(reinterpret_cast<__m256i*>(first + at),
                                _mm256_load_si256(reinterpret_cast<const __m256i*>(stage + at)));
        }
    } else {
        std::memcpy(first, stage, kBurst);
    }
}

template <std::size_t kBurst>
SLUICE_AVX2 std::size_t append_combining(const std::byte* records, std::span<const std::uint32_t> slot, Cursor* cursors,
                                         std::byte* staged, std::span<const std::byte> next) {
    constexpr std::uint32_t kRecord = 100;
    // Memory is read while the bursts are written, not in a pass of its own over the keys of the next block.
    const std::size_t fetched = next.size() / kRecord;
    const std::byte* fetch = fetched > 0 ? next.data() : records;
    for (std::size_t i = 0; i < slot.size(); ++i, records += kRecord, fetch += i < fetched ? kRecord : 0) {
        Cursor& to = cursors[slot[i]];
        __builtin_prefetch(fetch, 0, kSecondLevel);
        __builtin_prefetch(fetch + 64, 0, kSecondLevel);
        if (to.end - to.write < static_cast<std::ptrdiff_t>(kRecord)) return i;
        std::byte* const stage = staged + slot[i] * (kBurst + kRestBytes);
        const std::uintptr_t at = reinterpret_cast<std::uintptr_t>(to.write) & (kBurst - 1);
        std::memcpy(stage + at, records, kRecord);
        if (at + kRecord >= kBurst) {
            send_burst<kBurst>(to, to.write, stage);
            std::memcpy(stage, stage + kBurst, kRestBytes);
        }
        to.write += kRecord;
    }
    return slot.size();
}
#endif

}  // namespace

RecordScatter::Kernel RecordScatter::best_kernel(std::uint32_t record_bytes) noexcept {
#if defined(__x86_64__)
    static const bool avx2 = [] {
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
    }();
    if (avx2 && record_bytes == 100) return Kernel::combining;
#endif
    static_cast<void>(record_bytes);
    return Kernel::plain;
}

namespace {

std::size_t burst_bytes_of(std::size_t slots) { return slots * kMostBurst > kStageBytes ? kLeastBurst : kMostBurst; }

}  // namespace

void RecordScatter::reserve(std::size_t slots) {
    cursors_.reserve(slots);
    if (kernel_ == Kernel::combining) staged_.reserve(slots * (burst_bytes_of(slots) + kRestBytes) / sizeof(Line));
}

void RecordScatter::add_slots(std::uint32_t count) {
    cursors_.resize(cursors_.size() + count);
    if (kernel_ != Kernel::combining) return;
    burst_bytes_ = burst_bytes_of(cursors_.size());
    staged_.resize(cursors_.size() * (burst_bytes_ + kRestBytes) / sizeof(Line));
}

void RecordScatter::open(std::uint32_t slot, std::span<std::byte> room, bool streaming) noexcept {
    Cursor& to = cursors_[slot];
    to.begin = to.write = room.data();
    to.end = to.begin + room.size();
    to.streaming = streaming;
}

std::byte* RecordScatter::close(std::uint32_t slot) noexcept {
    Cursor& to = cursors_[slot];
    std::byte* const written = to.write;
#if defined(__x86_64__)
    if (kernel_ == Kernel::combining && written != nullptr) {
        const std::uintptr_t burst = reinterpret_cast<std::uintptr_t>(written) & (burst_bytes_ - 1);
        const std::size_t held = std::min<std::size_t>(burst, static_cast<std::size_t>(written - to.begin));
        const std::byte* const stage = staged_.data()->bytes + slot * (burst_bytes_ + kRestBytes);
        std::memcpy(written - held, stage + burst - held, held);
        _mm_sfence();  // streaming stores are ordered by nothing else
    }
#endif
    to.begin = to.write = to.end = nullptr;
    return written;
}

std::size_t RecordScatter::append(const std::byte* records, std::span<const std::uint32_t> slot,
                                  std::span<const std::byte> next) noexcept {
#if defined(__x86_64__)
    if (kernel_ == Kernel::combining) {
        const auto append_by =
            burst_bytes_ == kLeastBurst ? append_combining<kLeastBurst> : append_combining<kMostBurst>;
        return append_by(records, slot, cursors_.data(), staged_.data()->bytes, next);
    }
#endif
    static_cast<void>(next);
    return append_plain(records, slot, cursors_.data(), record_bytes_);
}

}  // namespace sluice
