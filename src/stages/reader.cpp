#include "stages/reader.hpp"

#include <algorithm>

#include "record/record_format.hpp"
#include "runtime/error.hpp"
#include "runtime/units.hpp"

namespace sluice {

std::unique_ptr<IoFile> open_range(IoBackend& backend, const ReadRange& range) {
    auto file = backend.open_for_read(range.path);
    if (range.expected != nullptr && !file->identity().same_content(*range.expected)) {
        throw Error(Errc::input, "input '" + range.path +
                                     "': is not as it was when it was listed (another file, size or time of "
                                     "modification); nothing was published, sort again when nobody writes to it");
    }
    return file;
}

Reader::Reader(IoBackend& backend, std::vector<ReadRange> ranges, unsigned depth, BufferPool& pool,
               WorkQueue<Buffer>& output, std::uint32_t record_bytes)
    : backend_(backend),
      ranges_(std::move(ranges)),
      record_bytes_(record_bytes),
      pool_(pool),
      output_(output),
      slots_(depth),
      queue_(backend.make_queue(depth)) {
    done_.reserve(depth);
}

void Reader::run() {
    for (;;) {
        while (queue_->in_flight() < queue_->depth() && submit_next()) {
        }
        if (queue_->in_flight() == 0) break;
        collect();
    }
    output_.producer_done();
}

bool Reader::submit_next() {
    while (range_ < ranges_.size() && position_ == ranges_[range_].bytes) {
        ++range_;
        position_ = 0;
        const bool same = range_ < ranges_.size() && ranges_[range_].path == ranges_[range_ - 1].path;
        if (!same) file_.reset();  // closed when the last read of it has come
    }
    if (range_ == ranges_.size()) return false;
    const ReadRange& range = ranges_[range_];
    Buffer buffer;
    if (queue_->in_flight() == 0) {
        buffer = pool_.take();
    } else if (auto free = pool_.try_take()) {
        buffer = std::move(*free);
    } else {
        return false;  // completions will free memory downstream; wait for one of those instead
    }
    if (!file_) file_ = open_range(backend_, range);
    const std::uint64_t from = range.offset + position_, head_bytes = from % kDirectIoAlign;
    const std::uint64_t bytes =
        std::min(round_down(buffer.capacity() - head_bytes, record_bytes_), range.bytes - position_);
    const std::size_t slot = slots_.take();
    slots_[slot] = {std::move(buffer), file_, head_bytes, bytes, range_};
    queue_->read(*file_, from - head_bytes,
                 slots_[slot].buffer.storage().first(round_up(head_bytes + bytes, kDirectIoAlign)), slot);
    if (first_read_ns_ == 0) first_read_ns_ = pool_.executor().now_ns();
    position_ += bytes;
    return true;
}

void Reader::collect() {
    done_.clear();
    queue_->wait(1, done_);
    for (const IoCompletion& completion : done_) {
        Slot& slot = slots_[completion.token];
        const std::uint64_t wanted_bytes = slot.head_bytes + slot.expected_bytes;
        if (completion.bytes < wanted_bytes) {
            throw Error(Errc::input,
                        "read '" + ranges_[slot.range].path + "': the file ended " +
                            std::to_string(wanted_bytes - completion.bytes) +
                            " bytes early; it changed while it was read, sort again when nobody writes to it");
        }
        slot.file.reset();
        slot.buffer.set_window(slot.head_bytes, slot.expected_bytes);
        slot.buffer.set_source(ranges_[slot.range].file);
        this_worker().output_bytes.add(slot.expected_bytes);
        this_worker().input_bytes.add(slot.expected_bytes);
        this_worker().units.add(1);
        slots_.give_back(completion.token);
        output_.push(std::move(slot.buffer));
    }
}

}  // namespace sluice
