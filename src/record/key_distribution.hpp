#pragma once
/// Generated data sets whose keys are not uniform, and whose records have any shape: for tests and benchmarks.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "record/generator.hpp"
#include "record/record_format.hpp"

namespace sluice {

/// How the keys of a data set are spread. What each kind means: docs/any-data.md.
struct KeyDistribution {
    enum class Kind {
        uniform,
        skewed,
        zipf,
        all_equal,
        all_same,
        few_distinct,
        sorted,
        reverse,
        nearly_sorted,
        drift,
        hot_range
    };
    Kind kind = Kind::uniform;
    double theta = 0;            ///< of zipf: record counts fall as rank^-theta; 0 .. 10, 0: equally often
    std::uint64_t distinct = 0;  ///< of few_distinct: how many keys there are; >= 1

    /// As `sluice gen --keys` takes it: "uniform", "zipf:0.99", "few-distinct:100".
    static std::optional<KeyDistribution> parse(std::string_view text);
    /// The text that parse() reads back.
    std::string text() const;
    bool operator==(const KeyDistribution&) const = default;
};

/// All kinds as parse() takes them, parameters as capital words: for help and messages.
std::vector<std::string> key_distribution_names();

/// A whole data set. Equal options make equal bytes, however the records are divided among generators.
struct GeneratedData {
    RecordFormat format;
    bool ascii = false;  ///< printable keys and records; of 100-byte records only
    KeyDistribution keys;
    std::uint64_t seed = 42;    ///< of everything that gensort does not determine
    Uint128 start = 0;          ///< gensort's number of the first record, wrapping at 2^128
    std::uint64_t records = 0;  ///< of the whole data set: sorted keys are spread over all of them

    /// What such a data set cannot have, with the numbers; empty: nothing.
    std::string problem() const;
};

/// Makes records first, first+1, ... of a data set; each is a pure function of the data set and its place in it.
/// 100-byte records are gensort's with the key overwritten (uniform and skewed: gensort's own, bit for bit); records
/// of other sizes are filled with seeded random bytes. One thread per instance; construction of zipf costs 50 ms and 8
/// MB, shared by copies. fill() allocates nothing.
class DataGenerator {
public:
    /// @param first  place of the first record in the data set, from 0. Copies `data`, which must have no problem()
    DataGenerator(const GeneratedData& data, std::uint64_t first);
    /// The same data set from another record on.
    DataGenerator from(std::uint64_t first) const;
    /// Fills `out`, whole records, and goes on where the last call ended.
    void fill(std::span<std::byte> out);

private:
    void make_payload(std::span<std::byte> out);
    std::uint64_t key_value(std::uint64_t place, Uint128 number);
    void put_key(std::byte* record, std::uint64_t value) const;
    void put_printable_key(std::byte* record, std::uint64_t value) const;

    GeneratedData data_;
    std::uint64_t next_;                // place in the data set
    RecordGenerator gensort_, skewed_;  // payload of 100-byte records; keys of skewed records of other shapes
    std::shared_ptr<const std::vector<std::uint64_t>> zipf_;  // by rank: cumulative probability * 2^64
    std::shared_ptr<const std::vector<std::byte>> same_;      // the one record of all_same
};

}  // namespace sluice
