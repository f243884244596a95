#include "model/state_memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

namespace qlarank {
namespace {

TEST(StateMemoryTest, BlocksAreAlignedAndApart) {
  for (const size_t bytes : {1, 64, 100, 35'952, 3'000'000}) {
    std::set<uintptr_t> addresses;
    for (int i = 0; i < 50; ++i) {
      void* block = AllocateStateBlock(bytes);
      std::memset(block, i, bytes);
      addresses.insert(reinterpret_cast<uintptr_t>(block));
    }
    uintptr_t end = 0;
    for (const uintptr_t address : addresses) {
      EXPECT_EQ(address % 64, 0);
      EXPECT_GE(address, end);
      end = address + bytes;
    }
    EXPECT_EQ(addresses.size(), 50);
    for (const uintptr_t address : addresses) {
      FreeStateBlock(reinterpret_cast<void*>(address), bytes);
    }
  }
}

TEST(StateMemoryTest, TheBlockFreedLastIsTheNext) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer is to see who reads a state too late";
#endif
  void* first = AllocateStateBlock(10'000);
  void* second = AllocateStateBlock(10'000);
  FreeStateBlock(second, 10'000);
  FreeStateBlock(first, 10'000);
  EXPECT_EQ(AllocateStateBlock(10'000), first);
  EXPECT_EQ(AllocateStateBlock(10'000), second);
  FreeStateBlock(first, 10'000);
  FreeStateBlock(second, 10'000);
}

// States change hands between threads, and nobody writes into another's.
TEST(StateMemoryTest, ThreadsDoNotShareBlocks) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int round = 0; round < 500; ++round) {
        const StateVector values(1000 + t % 2, static_cast<float>(t));
        const StateVector copy = values;
        for (const float x : copy) ASSERT_EQ(x, t);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace qlarank
