#include "stages/part_writer.hpp"

#include <algorithm>

#include "record/record_format.hpp"
#include "runtime/metrics.hpp"
#include "runtime/units.hpp"

namespace sluice {

PartWriter::PartWriter(IoBackend& backend, Options options, std::function<std::string(std::uint32_t)> path_of_part,
                       WorkQueue<SortedPiece>& input, WorkQueue<WrittenPart>& output)
    : backend_(backend),
      options_(options),
      path_of_part_(std::move(path_of_part)),
      input_(input),
      output_(output),
      requests_(options.depth),
      queue_(backend.make_queue(options.depth)) {
    done_.reserve(options.depth);
}

void PartWriter::run() {
    for (bool more = true; more || queue_->in_flight() > 0;) {
        while (more && !requests_.all_taken()) {
            auto piece = queue_->in_flight() == 0 ? input_.pop() : input_.try_pop();
            if (!piece) {
                more = !input_.drained();
                break;
            }
            write(std::move(*piece));
        }
        if (queue_->in_flight() > 0) collect();
    }
    output_.producer_done();
}

PartWriter::Part& PartWriter::part_of(const SortedPiece& piece) {
    Part* free = nullptr;
    for (Part& part : parts_) {
        if (part.file && part.partition == piece.partition) return part;
        if (!part.file) free = &part;
    }
    if (free == nullptr) free = &parts_.emplace_back();
    *free = {backend_.create(path_of_part_(piece.partition)), piece.partition, piece.part_bytes, 0};
    if (options_.preallocate && piece.part_bytes > 0)
        free->file->preallocate(round_up(piece.part_bytes, kDirectIoAlign));
    return *free;
}

void PartWriter::write(SortedPiece piece) {
    Part& part = part_of(piece);
    this_worker().input_bytes.add(piece.buffer.size());
    if (piece.part_bytes == 0) {
        hand_on(part);
        return;
    }
    const std::size_t token = requests_.take();
    requests_[token] = {static_cast<std::size_t>(&part - parts_.data()), std::move(piece.buffer)};
    Buffer& buffer = requests_[token].buffer;
    // A short tail is padded to the block here and cut off again by the finisher.
    const std::span<const std::byte> bytes = buffer.storage().first(round_up(buffer.size(), kDirectIoAlign));
    queue_->write(*part.file, piece.offset, std::span(&bytes, 1), token);
}

void PartWriter::collect() {
    done_.clear();
    queue_->wait(1, done_);
    for (const IoCompletion& completion : done_) {
        Request& request = requests_[completion.token];
        Part& part = parts_[request.part];
        const std::uint64_t bytes = request.buffer.size();
        request.buffer = Buffer();
        requests_.give_back(completion.token);
        this_worker().output_bytes.add(bytes);
        this_worker().units.add(1);
        part.completed_bytes += bytes;
        if (part.completed_bytes == part.total_bytes) hand_on(part);
    }
}

void PartWriter::hand_on(Part& part) { output_.push({std::move(part.file), part.total_bytes}); }

unsigned count_finishers(std::uint64_t parts, std::uint64_t bytes) {
    if (parts == 0 || bytes / parts >= kOneFinisherBytes) return 1;
    return static_cast<unsigned>(std::min<std::uint64_t>(parts, kFinishers));
}

void PartFinisher::run() {
    while (auto part = input_.pop()) {
        part->file->truncate(part->bytes);
        if (sync_) part->file->sync_data();
        part->file->close_checked();
        this_worker().input_bytes.add(part->bytes);
        this_worker().units.add(1);
    }
}

}  // namespace sluice
