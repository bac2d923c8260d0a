/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* What CPUID says about the machine under the kernel. */
#include "cpu.h"

#include "memory.h"

enum cpu_vendor cpu_vendor(void)
{
    struct cpuid_result r = cpu_cpuid(0, 0);

    if (r.ebx == 0x756e6547 && r.edx == 0x49656e69 && r.ecx == 0x6c65746e) /* GenuineIntel */
        return CPU_INTEL;
    if (r.ebx == 0x68747541 && r.edx == 0x69746e65 && r.ecx == 0x444d4163) /* AuthenticAMD */
        return CPU_AMD;
    return CPU_OTHER;
}

const char *cpu_brand(void)
{
    static char text[49];
    char *start = text, *end = text + 48;

    if (cpu_cpuid(0x80000000u, 0).eax >= 0x80000004u) {
        for (uint32_t i = 0; i < 3; i++) {
            struct cpuid_result r = cpu_cpuid(0x80000002u + i, 0);

            memcpy(text + 16 * i, &r, 16);
        }
    } else {
        struct cpuid_result r = cpu_cpuid(0, 0);

        memcpy(text, &r.ebx, 4);
        memcpy(text + 4, &r.edx, 4);
        memcpy(text + 8, &r.ecx, 4);
    }
    while (*start == ' ')
        start++;
    while (end > start && (end[-1] == ' ' || end[-1] == '\0'))
        *--end = '\0';
    return start;
}

unsigned cpu_physical_address_bits(void)
{
    return cpu_cpuid(0x80000000u, 0).eax >= 0x80000008u ? cpu_cpuid(0x80000008u, 0).eax & 0xff : 36;
}
