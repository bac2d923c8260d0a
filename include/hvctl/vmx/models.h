/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * What VMX can do on common CPUs, by model, for a dump from a machine that is not at hand. The rows are the capability
 * MSRs and CPUID as read on such CPUs; SDM vol. 3, appendix "VMX Capability Reporting Facility".
 */
#ifndef HVCTL_VMX_MODELS_H
#define HVCTL_VMX_MODELS_H

#include "caps.h"
#include "check_host.h"

/* What CPUID reports of a model besides widths. All have Intel 64 and NX. */
#define HVCTL_MODEL_PCID     0x00001u
#define HVCTL_MODEL_XSAVE    0x00002u
#define HVCTL_MODEL_FSGSBASE 0x00004u
#define HVCTL_MODEL_SMEP     0x00008u
#define HVCTL_MODEL_SMAP     0x00010u
#define HVCTL_MODEL_RTM      0x00020u
#define HVCTL_MODEL_SGX      0x00040u
#define HVCTL_MODEL_UMIP     0x00080u
#define HVCTL_MODEL_PKU      0x00100u
#define HVCTL_MODEL_CET_SS   0x00200u
#define HVCTL_MODEL_LA57     0x00400u
#define HVCTL_MODEL_BUS_LOCK 0x00800u
#define HVCTL_MODEL_PKS      0x01000u
#define HVCTL_MODEL_CET_IBT  0x02000u
#define HVCTL_MODEL_FRED     0x04000u
#define HVCTL_MODEL_LAM      0x08000u
#define HVCTL_MODEL_APX      0x10000u
#define HVCTL_MODEL_PAGE1G   0x20000u

/*
 * A model. The allowed-0 halves of the control MSRs, and the fixed bits of CR0, are the same on all of them, so only
 * what may be 1 is here.
 */
struct hvctl_vmx_model {
    const char *name;
    uint32_t signature; /* CPUID.1:EAX; 0: not a CPU, but what a hypervisor shows, or a future one */
    uint64_t basic;
    uint32_t pin, primary, secondary, exit, entry; /* bits that may be 1 */
    uint32_t misc;
    uint64_t cr4_fixed1;
    uint64_t ept_vpid_cap;
    uint8_t physical_bits, linear_bits;
    uint32_t flags; /* HVCTL_MODEL_* */
};

/*
 * The row with this number, the oldest first; NULL after the last. The last is a future CPU that has everything that is
 * named.
 */
static inline const struct hvctl_vmx_model *hvctl_vmx_model_at(size_t number)
{
    static const struct hvctl_vmx_model list[] = {
        {"Penryn", 0x10676, UINT64_C(0x5a08000000000d), 0x3f, 0xf7f9fffe, 0x41, 0x3ffff, 0x3fff,
         0x403c0, UINT64_C(0x27ff), UINT64_C(0x0), 36, 48,
         0},
        {"Westmere", 0x206c2, UINT64_C(0xda04000000000f), 0x7f, 0xfff9fffe, 0x4ff, 0x7fffff, 0xffff,
         0x401e7, UINT64_C(0x267ff), UINT64_C(0xf0106134141), 36, 48,
         HVCTL_MODEL_PCID | HVCTL_MODEL_PAGE1G},
        {"Sandy Bridge-EP", 0x206d5, UINT64_C(0xda040000000010), 0x7f, 0xfff9fffe, 0x4ff, 0x7fffff, 0xffff,
         0x100401e5, UINT64_C(0x667ff), UINT64_C(0xf0106134141), 46, 48,
         HVCTL_MODEL_PCID | HVCTL_MODEL_XSAVE | HVCTL_MODEL_PAGE1G},
        {"Ivy Bridge", 0x306a9, UINT64_C(0xda040000000010), 0x7f, 0xfff9fffe, 0x8ff, 0x7fffff, 0xffff,
         0x100401e5, UINT64_C(0x1727ff), UINT64_C(0xf0106114141), 36, 48,
         HVCTL_MODEL_PCID | HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP},
        {"Silvermont", 0x30673, UINT64_C(0xda040000000002), 0x7f, 0xfff9fffe, 0x28ef, 0x7fffff, 0xffff,
         0x481e6, UINT64_C(0x1027ff), UINT64_C(0xf0106114141), 36, 48,
         HVCTL_MODEL_SMEP},
        {"Haswell", 0x306c3, UINT64_C(0xda040000000012), 0x7f, 0xfff9fffe, 0x7cff, 0x7fffff, 0xffff,
         0x300481e5, UINT64_C(0x1767ff), UINT64_C(0xf0106334141), 39, 48,
         HVCTL_MODEL_PCID | HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_RTM
             | HVCTL_MODEL_PAGE1G},
        {"Haswell-EP", 0x306f2, UINT64_C(0xda040000000012), 0xff, 0xfff9fffe, 0x7fff, 0x7fffff, 0xffff,
         0x300481e5, UINT64_C(0x1767ff), UINT64_C(0xf0106334141), 46, 48,
         HVCTL_MODEL_PCID | HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_PAGE1G},
        {"Broadwell", 0x306d4, UINT64_C(0xda040000000012), 0x7f, 0xfff9fffe, 0x57cff, 0x7fffff, 0xffff,
         0x300481e5, UINT64_C(0x3767ff), UINT64_C(0xf0106334141), 39, 48,
         HVCTL_MODEL_PCID | HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_SMAP
             | HVCTL_MODEL_PAGE1G},
        {"Broadwell-EP", 0x406f1, UINT64_C(0xda040000000012), 0xff, 0xfff9fffe, 0x77fff, 0x7fffff, 0xffff,
         0x300481e5, UINT64_C(0x3767ff), UINT64_C(0xf0106334141), 46, 48,
         HVCTL_MODEL_PCID | HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_SMAP
             | HVCTL_MODEL_RTM | HVCTL_MODEL_PAGE1G},
        {"Skylake", 0x506e3, UINT64_C(0xda040000000004), 0x7f, 0xfff9fffe, 0x1ffcff, 0x1ffffff, 0x3ffff,
         0x7004c1e7, UINT64_C(0x3727ff), UINT64_C(0xf0106334141), 39, 48,
         HVCTL_MODEL_PCID | HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_SMAP
             | HVCTL_MODEL_RTM | HVCTL_MODEL_SGX | HVCTL_MODEL_PAGE1G},
        {"Skylake-SP", 0x50654, UINT64_C(0xda040000000004), 0xff, 0xfff9fffe, 0x25f7fff, 0x1ffffff, 0x3ffff,
         0x7004c1e7, UINT64_C(0x7767ff), UINT64_C(0xf0106734141), 46, 48,
         HVCTL_MODEL_PCID | HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_SMAP
             | HVCTL_MODEL_RTM | HVCTL_MODEL_PKU | HVCTL_MODEL_PAGE1G},
        {"Cascade Lake-SP", 0x50657, UINT64_C(0xda040000000004), 0xff, 0xfff9fffe, 0x25f7fff, 0x1ffffff, 0x3ffff,
         0x7004c1e7, UINT64_C(0x7767ff), UINT64_C(0xf0106734141), 46, 48,
         HVCTL_MODEL_PCID | HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_SMAP
             | HVCTL_MODEL_RTM | HVCTL_MODEL_PKU | HVCTL_MODEL_PAGE1G},
        {"Denverton", 0x506f1, UINT64_C(0xda040000000011), 0xff, 0xfff9fffe, 0x1d6fff, 0x1ffffff, 0x3ffff,
         0x6004c1e7, UINT64_C(0x3527ff), UINT64_C(0xf0106334141), 39, 48,
         HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_SMAP | HVCTL_MODEL_PAGE1G},
        {"Gemini Lake", 0x706a1, UINT64_C(0xda040000000011), 0xff, 0xfff9fffe, 0x25defff, 0x1ffffff, 0x3ffff,
         0x6004c1e7, UINT64_C(0x352fff), UINT64_C(0xf0106734141), 39, 48,
         HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_SMAP | HVCTL_MODEL_SGX
             | HVCTL_MODEL_UMIP | HVCTL_MODEL_PAGE1G},
        {"Coffee Lake", 0x906ea, UINT64_C(0xda040000000004), 0x7f, 0xfff9fffe, 0x5ffcff, 0x1ffffff, 0x3ffff,
         0x7004c1e7, UINT64_C(0x3767ff), UINT64_C(0xf0106734141), 39, 48,
         HVCTL_MODEL_PCID | HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_SMAP
             | HVCTL_MODEL_RTM | HVCTL_MODEL_SGX | HVCTL_MODEL_PAGE1G},
        {"Comet Lake", 0xa0655, UINT64_C(0xda040000000004), 0xff, 0xfff9fffe, 0x5fffff, 0x1ffffff, 0x3ffff,
         0x7004c1e7, UINT64_C(0x7767ff), UINT64_C(0xf0106734141), 39, 48,
         HVCTL_MODEL_PCID | HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_SMAP
             | HVCTL_MODEL_SGX | HVCTL_MODEL_PKU | HVCTL_MODEL_PAGE1G},
        {"Ice Lake", 0x706e5, UINT64_C(0xda050000000013), 0xff, 0xfff9fffe, 0x335fbfff, 0x37fffff, 0x6ffff,
         0x7004c1e7, UINT64_C(0x772fff), UINT64_C(0xf0106734141), 39, 48,
         HVCTL_MODEL_PCID | HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_SMAP
             | HVCTL_MODEL_SGX | HVCTL_MODEL_UMIP | HVCTL_MODEL_PKU | HVCTL_MODEL_PAGE1G},
        {"Ice Lake-SP", 0x606a6, UINT64_C(0xda050000000013), 0xff, 0xfff9fffe, 0x4bdfffff, 0x37fffff, 0x6ffff,
         0x7004c1e7, UINT64_C(0x777fff), UINT64_C(0xf01067341c1), 46, 57,
         HVCTL_MODEL_PCID | HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_SMAP
             | HVCTL_MODEL_RTM | HVCTL_MODEL_SGX | HVCTL_MODEL_UMIP | HVCTL_MODEL_PKU | HVCTL_MODEL_LA57
             | HVCTL_MODEL_PAGE1G},
        {"Tiger Lake", 0x806c1, UINT64_C(0x1da050000000013), 0xff, 0xfffbfffe, 0x35f3fff, 0x137fffff, 0x16ffff,
         0x7004c1e7, UINT64_C(0xff2fff), UINT64_C(0xf0106f34141), 39, 48,
         HVCTL_MODEL_PCID | HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_SMAP
             | HVCTL_MODEL_UMIP | HVCTL_MODEL_PKU | HVCTL_MODEL_CET_SS | HVCTL_MODEL_CET_IBT | HVCTL_MODEL_PAGE1G},
        {"Jasper Lake", 0x906c0, UINT64_C(0xda050000000013), 0xff, 0xfff9fffe, 0x7dd6fff, 0x37fffff, 0x6ffff,
         0x7004c1e7, UINT64_C(0x352fff), UINT64_C(0xf0106714141), 39, 48,
         HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_SMAP | HVCTL_MODEL_UMIP},
        {"Rocket Lake", 0xa0671, UINT64_C(0xda050000000013), 0xff, 0xfff9fffe, 0x335fffff, 0x3ffffff, 0x7ffff,
         0x7004c1e7, UINT64_C(0x776fff), UINT64_C(0xf0106734141), 39, 48,
         HVCTL_MODEL_PCID | HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_SMAP
             | HVCTL_MODEL_SGX | HVCTL_MODEL_UMIP | HVCTL_MODEL_PKU | HVCTL_MODEL_PAGE1G},
        {"Alder Lake", 0x90672, UINT64_C(0x3da050000000013), 0xff, 0xfffbfffe, 0x75f7fff, 0xf77fffff, 0x76ffff,
         0x7004c1e7, UINT64_C(0x1ff2fff), UINT64_C(0xf0106f34141), 39, 48,
         HVCTL_MODEL_PCID | HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_SMAP
             | HVCTL_MODEL_UMIP | HVCTL_MODEL_PKU | HVCTL_MODEL_CET_SS | HVCTL_MODEL_PKS | HVCTL_MODEL_CET_IBT
             | HVCTL_MODEL_PAGE1G},
        {"Raptor Lake", 0xb0671, UINT64_C(0x3da050000000013), 0xff, 0xfffbfffe, 0xf5f7fff, 0xf77fffff, 0x76ffff,
         0x7004c1e7, UINT64_C(0x1ff6fff), UINT64_C(0x10f0106f34141), 46, 48,
         HVCTL_MODEL_PCID | HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_SMAP
             | HVCTL_MODEL_UMIP | HVCTL_MODEL_PKU | HVCTL_MODEL_CET_SS | HVCTL_MODEL_PKS | HVCTL_MODEL_CET_IBT
             | HVCTL_MODEL_PAGE1G},
        {"Sapphire Rapids", 0x806f8, UINT64_C(0x3da050000000013), 0xff, 0xfffbfffe, 0xcfff3fff, 0xff7fffff, 0x7effff,
         0x7004c1e7, UINT64_C(0x3f77fff), UINT64_C(0x10f0106f341c1), 52, 57,
         HVCTL_MODEL_PCID | HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_SMAP
             | HVCTL_MODEL_RTM | HVCTL_MODEL_UMIP | HVCTL_MODEL_PKU | HVCTL_MODEL_CET_SS | HVCTL_MODEL_LA57
             | HVCTL_MODEL_BUS_LOCK | HVCTL_MODEL_PKS | HVCTL_MODEL_CET_IBT | HVCTL_MODEL_PAGE1G},
        {"Granite Rapids", 0xa06d1, UINT64_C(0x3da050000000013), 0xff, 0xfffbfffe, 0xcfff7fff, 0xff7fffff, 0x7effff,
         0x7004c1e7, UINT64_C(0x3f77fff), UINT64_C(0x10f0106f341c1), 52, 57,
         HVCTL_MODEL_PCID | HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_SMAP
             | HVCTL_MODEL_RTM | HVCTL_MODEL_UMIP | HVCTL_MODEL_PKU | HVCTL_MODEL_CET_SS | HVCTL_MODEL_LA57
             | HVCTL_MODEL_BUS_LOCK | HVCTL_MODEL_PKS | HVCTL_MODEL_CET_IBT | HVCTL_MODEL_PAGE1G},
        {"Meteor Lake", 0xa06a4, UINT64_C(0x3da050000000013), 0xff, 0xfffbfffe, 0xc75f7fff, 0xf77fffff, 0x76ffff,
         0x7004c1e7, UINT64_C(0x1f76fff), UINT64_C(0xf0106f34141), 46, 48,
         HVCTL_MODEL_PCID | HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_SMAP
             | HVCTL_MODEL_UMIP | HVCTL_MODEL_PKU | HVCTL_MODEL_CET_SS | HVCTL_MODEL_BUS_LOCK | HVCTL_MODEL_PKS
             | HVCTL_MODEL_CET_IBT | HVCTL_MODEL_PAGE1G},
        {"Arrow Lake", 0xc0662, UINT64_C(0x3da060000000015), 0xff, 0xfffbfffe, 0xc75f7fff, 0xff7fffff, 0x7effff,
         0x7004c1e7, UINT64_C(0x1bf76fff), UINT64_C(0xf0106f34141), 46, 48,
         HVCTL_MODEL_PCID | HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_SMAP
             | HVCTL_MODEL_UMIP | HVCTL_MODEL_PKU | HVCTL_MODEL_CET_SS | HVCTL_MODEL_BUS_LOCK | HVCTL_MODEL_PKS
             | HVCTL_MODEL_CET_IBT | HVCTL_MODEL_LAM | HVCTL_MODEL_PAGE1G},
        {"Wildcat Lake", 0xd0651, UINT64_C(0x7da060000000015), 0xff, 0xfffbfffe, 0xc75f7fff, 0xff7fffff, 0x1feffff,
         0x7004c1e7, UINT64_C(0x11bf76fff), UINT64_C(0x10f0106f34141), 46, 48,
         HVCTL_MODEL_PCID | HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_SMAP
             | HVCTL_MODEL_UMIP | HVCTL_MODEL_PKU | HVCTL_MODEL_CET_SS | HVCTL_MODEL_BUS_LOCK | HVCTL_MODEL_PKS
             | HVCTL_MODEL_CET_IBT | HVCTL_MODEL_FRED | HVCTL_MODEL_LAM | HVCTL_MODEL_PAGE1G},
        /* What KVM shows to a hypervisor that runs as its guest, on a recent CPU. */
        {"KVM guest (nested)", 0, UINT64_C(0xd8100011e57ed0), 0xff, 0xfff9fffe, 0x63fdbfff, 0x01ffefff, 0x0003f3ff,
         0x60000165, UINT64_C(0x3ff7fff), UINT64_C(0xf01067340c1), 52, 57,
         HVCTL_MODEL_PCID | HVCTL_MODEL_XSAVE | HVCTL_MODEL_FSGSBASE | HVCTL_MODEL_SMEP | HVCTL_MODEL_SMAP
             | HVCTL_MODEL_UMIP | HVCTL_MODEL_PKU | HVCTL_MODEL_LA57 | HVCTL_MODEL_PAGE1G},
        {"newer", 0, UINT64_C(0x7da060000000015), 0xff, 0xfffbfffe, 0xffffffff, 0xffffffff, 0x03ffffff, 0x7e04c1e7,
         UINT64_C(0x11bff7fff), UINT64_C(0x10f0106ff41c1), 52, 57,
         0x3ffff},
    };

    return number < sizeof(list) / sizeof(list[0]) ? &list[number] : NULL;
}

/* How many models there are. */
static inline unsigned hvctl_vmx_models(void)
{
    unsigned count = 0;

    while (hvctl_vmx_model_at(count))
        count++;
    return count;
}

/*
 * The capabilities of a model. Its row does not say which tertiary and secondary VM-exit controls there are: if the CPU
 * has such words, all of them are accepted.
 */
static inline void hvctl_vmx_model_caps(const struct hvctl_vmx_model *model, struct hvctl_vmx_caps *caps)
{
    uint32_t flags = model->flags;

    unsigned char *byte = (unsigned char *)caps;
    size_t i;

    for (i = 0; i < sizeof(*caps); i++)
        byte[i] = 0;
    caps->basic = model->basic;
    caps->pin = (uint64_t)model->pin << 32 | 0x16;
    caps->primary = (uint64_t)model->primary << 32 | 0x0401e172;
    caps->exit = (uint64_t)model->exit << 32 | 0x00036dff;
    caps->entry = (uint64_t)model->entry << 32 | 0x000011ff;
    if (model->basic & HVCTL_VMX_BASIC_TRUE_CONTROLS) {
        caps->true_pin = caps->pin;
        caps->true_primary = (uint64_t)model->primary << 32 | 0x04006172;
        caps->true_exit = (uint64_t)model->exit << 32 | 0x00036dfb;
        caps->true_entry = (uint64_t)model->entry << 32 | 0x000011fb;
    }
    caps->secondary = (uint64_t)model->secondary << 32;
    if (hvctl_vmx_can(caps, HVCTL_PRIMARY_ACTIVATE_TERTIARY_CONTROLS))
        caps->tertiary = hvctl_vmx_named(HVCTL_GROUP_TERTIARY);
    if (hvctl_vmx_can(caps, HVCTL_EXIT_ACTIVATE_SECONDARY_CONTROLS))
        caps->exit2 = hvctl_vmx_named(HVCTL_GROUP_EXIT2);
    caps->vmfunc = hvctl_vmx_can(caps, HVCTL_SECONDARY_ENABLE_VM_FUNCTIONS) ? 1 : 0;
    caps->misc = model->misc;
    caps->cr0_fixed0 = 0x80000021;
    caps->cr0_fixed1 = 0xffffffff;
    caps->cr4_fixed0 = 0x2000;
    caps->cr4_fixed1 = model->cr4_fixed1;
    caps->ept_vpid_cap = model->ept_vpid_cap;
    caps->feature_control = 5;
    caps->cpu.maxphyaddr = model->physical_bits;
    caps->cpu.linear_bits = model->linear_bits;
    caps->cpu.long_mode = caps->cpu.nx = caps->cpu.vmx = true;
    caps->cpu.page1g = (flags & HVCTL_MODEL_PAGE1G) != 0;
    caps->cpu.la57 = (flags & HVCTL_MODEL_LA57) != 0;
    caps->cpu.fred = (flags & HVCTL_MODEL_FRED) != 0;
    caps->cpu.apx = (flags & HVCTL_MODEL_APX) != 0;
    caps->cpu.cet_ss = (flags & HVCTL_MODEL_CET_SS) != 0;
    caps->cpu.cet_ibt = (flags & HVCTL_MODEL_CET_IBT) != 0;
    caps->cpu.pku = (flags & HVCTL_MODEL_PKU) != 0;
    caps->cpu.pks = (flags & HVCTL_MODEL_PKS) != 0;
    caps->cpu.smep = (flags & HVCTL_MODEL_SMEP) != 0;
    caps->cpu.smap = (flags & HVCTL_MODEL_SMAP) != 0;
    caps->cpu.umip = (flags & HVCTL_MODEL_UMIP) != 0;
    caps->cpu.fsgsbase = (flags & HVCTL_MODEL_FSGSBASE) != 0;
    caps->cpu.pcid = (flags & HVCTL_MODEL_PCID) != 0;
    caps->cpu.xsave = (flags & HVCTL_MODEL_XSAVE) != 0;
}

/* What else the checks need to know about a model. All performance counters are accepted. */
static inline void hvctl_vmx_model_facts(const struct hvctl_vmx_model *model, struct hvctl_vmx_cpu_facts *facts)
{
    facts->known = true;
    facts->rtm = (model->flags & HVCTL_MODEL_RTM) != 0;
    facts->sgx = (model->flags & HVCTL_MODEL_SGX) != 0;
    facts->bus_lock_detect = (model->flags & HVCTL_MODEL_BUS_LOCK) != 0;
    facts->lam = (model->flags & HVCTL_MODEL_LAM) != 0;
    facts->perf_global_ctrl = ~HVCTL_PERF_GLOBAL_CTRL_RESERVED;
}

#endif
