#include "io/data_set.hpp"

#include <zlib.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "record/uint128_text.hpp"
#include "runtime/bounded_text.hpp"
#include "runtime/error.hpp"
#include "runtime/printable.hpp"

namespace sluice {
namespace {

using Json = nlohmann::json;
constexpr std::uint32_t kSchemaVersion = 2, kLegacyVersion = 1, kMostRecordBytes = 1 << 20;
/// A file has six values in more than 100 bytes of text: what has many more in so little is none of ours, and would
/// take more memory than any.
constexpr std::size_t kFewValues = 100, kBytesOfAValue = 8;

Json sum_json(const RecordSum& sum) { return {{"records", sum.count}, {"checksum", to_hex(sum.sum)}}; }

std::uint64_t number_from(const Json& json, const char* key) { return exact_integer<std::uint64_t>(json.at(key), key); }

std::uint32_t small_number_from(const Json& json, const char* key) {
    return static_cast<std::uint32_t>(exact_integer<std::int32_t>(json.at(key), key));
}

RecordSum sum_from(const Json& json) {
    const auto checksum = parse_hex(json.at("checksum").get<std::string>());
    if (!checksum) throw Error(Errc::integrity, "checksum is no hexadecimal number");
    return {number_from(json, "records"), *checksum};
}

class Crc32 {
public:
    void add(std::string_view text) {
        value_ = ::crc32_z(value_, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    }
    std::uint32_t value() const noexcept { return static_cast<std::uint32_t>(value_); }

private:
    unsigned long value_ = 0;
};

std::uint32_t crc_of(const std::string& text) {
    Crc32 crc;
    crc.add(text);
    return crc.value();
}

/// All but its files, which stand as null.
Json body_json(const DataSet& set) {
    Json disks = Json::array();
    for (const SetDisk& disk : set.disks) disks.push_back({{"host", disk.host}});
    return {{"kind", to_string(set.kind)},
            {"run_id", set.run_id},
            {"created", set.created},
            {"origin", set.origin},
            {"verified", set.verified},
            {"record",
             {{"size_bytes", set.format.record_bytes},
              {"key_offset_bytes", set.format.key_offset},
              {"key_size_bytes", set.format.key_bytes}}},
            {"total", sum_json(set.total)},
            {"input_total", sum_json(set.input_total)},
            {"disks", std::move(disks)},
            {"files", nullptr}};
}

/// What comes before and after the null that stands for the files. Within a string a quote is never bare: `key` is
/// found only where it is one.
std::pair<std::string, std::string> around_files(const std::string& text, const std::string& key) {
    const std::size_t at = text.find(key + "null") + key.size();
    return {text.substr(0, at), text.substr(at + std::string_view("null").size())};
}

/// One value for all files in turn, so that its names are made once.
class FileEntry {
public:
    const Json& of(const DataFile& file) {
        bytes_ = file.bytes;
        checksum_ = to_hex(file.sum.sum);
        disk_ = file.disk;
        name_ = file.name;
        partition_ = file.position;
        records_ = file.sum.count;
        return entry_;
    }

private:
    Json entry_ = Json::object();
    Json &bytes_ = entry_["bytes"], &checksum_ = entry_["checksum"], &disk_ = entry_["disk"], &name_ = entry_["name"],
         &partition_ = entry_["partition"], &records_ = entry_["records"];
};

/// What stands before a file's entry, three levels deep.
constexpr std::string_view kEntryIndent = "\n   ";

/// A text of several lines within the entry's level; strings hold no line ends of their own.
std::string indented(const std::string& text) {
    std::string deeper;
    deeper.reserve(text.size() + 8 * kEntryIndent.size());
    for (const char c : text) {
        if (c == '\n') {
            deeper += kEntryIndent;
        } else {
            deeper += c;
        }
    }
    return deeper;
}

/// Cuts what is added into pieces of equal size.
class PieceMaker {
public:
    PieceMaker(std::size_t piece_bytes, const TakePiece& take) : piece_bytes_(piece_bytes), take_(take) {}
    void add(std::string_view text) {
        while (!text.empty()) {
            if (piece_.size() == piece_bytes_) {
                take_(piece_, false);
                piece_.clear();
            }
            const std::size_t fits = std::min(text.size(), piece_bytes_ - piece_.size());
            piece_.append(text.substr(0, fits));
            text.remove_prefix(fits);
        }
    }
    void finish() { take_(piece_, true); }

private:
    std::size_t piece_bytes_;
    const TakePiece& take_;
    std::string piece_;
};

/// Version 1 held a host and an absolute path for each file: each pair of host and directory becomes a disk.
class LegacyDisks {
public:
    explicit LegacyDisks(std::vector<SetDisk>& disks) : disks_(disks) {}
    DataFile file_at(const std::string& host, const std::string& path) {
        const std::size_t slash = path.rfind('/');
        if (slash == std::string::npos || slash == 0 || path.front() != '/')
            throw Error(Errc::integrity, "'" + printable(path) + "' is no path of a file of a data set");
        const std::string directory = path.substr(0, slash);
        const auto [found, fresh] = numbers_.emplace(std::pair(host, directory), disks_.size());
        if (fresh) disks_.push_back({host, directory});
        DataFile file;
        file.disk = static_cast<std::uint32_t>(found->second);
        file.name = path.substr(slash + 1);
        return file;
    }

private:
    std::vector<SetDisk>& disks_;
    std::map<std::pair<std::string, std::string>, std::size_t> numbers_;
};

RecordFormat format_from(const Json& record) {
    const RecordFormat format{small_number_from(record, "size_bytes"), small_number_from(record, "key_offset_bytes"),
                              small_number_from(record, "key_size_bytes")};
    if (format.record_bytes == 0 || format.record_bytes > kMostRecordBytes || format.key_bytes == 0 ||
        format.key_offset > kMostRecordBytes || format.key_bytes > kMostRecordBytes ||
        format.key_offset + format.key_bytes > format.record_bytes)
        throw Error(Errc::integrity, "its record shape is impossible");
    return format;
}

SetKind kind_from(const std::string& text) {
    for (const SetKind kind : {SetKind::input, SetKind::sorted}) {
        if (text == to_string(kind)) return kind;
    }
    throw Error(Errc::integrity, "its kind is '" + printable(text) + "'");
}

DataSet from_body(const Json& body, bool legacy) {
    DataSet set;
    set.kind = kind_from(body.at("kind"));
    set.run_id = body.at("run_id");
    set.created = body.at("created");
    set.origin = body.at("origin");
    set.verified = body.at("verified").get<bool>();
    set.format = format_from(body.at("record"));
    set.total = sum_from(body.at("total"));
    set.input_total = sum_from(body.at("input_total"));
    LegacyDisks legacy_disks(set.disks);
    if (!legacy) {
        for (const Json& disk : body.at("disks")) set.disks.push_back({disk.at("host"), ""});
    }
    for (const Json& entry : body.at("files")) {
        DataFile file = legacy ? legacy_disks.file_at(entry.at("host"), entry.at("path")) : DataFile{};
        if (!legacy) {
            file.disk = small_number_from(entry, "disk");
            file.name = entry.at("name");
        }
        file.bytes = number_from(entry, "bytes");
        file.sum = sum_from(entry);
        file.position = exact_integer<decltype(file.position)>(entry.at("partition"), "partition");
        set.files.push_back(std::move(file));
    }
    return set;
}

/// Shown to people: what holds control characters was not written by us.
void check_plain(const char* what, const std::string& text) {
    if (printable(text) != text)
        throw Error(Errc::integrity, std::string(what) + " '" + printable(text) + "' holds control characters");
}

/// A checksum over the text shows that it is what was written, not that what was written can be.
void check_consistent(const DataSet& set) {
    RecordSum total;
    std::set<std::pair<std::uint32_t, std::string>> names;
    std::int64_t expected_position = 0;
    for (const SetDisk& disk : set.disks) check_plain("host", disk.host);
    for (const std::string& text : {set.run_id, set.created, set.origin}) check_plain("text", text);
    for (const DataFile& file : set.files) {
        const std::string name = "file '" + printable(file.name) + "' ";
        if (!is_bare_name(file.name)) throw Error(Errc::integrity, name + "is no name of a file in its directory");
        if (file.disk >= set.disks.size()) throw Error(Errc::integrity, name + "is on a disk that is not listed");
        if (!names.emplace(file.disk, file.name).second) throw Error(Errc::integrity, name + "is listed twice");
        if (file.sum.count > ~std::uint64_t{0} / set.format.record_bytes ||
            file.bytes != file.sum.count * set.format.record_bytes)
            throw Error(Errc::integrity, name + "is said to have " + std::to_string(file.bytes) + " bytes and " +
                                             std::to_string(file.sum.count) + " records");
        if (file.position != (set.kind == SetKind::sorted ? expected_position++ : -1))
            throw Error(Errc::integrity, name + "is not in the order of the partitions");
        total += file.sum;
    }
    if (!(total == set.total))
        throw Error(Errc::integrity,
                    "its files add up to " + total.text() + ", its total is said to be " + set.total.text());
    if (set.total.count != set.input_total.count || (set.verified && !(set.total == set.input_total)))
        throw Error(Errc::integrity,
                    "it holds " + set.total.text() + ", its input is said to be " + set.input_total.text());
}

}  // namespace

const char* to_string(SetKind kind) { return kind == SetKind::input ? "input" : "sorted"; }

bool is_bare_name(const std::string& name) {
    return !name.empty() && name.size() <= 255 && name != "." && name != ".." && name.find('/') == std::string::npos &&
           printable(name) == name;
}

std::string DataSet::to_text() const {
    std::string text;
    const auto each_file = [this](const TakeFile& take) {
        for (const DataFile& file : files) take(file);
    };
    make_manifest(*this, each_file, kMostManifestBytes, [&](std::string_view piece, bool) { text += piece; });
    return text;
}

void make_manifest(const DataSet& set, const std::function<void(const TakeFile&)>& each_file, std::size_t piece_bytes,
                   const TakePiece& take) {
    FileEntry entry;
    try {
        const Json body = body_json(set);
        Crc32 crc;
        const auto [crc_head, crc_tail] = around_files(body.dump(), "\"files\":");
        crc.add(crc_head + "[");
        bool is_first = true;
        each_file([&](const DataFile& file) {
            crc.add(std::exchange(is_first, false) ? "" : ",");
            crc.add(entry.of(file).dump());
        });
        crc.add("]" + crc_tail);
        const Json document = {{"schema_version", kSchemaVersion}, {"manifest", body}, {"crc32", crc.value()}};
        const auto [head, tail] = around_files(document.dump(1), "\"files\": ");
        PieceMaker pieces(piece_bytes, take);
        pieces.add(head + "[");
        is_first = true;
        each_file([&](const DataFile& file) {
            pieces.add(std::exchange(is_first, false) ? "" : ",");
            pieces.add(kEntryIndent);
            pieces.add(indented(entry.of(file).dump(1)));
        });
        pieces.add(is_first ? "]" : "\n  ]");
        pieces.add(tail + "\n");
        pieces.finish();
    } catch (const Json::type_error& error) {  // a name in it is no text
        throw Error(Errc::config,
                    std::string("manifest: a host or file name is not UTF-8 (") + error.what() + "); rename it");
    }
}

std::string read_manifest_text(Directory& directory, const std::string& name) {
    try {
        return directory.read_text(name, kMostManifestBytes);
    } catch (const TooLargeError& error) {
        throw Error(Errc::integrity, std::string(error.what()) +
                                         ": it is damaged, or none; make the data set again (`sluice gen`, `sluice "
                                         "sort`)");
    }
}

DataSet DataSet::from_text(const std::string& text, const std::string& path) {
    const auto fail = [&](const std::string& what) {
        return Error(Errc::integrity,
                     "manifest '" + path + "': " + what +
                         "; the data set cannot be trusted: make it again (`sluice gen`, `sluice sort`)");
    };
    try {
        const Json document = parse_bounded_json(text, kFewValues + text.size() / kBytesOfAValue);
        const std::uint32_t version = small_number_from(document, "schema_version");
        if (version != kSchemaVersion && version != kLegacyVersion)
            throw Error(Errc::integrity, "has schema version " + std::to_string(version) + ", this program reads " +
                                             std::to_string(kLegacyVersion) + " and " + std::to_string(kSchemaVersion));
        if (number_from(document, "crc32") != crc_of(document.at("manifest").dump()))
            throw Error(Errc::integrity, "does not match its own checksum: it was damaged or edited");
        DataSet set = from_body(document.at("manifest"), version == kLegacyVersion);
        check_consistent(set);
        return set;
    } catch (const Json::exception& error) {
        throw fail(std::string("is cut or damaged (") + error.what() + ")");
    } catch (const Error& error) {
        throw fail(error.what());
    }
}

}  // namespace sluice
