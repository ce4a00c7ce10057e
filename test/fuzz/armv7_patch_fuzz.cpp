// Fuzzer: patching of guest code, against a model of what the guest means by each word.
// Input: operations of 8 bytes: what (patch, unpatch, execute, store, copy as the guest sees it),
// where, size, a word of the palette or any. After each, every word of a patched page must still
// mean the same, nothing sensitive may be left in it, and an unpatched page must be bit for bit the
// guest's.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>

#include "arch/armv7/patch.hpp"
#include "support/armv7_patch_memory.hpp"

namespace {

using namespace mezzo;
using armv7::Dictionary;
using armv7::PatchResult;
using armv7::StoreResult;
using test::PatchMemory;
using test::StubPolicy;

constexpr std::uint32_t kPages = 3, kWords = 1024;

void require(bool holds, const char* what, std::uint32_t index) {
  if (holds) return;
  std::fprintf(stderr, "word %u: %s\n", static_cast<unsigned>(index), what);
  std::abort();
}

class Session {
 public:
  Session() { pages_->reset(memory_, policy_); }

  void step(const std::array<std::uint8_t, 8>& in) {
    const std::uint32_t page = in[1] % kPages;
    const std::uint32_t index = page * kWords + word_of(in[2]);
    const std::uint32_t value = choose(in);
    switch (in[0] % 8) {
      case 0:
        patch(page);
        break;
      case 1:
        unpatch(page);
        break;
      case 2:
        store(index, 0, 1 + in[3] % 4u, memory_.words[page * kWords + word_of(in[4])]);
        break;
      case 3:
        store(index, 0, 4, memory_.words[in[4] % kPages * kWords + word_of(in[5])]);
        break;
      case 4:
        store(index, in[3] % 4u, 1 + in[3] / 4 % 4u, value);
        break;
      case 5:
        execute(index);
        break;
      default:
        store(index, 0, 4, value);
    }
    check();
  }

 private:
  // Words near both ends of a page are used, so that they meet.
  static std::uint32_t word_of(std::uint8_t byte) {
    return byte % 2 == 0 ? byte / 2 % 24u : kWords - 1 - byte / 2 % 24u;
  }

  static std::uint32_t choose(const std::array<std::uint8_t, 8>& in) {
    constexpr std::array<std::uint32_t, 20> kPalette{
        0xe1a00000, 0xf10c0080, 0xf1080080, 0xf1080100, 0xe10f3000, 0xe121f003, 0x1121f003,
        0xe1b0f00e, 0xe9527fff, 0x14e02000, 0xe0f101b2, 0xc0e083bc, 0xee1d0f90, 0xe320f002,
        0xe320f004, 0xefa50000, 0xefa50001, 0x1fa50002, 0xefa50ff0, 0xea003ffd};
    std::uint32_t any = 0;
    std::memcpy(&any, in.data() + 4, sizeof any);
    return in[6] % 4 == 0 ? any : kPalette.at(in[7] % kPalette.size());
  }

  static mem::GuestVirtual address_of(std::uint32_t index) {
    return mem::GuestVirtual{0xc0300000 + index * 4};
  }
  [[nodiscard]] bool is_patched(std::uint32_t page) const {
    return pages_->patched_at(PatchMemory::page(page)).has_value();
  }
  void patch(std::uint32_t page) {
    require(pages_->patch_page(PatchMemory::page(page), address_of(page * kWords)) ==
                PatchResult::Patched,
            "page not patched", page);
    std::fill_n(fresh_.begin() + page * kWords, kWords, true);
  }

  void execute(std::uint32_t index) {
    const auto branch = StubPolicy::branch_of(meant_[index], address_of(index));
    const bool has_it = branch && memory_.words[index] == *branch;
    const bool done = pages_->put_branch(PatchMemory::at(index), address_of(index));
    require(done == (branch && !has_it && is_patched(index / kWords)), "branch", index);
    require(!done || memory_.words[index] == *branch, "which branch", index);
  }

  void unpatch(std::uint32_t page) {
    const bool was = is_patched(page);
    require(pages_->unpatch_page(PatchMemory::page(page)) == was, "state", page);
    for (std::uint32_t i = page * kWords; was && i < (page + 1) * kWords; ++i) {
      require(memory_.words[i] == meant_[i], "not restored", i);
    }
  }

  // A guest's store of `size` bytes from byte `offset` of a word on.
  void store(std::uint32_t index, std::uint32_t offset, std::uint32_t size, std::uint32_t value) {
    const std::uint32_t page = index / kWords;
    const bool patched = is_patched(page);
    const std::uint32_t end = (page + 1) * kWords * 4;
    for (std::uint32_t i = 0; i < size && index * 4 + offset + i < end; ++i) {
      const std::uint32_t byte = index * 4 + offset + i;
      set_byte(meant_[byte / 4], byte % 4, value >> 8 * i);
      fresh_[byte / 4] = true;
      if (!patched) set_byte(memory_.words[byte / 4], byte % 4, value >> 8 * i);
    }
    if (!patched) return;
    const StoreResult result = pages_->store(PatchMemory::at(index) + offset, size, value);
    require(result.kind == StoreResult::Kind::Stored, "not stored", index);
  }
  static void set_byte(std::uint32_t& word, std::uint32_t number, std::uint32_t value) {
    word = (word & ~(0xffu << 8 * number)) | (value & 0xff) << 8 * number;
  }

  void check() {
    for (std::uint32_t page = 0; page < kPages; ++page) {
      for (std::uint32_t i = 0; i < 48; ++i) {
        const std::uint32_t word = i < 24 ? i : kWords - 48 + i;
        check_word(page * kWords + word, is_patched(page));
      }
    }
  }

  void check_word(std::uint32_t index, bool patched) {
    const std::uint32_t now = memory_.words[index];
    if (!patched) return require(now == meant_[index], "unpatched page changed", index);
    if (fresh_[index]) settle(index);
    fresh_[index] = false;
    require(pages_->original_word(PatchMemory::at(index)) == meant_[index], "meaning", index);
    require(armv7::sensitivity(now) != armv7::Sensitivity::Certain, "sensitive", index);
  }

  // What the guest has just stored may be a copy of what replaced another word, or a branch that
  // stood here once.
  void settle(std::uint32_t index) {
    std::uint32_t& meant = meant_[index];
    meant = policy_.original(meant, address_of(index)).value_or(meant);
    const std::uint32_t ours = pages_->original_word(PatchMemory::at(index));
    if (ours != meant && Dictionary::is_in_range(meant)) {
      require(pages_->dictionary().original(meant) == ours, "copy", index);
      meant = ours;
    }
  }

  PatchMemory memory_{kPages};
  StubPolicy policy_;
  std::unique_ptr<armv7::PatchedPages<PatchMemory, StubPolicy, 32>> pages_ =
      std::make_unique<armv7::PatchedPages<PatchMemory, StubPolicy, 32>>();
  std::array<std::uint32_t, kPages * kWords> meant_ = [] {
    std::array<std::uint32_t, kPages * kWords> words{};
    words.fill(0xe1a00000);
    return words;
  }();
  std::array<bool, kPages * kWords> fresh_{};  // stored, or in a page just patched
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Session session;
  std::array<std::uint8_t, 8> in{};
  for (; size >= in.size(); data += in.size(), size -= in.size()) {
    std::memcpy(in.data(), data, in.size());
    session.step(in);
  }
  return 0;
}
