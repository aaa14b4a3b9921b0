#include "io/direct_io.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/stat.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>

#include "record/record_format.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

constexpr std::uint64_t kXfsMagic = 0x58465342;   // not in linux/magic.h of older kernels
constexpr std::uint32_t kStatxDirectIo = 0x2000;  // STATX_DIOALIGN, Linux 6.1
constexpr long kCachestat = 451;                  // Linux 6.5
constexpr std::uint64_t kTrialBytes = 16 * kDirectIoAlign;

class Closing {
public:
    explicit Closing(int fd) : fd_(fd) {}
    ~Closing() {
        if (fd_ >= 0) ::close(fd_);
    }
    Closing(const Closing&) = delete;
    int get() const noexcept { return fd_; }

private:
    int fd_;
};

/// stx_dio_mem_align and stx_dio_offset_align lie behind stx_mnt_id; headers of older systems do not name them.
struct StatxDirectIo {
    std::uint32_t mask, before[37], memory_align, offset_align, behind[24];
};
static_assert(sizeof(StatxDirectIo) == 256);

/// nullopt: the kernel, or this file system, says nothing.
std::optional<std::uint32_t> alignment_by_statx(int fd) {
    StatxDirectIo said{};
    if (::syscall(SYS_statx, fd, "", AT_EMPTY_PATH, kStatxDirectIo, &said) != 0) return std::nullopt;
    if ((said.mask & kStatxDirectIo) == 0) return std::nullopt;
    return std::max(said.offset_align, said.memory_align);
}

std::uint64_t magic_of(int fd) {
    struct statfs where {};
    return ::fstatfs(fd, &where) == 0 ? static_cast<std::uint64_t>(where.f_type) & 0xFFFFFFFF : 0;
}

bool has_no_checksums(int fd) {
    int flags = 0;
    return ::ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_NOCOW_FL) != 0;
}

DirectIoProof cached(std::string because) { return {0, std::move(because)}; }

/// Where statx is silent. @param magic  of the file system, or of the layer that holds the data
DirectIoProof by_name(int fd, std::uint64_t magic) {
    switch (magic) {
        case TMPFS_MAGIC:
        case RAMFS_MAGIC:
            return cached("tmpfs is memory");
        case EXT4_SUPER_MAGIC:
        case kXfsMagic:
            return {kDirectIoAlign, ""};
        case BTRFS_SUPER_MAGIC:
            if (has_no_checksums(fd)) return {kDirectIoAlign, ""};
            return cached(
                "btrfs writes files with checksums through the page cache; `chattr +C` on an empty directory, or "
                "the mount option nodatacow, makes files without");
        default:
            return cached("its file system does not say that direct I/O by-passes the page cache");
    }
}

struct MountLine {
    std::string point, options;
};

/// "\\040": mountinfo's way to write a space.
std::string unescaped(std::string_view text) {
    std::string plain;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '\\' && at + 3 < text.size()) {
            plain += static_cast<char>((text[at + 1] - '0') * 64 + (text[at + 2] - '0') * 8 + (text[at + 3] - '0'));
            at += 3;
        } else {
            plain += text[at];
        }
    }
    return plain;
}

/// By the mount's number: an overlay's files may show other device numbers than the overlay itself.
MountLine mount_of(int fd) {
    std::ifstream about("/proc/self/fdinfo/" + std::to_string(fd));
    std::string word, id;
    while (about >> word && word != "mnt_id:") {
    }
    if (!(about >> id)) return {};
    std::ifstream table("/proc/self/mountinfo");
    for (std::string line; std::getline(table, line);) {
        if (line.compare(0, id.size() + 1, id + " ") != 0) continue;
        if (line.find(" - ") == std::string::npos) return {};
        std::istringstream fields(line);
        for (int skipped = 0; skipped < 4; ++skipped) fields >> word;
        fields >> word;
        return {unescaped(word), line.substr(line.rfind(' ') + 1)};
    }
    return {};
}

/// What was not written since the overlay was mounted lies in a lower layer, and is read from there.
bool lies_in(const std::string& upper, int fd, const std::string& mount_point) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) return false;
    if (info.st_nlink == 0 || S_ISDIR(info.st_mode)) return true;  // just made, or what is to be made there
    char path[PATH_MAX];
    const ssize_t length = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof path);
    if (length <= 0 || static_cast<std::size_t>(length) == sizeof path) return false;
    const std::string name(path, static_cast<std::size_t>(length));
    const std::string below = mount_point == "/" ? "" : mount_point;
    if (name.rfind(below + "/", 0) != 0) return false;
    return ::lstat((upper + name.substr(below.size())).c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

/// 0 where it cannot be seen, as in a container whose layers lie outside of it, or does not hold the file.
std::uint64_t magic_of_upper_layer(int fd) {
    const MountLine mount = mount_of(fd);
    const std::string upper = upper_directory_of(mount.options);
    struct statfs where {};
    // A relative one starts from where whoever mounted it was.
    if (upper.empty() || upper.front() != '/' || ::statfs(upper.c_str(), &where) != 0) return 0;
    return lies_in(upper, fd, mount.point) ? static_cast<std::uint64_t>(where.f_type) & 0xFFFFFFFF : 0;
}

/// Pages of the cache that a direct write of ours leaves at `offset`.
bool leaves_pages_at(int fd, std::uint64_t offset) {
    struct Unmap {
        void operator()(void* memory) const noexcept { ::munmap(memory, kTrialBytes); }
    };
    // Touched: where memory must be faulted in while it writes, btrfs may write through its cache.
    void* const mapped =
        ::mmap(nullptr, kTrialBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (mapped == MAP_FAILED) return false;
    const std::unique_ptr<void, Unmap> memory(mapped);
    if (::pwrite(fd, memory.get(), kTrialBytes, static_cast<off_t>(offset)) != static_cast<ssize_t>(kTrialBytes))
        return false;
    std::uint64_t range[2] = {offset, kTrialBytes};
    std::uint64_t pages[5] = {};  // cached, dirty, under writeback, evicted, lately evicted
    if (::syscall(kCachestat, fd, range, pages, 0) != 0) return false;
    return pages[0] + pages[1] + pages[2] + pages[3] > 0;
}

/// Further evidence, against what the file system says only. Twice, in fresh places: a file system may fall back to its
/// cache once, under pressure, which says nothing of the next write.
bool leaves_pages(int fd) { return leaves_pages_at(fd, 0) && leaves_pages_at(fd, kTrialBytes); }

}  // namespace

DirectIoProof prove_direct_io(int descriptor) {
    const std::uint64_t magic = magic_of(descriptor);
    // tmpfs takes O_DIRECT (Linux 6.6) and is memory all the same, outside of our budget.
    if (magic == TMPFS_MAGIC || magic == RAMFS_MAGIC) return by_name(descriptor, magic);
    if (const auto said = alignment_by_statx(descriptor)) {
        if (*said != 0) return {*said, ""};
        return cached(
            "its file system has no direct I/O for this file (a mount option such as data=journal, or encryption)");
    }
    if (magic != OVERLAYFS_SUPER_MAGIC) return by_name(descriptor, magic);
    const std::uint64_t upper = magic_of_upper_layer(descriptor);
    if (upper == 0) return cached("the layer of this overlay that holds the file cannot be seen, or is a lower one");
    DirectIoProof proof = by_name(descriptor, upper);
    if (proof.alignment == 0) proof.cached_because = "the upper layer of this overlay: " + proof.cached_because;
    return proof;
}

DirectIoProof prove_direct_io_in(const std::string& directory) {
    const Closing nameless(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC | O_DIRECT, 0600));
    if (nameless.get() >= 0) {
        DirectIoProof proof = prove_direct_io(nameless.get());
        if (proof.alignment != 0 && leaves_pages(nameless.get()))
            proof = cached("a direct write left pages in the page cache");
        return proof;
    }
    if (errno == EINVAL) return cached("its file system has no direct I/O");
    const Closing itself(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (itself.get() < 0) return {kDirectIoAlign, ""};  // opening its files will tell
    std::uint64_t magic = magic_of(itself.get());
    if (magic == OVERLAYFS_SUPER_MAGIC) magic = magic_of_upper_layer(itself.get());
    return by_name(itself.get(), magic);
}

DirectIoProof prove_direct_io_of(const std::string& file) {
    const Closing opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT | O_NONBLOCK));
    if (opened.get() >= 0) return prove_direct_io(opened.get());
    if (errno == EINVAL) return cached("its file system has no direct I/O");
    return {kDirectIoAlign, ""};
}

std::string upper_directory_of(const std::string& mount_options) {
    const std::string key = "upperdir=";
    std::size_t at = 0;
    while (at < mount_options.size() && mount_options.compare(at, key.size(), key) != 0) {
        const std::size_t comma = mount_options.find(',', at);
        if (comma == std::string::npos) return "";
        at = comma + 1;
    }
    if (at >= mount_options.size()) return "";
    at += key.size();
    return unescaped(std::string_view(mount_options).substr(at, mount_options.find(',', at) - at));
}

}  // namespace sluice
