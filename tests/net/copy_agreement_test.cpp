#include "net/copy_agreement.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <future>
#include <vector>

namespace sluice {
namespace {

using namespace std::chrono_literals;

class CopyAgreement : public ::testing::Test {
protected:
    CopyAgreement() {
        char name[] = "/tmp/sluice-copies.XXXXXX";
        directory_ = ::mkdtemp(name);
    }
    ~CopyAgreement() override { std::filesystem::remove_all(directory_); }
    /// What each rank is answered when they come at once.
    std::vector<bool> answers(const std::vector<std::string>& said) {
        std::vector<std::future<bool>> ranks;
        for (std::uint32_t rank = 0; rank < said.size(); ++rank) {
            ranks.push_back(std::async(std::launch::async, [this, rank, &said] {
                const CopyMeeting meeting{directory_, "job", rank, static_cast<std::uint32_t>(said.size())};
                return host_agrees_on_copies(meeting, said[rank], 20s);
            }));
        }
        std::vector<bool> answers;
        for (auto& rank : ranks) answers.push_back(rank.get());
        return answers;
    }
    std::string directory_;
};

TEST_F(CopyAgreement, RanksOfOneNamespaceCopy) {
    EXPECT_EQ(answers({"user:[1]", "user:[1]", "user:[1]"}), (std::vector<bool>{true, true, true}));
}

TEST_F(CopyAgreement, OneOfAnotherNamespaceIsEnoughForNobodyTo) {
    EXPECT_EQ(answers({"user:[1]", "user:[1]", "user:[2]"}), (std::vector<bool>{false, false, false}));
}

TEST_F(CopyAgreement, OneThatMayNotIsEnoughForNobodyTo) {
    EXPECT_EQ(answers({kCopiesNothing, "user:[1]"}), (std::vector<bool>{false, false}));
}

TEST_F(CopyAgreement, WhoGivesUpWaitingAnswersForThoseThatComeLater) {
    EXPECT_FALSE(host_agrees_on_copies({directory_, "job", 0, 2}, "user:[1]", 10ms));
    EXPECT_FALSE(host_agrees_on_copies({directory_, "job", 1, 2}, "user:[1]", 10ms));
    EXPECT_TRUE(host_agrees_on_copies({directory_, "other", 0, 1}, "user:[1]", 10ms)) << "another job is not bound";
}

TEST_F(CopyAgreement, WithoutADirectoryNobodyWaits) {
    EXPECT_TRUE(host_agrees_on_copies({directory_ + "/gone", "job", 0, 2}, "user:[1]", 1h));
}

}  // namespace
}  // namespace sluice
