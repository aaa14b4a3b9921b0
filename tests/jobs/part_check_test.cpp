// What happens to a part between its last sum and its name is found out before it gets that.
#include "jobs/part_check.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "plan/one_rank_job.hpp"
#include "stages/stage_fixture.hpp"

namespace sluice::testing {
namespace {

namespace fs = std::filesystem;

class PartCheckTest : public ::testing::Test {
protected:
    PartCheckTest() {
        for (std::uint32_t part = 0; part < 40; ++part) {
            const auto records = random_records(part * 7, part);
            const std::string name = "part-" + std::to_string(part);
            here_.put(name, {reinterpret_cast<const char*>(records.data()), records.size()});
            WrittenFile file{here_.path(name), records.size(), {}};
            if (!records.empty()) file.last_key.assign(records.end() - 128, records.end() - 118);
            files_.push_back(file);
        }
    }
    Refusal check() {
        JobContext job = here_.job();
        AlignedMemory memory(4 * kLeastCheckBytes);
        return refusal_of([&] { check_written_files(job, kBlockFormat, files_, memory.all()); });
    }
    void put_byte(std::uint32_t part, std::uint64_t at) const {
        std::fstream file(files_[part].path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>(at));
        file.put('\x55');
    }
    OneRankJob here_;
    std::vector<WrittenFile> files_;
};

TEST_F(PartCheckTest, FindsNothingWhereNothingHappened) { EXPECT_EQ(check().text, ""); }

TEST_F(PartCheckTest, NamesThePartThatIsAnotherNow) {
    fs::resize_file(files_[31].path, files_[31].bytes - 128);
    const Refusal cut = check();
    EXPECT_TRUE(cut.code == 6 && cut.mentions("part-31'") && cut.mentions("27648 bytes where 27776")) << cut.text;
    fs::remove(files_[31].path);
    const Refusal gone = check();
    EXPECT_TRUE(gone.code == 6 && gone.mentions("part-31'")) << gone.text;
    fs::create_symlink(files_[30].path, files_[31].path);
    const Refusal link = check();
    EXPECT_TRUE(link.code == 6 && link.mentions("part-31'")) << link.text;
}

TEST_F(PartCheckTest, NamesThePartWhoseEndIsNotWhatWasWritten) {
    put_byte(33, files_[33].bytes - 128);
    const Refusal other = check();
    EXPECT_TRUE(other.code == 6 && other.mentions("part-33'") && other.mentions("does not end with the record"))
        << other.text;
}

}  // namespace
}  // namespace sluice::testing
