#include "io/extent_index_file.hpp"

#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "record/crc32c.hpp"
#include "runtime/error.hpp"

namespace sluice {
namespace {

constexpr char kMagic[8] = {'S', 'L', 'U', 'I', 'C', 'E', 'X', 'T'};
constexpr std::uint32_t kVersion = 1, kByteOrderMark = 0x01020304;
constexpr std::uint64_t kMostBytes = std::uint64_t{4} << 30;  // 90 million extents

struct Header {
    char magic[8];
    std::uint32_t byte_order_mark, version, rank, logical_disks;
    std::uint64_t config_hash, extent_count, run_id_bytes;
};
struct Entry {
    std::uint32_t logical_disk, disk;
    std::uint64_t offset, written_bytes, payload_bytes, sequence;
    std::uint32_t checksum, zero;
};
static_assert(sizeof(Header) == 48 && sizeof(Entry) == 48, "file layout, without padding");

template <typename Value>
void append(std::string& bytes, const Value& value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename Value>
Value value_at(const std::string& bytes, std::size_t at) {
    Value value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}

std::uint32_t crc_of(const std::string& bytes, std::size_t length) {
    return crc32c(std::as_bytes(std::span(bytes.data(), length)));
}

class IndexParser {
public:
    IndexParser(const std::string& bytes, const std::string& path) : bytes_(bytes), path_(path) {}
    std::vector<Entry> parse(const ExtentIndexOwner& owner, std::uint32_t logical_disks) const {
        require(bytes_.size() >= sizeof(Header) + sizeof(std::uint32_t), "is cut short");
        const auto header = value_at<Header>(bytes_, 0);
        require(std::memcmp(header.magic, kMagic, sizeof kMagic) == 0, "is no extent index");
        same(header.byte_order_mark == kByteOrderMark, "was written on a machine of the other byte order");
        same(header.version == kVersion,
             "has version " + std::to_string(header.version) + ", this program reads " + std::to_string(kVersion));
        const std::size_t checked = bytes_.size() - sizeof(std::uint32_t);
        require(crc_of(bytes_, checked) == value_at<std::uint32_t>(bytes_, checked), "does not match its checksum");
        // Compared one by one, so that no sum of damaged numbers can wrap around.
        const std::size_t body = checked - sizeof(Header);
        require(header.run_id_bytes <= body && header.extent_count <= body / sizeof(Entry) &&
                    header.run_id_bytes + header.extent_count * sizeof(Entry) == body,
                "has a length that does not fit its header");
        const std::string run_id = bytes_.substr(sizeof(Header), header.run_id_bytes);
        same(run_id == owner.run_id, "belongs to run " + run_id + ", not to " + owner.run_id);
        same(header.rank == owner.rank,
             "belongs to rank " + std::to_string(header.rank) + ", not to " + std::to_string(owner.rank));
        same(header.config_hash == owner.config_hash, "was made with another config");
        same(header.logical_disks == logical_disks, "has " + std::to_string(header.logical_disks) +
                                                        " logical disks, the plan " + std::to_string(logical_disks));
        std::vector<Entry> entries;
        for (std::size_t at = sizeof(Header) + header.run_id_bytes; at < checked; at += sizeof(Entry)) {
            entries.push_back(value_at<Entry>(bytes_, at));
            require(entries.back().logical_disk < logical_disks &&
                        entries.back().payload_bytes <= entries.back().written_bytes,
                    "holds an impossible extent");
        }
        return entries;
    }

private:
    void require(bool good, const std::string& what) const {
        if (!good) throw Error(Errc::integrity, "extent index '" + path_ + "': " + what + "; phase one must run again");
    }
    void same(bool good, const std::string& what) const {
        if (!good) throw Error(Errc::resume, "extent index '" + path_ + "': " + what + "; sort again from the start");
    }
    const std::string& bytes_;
    const std::string& path_;
};

}  // namespace

std::string serialize_extents(const ExtentIndex& index, const ExtentIndexOwner& owner) {
    Header header{{},
                  kByteOrderMark,
                  kVersion,
                  owner.rank,
                  index.logical_disks(),
                  owner.config_hash,
                  index.extent_count(),
                  owner.run_id.size()};
    std::memcpy(header.magic, kMagic, sizeof kMagic);
    std::string bytes;
    bytes.reserve(sizeof header + owner.run_id.size() + header.extent_count * sizeof(Entry) + sizeof(std::uint32_t));
    append(bytes, header);
    bytes += owner.run_id;
    for (std::uint32_t logical_disk = 0; logical_disk < index.logical_disks(); ++logical_disk) {
        for (const Extent& e : index.extents(logical_disk)) {
            append(bytes,
                   Entry{logical_disk, e.disk, e.offset, e.written_bytes, e.payload_bytes, e.sequence, e.checksum, 0});
        }
    }
    append(bytes, crc_of(bytes, bytes.size()));
    return bytes;
}

void deserialize_extents(const std::string& bytes, const std::string& path, const ExtentIndexOwner& owner,
                         ExtentIndex& index) {
    SLUICE_CHECK(index.extent_count() == 0);
    for (const Entry& e : IndexParser(bytes, path).parse(owner, index.logical_disks()))
        index.add(e.logical_disk, {e.disk, e.offset, e.written_bytes, e.payload_bytes, e.sequence, e.checksum});
}

void save_extent_index(FileSystem& files, const std::string& path, const ExtentIndex& index,
                       const ExtentIndexOwner& owner) {
    files.write_durably(path, serialize_extents(index, owner));
}

void load_extent_index(FileSystem& files, const std::string& path, const ExtentIndexOwner& owner, ExtentIndex& index) {
    if (!files.info(path)) {
        throw Error(Errc::resume,
                    "extent index '" + path + "': not there, so phase one did not end; sort again from the start");
    }
    deserialize_extents(files.read_text(path, kMostBytes), path, owner, index);
}

}  // namespace sluice
