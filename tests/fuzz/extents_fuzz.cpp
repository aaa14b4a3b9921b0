// Any bytes as an extent index, as they are and with a checksum behind them: read whole, or refused and nothing added.
#include <cstring>

#include "fuzz.hpp"
#include "io/extent_index_file.hpp"
#include "record/crc32c.hpp"
#include "runtime/error.hpp"

namespace sluice {
namespace {

constexpr std::uint32_t kLogicalDisks = 4;

void read(const std::string& bytes) {
    ThreadExecutor executor;
    ExtentIndex index(executor, kLogicalDisks);
    ExtentIndexOwner owner;
    owner.run_id = "run";
    try {
        deserialize_extents(bytes, "/index", owner, index);
        for (std::uint32_t disk = 0; disk < kLogicalDisks; ++disk) index.extents(disk);
    } catch (const Error& error) {
        fuzz_check(error.code() == Errc::integrity || error.code() == Errc::resume);
        fuzz_check(index.extent_count() == 0);
    }
}

}  // namespace

void fuzz_one(std::string_view input) {
    std::string bytes(input);
    read(bytes);
    const std::uint32_t crc = crc32c({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()});
    bytes.append(reinterpret_cast<const char*>(&crc), sizeof crc);
    read(bytes);
}

}  // namespace sluice
