#include "io/data_set.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

#include "io/file_system.hpp"
#include "io/io_fixture.hpp"
#include "record/record_sum.hpp"
#include "record/uint128_text.hpp"
#include "runtime/rng.hpp"

namespace sluice::testing {
namespace {

DataSet example() {
    DataSet set;
    set.kind = SetKind::sorted;
    set.run_id = "7f3a";
    set.created = "2030-01-02T03:04:05Z";
    set.origin = "sluice sort of gensort binary, \"quoted\" \xc3\xa4";
    set.format = {100, 0, 10};
    set.disks = {{"node0", ""}, {"node1", ""}};
    for (int i = 0; i < 3; ++i) {
        const auto n = static_cast<std::uint64_t>(i);
        set.files.push_back({static_cast<std::uint32_t>(i % 2),
                             "part-00000" + std::to_string(i),
                             n * 100,
                             {n, Uint128{0xffff'ffff'ffff'ffffu} * (n + 1)},
                             i});
        set.total += set.files.back().sum;
    }
    set.input_total = set.total;
    return set;
}

TEST(Manifest, TextReadsBackToTheSameSetAndIsDeterministic) {
    const DataSet set = example();
    const DataSet back = DataSet::from_text(set.to_text(), "/m");
    EXPECT_EQ(back.to_text(), set.to_text());
    EXPECT_EQ(back.kind, set.kind);
    EXPECT_EQ(back.origin, set.origin);
    EXPECT_EQ(back.format, set.format);
    EXPECT_EQ(back.total, set.total);
    EXPECT_EQ(back.input_total, set.input_total);
    ASSERT_EQ(back.disks.size(), 2u);
    EXPECT_EQ(back.disks[1].host, "node1");
    EXPECT_FALSE(back.is_legacy());
    ASSERT_EQ(back.files.size(), 3u);
    EXPECT_EQ(back.files[1].disk, 1u);
    EXPECT_EQ(back.files[2].name, "part-000002");
    EXPECT_EQ(back.files[2].bytes, 200u);
    EXPECT_EQ(back.files[2].sum, set.files[2].sum);
    EXPECT_EQ(back.files[2].position, 2);
    EXPECT_TRUE(DataSet::from_text(DataSet().to_text(), "/m").files.empty());
}

/// As the JSON library writes the whole document.
std::string text_by_library(const DataSet& set) {
    using Json = nlohmann::json;
    const auto sum = [](const RecordSum& s) -> Json { return {{"records", s.count}, {"checksum", to_hex(s.sum)}}; };
    Json disks = Json::array(), files = Json::array();
    for (const SetDisk& disk : set.disks) disks.push_back({{"host", disk.host}});
    for (const DataFile& file : set.files) {
        Json entry = sum(file.sum);
        entry.update({{"disk", file.disk}, {"name", file.name}, {"bytes", file.bytes}, {"partition", file.position}});
        files.push_back(entry);
    }
    const Json record = {{"size_bytes", set.format.record_bytes},
                         {"key_offset_bytes", set.format.key_offset},
                         {"key_size_bytes", set.format.key_bytes}};
    const Json body = {{"kind", to_string(set.kind)},
                       {"run_id", set.run_id},
                       {"created", set.created},
                       {"origin", set.origin},
                       {"verified", set.verified},
                       {"record", record},
                       {"total", sum(set.total)},
                       {"input_total", sum(set.input_total)},
                       {"disks", disks},
                       {"files", files}};
    const std::string compact = body.dump();
    const auto crc = ::crc32_z(0, reinterpret_cast<const unsigned char*>(compact.data()), compact.size());
    return Json{{"schema_version", 2}, {"manifest", body}, {"crc32", crc}}.dump(1) + "\n";
}

TEST(Manifest, ItsPiecesAreWhatTheLibraryWritesOfTheWhole) {
    DataSet set = example();
    set.origin = "\"files\":null, \"files\": null\n";
    set.files[1].name = "a \"quoted\"\nname";
    DataSet none = set;
    none.files.clear();
    DataSet one = set;
    one.files.resize(1);
    for (const DataSet& each : {set, one, none, DataSet()}) {
        const std::string whole = text_by_library(each);
        EXPECT_EQ(each.to_text(), whole);
        for (const std::size_t piece_bytes :
             {std::size_t{1}, std::size_t{97}, whole.size() - 1, whole.size(), whole.size() + 1}) {
            std::string text;
            bool is_last = false;
            make_manifest(
                each,
                [&](const TakeFile& take) {
                    for (const DataFile& file : each.files) take(file);
                },
                piece_bytes,
                [&](std::string_view piece, bool last) {
                    EXPECT_FALSE(is_last) << "nothing comes after the last";
                    EXPECT_TRUE(last ? piece.size() <= piece_bytes : piece.size() == piece_bytes) << piece.size();
                    is_last = last;
                    text += piece;
                });
            EXPECT_TRUE(is_last);
            EXPECT_EQ(text, whole) << piece_bytes;
        }
    }
}

TEST(Manifest, SumsBeyond64BitsAndLargeSizesSurvive) {
    DataSet set = example();
    set.files[0].sum = {std::uint64_t{1} << 56, ~Uint128{0}};
    set.files[0].bytes = set.files[0].sum.count * 100;
    set.total = {};
    for (const DataFile& file : set.files) set.total += file.sum;
    set.input_total = set.total;
    const DataSet back = DataSet::from_text(set.to_text(), "/m");
    EXPECT_EQ(back.files[0].bytes, (std::uint64_t{1} << 56) * 100);
    EXPECT_EQ(back.files[0].sum.sum, ~Uint128{0});
    EXPECT_EQ(back.total, set.total);
}

TEST(Manifest, EveryCutIsRefusedAsDamaged) {
    const std::string text = example().to_text();
    for (std::size_t length = 0; length + 1 < text.size(); ++length) {  // the last byte is the line end
        const Caught caught = error_of([&] { DataSet::from_text(text.substr(0, length), "/disk/MANIFEST.json"); });
        EXPECT_EQ(caught.code, 6) << "cut to " << length;
        EXPECT_TRUE(caught.mentions("/disk/MANIFEST.json")) << caught.text;
    }
}

TEST(Manifest, DamagedTextIsRefusedOrSaysTheSame) {
    const DataSet set = example();
    const std::string text = set.to_text();
    Rng rng(20'261);
    for (int round = 0; round < 20'000; ++round) {
        std::string damaged = text;
        for (std::uint64_t changes = 1 + rng.below(3); changes > 0; --changes) {
            const std::size_t at = rng.below(damaged.size());
            switch (rng.below(4)) {
                case 0:
                    damaged[at] = static_cast<char>(rng.next());
                    break;
                case 1:
                    damaged[at] = static_cast<char>(damaged[at] ^ (1 << rng.below(8)));
                    break;
                case 2:
                    damaged.erase(at, 1 + rng.below(20));
                    break;
                default:
                    damaged.insert(at, text.substr(rng.below(text.size()), rng.below(20)));
            }
            if (damaged.empty()) damaged = " ";
        }
        try {
            // White space and repeated keys may change without harm; then it must still say the same.
            EXPECT_EQ(DataSet::from_text(damaged, "/m").to_text(), text) << damaged;
        } catch (const Error& error) {
            EXPECT_EQ(error.exit_code(), 6) << error.what();
        }
    }
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(Manifest, EditedValuesDoNotMatchTheChecksum) {
    for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
             {"\"bytes\": 100", "\"bytes\": 200"}, {"\"verified\": true", "\"verified\": false"}, {"node1", "node2"}}) {
        const std::string text = replaced(example().to_text(), from, to);
        const Caught caught = error_of([&] { DataSet::from_text(text, "/m"); });
        EXPECT_EQ(caught.code, 6);
        EXPECT_TRUE(caught.mentions("does not match its own checksum")) << caught.text;
    }
}

TEST(Manifest, OtherVersionIsNamedBeforeAnythingElse) {
    for (const char* version : {"3", "0"}) {
        const std::string text =
            replaced(example().to_text(), "\"schema_version\": 2", std::string("\"schema_version\": ") + version);
        const Caught caught = error_of([&] { DataSet::from_text(text, "/m"); });
        EXPECT_EQ(caught.code, 6);
        EXPECT_TRUE(caught.mentions(std::string("schema version ") + version)) << caught.text;
    }
    for (const char* nonsense : {"-1", "1.5", "\"1\"", "99999999999", "null"}) {
        const std::string text =
            replaced(example().to_text(), "\"schema_version\": 2", std::string("\"schema_version\": ") + nonsense);
        EXPECT_EQ(error_of([&] { DataSet::from_text(text, "/m"); }).code, 6) << nonsense;
    }
}

/// The set changed so, under a checksum that is right, is refused with these words.
void expect_refused(const std::function<void(DataSet&)>& change, const std::string& words) {
    DataSet set = example();
    change(set);
    const Caught caught = error_of([&] { DataSet::from_text(set.to_text(), "/m"); });
    EXPECT_EQ(caught.code, 6) << words;
    EXPECT_TRUE(caught.mentions("manifest '/m'") && caught.mentions(words)) << words << ": " << caught.text;
}

TEST(Manifest, NumbersThatContradictEachOtherAreRefusedUnderAGoodChecksum) {
    expect_refused([](DataSet& set) { set.format = {100, 95, 10}; }, "record shape");
    expect_refused([](DataSet& set) { set.format = {0, 0, 0}; }, "record shape");
    expect_refused([](DataSet& set) { set.files[1].bytes += 100; }, "200 bytes and 1 records");
    expect_refused([](DataSet& set) { set.files[1].bytes += 1; }, "101 bytes and 1 records");
    expect_refused([](DataSet& set) { ++set.total.sum; }, "add up to");
    expect_refused([](DataSet& set) { ++set.files[2].sum.sum; }, "add up to");
    expect_refused([](DataSet& set) { set.files.pop_back(); }, "add up to");
    expect_refused([](DataSet& set) { ++set.input_total.sum; }, "its input is said to be");
    expect_refused([](DataSet& set) { ++set.input_total.count; }, "its input is said to be");
    expect_refused([](DataSet& set) { set.files[0].disk = 2; }, "a disk that is not listed");
    expect_refused([](DataSet& set) { set.files[2].name = set.files[0].name; }, "listed twice");
    expect_refused([](DataSet& set) { std::swap(set.files[0], set.files[1]); }, "order of the partitions");
    expect_refused([](DataSet& set) { set.kind = SetKind::input; }, "order of the partitions");
    // Not verified: then a sum of zero is no sum, whatever the input's was.
    DataSet unverified = example();
    unverified.verified = false;
    ++unverified.input_total.sum;
    EXPECT_FALSE(DataSet::from_text(unverified.to_text(), "/m").verified);
}

TEST(Manifest, NamesThatLeadOutOfTheirDirectoryAreRefused) {
    for (const char* name : {"", ".", "..", "../part", "/etc/passwd", "a/b", "part-000001/"})
        expect_refused([&](DataSet& set) { set.files[1].name = name; }, "no name of a file");
    expect_refused([](DataSet& set) { set.files[1].name = std::string("a\0b", 3); }, "file 'a");
    expect_refused([](DataSet& set) { set.files[1].name = std::string(256, 'x'); }, "no name of a file");
}

/// As version 1 wrote it: a host and a path for each file.
std::string legacy_text(const std::vector<std::pair<std::string, std::string>>& files) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& [host, path] : files) {
        list.push_back(
            {{"host", host}, {"path", path}, {"bytes", 100}, {"records", 1}, {"checksum", "5"}, {"partition", -1}});
    }
    char sum[20];
    std::snprintf(sum, sizeof sum, "%zx", 5 * files.size());
    const nlohmann::json total = {{"records", files.size()}, {"checksum", sum}};
    const nlohmann::json body = {{"kind", "input"},
                                 {"run_id", "1"},
                                 {"created", ""},
                                 {"origin", "old"},
                                 {"verified", true},
                                 {"total", total},
                                 {"input_total", total},
                                 {"files", list},
                                 {"record", {{"size_bytes", 100}, {"key_offset_bytes", 0}, {"key_size_bytes", 10}}}};
    const std::string text = body.dump();
    const auto crc = record_crc(std::as_bytes(std::span(text)));
    return nlohmann::json{{"schema_version", 1}, {"manifest", body}, {"crc32", crc}}.dump();
}

TEST(Manifest, OfVersionOneKeepsWhereItsFilesMustLie) {
    const DataSet set = DataSet::from_text(legacy_text({{"h1", "/d/input/data-0"},
                                                        {"h1", "/e/input/data-1"},
                                                        {"h2", "/d/input/data-2"},
                                                        {"h1", "/d/input/data-3"}}),
                                           "/m");
    EXPECT_TRUE(set.is_legacy());
    ASSERT_EQ(set.disks.size(), 3u);
    EXPECT_EQ(set.disks[1].host, "h1");
    EXPECT_EQ(set.disks[1].directory, "/e/input");
    EXPECT_EQ(set.disks[2].host, "h2");
    EXPECT_EQ(set.files[3].disk, 0u);
    EXPECT_EQ(set.files[3].name, "data-3");
    for (const char* path : {"data", "d/data", "/data", "/d/..", "/d/"})
        EXPECT_EQ(error_of([&] { DataSet::from_text(legacy_text({{"h1", path}}), "/m"); }).code, 6) << path;
}

TEST(Manifest, TextsThatAreNoManifestAreRefused) {
    for (const std::string text : {"", "{}", "[]", "null", "7", "{\"schema_version\":2}", "\xff\xfe", "not json",
                                   "{\"schema_version\":2,\"crc32\":0,\"manifest\":7}"})
        EXPECT_EQ(error_of([&] { DataSet::from_text(text, "/m"); }).code, 6) << text;
    EXPECT_EQ(error_of([] { DataSet::from_text(std::string(100'000, '['), "/m"); }).code, 6) << "deep nesting";
}

TEST(Manifest, WhatIsLargerThanAnyIsDamagedAndCostsNoMemory) {
    std::string many = "[[]";
    while (many.size() < 9'000'000) many += ",[]";
    const Caught caught = error_of([&] { DataSet::from_text(many + "]", "/m"); });
    EXPECT_EQ(caught.code, 6);
    EXPECT_NE(caught.text.find("more than it can need"), std::string::npos) << caught.text;
    TempDirectory scratch;
    write_text_file(scratch / kManifestName, "{");
    std::filesystem::resize_file(scratch / kManifestName, kMostManifestBytes + 1);  // a hole
    const auto directory = make_real_file_system()->open_directory(scratch.path());
    EXPECT_EQ(error_of([&] { read_manifest_text(*directory); }).code, 6);
}

TEST(Manifest, NameThatIsNoTextIsRefusedWhenWritten) {
    DataSet set = example();
    set.files[1].name = "\xff";
    EXPECT_EQ(error_of([&] { set.to_text(); }).code, 2);
}

}  // namespace
}  // namespace sluice::testing
