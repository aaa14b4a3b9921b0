#pragma once
/// The choices of config and command line, and the one table of words for each.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// The first word of a call.
enum class Verb : std::uint8_t { gen, sort, validate, shuffle, bench, config, clean, sysinfo };

enum class DiskRole : std::uint8_t { input, intermediate, output };
enum class DiskScope : std::uint8_t { host, shared };
enum class TransportKind : std::uint8_t { automatic, p2p, alltoallv, rma };
enum class Passes : std::uint8_t { two, one, automatic };
/// How the page cache is by-passed; `on` refuses file systems that cannot.
enum class DirectIo : std::uint8_t { on, attempt, off };
enum class IoBackendKind : std::uint8_t { libaio, sync };
enum class Polling : std::uint8_t { adaptive, spin };
enum class HugePages : std::uint8_t { automatic, on, off };
/// Where the borders of partitions come from: phase zero's sample, or the promise that keys are evenly spread.
enum class SplitterSource : std::uint8_t { sample, uniform };
enum class PlacementPolicy : std::uint8_t { automatic, none, explicit_cores };
/// Which speed of light is measured after a sort.
enum class LimitKind : std::uint8_t { none, copy, two_pass_copy };
enum class ProgressMode : std::uint8_t { automatic, line, none };
/// What becomes of a data set that has the name of the new one.
enum class Overwrite : std::uint8_t {
    no,     ///< it stays, and the run is refused
    yes,    ///< it stays until the new one is durable, then goes
    first,  ///< it goes before the new one is begun: for disks that cannot hold both
};
/// How a live run is told from a dead one.
enum class Locks : std::uint8_t {
    flock,   ///< by a lock on its owner record
    record,  ///< by a counter in it that moves, where the file system has no locks
};

/// A word of the config and what it stands for.
template <typename Enum>
struct Word {
    const char* text;
    Enum value;
};

// The words of a choice, in the order in which `config list` shows them. The argument only says which one.
std::span<const Word<Verb>> words_of(Verb) noexcept;
std::span<const Word<DiskRole>> words_of(DiskRole) noexcept;
std::span<const Word<DiskScope>> words_of(DiskScope) noexcept;
std::span<const Word<TransportKind>> words_of(TransportKind) noexcept;
std::span<const Word<Passes>> words_of(Passes) noexcept;
std::span<const Word<DirectIo>> words_of(DirectIo) noexcept;
std::span<const Word<IoBackendKind>> words_of(IoBackendKind) noexcept;
std::span<const Word<Polling>> words_of(Polling) noexcept;
std::span<const Word<HugePages>> words_of(HugePages) noexcept;
std::span<const Word<SplitterSource>> words_of(SplitterSource) noexcept;
std::span<const Word<PlacementPolicy>> words_of(PlacementPolicy) noexcept;
std::span<const Word<LimitKind>> words_of(LimitKind) noexcept;
std::span<const Word<ProgressMode>> words_of(ProgressMode) noexcept;
std::span<const Word<Overwrite>> words_of(Overwrite) noexcept;
std::span<const Word<Locks>> words_of(Locks) noexcept;

/// As in a config file.
template <typename Enum>
std::string word_of(Enum value) {
    for (const Word<Enum>& word : words_of(Enum{})) {
        if (word.value == value) return word.text;
    }
    return {};
}

template <typename Enum>
std::optional<Enum> parse_word(std::string_view text) noexcept {
    for (const Word<Enum>& word : words_of(Enum{})) {
        if (word.text == text) return word.value;
    }
    return std::nullopt;
}

/// All words, joined by |.
template <typename Enum>
std::string joined_words() {
    std::string joined;
    for (const Word<Enum>& word : words_of(Enum{})) joined += (joined.empty() ? "" : "|") + std::string(word.text);
    return joined;
}
template <typename Enum>
std::vector<std::string> word_list() {
    std::vector<std::string> words;
    for (const Word<Enum>& word : words_of(Enum{})) words.emplace_back(word.text);
    return words;
}

}  // namespace sluice
