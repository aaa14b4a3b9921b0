#include "net/copy_agreement.hpp"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <optional>
#include <thread>

namespace sluice {
namespace {

constexpr const char *kYes = "yes", *kNo = "no";

/// First word of a file that is either whole or not there.
std::optional<std::string> word_of(const std::string& path) {
    std::string word;
    if (std::ifstream(path) >> word) return word;
    return std::nullopt;
}

/// What the marks say so far; nothing: some are missing, and those that are there agree.
std::optional<bool> answer_of_marks(const std::string& mark, std::uint32_t ranks, const std::string& mine) {
    bool all = true;
    for (std::uint32_t rank = 0; rank < ranks; ++rank) {
        const auto word = word_of(mark + std::to_string(rank));
        if (word && (*word != mine || *word == kCopiesNothing)) return false;
        all = all && word.has_value();
    }
    return all ? std::optional(true) : std::nullopt;
}

/// The answer that counts: this one, or the one that another rank left before.
bool settle(const std::string& answer_path, const std::string& own_file, bool answer) {
    const std::string temporary = own_file + ".answer";
    std::ofstream(temporary) << (answer ? kYes : kNo) << '\n';
    [[maybe_unused]] const int linked = ::link(temporary.c_str(), answer_path.c_str());  // one of all succeeds
    ::unlink(temporary.c_str());
    return word_of(answer_path).value_or(kNo) == kYes;
}

}  // namespace

bool host_agrees_on_copies(const CopyMeeting& meeting, const std::string& mine, std::chrono::milliseconds patience) {
    const std::string prefix = meeting.directory + "/sluice-copies-" + meeting.job + "-", mark = prefix + "r";
    const std::string own = mark + std::to_string(meeting.local_rank), answer_path = prefix + "answer";
    const std::string temporary = own + ".tmp";
    if (!(std::ofstream(temporary) << mine << '\n' << std::flush)) return true;
    if (::rename(temporary.c_str(), own.c_str()) != 0) return true;
    const auto deadline = std::chrono::steady_clock::now() + patience;
    for (;;) {
        if (const auto answer = word_of(answer_path)) return *answer == kYes;
        if (const auto answer = answer_of_marks(mark, meeting.local_ranks, mine))
            return settle(answer_path, own, *answer);
        if (std::chrono::steady_clock::now() >= deadline) return settle(answer_path, own, false);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

}  // namespace sluice
