/*
 * CPUID for a guest that gets the machine's own CPU, but not its virtualization: the host's answer with what must
 * differ. SDM vol. 2, "CPUID - CPU Identification"; APM vol. 3, appendix "Obtaining Processor Information Via the CPUID
 * Instruction".
 */
#ifndef HVCTL_COMMON_GUEST_CPUID_H
#define HVCTL_COMMON_GUEST_CPUID_H

#include "msr.h"

#define HVCTL_CR4_OSXSAVE (UINT64_C(1) << 18)
#define HVCTL_CR4_PKE     (UINT64_C(1) << 22)

/* Set or clear one bit of a register of the answer. */
static inline uint32_t hvctl_cpuid_bit(uint32_t value, unsigned bit, bool on)
{
    return on ? value | UINT32_C(1) << bit : value & ~(UINT32_C(1) << bit);
}

/*
 * What a guest is to see of the host's answer to this leaf and subleaf: no VMX and SMX, no SVM, SKINIT and memory
 * encryption, whose MSRs and instructions the hypervisor keeps; OSXSAVE and OSPKE as guest_cr4 has them, for they
 * report CR4 and the host's is another. All else is the host's. Hiding more (x2APIC, MONITOR, ...) is the caller's
 * choice.
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
    case UINT32_C(0x80000001):
        host.ecx = hvctl_cpuid_bit(host.ecx, 2, false);  /* SVM */
        host.ecx = hvctl_cpuid_bit(host.ecx, 12, false); /* SKINIT */
        return host;
    case UINT32_C(0x8000000a):
    case UINT32_C(0x8000001f): return none; /* SVM's features; memory encryption's */
    default: return host;
    }
}

#endif
