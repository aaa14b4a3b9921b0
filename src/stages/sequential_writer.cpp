#include "stages/sequential_writer.hpp"

#include "record/record_format.hpp"
#include "runtime/units.hpp"

namespace sluice {

SequentialWriter::SequentialWriter(IoBackend& backend, IoFile& file, unsigned depth, WorkQueue<Buffer>& input)
    : file_(file), input_(input), slots_(depth), queue_(backend.make_queue(depth)) {
    done_.reserve(depth);
}

void SequentialWriter::run() {
    for (bool more = true; more || queue_->in_flight() > 0;) {
        while (more && !slots_.all_taken()) {
            auto buffer = queue_->in_flight() == 0 ? input_.pop() : input_.try_pop();
            if (!buffer) {
                more = !input_.drained();
                break;
            }
            const std::size_t slot = slots_.take();
            slots_[slot] = std::move(*buffer);
            const std::span<const std::byte> bytes =
                slots_[slot].storage().first(round_up(slots_[slot].size(), kDirectIoAlign));
            queue_->write(file_, offset_, std::span(&bytes, 1), slot);
            offset_ += bytes.size();
        }
        if (queue_->in_flight() > 0) collect();
    }
}

void SequentialWriter::collect() {
    done_.clear();
    queue_->wait(1, done_);
    for (const IoCompletion& completion : done_) {
        slots_[completion.token] = Buffer();
        slots_.give_back(completion.token);
    }
}

}  // namespace sluice
