#include "net/message_ledger.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "stages/stage_fixture.hpp"

namespace sluice::testing {
namespace {

/// Rank 0 of run 7 sends, rank 1 takes: the n-th message, altered on the way.
class Ledgers : public ::testing::Test {
protected:
    std::vector<std::byte> message() {
        Buffer full = filled(pool_.pool, std::vector<std::byte>(kHeaderBytes + 3 * 128));
        MessageHeader header;
        header.record_count = 3;
        std::memcpy(full.storage().data(), &header, sizeof header);
        sender_.stamp(full, 1, 2);
        return {full.data().begin(), full.data().end()};
    }
    template <typename Alter>
    Caught admit(Alter&& alter) {
        std::vector<std::byte> bytes = message();
        MessageHeader header;
        std::memcpy(&header, bytes.data(), sizeof header);
        alter(header);
        std::memcpy(bytes.data(), &header, sizeof header);
        return error_of([&] { receiver_.admit(0, bytes); });
    }

    ThreadExecutor executor_;
    OwnPool pool_{executor_, "send", 4096, 1};
    MessageLedger sender_{0, 3, 7}, receiver_{1, 3, 7};
};

TEST_F(Ledgers, CountWhatLeavesAndWhatArrives) {
    for (int i = 0; i < 3; ++i) EXPECT_EQ(admit([](MessageHeader&) {}).code, 0);
    EXPECT_EQ(sender_.counters()[1].sent_records, 9u);
    EXPECT_EQ(sender_.counters()[1].sent_bytes, 3u * 3 * 128);
    EXPECT_EQ(receiver_.counters()[0].received_records, 9u);
    EXPECT_EQ(receiver_.counters()[0].received_messages, 3u);
    EXPECT_EQ(receiver_.received_from(0), sender_.sent_to(1));
    const MessageHeader last = sender_.last_message(1);
    std::vector<std::byte> bytes(sizeof last);
    std::memcpy(bytes.data(), &last, sizeof last);
    EXPECT_EQ(receiver_.admit(0, bytes).flags, kLastFlag);
    EXPECT_EQ(receiver_.counters()[0].received_messages, 3u) << "the last word is no message";
}

TEST_F(Ledgers, RefuseWhatIsOfAnotherRunOrForAnotherRank) {
    const Caught run = admit([](MessageHeader& header) { header.run_id = 8; });
    EXPECT_TRUE(run.code == 6 && run.mentions("belongs to another run")) << run.text;
    const Caught source = admit([](MessageHeader& header) { header.source = 2; });
    EXPECT_TRUE(source.code == 6 && source.mentions("goes from rank 2 to rank 1")) << source.text;
    const Caught destination = admit([](MessageHeader& header) { header.destination = 2; });
    EXPECT_TRUE(destination.code == 6 && destination.mentions("goes from rank 0 to rank 2")) << destination.text;
    const std::vector<std::byte> cut(kHeaderBytes - 1);
    EXPECT_EQ(error_of([&] { receiver_.admit(0, cut); }).code, 6);
}

TEST_F(Ledgers, SeeAtTheNextMessageThatOneWasLostOrDoubled) {
    EXPECT_EQ(admit([](MessageHeader&) {}).code, 0);
    const Caught doubled = admit([](MessageHeader& header) { --header.sequence; });
    EXPECT_TRUE(doubled.code == 6 && doubled.mentions("has number 0 instead of 1")) << doubled.text;
    message();  // never arrives
    const Caught lost = admit([](MessageHeader&) {});
    EXPECT_TRUE(lost.code == 6 && lost.mentions("has number 3 instead of 1: one was lost or doubled")) << lost.text;
}

}  // namespace
}  // namespace sluice::testing
