#include "io/data_set.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "io/io_fixture.hpp"
#include "runtime/rng.hpp"

namespace sluice::testing {
namespace {

DataSet example() {
    DataSet set;
    set.kind = "sorted";
    set.run_id = "7f3a";
    set.created = "2030-01-02T03:04:05Z";
    set.origin = "sluice sort of gensort binary, \"quoted\" \xc3\xa4";
    set.format = {100, 0, 10};
    for (int i = 0; i < 3; ++i) {
        const auto n = static_cast<std::uint64_t>(i);
        set.files.push_back({"node" + std::to_string(i),
                             "/disk/out/part-00000" + std::to_string(i),
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
    ASSERT_EQ(back.files.size(), 3u);
    EXPECT_EQ(back.files[2].host, "node2");
    EXPECT_EQ(back.files[2].path, "/disk/out/part-000002");
    EXPECT_EQ(back.files[2].bytes, 200u);
    EXPECT_EQ(back.files[2].sum, set.files[2].sum);
    EXPECT_EQ(back.files[2].partition, 2);
    DataSet empty;
    empty.kind = "input";
    EXPECT_TRUE(DataSet::from_text(empty.to_text(), "/m").files.empty());
}

TEST(Manifest, SumsBeyond64BitsAndLargeSizesSurvive) {
    DataSet set = example();
    set.files[0].bytes = std::uint64_t{1} << 63;
    set.total.sum = ~Uint128{0};
    const DataSet back = DataSet::from_text(set.to_text(), "/m");
    EXPECT_EQ(back.files[0].bytes, std::uint64_t{1} << 63);
    EXPECT_EQ(back.total.sum, ~Uint128{0});
}

TEST(Manifest, EveryCutIsRefusedAsInput) {
    const std::string text = example().to_text();
    for (std::size_t length = 0; length + 1 < text.size(); ++length) {  // the last byte is the line end
        const Caught caught = error_of([&] { DataSet::from_text(text.substr(0, length), "/disk/MANIFEST.json"); });
        EXPECT_EQ(caught.code, 4) << "cut to " << length;
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
            EXPECT_EQ(error.exit_code(), 4) << error.what();
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
        EXPECT_EQ(caught.code, 4);
        EXPECT_TRUE(caught.mentions("does not match its own checksum")) << caught.text;
    }
}

TEST(Manifest, OtherVersionIsNamedBeforeAnythingElse) {
    for (const char* version : {"2", "0"}) {
        const std::string text =
            replaced(example().to_text(), "\"schema_version\": 1", std::string("\"schema_version\": ") + version);
        const Caught caught = error_of([&] { DataSet::from_text(text, "/m"); });
        EXPECT_EQ(caught.code, 4);
        EXPECT_TRUE(caught.mentions(std::string("schema version ") + version)) << caught.text;
    }
    for (const char* nonsense : {"-1", "1.5", "\"1\"", "99999999999", "null"}) {
        const std::string text =
            replaced(example().to_text(), "\"schema_version\": 1", std::string("\"schema_version\": ") + nonsense);
        EXPECT_EQ(error_of([&] { DataSet::from_text(text, "/m"); }).code, 4) << nonsense;
    }
}

TEST(Manifest, ImpossibleContentUnderAGoodChecksumIsRefused) {
    DataSet set = example();
    set.kind = "other";
    EXPECT_EQ(error_of([&] { DataSet::from_text(set.to_text(), "/m"); }).code, 4);
    set = example();
    set.format = {100, 95, 10};
    EXPECT_EQ(error_of([&] { DataSet::from_text(set.to_text(), "/m"); }).code, 4);
    set.format = {0, 0, 0};
    const Caught caught = error_of([&] { DataSet::from_text(set.to_text(), "/m"); });
    EXPECT_EQ(caught.code, 4);
    EXPECT_TRUE(caught.mentions("manifest '/m'")) << caught.text;
}

TEST(Manifest, TextsThatAreNoManifestAreRefused) {
    for (const std::string text : {"", "{}", "[]", "null", "7", "{\"schema_version\":1}", "\xff\xfe", "not json",
                                   "{\"schema_version\":1,\"crc32\":0,\"manifest\":7}"})
        EXPECT_EQ(error_of([&] { DataSet::from_text(text, "/m"); }).code, 4) << text;
    EXPECT_EQ(error_of([] { DataSet::from_text(std::string(100'000, '['), "/m"); }).code, 4) << "deep nesting";
}

TEST(Manifest, NameThatIsNoTextIsRefusedWhenWritten) {
    DataSet set = example();
    set.files[1].path = "/disk/\xff";
    EXPECT_EQ(error_of([&] { set.to_text(); }).code, 2);
}

// ---------------------------------------------------------------------------------------------------------- slices

using Ranges = std::vector<std::pair<std::uint64_t, std::uint64_t>>;  // offset, bytes

/// Each byte of each file exactly once, by counting: the ranges of a file, sorted, must adjoin from 0 to its end.
void expect_exact_cover(const std::vector<DataFile>& files, const std::vector<InputSlice>& slices) {
    std::uint64_t bytes = 0;
    for (const DataFile& file : files) {
        Ranges ranges;
        for (const InputSlice& slice : slices) {
            if (slice.path == file.path) ranges.emplace_back(slice.offset, slice.bytes);
        }
        std::sort(ranges.begin(), ranges.end());
        std::uint64_t end = 0;
        for (const auto& [offset, length] : ranges) {
            EXPECT_EQ(offset, end) << file.path;
            EXPECT_GT(length, 0u);
            end = offset + length;
        }
        EXPECT_EQ(end, file.bytes) << file.path;
        bytes += file.bytes;
    }
    std::uint64_t sliced = 0;
    for (const InputSlice& slice : slices) sliced += slice.bytes;
    EXPECT_EQ(sliced, bytes);
}

std::vector<DataFile> random_files(Rng& rng, std::uint64_t record_bytes) {
    std::vector<DataFile> files;
    for (std::uint64_t count = 1 + rng.below(6); count > 0; --count) {
        const std::uint64_t records = rng.below(4) == 0 ? rng.below(3) : rng.below(20'000);
        files.push_back({"host", "/disk/" + std::to_string(count), records * record_bytes, {}, -1});
    }
    return files;
}

TEST(InputSlices, CoverEveryByteOnceInAlignedWholeRecords) {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        Rng rng(seed);
        const RecordFormat format{std::vector<std::uint32_t>{100, 128, 4096, 1000}[rng.below(4)], 0, 10};
        const std::uint64_t unit = format.aligned_unit_bytes();
        const auto files = random_files(rng, format.record_bytes);
        const auto ranks = static_cast<std::uint32_t>(1 + rng.below(17));
        std::vector<InputSlice> all;
        std::vector<std::uint64_t> units_of_rank;
        for (std::uint32_t rank = 0; rank < ranks; ++rank) {
            const auto slices = slice_for_rank(files, rank, ranks, unit);
            std::uint64_t units = 0;
            for (const InputSlice& slice : slices) {
                EXPECT_EQ(slice.offset % unit, 0u);
                EXPECT_EQ(slice.offset % kDirectIoAlign, 0u);
                EXPECT_EQ(slice.bytes % format.record_bytes, 0u);
                units += (slice.bytes + unit - 1) / unit;
            }
            units_of_rank.push_back(units);
            const auto turned = rotate(slices, rank, ranks, unit);
            for (const InputSlice& slice : turned) {
                EXPECT_EQ(slice.offset % unit, 0u);
                EXPECT_EQ(slice.bytes % format.record_bytes, 0u);
            }
            all.insert(all.end(), turned.begin(), turned.end());
        }
        expect_exact_cover(files, all);
        const auto [least, most] = std::minmax_element(units_of_rank.begin(), units_of_rank.end());
        EXPECT_LE(*most - *least, 1u) << "as even as whole units allow";
    }
}

TEST(InputSlices, RankStartsAtItsShareOfItsInputAndWraps) {
    const std::uint64_t unit = 102'400;
    const std::vector<InputSlice> slices{{"/a", 0, 10 * unit}, {"/b", 4 * unit, 10 * unit}};
    const auto none = rotate(slices, 0, 4, unit);
    ASSERT_EQ(none.size(), 2u);
    EXPECT_EQ(none[0].path, "/a");
    EXPECT_EQ(none[0].bytes, 10 * unit);
    const auto three_quarters = rotate(slices, 3, 4, unit);  // 15 units in: five of /b left
    ASSERT_EQ(three_quarters.size(), 3u);
    EXPECT_EQ(three_quarters[0].path, "/b");
    EXPECT_EQ(three_quarters[0].offset, 9 * unit);
    EXPECT_EQ(three_quarters[0].bytes, 5 * unit);
    EXPECT_EQ(three_quarters[1].path, "/a");
    EXPECT_EQ(three_quarters[2].path, "/b");
    EXPECT_EQ(three_quarters[2].offset, 4 * unit);
    EXPECT_EQ(three_quarters[2].bytes, 5 * unit);
    EXPECT_TRUE(rotate({}, 1, 2, unit).empty());
}

TEST(InputSlices, RotationIsExactForSizesBeyondWhatADoubleHolds) {
    const std::uint64_t unit = 4096, units = (std::uint64_t{1} << 51) + 5;  // 8 EiB and a bit
    const auto turned = rotate({{"/a", 0, units * unit}}, 1, 5, unit);
    ASSERT_EQ(turned.size(), 2u);
    EXPECT_EQ(turned[0].offset, units / 5 * unit);
    EXPECT_EQ(turned[0].bytes + turned[1].bytes, units * unit);
}

// ----------------------------------------------------------------------------------------------------- input files

class InputFiles : public ::testing::Test {
protected:
    /// Checks the named files, as a glob would list them.
    std::vector<std::string> check(const std::vector<std::string>& names, bool allow_duplicates = false) {
        std::vector<DataFile> list;
        for (const std::string& name : names) {
            const auto info = files_->info(directory_ / name);
            list.push_back({"host", directory_ / name, info ? info->size_bytes : 0, {}, -1});
        }
        return check_input_files(*files_, list, 100, allow_duplicates);
    }
    void expect_one(const std::vector<std::string>& problems, const std::string& code, const std::string& what) {
        ASSERT_EQ(problems.size(), 1u);
        EXPECT_EQ(problems[0].rfind("[" + code + "] ", 0), 0u) << problems[0];
        EXPECT_NE(problems[0].find(what), std::string::npos) << problems[0];
    }
    TempDirectory directory_;
    std::unique_ptr<FileSystem> files_ = make_real_file_system();
};

TEST_F(InputFiles, WholeRecordsAndEmptyFilesAreFine) {
    write_pattern_file(directory_ / "a", 1000);
    write_pattern_file(directory_ / "empty", 0);
    EXPECT_TRUE(check({"a", "empty"}).empty());
}

TEST_F(InputFiles, TornRecordNamesFileSizeRemainderAndOffset) {  // F1
    for (std::uint64_t extra = 1; extra < 100; ++extra) {
        write_pattern_file(directory_ / "torn", 300 + extra);
        expect_one(check({"torn"}), "4",
                   (directory_ / "torn") + "': " + std::to_string(300 + extra) +
                       " bytes is no multiple of the record size 100: " + std::to_string(extra) +
                       " bytes of a torn record at offset 300");
    }
}

TEST_F(InputFiles, WhatIsNoRegularFileIsRefused) {  // F11
    std::filesystem::create_directory(directory_ / "directory");
    ASSERT_EQ(::mkfifo((directory_ / "fifo").c_str(), 0600), 0);
    std::filesystem::create_symlink("/dev/null", directory_ / "device");
    for (const char* name : {"directory", "fifo", "device"}) expect_one(check({name}), "4", "no regular file");
    std::filesystem::create_symlink(directory_ / "none", directory_ / "dangling");
    std::filesystem::create_symlink(directory_ / "circle", directory_ / "circle");
    for (const char* name : {"none", "dangling", "circle"}) expect_one(check({name}), "4", "not there");
}

/// Root may read anything, so it steps down for a moment.
class AsNobody {
public:
    AsNobody() : was_root_(::geteuid() == 0 && ::seteuid(65534) == 0) {}
    ~AsNobody() {
        if (was_root_ && ::seteuid(0) != 0) std::abort();
    }
    AsNobody(const AsNobody&) = delete;

private:
    bool was_root_;
};

TEST_F(InputFiles, UnreadableFileAndUnsearchableDirectoryAreRefused) {  // F11
    namespace fs = std::filesystem;
    fs::permissions(directory_.path(), fs::perms::owner_all | fs::perms::others_read | fs::perms::others_exec);
    fs::create_directory(directory_ / "closed");
    for (const char* name : {"secret", "closed/file"}) write_pattern_file(directory_ / name, 100);
    fs::permissions(directory_ / "secret", fs::perms::none);
    fs::permissions(directory_ / "closed", fs::perms::none);
    {
        const AsNobody nobody;
        for (const char* name : {"secret", "closed/file"}) {
            const std::vector<DataFile> list{{"host", directory_ / name, 100, {}, -1}};
            expect_one(check_input_files(*files_, list, 100, false), "4", directory_ / name);
        }
    }
    fs::permissions(directory_ / "closed", fs::perms::owner_all);
}

TEST_F(InputFiles, SameFileTwiceIsRefusedUnlessAllowed) {  // F12
    write_pattern_file(directory_ / "a", 1000);
    std::filesystem::create_hard_link(directory_ / "a", directory_ / "hard");
    std::filesystem::create_symlink(directory_ / "a", directory_ / "soft");
    for (const char* other : {"a", "hard", "soft"}) {
        expect_one(check({"a", other}), "2", "is the same file as '" + (directory_ / "a") + "'");
        EXPECT_TRUE(check({"a", other}, true).empty());
    }
}

TEST_F(InputFiles, SizeOtherThanTheManifestSaysIsRefused) {
    write_pattern_file(directory_ / "a", 1000);
    expect_one(check_input_files(*files_, {{"host", directory_ / "a", 900, {}, -1}}, 100, false), "4",
               "has 1000 bytes, its manifest says 900");
}

TEST_F(InputFiles, AllProblemsAreListedAtOnce) {
    write_pattern_file(directory_ / "torn", 150);
    write_pattern_file(directory_ / "good", 200);
    std::filesystem::create_directory(directory_ / "directory");
    EXPECT_EQ(check({"torn", "good", "none", "directory", "good"}).size(), 4u);
}

TEST_F(InputFiles, PathThatNoSystemTakesIsAProblemNotACrash) {  // F30
    const std::string path = directory_ / std::string(5000, 'x');
    const auto problems = check_input_files(*files_, {{"host", path, 0, {}, -1}}, 100, false);
    expect_one(problems, "4", "File name too long");
}

}  // namespace
}  // namespace sluice::testing
