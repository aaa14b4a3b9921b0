#include "io/data_set.hpp"

#include <zlib.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "record/uint128_text.hpp"
#include "runtime/error.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

using Json = nlohmann::json;
constexpr std::uint32_t kSchemaVersion = 1;

Json sum_json(const RecordSum& sum) { return {{"records", sum.count}, {"checksum", to_hex(sum.sum)}}; }

/// A number that is really one: nlohmann's get() would take -1 and 1.5 as well.
std::uint64_t number_from(const Json& json, const char* key, std::uint64_t most = ~std::uint64_t{0}) {
    const Json& value = json.at(key);
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most)
        throw Error(Errc::input, std::string(key) + " is no number it can be");
    return value.get<std::uint64_t>();
}

std::uint32_t small_number_from(const Json& json, const char* key) {
    return static_cast<std::uint32_t>(number_from(json, key, 0x7fff'ffff));
}

RecordSum sum_from(const Json& json) {
    const auto checksum = parse_hex(json.at("checksum").get<std::string>());
    if (!checksum) throw Error(Errc::input, "checksum is no hexadecimal number");
    return {number_from(json, "records"), *checksum};
}

std::uint32_t crc_of(const std::string& text) {
    return static_cast<std::uint32_t>(::crc32_z(0, reinterpret_cast<const unsigned char*>(text.data()), text.size()));
}

DataSet from_body(const Json& body) {
    DataSet set;
    set.kind = body.at("kind");
    set.run_id = body.at("run_id");
    set.created = body.at("created");
    set.origin = body.at("origin");
    set.verified = body.at("verified");
    const Json& record = body.at("record");
    set.format = {small_number_from(record, "size_bytes"), small_number_from(record, "key_offset_bytes"),
                  small_number_from(record, "key_size_bytes")};
    if (set.kind != "input" && set.kind != "sorted") throw Error(Errc::input, "its kind is '" + set.kind + "'");
    if (set.format.record_bytes == 0 || set.format.key_offset + set.format.key_bytes > set.format.record_bytes)
        throw Error(Errc::input, "its record shape is impossible");
    set.total = sum_from(body.at("total"));
    set.input_total = sum_from(body.at("input_total"));
    for (const Json& file : body.at("files")) {
        if (!file.at("partition").is_number_integer()) throw Error(Errc::input, "partition is no number");
        set.files.push_back(
            {file.at("host"), file.at("path"), number_from(file, "bytes"), sum_from(file), file.at("partition")});
    }
    return set;
}

}  // namespace

std::string DataSet::to_text() const {
    Json list = Json::array();
    for (const DataFile& file : files) {
        Json entry = sum_json(file.sum);
        entry.update({{"host", file.host}, {"path", file.path}, {"bytes", file.bytes}, {"partition", file.partition}});
        list.push_back(std::move(entry));
    }
    const Json body = {{"kind", kind},
                       {"run_id", run_id},
                       {"created", created},
                       {"origin", origin},
                       {"verified", verified},
                       {"record",
                        {{"size_bytes", format.record_bytes},
                         {"key_offset_bytes", format.key_offset},
                         {"key_size_bytes", format.key_bytes}}},
                       {"total", sum_json(total)},
                       {"input_total", sum_json(input_total)},
                       {"files", list}};
    try {
        const std::uint32_t crc = crc_of(body.dump());
        return Json{{"schema_version", kSchemaVersion}, {"manifest", body}, {"crc32", crc}}.dump(1) + "\n";
    } catch (const Json::type_error& error) {  // a name in it is no text
        throw Error(Errc::config,
                    std::string("manifest: a host or file name is not UTF-8 (") + error.what() + "); rename it");
    }
}

DataSet DataSet::from_text(const std::string& text, const std::string& path) {
    const auto fail = [&](const std::string& what) {
        return Error(Errc::input,
                     "manifest '" + path + "': " + what + "; make the data set again (`sluice gen`, `sluice sort`)");
    };
    try {
        const Json document = Json::parse(text);
        const std::uint32_t version = small_number_from(document, "schema_version");
        if (version != kSchemaVersion)
            throw Error(Errc::input, "has schema version " + std::to_string(version) + ", this program reads " +
                                         std::to_string(kSchemaVersion));
        if (number_from(document, "crc32") != crc_of(document.at("manifest").dump()))
            throw Error(Errc::input, "does not match its own checksum: it was damaged or edited");
        return from_body(document.at("manifest"));
    } catch (const Json::exception& error) {
        throw fail(std::string("is cut or damaged (") + error.what() + ")");
    } catch (const Error& error) {
        throw fail(error.what());
    }
}

std::vector<InputSlice> slice_for_rank(const std::vector<DataFile>& files, std::uint32_t rank, std::uint32_t ranks,
                                       std::uint64_t unit_bytes) {
    std::uint64_t total_units = 0;
    for (const DataFile& file : files) total_units += ceil_div(file.bytes, unit_bytes);
    const std::uint64_t first = total_units * rank / ranks, last = total_units * (rank + 1) / ranks;
    std::vector<InputSlice> slices;
    std::uint64_t unit = 0;
    for (const DataFile& file : files) {
        const std::uint64_t units = ceil_div(file.bytes, unit_bytes);
        const std::uint64_t begin = std::max(first, unit), end = std::min(last, unit + units);
        if (begin < end) {
            const std::uint64_t offset = (begin - unit) * unit_bytes;
            slices.push_back({file.path, offset, std::min(file.bytes, (end - unit) * unit_bytes) - offset});
        }
        unit += units;
    }
    return slices;
}

std::vector<InputSlice> rotate(const std::vector<InputSlice>& slices, std::uint64_t numerator,
                               std::uint64_t denominator, std::uint64_t unit_bytes) {
    std::uint64_t total = 0;
    for (const InputSlice& slice : slices) total += slice.bytes;
    // total * numerator / denominator, without the product that would overflow.
    std::uint64_t skip = total / denominator * numerator + total % denominator * numerator / denominator;
    std::vector<InputSlice> head, tail;
    for (const InputSlice& slice : slices) {
        const std::uint64_t before = std::min(slice.bytes, round_down(skip, unit_bytes));
        skip -= std::min(skip, slice.bytes);
        if (before > 0) tail.push_back({slice.path, slice.offset, before});
        if (before < slice.bytes) head.push_back({slice.path, slice.offset + before, slice.bytes - before});
        if (before < slice.bytes) skip = 0;
    }
    head.insert(head.end(), tail.begin(), tail.end());
    return head;
}

std::vector<std::string> check_input_files(FileSystem& files, const std::vector<DataFile>& list,
                                           std::uint32_t record_bytes, bool allow_duplicates) {
    std::vector<std::string> problems;
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::string> seen;
    for (const DataFile& file : list) {
        const std::string name = "input '" + file.path + "': ";
        std::optional<FileInfo> info;
        try {
            info = files.info(file.path);
        } catch (const Error& error) {
            problems.push_back("[4] " + name + error.what());
            continue;
        }
        if (!info) {
            problems.push_back("[4] " + name + "not there, or a dangling link; check input.paths or generate it again");
        } else if (!info->is_regular) {
            problems.push_back("[4] " + name + "is no regular file");
        } else if (!info->is_readable) {
            problems.push_back("[4] " + name + "cannot be read by this user");
        } else if (info->size_bytes % record_bytes != 0) {
            problems.push_back("[4] " + name + std::to_string(info->size_bytes) +
                               " bytes is no multiple of the record size " + std::to_string(record_bytes) + ": " +
                               std::to_string(info->size_bytes % record_bytes) + " bytes of a torn record at offset " +
                               std::to_string(round_down(info->size_bytes, record_bytes)) +
                               "; restore the file or cut it there");
        } else if (file.bytes != info->size_bytes) {
            problems.push_back("[4] " + name + "has " + std::to_string(info->size_bytes) +
                               " bytes, its manifest says " + std::to_string(file.bytes) +
                               "; it was changed after it was generated");
        } else if (const auto [first, fresh] = seen.emplace(std::pair(info->device, info->inode), file.path);
                   !fresh && !allow_duplicates) {
            problems.push_back("[2] " + name + "is the same file as '" + first->second +
                               "'; list it once, or set run.allow_duplicate_input = true");
        }
    }
    return problems;
}

}  // namespace sluice
