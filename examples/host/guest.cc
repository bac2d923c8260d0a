// SPDX-FileCopyrightText: 2026 the hvpt authors
// SPDX-License-Identifier: MIT
// A guest's memory as a class of C++17: c++ -std=c++17 -isystem include examples/host/guest.cc && ./a.out
#include <hvpt/ept.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>

class GuestMemory {
public:
    explicit GuestMemory(unsigned maxphyaddr)
    {
        // Member by member: compilers warn of members that a braced initialiser leaves out.
        hvpt_ept_config config = {};
        config.maxphyaddr = maxphyaddr;
        hooks_.ctx = this;
        hooks_.alloc_frame = alloc_frame;
        hooks_.free_frame = free_frame;
        hooks_.flush = flush;
        check(hvpt_ept_init(&space_, &hooks_, &config));
    }
    ~GuestMemory() { hvpt_space_destroy(&space_); }
    // The space refers to its hooks, which refer to this.
    GuestMemory(const GuestMemory &) = delete;
    GuestMemory &operator=(const GuestMemory &) = delete;

    void map(hvpt_gpa gpa, hvpt_hpa hpa, std::uint64_t size, std::uint32_t perm)
    {
        check(hvpt_space_map(&space_, gpa, hpa, size, hvpt_ram(perm), nullptr));
    }
    void unmap(hvpt_gpa gpa, std::uint64_t size) { check(hvpt_space_unmap(&space_, gpa, size, nullptr)); }
    hvpt_hpa translate(hvpt_gpa gpa) const
    {
        hvpt_mapping mapping;
        check(hvpt_space_translate(&space_, gpa, &mapping));
        return mapping.hpa;
    }
    std::string explain(hvpt_gpa gpa, std::uint32_t access) const
    {
        std::string words;
        const hvpt_text text = {append, &words};
        (void)!hvpt_space_explain(&space_, gpa, access, &text);
        return words;
    }
    int flushes() const { return flushes_; }

private:
    static void check(hvpt_status status)
    {
        if (status != HVPT_OK)
            throw std::runtime_error(hvpt_status_text(status));
    }
    // Here a physical address is a pointer, so maxphyaddr is that of pointers. A hook does not throw: C is in between.
    static bool alloc_frame(void *, unsigned order, hvpt_hpa *out)
    {
        void *frame = std::aligned_alloc(std::size_t{4096} << order, std::size_t{4096} << order);
        *out = hvpt_make_hpa(reinterpret_cast<std::uintptr_t>(frame));
        return frame != nullptr;
    }
    static void free_frame(void *, hvpt_hpa frame, unsigned)
    {
        std::free(reinterpret_cast<void *>(static_cast<std::uintptr_t>(frame.value)));
    }
    static void flush(void *self, const hvpt_flush *) { static_cast<GuestMemory *>(self)->flushes_++; }
    static void append(void *words, const char *bytes, std::size_t length)
    {
        static_cast<std::string *>(words)->append(bytes, length);
    }

    hvpt_hooks hooks_ = {};
    hvpt_space space_ = {};
    int flushes_ = 0;
};

int main()
{
    const hvpt_gpa rom = hvpt_make_gpa(0xff000000), entry = hvpt_make_gpa(0xfffffff0);
    GuestMemory guest(52);

    guest.map(rom, hvpt_make_hpa(0x40000000), 16 << 20, HVPT_READ | HVPT_EXEC);
    std::cout << std::hex << guest.translate(entry).value << '\n' << guest.explain(entry, HVPT_WRITE) << '\n';
    guest.unmap(rom, 16 << 20);
    try {
        guest.translate(entry);
    } catch (const std::runtime_error &error) {
        std::cout << error.what() << ", " << guest.flushes() << " flush\n";
    }
}
