// A peer for bench/peers/run.py: STXXL sorting gensort records, as its documentation suggests for large external sorts.
// stxxl_sort stream|inplace INPUT OUTPUT MEMORY_BYTES; STXXLCFG names its scratch disk. Not part of sluice.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include <stxxl/io>
#include <stxxl/sort>
#include <stxxl/stream>
#include <stxxl/vector>
#pragma GCC diagnostic pop

namespace {

struct Record {
    unsigned char bytes[100];
};

struct ByKey {
    bool operator()(const Record& a, const Record& b) const { return std::memcmp(a.bytes, b.bytes, 10) < 0; }
    Record min_value() const { return filled(0x00); }
    Record max_value() const { return filled(0xff); }

private:
    static Record filled(int value) {
        Record record;
        std::memset(&record, value, sizeof record);
        return record;
    }
};

// Whole records and whole 4,096-byte blocks, so that a vector's file is exactly the records: 4,096,000 bytes.
constexpr unsigned kBlockBytes = 4'096'000;
using Records = stxxl::VECTOR_GENERATOR<Record, 4, 8, kBlockBytes>::result;

void sort_stream(const std::string& input, const std::string& output, std::size_t memory_bytes) {
    stxxl::linuxaio_file in(input, stxxl::file::RDONLY | stxxl::file::DIRECT);
    const stxxl::uint64 count = in.size() / sizeof(Record);
    stxxl::linuxaio_file out(output, stxxl::file::RDWR | stxxl::file::CREAT | stxxl::file::DIRECT);
    const Records source(&in, count);
    auto stream = stxxl::stream::streamify(source.begin(), source.end());
    using Creator = stxxl::stream::runs_creator<decltype(stream), ByKey, kBlockBytes, stxxl::RC>;
    Creator creator(stream, ByKey(), memory_bytes);
    stxxl::stream::runs_merger<Creator::sorted_runs_type, ByKey, stxxl::RC> merger(creator.result(), ByKey(),
                                                                                   memory_bytes);
    Records target(&out, count);
    stxxl::stream::materialize(merger, target.begin(), target.end());
}

/// Sorts a copy that the caller made: the vector's own file is read, written, and written again as runs elsewhere.
void sort_inplace(const std::string& file, std::size_t memory_bytes) {
    stxxl::linuxaio_file both(file, stxxl::file::RDWR | stxxl::file::DIRECT);
    Records records(&both, both.size() / sizeof(Record));
    stxxl::sort(records.begin(), records.end(), ByKey(), memory_bytes);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) {
        std::cerr << "usage: stxxl_sort stream|inplace INPUT OUTPUT MEMORY_BYTES (inplace sorts INPUT itself)\n";
        return 2;
    }
    const std::size_t memory_bytes = std::strtoull(argv[4], nullptr, 10);
    try {
        if (std::string(argv[1]) == "stream") {
            sort_stream(argv[2], argv[3], memory_bytes);
        } else {
            sort_inplace(argv[2], memory_bytes);
        }
    } catch (const std::exception& error) {
        std::cerr << "stxxl_sort: " << error.what() << "\n";
        return 1;
    }
    return 0;
}
