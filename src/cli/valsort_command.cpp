#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cli/gensort_command.hpp"
#include "record/record_checker.hpp"
#include "record/uint128_text.hpp"
#include "record/valsort_summary.hpp"
#include "runtime/error.hpp"
#include "runtime/on_threads.hpp"

namespace sluice {
namespace {

constexpr std::size_t kRecord = 100;
constexpr const char* kUsage =
    "usage: valsort [-q] [-i] [-tN] [-o SUMMARY_FILE] FILE_NAME\n"
    "       valsort -s [-q] [-i] [-o SUMMARY_FILE] SUMMARY_FILES_CONCATENATED\n"
    "  -q   only error messages\n"
    "  -i   ignore the case of letters in the ten key bytes (and in nothing else)\n"
    "  -o   write a 280-byte summary of the records, for -s\n"
    "  -s   the file holds such summaries, in the order of the partitions\n"
    "  -tN  threads; 0 or absent: one per CPU\n"
    "example: valsort -o part0.sum part0; cat part*.sum > all.sum; valsort -s all.sum\n";

struct Arguments {
    bool quiet = false, summaries = false;
    KeyOrder order = KeyOrder::bytes;
    unsigned threads = 0;
    std::vector<std::string> outputs;
    std::string file;
};

/// A message that ends the program, to be printed as it is; its exit code is 1.
struct Refusal {
    std::string message;
};

std::optional<Arguments> parse(int argc, char** argv) {
    Arguments arguments;
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; ++at) {
        switch (argv[at][1]) {
            case 'q':
                arguments.quiet = true;
                break;
            case 'i':
                arguments.order = KeyOrder::ignore_case;
                break;
            case 's':
                arguments.summaries = true;
                break;
            case 't':
                arguments.threads = static_cast<unsigned>(std::min(1024ul, std::strtoul(argv[at] + 2, nullptr, 10)));
                break;
            case 'o':
                if (at + 2 >= argc || argv[at + 1][0] == '-') return std::nullopt;
                arguments.outputs.push_back(argv[++at]);
                break;
            default:
                return std::nullopt;
        }
    }
    if (argc - at != 1) return std::nullopt;
    arguments.file = argv[at];
    if (arguments.threads == 0) arguments.threads = std::max(1u, std::thread::hardware_concurrency());
    return arguments;
}

[[noreturn]] void refuse(const std::string& file, int error) { throw Refusal{file + ": " + std::strerror(error)}; }

void create_outputs(const Arguments& arguments) {
    for (const std::string& output : arguments.outputs) {
        const int fd = ::open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (fd < 0) refuse(output, errno);
        ::close(fd);
    }
}

std::size_t block_bytes() {
    const char* tiny =
        std::getenv("SLUICE_TEST_VALSORT_BLOCK_RECORDS");  // so that tests can put block borders anywhere
    return tiny != nullptr ? std::max<std::size_t>(1, std::strtoul(tiny, nullptr, 10)) * kRecord : 10240 * kRecord;
}

/// Fills `memory` from the file, or less at its end.
std::size_t read_full(int fd, std::span<std::byte> memory, std::optional<std::uint64_t> offset,
                      const std::string& file) {
    std::size_t got = 0;
    while (got < memory.size()) {
        const ssize_t n = offset
                              ? ::pread(fd, memory.data() + got, memory.size() - got, static_cast<off_t>(*offset + got))
                              : ::read(fd, memory.data() + got, memory.size() - got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) refuse(file, errno);
        if (n == 0) break;
        got += static_cast<std::size_t>(n);
    }
    return got;
}

/// A regular file: each thread checks a range of it, the ranges' summaries combine.
SortSummary check_ranges(const Arguments& arguments, int fd, std::uint64_t size) {
    const std::uint64_t records = size / kRecord, workers = std::clamp<std::uint64_t>(records, 1, arguments.threads);
    std::vector<SortSummary> parts(workers);
    std::vector<std::optional<Refusal>> refused(workers);
    const auto work = [&](std::uint64_t worker) {
        try {
            std::vector<std::byte> block(block_bytes());
            RecordChecker checker(kGensortFormat, arguments.order);
            const std::uint64_t end = records * (worker + 1) / workers * kRecord;
            for (std::uint64_t at = records * worker / workers * kRecord; at < end;) {
                const auto piece = std::span(block).first(std::min<std::uint64_t>(block.size(), end - at));
                if (read_full(fd, piece, at, arguments.file) != piece.size())
                    throw Refusal{"partial record found at end"};
                checker.feed(piece);
                at += piece.size();
            }
            parts[worker] = checker.summary();
        } catch (const Refusal& refusal) {
            refused[worker] = refusal;
        }
    };
    on_threads(workers, work);
    SortSummary total;
    for (std::uint64_t worker = 0; worker < workers; ++worker) {
        if (refused[worker]) throw *refused[worker];
        combine(total, parts[worker], kGensortFormat, arguments.order);
    }
    return total;
}

/// A pipe: in one go.
SortSummary check_stream(const Arguments& arguments, int fd) {
    std::vector<std::byte> block(block_bytes());
    RecordChecker checker(kGensortFormat, arguments.order);
    for (;;) {
        const std::size_t got = read_full(fd, block, std::nullopt, arguments.file);
        if (got % kRecord != 0) throw Refusal{"partial record found at end"};
        checker.feed(std::span(block).first(got));
        if (got < block.size()) return checker.summary();
    }
}

SortSummary combine_summaries(const Arguments& arguments, int fd) {
    SortSummary total;
    std::array<std::byte, kSummaryBytes> bytes;
    for (;;) {
        const std::size_t got = read_full(fd, bytes, std::nullopt, arguments.file);
        if (got == 0) return total;
        if (got != bytes.size()) throw Refusal{"partial partition summary found at end"};
        combine(total, decode_summary(bytes), kGensortFormat, arguments.order);
    }
}

SortSummary check(const Arguments& arguments) {
    const int fd = ::open(arguments.file.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat info {};
    if (fd < 0 || ::fstat(fd, &info) != 0) refuse(arguments.file, errno);
    SortSummary total;
    if (arguments.summaries) {
        total = combine_summaries(arguments, fd);
    } else if (S_ISREG(info.st_mode)) {
        if (info.st_size % static_cast<off_t>(kRecord) != 0) throw Refusal{"partial record found at end"};
        total = check_ranges(arguments, fd, static_cast<std::uint64_t>(info.st_size));
    } else {
        total = check_stream(arguments, fd);
    }
    ::close(fd);
    if (total.empty()) throw Refusal{"there must be at least one record to be validated"};
    return total;
}

void write_summary(const std::string& path, const SortSummary& summary) {
    const auto bytes = encode_summary(summary);
    std::FILE* file = std::fopen(path.c_str(), "wb");
    if (file == nullptr) refuse(path, errno);
    const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
    if (std::fclose(file) != 0 || !written) refuse(path, errno);
}

void print(const SortSummary& total) {
    if (total.unordered != 0)
        std::fprintf(stderr, "First unordered record is record %s\n", to_decimal(total.first_unordered).c_str());
    std::fprintf(stderr, "Records: %s\nChecksum: %s\n", to_decimal(total.count).c_str(), to_hex(total.sum.sum).c_str());
    if (total.unordered == 0) {
        std::fprintf(stderr, "Duplicate keys: %s\nSUCCESS - all records are in order\n",
                     to_decimal(total.duplicate_keys).c_str());
    } else {
        std::fprintf(stderr, "ERROR - there are %s unordered records\n", to_decimal(total.unordered).c_str());
    }
}

}  // namespace

int valsort_main(int argc, char** argv) {
    const auto arguments = parse(argc, argv);
    if (!arguments) {
        std::fputs(kUsage, stderr);
        return 1;
    }
    try {
        create_outputs(*arguments);
        const SortSummary total = check(*arguments);
        if (!arguments->quiet) print(total);
        if (std::fflush(stderr) != 0 || std::ferror(stderr) != 0) return 1;  // nobody could see the verdict
        if (!arguments->outputs.empty()) write_summary(arguments->outputs.back(), total);
        return total.unordered == 0 ? 0 : 1;
    } catch (const Refusal& refusal) {
        std::fprintf(stderr, "%s\n", refusal.message.c_str());
        return 1;
    }
}

}  // namespace sluice
