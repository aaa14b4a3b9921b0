#include "jobs/part_check.hpp"

#include <algorithm>
#include <memory>

#include "runtime/pipeline.hpp"
#include "runtime/units.hpp"
#include "stages/in_flight_slots.hpp"
#include "stages/network.hpp"

namespace sluice {
namespace {

constexpr std::uint64_t kMostKeyBytes = kDirectIoAlign;  // of a longer key its beginning
constexpr std::uint64_t kSlotBytes = kLeastCheckBytes;   // such a key may begin and end within blocks

class PartCheck {
public:
    PartCheck(JobContext& job, const RecordFormat& format, const std::vector<WrittenFile>& files,
              std::span<std::byte> memory)
        : job_(job),
          format_(format),
          files_(files),
          memory_(memory),
          slots_(memory.size() / kSlotBytes),
          queue_(job.io.make_queue(static_cast<unsigned>(slots_.count()))) {}
    void run() {
        for (const WrittenFile& file : files_) {
            while (slots_.all_taken()) collect();
            begin(file);
        }
        while (queue_->in_flight() > 0) collect();
    }

private:
    struct Slot {
        const WrittenFile* written = nullptr;
        std::unique_ptr<IoFile> file;
        std::uint64_t offset = 0;
    };
    [[noreturn]] static void fail(const WrittenFile& written, const std::string& what) {
        throw Error(Errc::integrity,
                    "part '" + written.path + "': " + what +
                        " just before it was to be published; somebody else wrote to it, or its disk is "
                        "bad. Nothing was published");
    }
    std::uint64_t key_offset(const WrittenFile& written) const {
        return written.bytes - format_.record_bytes + format_.key_offset;
    }
    void begin(const WrittenFile& written) {
        std::unique_ptr<IoFile> file;
        try {
            file = job_.io.open_written(written.path);
        } catch (const Error& error) {
            if (error.code() != Errc::input) throw;
            fail(written, error.what());
        }
        if (file->size_bytes() != written.bytes)
            fail(written, "has " + std::to_string(file->size_bytes()) + " bytes where " +
                              std::to_string(written.bytes) + " were written, found");
        this_worker().units.add(1);
        if (written.bytes == 0 || written.last_key.empty()) return;
        const std::size_t slot = slots_.take();
        const std::uint64_t begin = key_offset(written), from = round_down(begin, kDirectIoAlign),
                            to = round_up(begin + std::min<std::uint64_t>(format_.key_bytes, kMostKeyBytes),
                                          kDirectIoAlign);
        slots_[slot] = {&written, std::move(file), from};
        queue_->read(*slots_[slot].file, from, memory_.subspan(slot * kSlotBytes, to - from), slot);
    }
    void collect() {
        done_.clear();
        queue_->wait(1, done_);
        for (const IoCompletion& completion : done_) {
            Slot& slot = slots_[completion.token];
            const WrittenFile& written = *slot.written;
            const std::uint64_t skip = key_offset(written) - slot.offset,
                                bytes = std::min<std::uint64_t>(written.last_key.size(), kMostKeyBytes);
            const auto key = memory_.subspan(completion.token * kSlotBytes + skip, bytes);
            if (completion.bytes < skip + bytes || !std::equal(key.begin(), key.end(), written.last_key.begin()))
                fail(written, "does not end with the record that was written last, found");
            slot.file.reset();
            slots_.give_back(completion.token);
        }
    }

    JobContext& job_;
    const RecordFormat& format_;
    const std::vector<WrittenFile>& files_;
    std::span<std::byte> memory_;
    InFlightSlots<Slot> slots_;
    std::vector<IoCompletion> done_;
    std::unique_ptr<IoQueue> queue_;  // last: its destructor waits for the kernel while files and memory still live
};

}  // namespace

void check_written_files(JobContext& job, const RecordFormat& format, const std::vector<WrittenFile>& files,
                         std::span<std::byte> memory) {
    SLUICE_CHECK(memory.size() >= kLeastCheckBytes);
    PartCheck check(job, format, files, memory.first(std::min<std::size_t>(memory.size(), kAmpleCheckBytes)));
    Pipeline pipeline(job.executor, job.bind);
    pipeline.add(StageKind::part_check, 0, [&check] { check.run(); });
    pipeline.on_change([&job] { job.doorbell.ring(); });
    pipeline.start();
    make_network_loop(job, pipeline).wait_for_workers();
}

}  // namespace sluice
