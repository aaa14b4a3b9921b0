// Any words, one a line, as a command line: understood, or refused with Error(config).
#include <vector>

#include "cli/command_line.hpp"
#include "fuzz.hpp"
#include "runtime/error.hpp"

namespace sluice {

void fuzz_one(std::string_view input) {
    std::vector<std::string> words = {"sluice"};
    while (!input.empty()) {
        const std::size_t end = std::min(input.find('\n'), input.size());
        const std::string word(input.substr(0, end));
        words.push_back(word.substr(0, word.find('\0')));  // as the kernel hands words over
        input.remove_prefix(std::min(end + 1, input.size()));
    }
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    try {
        const CommandLine line = parse_command_line(static_cast<int>(words.size()), argv.data());
        fuzz_check(!help_text(line.verb).empty());
    } catch (const Error& error) {
        fuzz_check(error.code() == Errc::config);
    }
}

}  // namespace sluice
