#include "cli/build_id.hpp"

#include <link.h>

#include <cstddef>

#include "record/crc32c.hpp"

namespace sluice {
namespace {

/// Of what this program is made of and never changes, as it lies in memory: a program that may only be executed cannot
/// read its own file.
std::uint32_t crc_of_program() {
    std::uint32_t crc = 0;
    const auto add = [](dl_phdr_info* object, std::size_t, void* sum) {
        for (int i = 0; i < object->dlpi_phnum; ++i) {
            const auto& segment = object->dlpi_phdr[i];
            if (segment.p_type != PT_LOAD || (segment.p_flags & PF_R) == 0 || (segment.p_flags & PF_W) != 0) continue;
            const auto* const begin = reinterpret_cast<const std::byte*>(object->dlpi_addr + segment.p_vaddr);
            auto& so_far = *static_cast<std::uint32_t*>(sum);
            so_far = crc32c({begin, segment.p_filesz}, so_far);
        }
        return 1;  // the first object is the program
    };
    ::dl_iterate_phdr(add, &crc);
    return crc;
}

}  // namespace

std::string build_id() { return kBuildText; }

std::string program_fact() {
    return kIsOneCommit ? build_id() : build_id() + ", CRC-32C " + std::to_string(crc_of_program());
}

}  // namespace sluice
