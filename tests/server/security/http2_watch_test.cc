#include "server/security/http2_watch.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/server/security/http2_frames.h"

namespace qlarank {
namespace {

using testing::Data;
using testing::Frame;
using testing::Headers;
using testing::Hello;
using testing::MessagePrefix;
using testing::Reset;

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kCall = Http2Limits::kCallBytes;
constexpr uint64_t kPerFrame = Http2Limits::kFrameBytes;
constexpr size_t kMostHeaderBytes =
    Http2Limits::kMetadataBytes + Http2Limits::kHeaderSlackBytes;
const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

// A connection after the client's hello.
struct Connection {
  explicit Connection(uint64_t unfinished_bytes = kMiB)
      : watch(Http2Limits{.unfinished_bytes = unfinished_bytes}) {
    EXPECT_EQ(Receive(Hello()), Fault::kNone);
  }
  Fault Receive(const std::string& bytes, absl::Time now = kNow) {
    return watch.Received(bytes, now);
  }

  Http2Watch watch;
};

TEST(Http2WatchTest, WhatBeginsOtherwiseIsNoHttp2) {
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\n"), std::string("PRI * HTTP/2.1"),
        std::string(1, '\0'), std::string("\x16\x03\x01")}) {
    Http2Watch watch(Http2Limits{});
    EXPECT_EQ(watch.Received(bytes, kNow), Fault::kPreface);
    // And stays so.
    EXPECT_EQ(watch.Received(Hello(), kNow), Fault::kPreface);
  }
}

TEST(Http2WatchTest, HeadersHaveABoundInOneFrameOrMany) {
  Connection most;
  EXPECT_EQ(most.Receive(Headers(1, std::string(kMostHeaderBytes, 'a'))),
            Fault::kNone);
  // The next call's count anew.
  EXPECT_EQ(most.Receive(Headers(3, std::string(kMostHeaderBytes, 'a'))),
            Fault::kNone);
  Connection one_more;
  EXPECT_EQ(
      one_more.Receive(Headers(1, std::string(kMostHeaderBytes + 1, 'a'))),
      Fault::kHeaderBlock);

  Connection parts;
  EXPECT_EQ(parts.Receive(Headers(1, std::string(16'384, 'a'), 0)),
            Fault::kNone);
  const std::string rest(kMostHeaderBytes - 16'384, 'a');
  EXPECT_EQ(parts.Receive(Frame(FrameHeader::kContinuation, 0, 1, rest)),
            Fault::kNone);
  EXPECT_EQ(parts.Receive(Frame(FrameHeader::kContinuation, 0, 1, "a")),
            Fault::kHeaderBlock);
}

// Before anything of it has come.
TEST(Http2WatchTest, AHeaderThatIsAnnouncedTooLongIsEnough) {
  Connection connection;
  const std::string frame = Headers(1, std::string(kMostHeaderBytes + 1, 'a'));
  EXPECT_EQ(connection.Receive(frame.substr(0, 8)), Fault::kNone);
  EXPECT_EQ(connection.Receive(frame.substr(8, 1)), Fault::kHeaderBlock);
}

TEST(Http2WatchTest, HeadersComeInFewFrames) {
  Connection connection;
  EXPECT_EQ(connection.Receive(Headers(1, "a", 0)), Fault::kNone);
  const std::string empty = Frame(FrameHeader::kContinuation, 0, 1, "");
  for (int i = 0; i < Http2Limits::kContinuationFrames; ++i) {
    EXPECT_EQ(connection.Receive(empty), Fault::kNone);
  }
  EXPECT_EQ(connection.Receive(empty), Fault::kContinuations);
}

TEST(Http2WatchTest, FramesThatCarryNothingHaveARate) {
  const std::vector<std::string> idle = {
      Frame(FrameHeader::kPing, 0, 0, "12345678"),
      Frame(FrameHeader::kSettings, 0, 0, ""),
      Frame(FrameHeader::kWindowUpdate, 0, 0, std::string("\0\0\0\1", 4)),
      Frame(2, 0, 1, "12345"),               // PRIORITY
      Frame(77, 0, 0, ""),                   // of no known type
      Data(3, ""),                           // empty, and ends nothing
      Data(1, "", FrameHeader::kEndStream),  // of a call that is over
      Headers(1, "", FrameHeader::kEndStream)};
  for (const std::string& frame : idle) {
    Connection connection;
    ASSERT_EQ(connection.Receive(Headers(1) + Headers(3)), Fault::kNone);
    // So that the last of these is of a call that is over. The hello had one.
    connection.watch.Sent(Headers(1, "", FrameHeader::kEndStream));
    ASSERT_EQ(connection.Receive(Headers(5)), Fault::kNone);
    int taken = 0;
    while (connection.Receive(frame) == Fault::kNone) ++taken;
    EXPECT_EQ(connection.Receive(frame), Fault::kControlFrames);
    EXPECT_NEAR(taken, Http2Limits::kControlFramesBurst, 2);
  }
}

TEST(Http2WatchTest, FramesThatCarryNothingMayComeForEver) {
  Connection connection;
  const std::string ping = Frame(FrameHeader::kPing, 0, 0, "12345678");
  for (int i = 0; i < 5 * Http2Limits::kControlFramesBurst; ++i) {
    ASSERT_EQ(connection.Receive(
                  ping, kNow + i * absl::Seconds(1) /
                                   Http2Limits::kControlFramesPerSecond),
              Fault::kNone);
  }
}

// Replies of the server cost a client window updates and probes: any number.
TEST(Http2WatchTest, WhatTheServerSendsMayBeAnswered) {
  Connection connection;
  const std::string update =
      Frame(FrameHeader::kWindowUpdate, 0, 0, std::string("\0\0\0\1", 4));
  const std::string ping = Frame(FrameHeader::kPing, 0, 0, "12345678");
  ASSERT_EQ(connection.Receive(Headers(1)), Fault::kNone);
  for (int i = 0; i < 5 * Http2Limits::kControlFramesBurst; ++i) {
    connection.watch.Sent(Data(1, "reply"));
    ASSERT_EQ(connection.Receive(update + update + ping + ping), Fault::kNone);
  }
  // But an acknowledgement of a ping is not something to answer.
  int taken = 0;
  while (connection.Receive(ping) == Fault::kNone) {
    connection.watch.Sent(Frame(FrameHeader::kPing, FrameHeader::kAck, 0,
                                "12345678"));
    ++taken;
  }
  EXPECT_LE(taken, Http2Limits::kControlFramesBurst);
}

// A stream of small batches that the server has ended: its client learns of it
// later.
TEST(Http2WatchTest, WhatComesForAnEndedCallIsNoAttack) {
  Connection connection;
  ASSERT_EQ(connection.Receive(Headers(1)), Fault::kNone);
  connection.watch.Sent(Headers(1, "", FrameHeader::kEndStream));
  const std::string batch = Data(1, MessagePrefix(5) + "batch");
  for (int i = 0; i < 5 * Http2Limits::kControlFramesBurst; ++i) {
    ASSERT_EQ(connection.Receive(batch), Fault::kNone);
  }
  EXPECT_EQ(connection.watch.unfinished_bytes(), 0u);
}

TEST(Http2WatchTest, CallsTakenBackHaveARate) {
  Connection connection;
  int taken = 0;
  for (uint32_t stream = 1;; stream += 2, ++taken) {
    const Fault fault = connection.Receive(Headers(stream) + Reset(stream));
    if (fault == Fault::kNone) continue;
    EXPECT_EQ(fault, Fault::kResets);
    break;
  }
  EXPECT_EQ(taken, Http2Limits::kResetsBurst);
}

// A client whose calls all pass their deadline, 900 a second for a minute; and
// one that is mostly answered, however quick.
TEST(Http2WatchTest, DeadlinesAreNoAttack) {
  Connection late;
  uint32_t stream = 1;
  for (int i = 0; i < 60 * 900; ++i, stream += 2) {
    ASSERT_EQ(late.Receive(Headers(stream) + Reset(stream),
                           kNow + i * absl::Seconds(1) / 900),
              Fault::kNone);
  }
  Connection quick;
  for (stream = 1; stream < 400'000; stream += 4) {
    ASSERT_EQ(quick.Receive(Headers(stream) + Headers(stream + 2)),
              Fault::kNone);
    quick.watch.Sent(Headers(stream, "", FrameHeader::kEndStream));
    ASSERT_EQ(quick.Receive(Reset(stream + 2)), Fault::kNone);
  }
}

TEST(Http2WatchTest, CountsWhatIsUnfinished) {
  Connection connection;
  const auto unfinished = [&] { return connection.watch.unfinished_bytes(); };
  EXPECT_EQ(unfinished(), 0u);
  connection.Receive(Headers(1));
  EXPECT_EQ(unfinished(), kCall);
  connection.Receive(Data(1, MessagePrefix(1'000) + std::string(600, 'm')));
  EXPECT_EQ(unfinished(), kCall + 605 + kPerFrame);
  connection.Receive(Data(1, std::string(399, 'm')));
  EXPECT_EQ(unfinished(), kCall + 1'004 + 2 * kPerFrame);
  // The last byte, and a second message's prefix in part.
  connection.Receive(Data(1, absl::StrCat("m", std::string(3, '\0'))));
  EXPECT_EQ(unfinished(), 3 + kPerFrame);
  // The rest of the prefix, of an empty message: complete, both.
  connection.Receive(Data(1, std::string(2, '\0')));
  EXPECT_EQ(unfinished(), 0u);
  // Two in one frame.
  connection.Receive(Data(1, MessagePrefix(1) + "x" + MessagePrefix(0)));
  EXPECT_EQ(unfinished(), 0u);
}

TEST(Http2WatchTest, ACallThatEndsHoldsNothing) {
  const std::string part = MessagePrefix(1'000) + "part";
  const auto begin = [&](Connection& connection) {
    connection.Receive(Headers(1) + Data(1, part) + Headers(3) + Data(3, part));
    EXPECT_EQ(connection.watch.unfinished_bytes(), 2 * (kCall + 9 + kPerFrame));
  };
  const uint64_t one = kCall + 9 + kPerFrame;
  const std::vector<std::string> by_client = {
      Reset(1), Data(1, "", FrameHeader::kEndStream),
      Data(1, "more", FrameHeader::kEndStream),
      Headers(1, "", FrameHeader::kEndStream)};
  for (const std::string& frame : by_client) {
    Connection connection;
    begin(connection);
    EXPECT_EQ(connection.Receive(frame), Fault::kNone);
    EXPECT_EQ(connection.watch.unfinished_bytes(), one);
  }
  const std::vector<std::string> by_server = {
      Reset(1), Data(1, "", FrameHeader::kEndStream),
      Headers(1, "", FrameHeader::kEndStream | testing::kEndHeaders)};
  for (const std::string& frame : by_server) {
    Connection connection;
    begin(connection);
    connection.watch.Sent(frame);
    EXPECT_EQ(connection.watch.unfinished_bytes(), one);
    // What still comes for it is dropped by gRPC.
    EXPECT_EQ(connection.Receive(Data(1, std::string(500, 'm'))),
              Fault::kNone);
    EXPECT_EQ(connection.watch.unfinished_bytes(), one);
  }
  // Not those that end neither.
  Connection connection;
  begin(connection);
  connection.watch.Sent(Headers(1) + Data(1, "reply"));
  EXPECT_EQ(connection.watch.unfinished_bytes(), 2 * one);
}

// While a frame of it is on its way.
TEST(Http2WatchTest, ACallMayEndInTheMiddleOfAFrame) {
  Connection connection;
  const std::string frame = Data(1, MessagePrefix(1'000) + "part");
  connection.Receive(Headers(1) + frame.substr(0, 15));
  connection.watch.Sent(Reset(1));
  EXPECT_EQ(connection.watch.unfinished_bytes(), 0u);
  EXPECT_EQ(connection.Receive(frame.substr(15)), Fault::kNone);
  EXPECT_EQ(connection.watch.unfinished_bytes(), 0u);
}

TEST(Http2WatchTest, UnfinishedMessagesHaveABound) {
  Connection one(kMiB);
  ASSERT_EQ(one.Receive(Headers(1) + Data(1, MessagePrefix(2 * kMiB))),
            Fault::kNone);
  size_t sent = 0;
  while (one.Receive(Data(1, std::string(16'384, 'm'))) == Fault::kNone) {
    sent += 16'384;
  }
  EXPECT_EQ(one.Receive(""), Fault::kUnfinished);
  EXPECT_NEAR(sent, kMiB, 32'768);

  // Calls without any message.
  Connection calls(kMiB);
  uint32_t stream = 1;
  while (calls.Receive(Headers(stream)) == Fault::kNone) stream += 2;
  EXPECT_EQ(calls.Receive(""), Fault::kUnfinished);
  EXPECT_EQ(stream / 2, kMiB / kCall);

  // Messages that fit follow one another for ever, in one frame or many.
  Connection honest(kMiB);
  ASSERT_EQ(honest.Receive(Headers(1)), Fault::kNone);
  const std::string message =
      MessagePrefix(900'000) + std::string(900'000, 'm');
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(honest.Receive(Data(1, message)), Fault::kNone);
    for (size_t at = 0; at < message.size(); at += 16'384) {
      ASSERT_EQ(honest.Receive(Data(1, message.substr(at, 16'384))),
                Fault::kNone);
    }
  }
  EXPECT_EQ(honest.watch.unfinished_bytes(), 0u);
}

// What is made of the bytes does not depend on how they are cut.
TEST(Http2WatchTest, EverySplitGivesTheSame) {
  const std::string begun =
      Hello() + Headers(1, "headers", 0) +
      Frame(FrameHeader::kContinuation, 4, 1, "more") +
      Data(1, MessagePrefix(20) + "part of a message") + Headers(3) +
      Data(3, MessagePrefix(3) + "one" + MessagePrefix(9)) + Data(1, "") +
      Reset(1) + Frame(FrameHeader::kPing, 0, 0, "12345678") +
      Data(3, "four", 1) + Headers(5) + Data(5, MessagePrefix(9) + "five");
  std::vector<std::pair<std::string, Fault>> inputs = {
      {begun, Fault::kNone},
      {begun + Headers(7, std::string(kMostHeaderBytes + 1, 'a')),
       Fault::kHeaderBlock},
      {begun.substr(0, 20) + "x", Fault::kPreface}};
  std::string many = begun + Headers(7, "", 0);
  for (int i = 0; i <= Http2Limits::kContinuationFrames; ++i) {
    many += Frame(FrameHeader::kContinuation, 0, 7, "");
  }
  inputs.emplace_back(many + "and anything", Fault::kContinuations);
  for (const auto& [bytes, expected] : inputs) {
    const Http2Limits limits{.unfinished_bytes = kMiB};
    Http2Watch whole(limits);
    ASSERT_EQ(whole.Received(bytes, kNow), expected);
    for (size_t at = 0; at <= bytes.size(); ++at) {
      Http2Watch watch(limits);
      watch.Received(bytes.substr(0, at), kNow);
      ASSERT_EQ(watch.Received(bytes.substr(at), kNow), expected) << at;
      ASSERT_EQ(watch.unfinished_bytes(), whole.unfinished_bytes()) << at;
    }
    Http2Watch by_byte(limits);
    for (const char c : bytes) by_byte.Received({&c, 1}, kNow);
    EXPECT_EQ(by_byte.Received("", kNow), expected);
    EXPECT_EQ(by_byte.unfinished_bytes(), whole.unfinished_bytes());
  }
}

}  // namespace
}  // namespace qlarank
