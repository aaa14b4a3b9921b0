#include "stages/log_writer.hpp"

#include "record/record_format.hpp"
#include "runtime/metrics.hpp"
#include "runtime/units.hpp"

namespace sluice {

LogWriter::LogWriter(IoBackend& backend, Log log, ExtentIndex& index, InFlight flight, std::size_t max_chunks,
                     Coalescer& chains)
    : file_(log.file),
      log_(log.space),
      index_(index),
      disk_(log.disk),
      chains_(chains),
      slots_(flight.requests),
      most_bytes_(flight.bytes),
      queue_(backend.make_queue(flight.requests)) {
    for (std::size_t slot = 0; slot < slots_.count(); ++slot) slots_[slot].chain.chunks.reserve(max_chunks);
    done_.reserve(flight.requests);
    pieces_.reserve(max_chunks);
}

void LogWriter::run() {
    for (;;) {
        while (!slots_.all_taken() && bytes_in_flight_ < most_bytes_) {
            if (!chains_.take(slots_[slots_.next()].chain, queue_->in_flight() == 0)) break;
            submit(slots_.take());
        }
        if (queue_->in_flight() > 0) {
            collect();
        } else if (chains_.drained()) {
            return;
        }
    }
}

void LogWriter::submit(std::size_t slot) {
    Chain& chain = slots_[slot].chain;
    pieces_.clear();
    std::uint64_t written_bytes = 0;
    const std::uint64_t payload_bytes = chain.payload_bytes();
    for (Buffer& chunk : chain.chunks) {
        // Only the last chunk can be short: its block is padded with whatever the buffer holds, and counted as padding.
        const std::uint64_t padded = round_up(chunk.size(), kDirectIoAlign);
        pieces_.push_back(chunk.storage().first(padded));
        written_bytes += padded;
    }
    const auto [offset, sequence] = log_.allocate(written_bytes);
    slots_[slot].extent = {disk_, offset, written_bytes, payload_bytes, sequence, 0};
    bytes_in_flight_ += written_bytes;
    queue_->write(file_, slots_[slot].extent.offset, pieces_, slot);
}

void LogWriter::collect() {
    done_.clear();
    queue_->wait(1, done_);
    for (const IoCompletion& completion : done_) {
        Slot& slot = slots_[completion.token];
        index_.add(slot.chain.partition, slot.extent);
        bytes_in_flight_ -= slot.extent.written_bytes;
        this_worker().input_bytes.add(slot.extent.payload_bytes);
        this_worker().output_bytes.add(slot.extent.written_bytes);
        this_worker().units.add(1);
        slot.chain.chunks.clear();  // the chunks go home
        slots_.give_back(completion.token);
    }
}

}  // namespace sluice
