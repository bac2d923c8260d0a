/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A CPU at EL2 and its guest at EL1: stage 2, and exits in the terms of thinhv.h. Interrupts, timers and the interrupt
 * controller are EL1's own. Arm ARM, "The AArch64 Virtual Memory System Architecture".
 */
#include "aarch64.h"

#include "console.h"
#include "kernel.h"
#include "machine.h"
#include "memory.h"

#define VMID UINT64_C(1)

#define HCR_VM   (UINT64_C(1) << 0)
#define HCR_SWIO (UINT64_C(1) << 1)
#define HCR_TSC  (UINT64_C(1) << 19) /* SMC exits */
#define HCR_RW   (UINT64_C(1) << 31)
#define HCR_APK  (UINT64_C(1) << 40)
#define HCR_API  (UINT64_C(1) << 41)

#define PSTATE_EL1H (UINT64_C(0x3c0) | 5) /* interrupts masked */

/* vectors.S counts on these. */
_Static_assert(offsetof(struct arch_vcpu, pc) == 248, "pc");
_Static_assert(offsetof(struct arch_vcpu, pstate) == 256, "pstate");

void first_cpu(void);
void second_cpu(uint64_t number);
void exception_entry(uint64_t vector, uint64_t esr, uint64_t elr, uint64_t far);

static uint64_t own_table[512] __attribute__((aligned(4096)));
static uint32_t features;

/* ---- the machine ---- */

void machine_put(char c)
{
    semihosting(3, &c); /* SYS_WRITEC */
}

_Noreturn void machine_end(void)
{
    psci_power_off();
}

void exception_entry(uint64_t vector, uint64_t esr, uint64_t elr, uint64_t far)
{
    panic("exception, vector %lu, esr %lx, at %lx, far %lx", vector, esr, elr, far);
}

/* EL2's own translation: one to one, devices in the first GiB and write-back memory in the next three. */
static void translation_on(void)
{
    const uint64_t block = 1, af = 1 << 10, inner_shareable = 3 << 8, res1 = 1 << 6, xn = UINT64_C(1) << 54;

    own_table[0] = block | af | res1 | xn;
    for (uint64_t i = 1; i < 4; i++)
        own_table[i] = i << 30 | block | af | inner_shareable | res1 | 1 << 2;
    cpu_write_mair_el2(0xff00); /* 0: Device-nGnRnE, 1: write-back */
    cpu_write_tcr_el2(1u << 31 | 1u << 23 | 2u << 16 | 3u << 12 | 1u << 10 | 1u << 8 | 25); /* 39 bits, 4K */
    cpu_write_ttbr0_el2((uintptr_t)own_table);
    cpu_barrier();
    __asm__ volatile("tlbi alle2\n\tdsb sy\n\tisb" : : : "memory");
    cpu_write_sctlr_el2(0x30c50830 | 1u << 12 | 1u << 2 | 1);
    cpu_barrier();
}

void first_cpu(void)
{
    translation_on();
    runtime_run();
}

/* Prepared by the CPU whose guest asked for it. */
void second_cpu(uint64_t number)
{
    translation_on();
    arch_enable(&vcpus[number]);
    run_cpu(&vcpus[number]);
}

const char *arch_cpu(void)
{
    static char words[40];

    print_to(words, sizeof(words), "Arm, MIDR_EL1 %lx", cpu_read_midr());
    return words;
}

const char *arch_format(void)
{
    static char words[100];

    print_to(words, sizeof(words), "stage 2%s%s", features & HVPT_S2_USE_CONTIGUOUS ? ", contiguous bit" : "",
             features & HVPT_S2_USE_HARDWARE_DIRTY ? ", A and D by hardware" : "");
    return words;
}

/* ---- what a CPU is told once ---- */

static void load_stage2(void)
{
    cpu_write_vtcr_el2(hvpt_s2_vtcr(&space));
    cpu_write_vttbr_el2(hvpt_space_root(&space) | VMID << HVPT_VTTBR_VMID_SHIFT);
    cpu_barrier();
    cpu_tlbi_alle1is();
    cpu_barrier();
}

void arch_enable(struct vcpu *vcpu)
{
    const uint64_t isar1 = REGISTER_READ("s3_0_c0_c6_1");

    /* Interrupts are not routed to EL2 (IMO, FMO, AMO), waiting does not trap (TWI, TWE). */
    cpu_write_hcr_el2(HCR_VM | HCR_SWIO | HCR_TSC | HCR_RW | ((isar1 >> 4 & 0xff) != 0 ? HCR_APK | HCR_API : 0));
    traps_set();
    cpu_write_sctlr_el1(0x30d00800); /* translation and caches off */
    cpu_barrier();
    if (vcpu != &vcpus[0])
        load_stage2();
}

void arch_prepare(struct vcpu *vcpu, const struct start *start)
{
    memset(&vcpu->arch, 0, sizeof(vcpu->arch));
    vcpu->arch.pc = start->pc;
    vcpu->arch.x[0] = start->arguments[0];
    vcpu->arch.pstate = PSTATE_EL1H;
    if (vcpu == &vcpus[0])
        load_stage2();
}

void arch_start_others(void)
{
    /* The guest asks for them: psci.c. */
}

/* ---- stage 2 ---- */

enum hvpt_status arch_open(struct hvpt_space *out, const struct hvpt_hooks *hooks, uint64_t max_page_size)
{
    struct hvpt_s2_config config = {0};

    config.mmfr0 = cpu_read_mmfr0();
    config.mmfr1 = cpu_read_mmfr1();
    config.mmfr2 = cpu_read_mmfr2();
    config.max_page_size = max_page_size;
    if ((config.mmfr1 & 15) >= 1) /* HAFDBS */
        config.features |= HVPT_S2_USE_HARDWARE_AF;
    if ((config.mmfr1 & 15) >= 2)
        config.features |= HVPT_S2_USE_HARDWARE_DIRTY;
    if (option(image, "joined", NULL))
        config.features |= HVPT_S2_USE_CONTIGUOUS;
    features = config.features;
    return hvpt_s2_init(out, hooks, &config);
}

void arch_read_memory_map(void)
{
    say("memory types from: 0 UC %lx WB", RAM_START);
}

struct hvpt_attr arch_attr(uint64_t address)
{
    struct hvpt_attr device = {HVPT_READ | HVPT_WRITE, HVPT_MEM_UC, 0, 0};
    struct hvpt_attr memory = {HVPT_READ | HVPT_WRITE | HVPT_EXEC, HVPT_MEM_WB, 0, 0};

    return address < RAM_START ? device : memory;
}

static enum hvpt_status map_one_to_one(struct hvpt_space *in, uint64_t from, uint64_t to, uint32_t perm,
                                       struct hvpt_flush *flush)
{
    struct hvpt_attr attr = arch_attr(from);

    attr.perm &= perm;
    return hvpt_space_map(in, hvpt_make_gpa(from), hvpt_make_hpa(from), to - from, attr, flush);
}

enum hvpt_status arch_map(struct hvpt_space *in, uint32_t perm, struct hvpt_flush *flush)
{
    enum hvpt_status status = map_one_to_one(in, 0, RAM_START, perm, flush);

    return status == HVPT_OK ? map_one_to_one(in, RAM_START, RAM_START + image->ram_size, perm, flush) : status;
}

/*
 * The hook. The invalidations reach every CPU by themselves; the barrier waits for them. Those by address are of stage
 * 2 alone, so what was made of both stages goes with all of stage 1.
 */
void arch_flush(void *ctx, const struct hvpt_flush *flush)
{
    (void)ctx;
    cpu_barrier(); /* the tables' stores before the invalidation */
    if (flush->tables || flush->size > 512 * HVPT_4K) {
        cpu_tlbi_vmalls12e1is();
    } else {
        for (uint64_t done = 0; done < flush->size; done += HVPT_4K)
            cpu_tlbi_ipas2e1is(flush->gpa.value + done);
        __asm__ volatile("dsb ish" : : : "memory");
        cpu_tlbi_vmalle1is();
    }
    cpu_barrier();
}

bool arch_has_log(void)
{
    return false;
}

bool arch_see_view(struct vcpu *vcpu)
{
    (void)vcpu;
    return false; /* a second view is for formats without pages that can only be executed */
}

void arch_code_written(uint64_t address, uint64_t size)
{
    for (uint64_t at = address; at < address + size; at += 16) /* no line is shorter */
        __asm__ volatile("dc cvac, %0" : : "r"(at) : "memory");
    __asm__ volatile("dsb ish\n\tic ialluis\n\tdsb ish\n\tisb" : : : "memory");
}

/* ---- exits ---- */

/* Arm ARM, "AArch64.TakeException", as if EL2 had not been in between. */
void arm_exception(struct vcpu *vcpu, uint64_t syndrome, uint64_t address)
{
    const uint64_t pan = UINT64_C(1) << 22, span = UINT64_C(1) << 23, mode = vcpu->arch.pstate & 15;

    REGISTER_WRITE("elr_el1", vcpu->arch.pc);
    REGISTER_WRITE("spsr_el1", vcpu->arch.pstate);
    cpu_write_esr_el1(syndrome);
    cpu_write_far_el1(address);
    vcpu->arch.pc = cpu_read_vbar_el1() + (mode == 0 ? 0x400 : mode == 5 ? 0x200 : 0);
    vcpu->arch.pstate = PSTATE_EL1H | (vcpu->arch.pstate & pan);
    if ((cpu_read_mmfr1() >> 20 & 15) != 0 && !(cpu_read_sctlr_el1() & span))
        vcpu->arch.pstate |= pan;
}

static struct hvpt_s2_fault fault_of(const struct vcpu *vcpu)
{
    struct hvpt_s2_fault fault;

    hvpt_s2_decode_fault(vcpu->arch.esr, vcpu->arch.far, vcpu->arch.hpfar, &fault);
    return fault;
}

/*
 * HPFAR_EL2 does not tell where a permission fault was: the guest's own translation does, if it is still there. The
 * register that answers is the guest's, and is given back.
 */
static bool ask_stage1(uint64_t address, uint64_t *gpa)
{
    uint64_t kept = cpu_read_par_el1(), answer;

    __asm__ volatile("at s1e1r, %0\n\tisb" : : "r"(address) : "memory");
    answer = cpu_read_par_el1();
    REGISTER_WRITE("par_el1", kept);
    *gpa = (answer & UINT64_C(0x000ffffffffff000)) | (address & (HVPT_4K - 1));
    return (answer & 1) == 0;
}

static struct exit classify_fault(struct vcpu *vcpu, struct exit exit)
{
    struct hvpt_s2_fault fault = fault_of(vcpu);

    exit.kind = EXIT_FAULT;
    exit.access = hvpt_s2_fault_wants(&fault);
    exit.gpa = fault.gpa.value;
    if (!fault.gpa_valid && !ask_stage1(fault.linear, &exit.gpa))
        exit.kind = EXIT_SETTLED; /* gone meanwhile: the guest will find out */
    if (exit.gpa >= DOOR && exit.gpa < DOOR + HVPT_4K && fault.access == HVPT_READ) {
        exit.kind = EXIT_CALL;
        exit.reason = REASON_CALL;
    }
    return exit;
}

struct exit arch_run(struct vcpu *vcpu)
{
    struct exit exit = {EXIT_SETTLED, 0, 0, 0};

    cpu_barrier(); /* what was mapped is seen by the guest's walks */
    vm_enter(&vcpu->arch);
    vcpu->arch.esr = cpu_read_esr_el2();
    vcpu->arch.far = cpu_read_far_el2();
    vcpu->arch.hpfar = cpu_read_hpfar_el2();
    exit.reason = (unsigned)(vcpu->arch.esr >> HVPT_ESR_CLASS_SHIFT) & 63;
    switch (exit.reason) {
    case CLASS_SMC: return psci_answer_guest(vcpu);
    case CLASS_HVC: arch_refuse_call(vcpu); return exit;
    case CLASS_FETCH:
    case CLASS_DATA: return classify_fault(vcpu, exit);
    default: exit.kind = EXIT_OTHER; return exit;
    }
}

bool arch_exit(struct vcpu *vcpu, const struct exit *exit)
{
    (void)vcpu;
    (void)exit;
    return false;
}

void arch_advance(struct vcpu *vcpu)
{
    vcpu->arch.pc += 4;
}

/* As a synchronous external abort: Arm ARM, "ISS encoding for an exception from a Data Abort". */
void arch_refuse(struct vcpu *vcpu, const struct exit *exit)
{
    const bool lower = (vcpu->arch.pstate & 15) == 0;
    uint64_t abort = exit->access == HVPT_EXEC ? HVPT_ESR_FETCH_LOWER : HVPT_ESR_DATA_LOWER;

    arm_exception(vcpu,
                  (abort + !lower) << HVPT_ESR_CLASS_SHIFT | HVPT_ESR_BIT_LENGTH | (vcpu->arch.esr & HVPT_ESR_BIT_WRITE)
                      | 0x10,
                  vcpu->arch.far);
}

void arch_refuse_call(struct vcpu *vcpu)
{
    if ((vcpu->arch.esr >> HVPT_ESR_CLASS_SHIFT & 63) == CLASS_HVC) {
        vcpu->arch.pc -= 4;                          /* an HVC has been executed */
        arm_exception(vcpu, HVPT_ESR_BIT_LENGTH, 0); /* class 0: unknown */
    } else {
        struct exit exit = {EXIT_FAULT, 0, 0, HVPT_READ};

        arch_refuse(vcpu, &exit); /* without the option the page is as any other of the hypervisor's */
    }
}

uint64_t *arch_argument(struct vcpu *vcpu, unsigned number)
{
    return &vcpu->arch.x[number];
}

void arch_describe(struct vcpu *vcpu, const struct hvpt_text *text)
{
    struct hvpt_s2_fault fault = fault_of(vcpu);

    if (fault.kind != HVPT_S2_FAULT_NONE) {
        hvpt_s2_fault_text(&fault, text);
    } else if (((vcpu->arch.esr >> HVPT_ESR_CLASS_SHIFT) & 63) == CLASS_SMC) {
        hvpt_text_string(text, "the guest asks PSCI for the end");
    } else {
        hvpt_text_string(text, "ESR_EL2 ");
        hvpt_text_hex(text, vcpu->arch.esr);
    }
}

const char *arch_reason(unsigned reason)
{
    if (reason == REASON_CALL)
        return "call of /init";
    if (reason >= REASON_PSCI)
        return psci_name(reason - REASON_PSCI);
    switch (reason) {
    case CLASS_HVC: return "HVC";
    case CLASS_FETCH: return "instruction abort";
    case CLASS_DATA: return "data abort";
    default: return "trap";
    }
}
