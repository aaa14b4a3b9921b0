#include "cli/gensort_command.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "record/generator.hpp"
#include "record/uint128_text.hpp"
#include "runtime/on_threads.hpp"

namespace sluice {
namespace {

constexpr const char* kUsage =
    "usage: gensort [-a] [-c] [-bSTARTING_REC_NUM] [-s] [-tN] NUM_RECS FILE_NAME\n"
    "  -a   ASCII records with CR LF at the end, instead of binary ones\n"
    "  -c   print the sum of the records' CRC-32 checksums to stderr\n"
    "  -bN  number of the first record, decimal, up to 2^128-1; default 0\n"
    "  -s   skewed keys\n"
    "  -tN  threads; 0 or absent: one per CPU\n"
    "FILE_NAME /dev/null: generate, but write nothing.\n"
    "example: gensort -c -b1000 1000000 part1.dat\n";

struct Arguments {
    GeneratorOptions options;
    bool checksum = false;
    Uint128 start = 0;
    std::uint64_t records = 0;
    unsigned threads = 0;
    std::string file;
};

std::optional<Arguments> parse(int argc, char** argv) {
    Arguments arguments;
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; ++at) {
        const char* rest = argv[at][0] != '\0' && argv[at][1] != '\0' ? argv[at] + 2 : "";
        switch (argv[at][1]) {
            case 'a':
                arguments.options.ascii = true;
                break;
            case 's':
                arguments.options.skewed = true;
                break;
            case 'c':
                arguments.checksum = true;
                break;
            case 'b':
            case 't': {
                const auto number = parse_decimal(rest);
                if (!number && !(argv[at][1] == 't' && *rest == '\0')) return std::nullopt;
                if (argv[at][1] == 'b') {
                    arguments.start = *number;
                } else {
                    arguments.threads = number ? static_cast<unsigned>(std::min<Uint128>(*number, 1024)) : 0;
                }
                break;
            }
            default:
                return std::nullopt;
        }
    }
    if (argc - at != 2) return std::nullopt;
    const auto records = parse_decimal(argv[at]);
    if (!records) return std::nullopt;
    arguments.records = static_cast<std::uint64_t>(*records);
    arguments.file = argv[at + 1];
    if (arguments.threads == 0) arguments.threads = std::max(1u, std::thread::hardware_concurrency());
    return arguments;
}

/// Threads make blocks of records and write each at its place; a pipe gets them in turn.
class Generation {
public:
    Generation(const Arguments& arguments, int fd, bool seekable)
        : arguments_(arguments), fd_(fd), seekable_(seekable) {}
    /// 0 or the errno of the write that failed.
    int run() {
        const unsigned workers = seekable_ || fd_ < 0 ? arguments_.threads : 1;
        on_threads(workers, [this](std::uint64_t) { work(); });
        return error_;
    }
    Uint128 checksum() const { return total_.sum; }

private:
    static constexpr std::uint64_t kBlockRecords = 10240;  // 1 MB
    void work() {
        std::vector<std::byte> block(kBlockRecords * kGensortRecordBytes);
        RecordSum sum;
        while (error_ == 0) {
            const std::uint64_t first = next_.fetch_add(kBlockRecords);
            if (first >= arguments_.records) break;
            const auto bytes =
                std::span(block).first(std::min(kBlockRecords, arguments_.records - first) * kGensortRecordBytes);
            RecordGenerator generator(arguments_.options, arguments_.start + first);
            if (arguments_.checksum) {
                sum += generator.fill_summed(bytes);
            } else {
                generator.fill(bytes);
            }
            if (fd_ >= 0) write_all(bytes, first * kGensortRecordBytes);
        }
        const std::lock_guard lock(mutex_);
        total_ += sum;
    }
    void write_all(std::span<const std::byte> bytes, std::uint64_t offset) {
        while (!bytes.empty()) {
            const ssize_t put = seekable_ ? ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset))
                                          : ::write(fd_, bytes.data(), bytes.size());
            if (put < 0 && errno == EINTR) continue;
            if (put <= 0) {
                error_ = put < 0 ? errno : EIO;
                return;
            }
            bytes = bytes.subspan(static_cast<std::size_t>(put));
            offset += static_cast<std::uint64_t>(put);
        }
    }

    const Arguments& arguments_;
    int fd_;
    bool seekable_;
    std::atomic<std::uint64_t> next_{0};
    std::atomic<int> error_{0};
    std::mutex mutex_;
    RecordSum total_;
};

}  // namespace

int gensort_main(int argc, char** argv) {
    const auto arguments = parse(argc, argv);
    if (!arguments) {
        std::fputs(kUsage, stderr);
        return 1;
    }
    Uint128 checksum = 0;
    if (arguments->file == "/dev/null") {
        if (arguments->checksum)
            checksum = expected_sum(arguments->options, arguments->start, arguments->records, arguments->threads).sum;
    } else {
        const int fd = ::open(arguments->file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        struct stat info {};
        if (fd < 0 || ::fstat(fd, &info) != 0) {
            std::fprintf(stderr, "%s: %s\n", arguments->file.c_str(), std::strerror(errno));
            return 1;
        }
        Generation generation(*arguments, fd, S_ISREG(info.st_mode));
        int error = generation.run();
        if (::close(fd) != 0 && error == 0) error = errno;
        if (error != 0) {
            std::fprintf(stderr, "%s: %s\n", arguments->file.c_str(), std::strerror(error));
            return 1;
        }
        checksum = generation.checksum();
    }
    if (arguments->checksum) std::fprintf(stderr, "%s\n", to_hex(checksum).c_str());
    return std::fflush(stderr) == 0 && std::ferror(stderr) == 0 ? 0 : 1;  // nobody could see the sum
}

}  // namespace sluice
