// Any text as a manifest, as it is and with its checksum put right: it stands for one data set, or is damaged.
#include <zlib.h>

#include <nlohmann/json.hpp>

#include "fuzz.hpp"
#include "io/data_set.hpp"
#include "runtime/bounded_text.hpp"

namespace sluice {
namespace {

void read(const std::string& text) {
    try {
        const std::string once = DataSet::from_text(text, "/m").to_text();
        // An older version becomes one of this version, which stands for itself.
        fuzz_check(DataSet::from_text(once, "/m").to_text() == once);
    } catch (const Error& error) {
        fuzz_check(error.code() == Errc::integrity);
    }
}

}  // namespace

void fuzz_one(std::string_view input) {
    read(std::string(input));
    try {
        auto document = parse_bounded_json(input);
        const std::string body = document.at("manifest").dump();
        document["crc32"] = ::crc32_z(0, reinterpret_cast<const unsigned char*>(body.data()), body.size());
        read(document.dump());
    } catch (const Error&) {
    } catch (const nlohmann::json::exception&) {
    }
}

}  // namespace sluice
