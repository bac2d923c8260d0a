/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * CPUID for a guest that gets the machine's own CPU without its virtualization: the host's answer, changed where it
 * must differ. SDM vol. 2, "CPUID - CPU Identification"; APM vol. 3, appendix "Obtaining Processor Information Via the
 * CPUID Instruction".
 */
#ifndef HVCTL_COMMON_GUEST_CPUID_H
#define HVCTL_COMMON_GUEST_CPUID_H

#include "msr.h"

#define HVCTL_CR4_OSXSAVE (UINT64_C(1) << 18)
#define HVCTL_CR4_KL      (UINT64_C(1) << 19)
#define HVCTL_CR4_PKE     (UINT64_C(1) << 22)

/* Set or clear one bit of a register of the answer. */
static inline uint32_t hvctl_cpuid_bit(uint32_t value, unsigned bit, bool on)
{
    return on ? value | UINT32_C(1) << bit : value & ~(UINT32_C(1) << bit);
}

/*
 * What a guest should see of the host's answer to this leaf and subleaf: no VMX and SMX, no SVM, SKINIT and memory
 * encryption, because the hypervisor keeps their MSRs and instructions; and OSXSAVE, OSPKE and AESKLE by guest_cr4,
 * because they report CR4, which the guest has of its own. Everything else is the host's. Hiding more (x2APIC, MONITOR,
 * ...) is the caller's choice.
 */
static inline struct hvctl_cpuid hvctl_guest_cpuid(uint32_t leaf, uint32_t subleaf, struct hvctl_cpuid host,
                                                   uint64_t guest_cr4)
{
    const struct hvctl_cpuid none = {0, 0, 0, 0};

    switch (leaf) {
    case 1:
        host.ecx = hvctl_cpuid_bit(host.ecx, 5, false); /* VMX */
        host.ecx = hvctl_cpuid_bit(host.ecx, 6, false); /* SMX */
        host.ecx = hvctl_cpuid_bit(host.ecx, 27, (guest_cr4 & HVCTL_CR4_OSXSAVE) != 0);
        return host;
    case 7:
        if (subleaf == 0)
            host.ecx = hvctl_cpuid_bit(host.ecx, 4, (guest_cr4 & HVCTL_CR4_PKE) != 0); /* OSPKE */
        return host;
    case 0x19:
        host.ebx = hvctl_cpuid_bit(host.ebx, 0, (guest_cr4 & HVCTL_CR4_KL) != 0); /* AESKLE */
        return host;
    case UINT32_C(0x80000001):
        host.ecx = hvctl_cpuid_bit(host.ecx, 2, false);  /* SVM */
        host.ecx = hvctl_cpuid_bit(host.ecx, 12, false); /* SKINIT */
        return host;
    case UINT32_C(0x8000000a):
    case UINT32_C(0x8000001f): return none; /* the features of SVM; those of memory encryption */
    default: return host;
    }
}

/* What a guest's answers depend on besides the host's. */
struct hvctl_guest_cpuid_facts {
    uint64_t cr4, xcr0, xss; /* the guest's own */
    unsigned physical_bits;  /* as many as the tables translate: 48 with four levels, 57 with five; 0: as the host's */
    hvctl_cpuid_fn cpuid;    /* the host's CPUID, for the sizes of state components; NULL: leaf 0DH stays the host's */
    void *ctx;
};

/*
 * The size of an XSAVE area with these components. compacted: as XSAVES and XSAVEC lay it out. CPUID leaf 0DH, subleaf
 * n: EAX size, EBX offset in the standard form, ECX[1] alignment to 64 bytes in the compacted. SDM vol. 1, "Managing
 * State Using the XSAVE Feature Set".
 */
static inline uint32_t hvctl_xsave_size(const struct hvctl_guest_cpuid_facts *facts, uint64_t components,
                                        bool compacted)
{
    uint32_t size = 512 + 64;
    unsigned i;

    for (i = 2; i < 63; i++) {
        struct hvctl_cpuid id;

        if (!(components >> i & 1u))
            continue;
        id = (facts->cpuid)(facts->ctx, 0xd, i);
        if (compacted)
            size = (id.ecx & 2u ? (size + 63u) & ~UINT32_C(63) : size) + id.eax;
        else if (id.ebx + id.eax > size)
            size = id.ebx + id.eax;
    }
    return size;
}

/*
 * hvctl_guest_cpuid, and what depends on the guest's XCR0 and on the tables: the sizes of the XSAVE area (leaf 0DH),
 * which a host's CPUID gives for the host's own XCR0; and GuestPhysBits (80000008H EAX[23:16]), how many
 * physical-address bits the guest can use.
 */
static inline struct hvctl_cpuid hvctl_guest_cpuid_in(uint32_t leaf, uint32_t subleaf, struct hvctl_cpuid host,
                                                      const struct hvctl_guest_cpuid_facts *facts)
{
    struct hvctl_cpuid id = hvctl_guest_cpuid(leaf, subleaf, host, facts->cr4);

    if (leaf == 0xd && facts->cpuid && subleaf == 0 && id.ebx != 0)
        id.ebx = hvctl_xsave_size(facts, facts->xcr0, false);
    if (leaf == 0xd && facts->cpuid && subleaf == 1 && id.ebx != 0)
        id.ebx = hvctl_xsave_size(facts, facts->xcr0 | facts->xss, true);
    if (leaf == UINT32_C(0x80000008) && facts->physical_bits) {
        uint32_t bits = id.eax & 0xffu, guest = id.eax >> 16 & 0xffu;

        if (guest != 0 && guest < bits)
            bits = guest; /* this host is a guest itself */
        if (facts->physical_bits < bits)
            bits = facts->physical_bits;
        id.eax = (id.eax & ~UINT32_C(0xff0000)) | bits << 16;
    }
    return id;
}

#endif
