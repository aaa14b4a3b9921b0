// Without libFuzzer: every file of the corpus, and damage to it by a fixed seed. `replay CORPUS_FOLDER [MUTATIONS]`
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "fuzz.hpp"
#include "runtime/rng.hpp"

namespace {

std::string damaged(std::string text, sluice::Rng& rng, const std::vector<std::string>& corpus) {
    for (std::uint64_t left = 1 + rng.below(4); left > 0; --left) {
        const std::size_t at = rng.below(text.size() + 1);
        const std::string& other = corpus[rng.below(corpus.size())];
        switch (rng.below(5)) {
            case 0:
                if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << rng.below(8)));
                break;
            case 1:
                text.erase(at, 1 + rng.below(16));
                break;
            case 2:
                text.insert(at, other.substr(rng.below(other.size() + 1), rng.below(64)));
                break;
            case 3:
                text.insert(at, rng.below(40), "[{.\"0-9\\\n"[rng.below(9)]);
                break;
            default:
                text.resize(at);
        }
    }
    return text;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return 2;
    std::vector<std::string> corpus;
    for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
        std::ifstream file(entry.path(), std::ios::binary);
        corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
    if (corpus.empty()) return 2;
    const unsigned long mutations = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 20'000;
    for (const std::string& text : corpus) sluice::fuzz_one(text);
    sluice::Rng rng(7);
    for (unsigned long i = 0; i < mutations; ++i) sluice::fuzz_one(damaged(corpus[i % corpus.size()], rng, corpus));
    std::printf("%zu files, %lu damaged ones\n", corpus.size(), mutations);
    return 0;
}
