#pragma once
/// A directory on a real disk, aligned memory and patterns, for tests of the I/O layer.

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "record/record_format.hpp"
#include "runtime/error.hpp"

namespace sluice::testing {

/// Below the build folder, which is on a disk where /tmp and /dev/shm may be memory; removed at the end.
class TempDirectory {
public:
    TempDirectory() : path_(std::string(SLUICE_BIN_DIR) + "/io-test-XXXXXX") {
        if (::mkdtemp(path_.data()) == nullptr) throw std::bad_alloc();
    }
    ~TempDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TempDirectory(const TempDirectory&) = delete;
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

/// Memory for direct I/O, filled with 0xEE so that bytes nobody wrote show.
class AlignedMemory {
public:
    explicit AlignedMemory(std::size_t bytes)
        : memory_(static_cast<std::byte*>(std::aligned_alloc(
                      kDirectIoAlign, (bytes + kDirectIoAlign - 1) / kDirectIoAlign * kDirectIoAlign)),
                  &std::free),
          bytes_(bytes) {
        for (std::byte& b : all()) b = std::byte{0xEE};
    }
    std::span<std::byte> all() const { return {memory_.get(), bytes_}; }
    std::span<std::byte> part(std::size_t offset, std::size_t bytes) const { return all().subspan(offset, bytes); }

private:
    std::unique_ptr<std::byte, decltype(&std::free)> memory_;
    std::size_t bytes_;
};

/// The byte at `position` of every test file: no two blocks are alike, so a block at the wrong place shows.
inline std::byte pattern_at(std::uint64_t position) {
    return static_cast<std::byte>((position * 131 + position / 4096 * 7919 + position / 251) & 0xff);
}
inline void fill_pattern(std::span<std::byte> memory, std::uint64_t position) {
    for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = pattern_at(position + i);
}
/// Index of the first byte that differs from the pattern; memory.size() when none does.
inline std::size_t first_difference(std::span<const std::byte> memory, std::uint64_t position) {
    std::size_t i = 0;
    while (i < memory.size() && memory[i] == pattern_at(position + i)) ++i;
    return i;
}
inline void write_pattern_file(const std::string& path, std::uint64_t bytes) {
    std::vector<std::byte> data(bytes);
    fill_pattern(data, 0);
    std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(data.data()), static_cast<long>(bytes));
}
inline void write_text_file(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
}

/// Code and text of the Error that `action` throws; code 0 when it throws none.
struct Caught {
    int code = 0;
    std::string text;
    bool mentions(const std::string& part) const { return text.find(part) != std::string::npos; }
};
template <typename Action>
Caught error_of(Action&& action) {
    try {
        action();
    } catch (const Error& error) {
        return {error.exit_code(), error.what()};
    }
    return {};
}

}  // namespace sluice::testing
