#include "stages/part_writer.hpp"

#include <algorithm>

#include "record/record_format.hpp"
#include "runtime/metrics.hpp"
#include "runtime/units.hpp"

namespace sluice {

PartWriter::PartWriter(IoBackend& backend, Options options, std::function<std::string(std::uint32_t)> path_of_part,
                       WorkQueue<SortedPiece>& input)
    : backend_(backend),
      options_(options),
      path_of_part_(std::move(path_of_part)),
      input_(input),
      parts_(options.parts_open),
      requests_(options.depth),
      queue_(backend.make_queue(options.depth)) {
    for (std::size_t request = options.depth; request > 0; --request) free_requests_.push_back(request - 1);
    done_.reserve(options.depth);
    complete_.reserve(options.parts_open);
}

void PartWriter::run() {
    bool more = true;
    while (more || queue_->in_flight() > 0 || !complete_.empty()) {
        while (!free_requests_.empty() && !complete_.empty()) {
            const std::size_t part = complete_.back();
            complete_.pop_back();
            queue_->sync(*parts_[part].file, take_token(part, Buffer()));
        }
        while (more && !free_requests_.empty()) {
            auto piece = queue_->in_flight() == 0 && complete_.empty() ? input_.pop() : input_.try_pop();
            if (!piece) {
                more = !input_.drained();
                break;
            }
            write(std::move(*piece));
        }
        if (queue_->in_flight() > 0) collect();
    }
}

PartWriter::Part& PartWriter::part_of(const SortedPiece& piece) {
    Part* free = nullptr;
    for (Part& part : parts_) {
        if (part.file && part.partition == piece.partition) return part;
        if (!part.file) free = &part;
    }
    if (free == nullptr) free = &parts_.emplace_back();  // more parts wait for their sync than planned
    *free = {backend_.create(path_of_part_(piece.partition)), piece.partition, piece.part_bytes, 0};
    if (options_.preallocate && piece.part_bytes > 0)
        free->file->preallocate(round_up(piece.part_bytes, kDirectIoAlign));
    return *free;
}

std::size_t PartWriter::take_token(std::size_t part, Buffer buffer) {
    const std::size_t token = free_requests_.back();
    free_requests_.pop_back();
    requests_[token] = {part, std::move(buffer)};
    return token;
}

void PartWriter::write(SortedPiece piece) {
    Part& part = part_of(piece);
    const auto number = static_cast<std::size_t>(&part - parts_.data());
    this_worker().input_bytes.add(piece.buffer.size());
    if (piece.part_bytes == 0) {
        completed(number);
        return;
    }
    const std::size_t token = take_token(number, std::move(piece.buffer));
    Buffer& buffer = requests_[token].buffer;
    // A short tail is padded to the block here and cut off again when the part is complete.
    const std::span<const std::byte> bytes = buffer.storage().first(round_up(buffer.size(), kDirectIoAlign));
    queue_->write(*part.file, piece.offset, std::span(&bytes, 1), token);
}

void PartWriter::collect() {
    done_.clear();
    queue_->wait(1, done_);
    for (const IoCompletion& completion : done_) {
        Request& request = requests_[completion.token];
        const std::size_t part = request.part;
        const bool was_sync = !request.buffer;
        const std::uint64_t bytes = request.buffer.size();
        request.buffer = Buffer();
        free_requests_.push_back(completion.token);
        if (was_sync) {
            close(part);
            continue;
        }
        this_worker().output_bytes.add(bytes);
        this_worker().units.add(1);
        parts_[part].completed_bytes += bytes;
        if (parts_[part].completed_bytes == parts_[part].total_bytes) completed(part);
    }
}

void PartWriter::completed(std::size_t part) {
    parts_[part].file->truncate(parts_[part].total_bytes);
    if (options_.sync) {
        complete_.push_back(part);
    } else {
        close(part);
    }
}

void PartWriter::close(std::size_t part) {
    parts_[part].file->close_checked();
    parts_[part].file.reset();
}

}  // namespace sluice
