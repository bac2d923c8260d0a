/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A hart in HS-mode and its guest in VS-mode: the G-stage, what goes to the guest without an exit, and the exits in the
 * terms of thinhv.h. Privileged manual, "H" Extension for Hypervisor Support.
 */
#include "riscv64.h"

#include "console.h"
#include "kernel.h"
#include "machine.h"
#include "memory.h"

#define VMID UINT64_C(1)

/* switch.S counts on these. */
_Static_assert(offsetof(struct arch_vcpu, pc) == 256, "PC");
_Static_assert(offsetof(struct arch_vcpu, sstatus) == 264, "SSTATUS");
_Static_assert(offsetof(struct arch_vcpu, hstatus) == 272, "HSTATUS");
_Static_assert(offsetof(struct arch_vcpu, cause) == 280, "CAUSE");
_Static_assert(offsetof(struct arch_vcpu, htinst) == 304, "HTINST");
_Static_assert(offsetof(struct arch_vcpu, host_sp) == 312, "HOST_SP");

void first_hart(uint64_t hart, const void *tree);
void second_hart(uint64_t hart);
void host_died(uint64_t cause, uint64_t pc, uint64_t value);

const void *machine_tree;
static uint32_t features;

/* ---- the machine ---- */

void machine_put(char c)
{
    semihosting(3, &c); /* SYS_WRITEC */
}

_Noreturn void machine_end(void)
{
    sbi_power_off();
}

void host_died(uint64_t cause, uint64_t pc, uint64_t value)
{
    panic("exception %lu at %lx, trap value %lx", cause, pc, value);
}

void first_hart(uint64_t hart, const void *tree)
{
    machine_tree = tree;
    cpu_init(0, tree);
    for (unsigned i = 0; i < MAX_CPUS; i++)
        vcpus[i].arch.hart = i == 0 ? hart : hart ^ 1; /* the first virtual hart is whichever began */
    runtime_run();
}

/* Prepared by the hart that asked for it. */
void second_hart(uint64_t hart)
{
    arch_enable(vcpu_of_hart(hart));
    run_cpu(vcpu_of_hart(hart));
}

struct vcpu *vcpu_of_hart(uint64_t hart)
{
    for (unsigned i = 0; i < cpus; i++)
        if (vcpus[i].arch.hart == hart)
            return &vcpus[i];
    return NULL;
}

const char *arch_cpu(void)
{
    return "RISC-V, RV64 with H";
}

const char *arch_format(void)
{
    static char words[100];

    print_to(words, sizeof(words), "G-stage%s%s%s", features & HVPT_GSTAGE_USE_SVPBMT ? ", Svpbmt" : "",
             features & HVPT_GSTAGE_USE_SVNAPOT ? ", Svnapot" : "",
             features & HVPT_GSTAGE_USE_SVADU ? ", A and D by hardware" : "");
    return words;
}

/* ---- what a hart is told once ---- */

/*
 * Traps that are none of the hypervisor's business go to VS-mode directly, and so do VS-mode's own interrupts. Of what
 * henvcfg can give, the guest gets what the firmware has left on.
 */
void arch_enable(struct vcpu *vcpu)
{
    const uint64_t delegated = 0xb1ff; /* all exceptions but calls of VS-mode and guest-page faults */
    const uint64_t stce = UINT64_C(1) << 63, cache_blocks = 0xf0;

    (void)vcpu;
    if (!cpu_has("sstc"))
        panic("this hart has no Sstc");
    cpu_write(CSR_HEDELEG, delegated);
    cpu_write(CSR_HIDELEG, UINT64_C(2) << SOFTWARE | UINT64_C(2) << TIMER | UINT64_C(2) << EXTERNAL);
    cpu_write(CSR_HCOUNTEREN, UINT64_MAX);
    cpu_write(CSR_HTIMEDELTA, 0);
    cpu_write(CSR_HENVCFG, stce | MENVCFG_PBMTE | MENVCFG_ADUE | cache_blocks);
    if (cpu_has("smstateen"))
        cpu_write(CSR_HSTATEEN0, UINT64_MAX);
    cpu_write(CSR_HVIP, 0);
    cpu_write(CSR_VSATP, 0);
    cpu_write(CSR_VSSTATUS, 0);
    cpu_write(CSR_VSTIMECMP, UINT64_MAX);
    cpu_write(CSR_SIE, UINT64_C(1) << SOFTWARE | UINT64_C(1) << EXTERNAL);
    if (vcpu != &vcpus[0]) {
        cpu_write(CSR_HGATP, hvpt_space_root(&space) | VMID << 44);
        cpu_hfence_gvma_all();
    }
}

void arch_prepare(struct vcpu *vcpu, const struct start *start)
{
    const uint64_t units = UINT64_C(3) << 13 | UINT64_C(3) << 9; /* floating point and vectors are the guest's */
    const uint64_t hart = vcpu->arch.hart;

    memset(&vcpu->arch, 0, sizeof(vcpu->arch));
    vcpu->arch.hart = hart;
    vcpu->arch.pc = start->pc;
    vcpu->arch.x[RA0] = start->arguments[0];
    vcpu->arch.x[RA1] = start->arguments[1];
    vcpu->arch.sstatus = SSTATUS_SPP | units;
    vcpu->arch.hstatus = HSTATUS_SPV | HSTATUS_SPVP | UINT64_C(2) << 32 /* VSXL: 64 bits */;
    if (vcpu == &vcpus[0]) {
        cpu_write(CSR_HGATP, hvpt_space_root(&space) | VMID << 44);
        cpu_hfence_gvma_all();
    }
}

void arch_start_others(void)
{
    /* The guest asks for them: sbi.c. */
}

/* ---- the G-stage ---- */

enum hvpt_status arch_open(struct hvpt_space *out, const struct hvpt_hooks *hooks, uint64_t max_page_size)
{
    struct hvpt_gstage_config config = {0};

    config.mode = HVPT_GSTAGE_SV39X4; /* 2 TiB: the fewer levels, the shorter each walk */

    /*
     * The G-stage goes by menvcfg, which is machine mode's: henvcfg has only what is on there. QEMU 7.2 keeps its bits
     * even where the hart has no such extension.
     */
    if (cpu_has("svpbmt") && (cpu_read(CSR_HENVCFG) & MENVCFG_PBMTE))
        config.features |= HVPT_GSTAGE_USE_SVPBMT;
    if (option(image, "joined", NULL) && cpu_has("svnapot"))
        config.features |= HVPT_GSTAGE_USE_SVNAPOT;
    /* A hart that speaks of neither, as those made before the two had names, sets accessed and dirty by itself. */
    if (cpu_has("svadu") ? (cpu_read(CSR_HENVCFG) & MENVCFG_ADUE) != 0 : !cpu_has("svade"))
        config.features |= HVPT_GSTAGE_USE_SVADU;
    /*
     * That an entry is valid now is not made known to every hart, which would take a fence of all of them for each page
     * that is mapped lazily: the hart that faults fences for itself (arch_run), which is all that Svvptc spares it.
     */
    config.features |= HVPT_GSTAGE_USE_SVVPTC;
    config.max_page_size = max_page_size;
    features = config.features;
    return hvpt_gstage_init(out, hooks, &config);
}

void arch_read_memory_map(void)
{
    say("memory types from: 0 %s %lx WB", features & HVPT_GSTAGE_USE_SVPBMT ? "UC" : "WB", RAM_START);
}

/* RAM's type is what the machine says; that of devices is said once more, where the hart has Svpbmt. */
struct hvpt_attr arch_attr(uint64_t address)
{
    bool device = address < RAM_START && (features & HVPT_GSTAGE_USE_SVPBMT);
    struct hvpt_attr attr = {HVPT_READ | HVPT_WRITE | HVPT_EXEC, device ? HVPT_MEM_UC : HVPT_MEM_WB, 0, 0};

    return attr;
}

static enum hvpt_status map_one_to_one(struct hvpt_space *in, uint64_t from, uint64_t to, uint32_t perm,
                                       struct hvpt_flush *flush)
{
    struct hvpt_attr attr = arch_attr(from);

    attr.perm = perm;
    return hvpt_space_map(in, hvpt_make_gpa(from), hvpt_make_hpa(from), to - from, attr, flush);
}

enum hvpt_status arch_map(struct hvpt_space *in, uint32_t perm, struct hvpt_flush *flush)
{
    const uint64_t plic = UINT64_C(0x0c200000), plic_end = plic + 2 * MAX_CPUS * HVPT_4K;
    enum hvpt_status status = map_one_to_one(in, 0, plic, perm, flush);

    if (status == HVPT_OK)
        status = map_one_to_one(in, plic_end, RAM_START, perm, flush);
    if (status == HVPT_OK)
        status = map_one_to_one(in, RAM_START, RAM_START + image->ram_size, perm, flush);
    return status;
}

/* The hook. The firmware reaches the other harts, and waits for them. Fences of single addresses order leaves alone. */
void arch_flush(void *ctx, const struct hvpt_flush *flush)
{
    (void)ctx;
    if (flush->tables || flush->size > 64 * HVPT_4K)
        sbi_fence_gvma(0, UINT64_MAX);
    else
        sbi_fence_gvma(flush->gpa.value, flush->size);
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
    (void)address;
    (void)size;
    sbi_fence_i();
}

/* ---- exits ---- */

/* Privileged manual, "Trap Entry", as if the trap had been delegated. */
void riscv_exception(struct vcpu *vcpu, uint64_t cause, uint64_t value)
{
    uint64_t status = cpu_read(CSR_VSSTATUS);

    cpu_write(CSR_VSCAUSE, cause);
    cpu_write(CSR_VSEPC, vcpu->arch.pc);
    cpu_write(CSR_VSTVAL, value);
    status = (status & ~(SSTATUS_SPP | SSTATUS_SPIE)) | (status & SSTATUS_SIE ? SSTATUS_SPIE : 0)
           | (vcpu->arch.sstatus & SSTATUS_SPP);
    cpu_write(CSR_VSSTATUS, status & ~SSTATUS_SIE);
    vcpu->arch.pc = cpu_read(CSR_VSTVEC) & ~UINT64_C(3);
    vcpu->arch.sstatus |= SSTATUS_SPP;
}

static struct hvpt_gstage_fault fault_of(const struct vcpu *vcpu)
{
    struct hvpt_gstage_fault fault;

    hvpt_gstage_decode_fault(vcpu->arch.cause, vcpu->arch.stval, vcpu->arch.htval, vcpu->arch.htinst, &fault);
    return fault;
}

static struct exit classify_fault(struct vcpu *vcpu, struct exit exit)
{
    struct hvpt_gstage_fault fault = fault_of(vcpu);

    exit.gpa = fault.gpa.value;
    exit.access = hvpt_gstage_fault_wants(&fault);
    exit.kind = EXIT_FAULT;
    if (exit.gpa >= DOOR && exit.gpa < DOOR + HVPT_4K && fault.access == HVPT_READ) {
        exit.kind = EXIT_CALL;
        exit.reason = REASON_CALL;
    } else if (plic_has(exit.gpa)) {
        plic_access(vcpu, &fault);
        exit.kind = EXIT_SETTLED;
        exit.reason = REASON_CONTROLLER;
    }
    return exit;
}

static struct exit classify(struct vcpu *vcpu)
{
    enum { ILLEGAL = 2, CALL_OF_VS = 10, VIRTUAL_INSTRUCTION = 22 };
    const uint64_t cause = vcpu->arch.cause;
    struct exit exit = {EXIT_SETTLED, (unsigned)cause & 63, 0, 0};

    if (cause >> 63) {
        exit.reason += REASON_INTERRUPT;
        if (exit.reason == REASON_INTERRUPT + SOFTWARE) /* from send_ipi: arch_run passes it on */
            __asm__ volatile("csrc sip, %0" : : "r"(UINT64_C(1) << SOFTWARE) : "memory");
        else if (exit.reason == REASON_INTERRUPT + EXTERNAL)
            plic_interrupt();
        else
            exit.kind = EXIT_OTHER;
        return exit;
    }
    switch (cause) {
    case CALL_OF_VS: return sbi_answer_guest(vcpu);
    case HVPT_CAUSE_FETCH_GUEST_FAULT:
    case HVPT_CAUSE_LOAD_GUEST_FAULT:
    case HVPT_CAUSE_STORE_GUEST_FAULT: return classify_fault(vcpu, exit);
    case VIRTUAL_INSTRUCTION: riscv_exception(vcpu, ILLEGAL, vcpu->arch.stval); break; /* the guest has no H */
    default: exit.kind = EXIT_OTHER;
    }
    return exit;
}

/*
 * An interrupt that is sent after the exchange makes the entry exit at once. A fault may have come of an entry that has
 * been valid in memory for a while.
 */
struct exit arch_run(struct vcpu *vcpu)
{
    if (fault_of(vcpu).access != 0)
        cpu_hfence_gvma_vmid(VMID);
    if (__atomic_exchange_n(&vcpu->arch.software, 0, __ATOMIC_SEQ_CST) != 0)
        guest_pending(SOFTWARE, true);
    guest_enter(&vcpu->arch);
    return classify(vcpu);
}

bool arch_exit(struct vcpu *vcpu, const struct exit *exit)
{
    (void)vcpu;
    (void)exit;
    return false;
}

/* Past the load that a call is; switch.S and guest.h agree that it is not compressed. */
void arch_advance(struct vcpu *vcpu)
{
    vcpu->arch.pc += 4;
}

void arch_refuse(struct vcpu *vcpu, const struct exit *exit)
{
    enum { FETCH_ACCESS_FAULT = 1, LOAD_ACCESS_FAULT = 5, STORE_ACCESS_FAULT = 7 };

    (void)exit;
    riscv_exception(vcpu,
                    vcpu->arch.cause == HVPT_CAUSE_FETCH_GUEST_FAULT  ? FETCH_ACCESS_FAULT
                    : vcpu->arch.cause == HVPT_CAUSE_LOAD_GUEST_FAULT ? LOAD_ACCESS_FAULT
                                                                      : STORE_ACCESS_FAULT,
                    vcpu->arch.stval);
}

void arch_refuse_call(struct vcpu *vcpu)
{
    arch_refuse(vcpu, NULL); /* without the option the page is as any other of the hypervisor's */
}

uint64_t *arch_argument(struct vcpu *vcpu, unsigned number)
{
    return &vcpu->arch.x[RA0 + number];
}

void arch_describe(struct vcpu *vcpu, const struct hvpt_text *text)
{
    struct hvpt_gstage_fault fault = fault_of(vcpu);

    if (fault.access != 0) {
        hvpt_gstage_fault_text(&fault, text);
        return;
    }
    hvpt_text_string(text, vcpu->arch.cause == 10 ? "the guest asks SBI for a reset" : "trap ");
    if (vcpu->arch.cause != 10)
        hvpt_text_hex(text, vcpu->arch.cause);
}

const char *arch_reason(unsigned reason)
{
    if (reason == REASON_CALL)
        return "call of /init";
    if (reason == REASON_CONTROLLER)
        return "interrupt controller";
    if (reason >= REASON_SBI)
        return sbi_name(reason - REASON_SBI);
    switch (reason) {
    case REASON_INTERRUPT + SOFTWARE: return "interrupt: software";
    case REASON_INTERRUPT + EXTERNAL: return "interrupt: external";
    case 22: return "virtual instruction";
    default: return reason < REASON_INTERRUPT ? hvpt_gstage_cause_text(reason) : "interrupt";
    }
}
