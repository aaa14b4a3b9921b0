// Any block as an owner record, as it is and with its checksum put right: a record that writes the same block, or none.
#include <nlohmann/json.hpp>

#include "fuzz.hpp"
#include "io/data_set.hpp"
#include "io/owner_record.hpp"
#include "record/crc32c.hpp"
#include "runtime/bounded_text.hpp"

namespace sluice {
namespace {

void read(std::string block) {
    block.resize(kOwnerBytes, ' ');
    const auto record = parse_owner(block);
    if (!record) return;
    fuzz_check(record->disk < record->disks && is_run_id(record->run_id));
    fuzz_check(record->target.empty() || is_bare_name(record->target));
    [[maybe_unused]] const bool ours = record->matches("part-000001");
    describe_owner(*record);
}

}  // namespace

void fuzz_one(std::string_view input) {
    read(std::string(input));
    try {
        auto document = parse_bounded_json(input);
        const std::string body = document.at("owner").dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        document["crc32c"] = crc32c({reinterpret_cast<const std::byte*>(body.data()), body.size()});
        read(document.dump());
    } catch (const Error&) {
    } catch (const nlohmann::json::exception&) {
    }
}

}  // namespace sluice
