/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A Linux module that builds EPT from the kernel's own pages, asks hvpt to explain them, and tells it in the kernel's log.
 * No CPU enters the tables, so it needs no VMX and harms nobody. Unloading gives every frame back.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/version.h>

#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/processor.h>

#include <hvpt/ept.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0) /* its name until then */
#define rdmsrq_safe rdmsrl_safe
#endif

#define GUEST_PAGES  8
#define READ_ONLY    3 /* the page that the guest may not write */
#define NOT_MAPPED   5 /* the page that is taken away again */
#define PAGE_GPA(i)  hvpt_make_gpa((uint64_t)(i) * HVPT_4K)

static struct hvpt_space guest;
static struct page *memory[GUEST_PAGES];
static atomic_t frames = ATOMIC_INIT(0);

static bool demo_alloc_frame(void *ctx, unsigned int order, hvpt_hpa *out)
{
    struct page *page = alloc_pages(GFP_KERNEL, order);

    if (!page)
        return false;
    atomic_add(1 << order, &frames);
    *out = hvpt_make_hpa(page_to_phys(page));
    return true;
}

static void demo_free_frame(void *ctx, hvpt_hpa frame, unsigned int order)
{
    atomic_sub(1 << order, &frames);
    __free_pages(pfn_to_page(frame.value >> PAGE_SHIFT), order);
}

/* No CPU runs this guest: nothing to flush. linear_map is filled in on loading, since KASLR moves it. */
static struct hvpt_hooks hooks = {
    .alloc_frame = demo_alloc_frame,
    .free_frame = demo_free_frame,
};

/* Who may do what at a guest-physical address, line by line, as "explain" says it. */
static void tell(hvpt_gpa gpa, uint32_t access, char *words)
{
    struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, words, HVPT_EXPLAIN_SIZE);
    enum hvpt_status status = hvpt_space_explain(&guest, gpa, access, &text);
    char *line;

    pr_info("guest-physical %#llx: %s\n", (unsigned long long)gpa.value, status == HVPT_OK ? "allowed" : "refused");
    while ((line = strsep(&words, "\n")) != NULL)
        if (*line)
            pr_info("  %s\n", line);
}

/* Does each page translate to the memory it was given? */
static bool all_there(void)
{
    struct hvpt_mapping mapping;
    int i;

    for (i = 0; i < GUEST_PAGES; i++) {
        enum hvpt_status status = hvpt_space_translate(&guest, PAGE_GPA(i), &mapping);

        if (i == NOT_MAPPED ? status != HVPT_E_ABSENT : status != HVPT_OK)
            return false;
        if (i != NOT_MAPPED && mapping.hpa.value != page_to_phys(memory[i]))
            return false;
    }
    return true;
}

static enum hvpt_status build(void)
{
    const struct hvpt_attr ram = hvpt_ram(HVPT_READ | HVPT_WRITE | HVPT_EXEC);
    const struct hvpt_attr read_only = {.perm = 0};
    struct hvpt_flush flush = hvpt_flush_empty();
    enum hvpt_status status = HVPT_OK;
    int i;

    for (i = 0; i < GUEST_PAGES && status == HVPT_OK; i++) {
        memory[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
        if (!memory[i])
            return HVPT_E_NOMEM;
        status = hvpt_space_map(&guest, PAGE_GPA(i), hvpt_make_hpa(page_to_phys(memory[i])), HVPT_4K, ram, &flush);
    }
    if (status == HVPT_OK)
        status = hvpt_space_protect(&guest, PAGE_GPA(READ_ONLY), HVPT_4K, read_only, HVPT_WRITE, &flush);
    if (status == HVPT_OK)
        status = hvpt_space_unmap(&guest, PAGE_GPA(NOT_MAPPED), HVPT_4K, &flush);
    hvpt_space_flush(&guest, &flush);
    return status;
}

static void tear_down(void)
{
    int i;

    hvpt_space_destroy(&guest);
    for (i = 0; i < GUEST_PAGES; i++)
        if (memory[i])
            __free_page(memory[i]);
}

static int __init demo_init(void)
{
    struct hvpt_ept_config config = {.maxphyaddr = boot_cpu_data.x86_phys_bits};
    enum hvpt_status status;
    char *words;

    /* Without VMX the capabilities stay untold: hvpt then takes the CPU for one that can do what is asked. */
    if (boot_cpu_has(X86_FEATURE_VMX))
        rdmsrq_safe(MSR_IA32_VMX_EPT_VPID_CAP, &config.ept_vpid_cap);
    words = kmalloc(HVPT_EXPLAIN_SIZE, GFP_KERNEL);
    if (!words)
        return -ENOMEM;
    hooks.linear_map = __va(0);
    status = hvpt_ept_init(&guest, &hooks, &config);
    if (status == HVPT_OK) {
        status = build();
        if (status != HVPT_OK)
            tear_down();
    }
    if (status != HVPT_OK) {
        pr_err("%s\n", hvpt_status_text(status));
        kfree(words);
        return status == HVPT_E_NOMEM ? -ENOMEM : -EINVAL;
    }
    pr_info("EPTP %#llx, %d frames of tables, %s\n", (unsigned long long)hvpt_space_root(&guest), atomic_read(&frames),
            all_there() ? "every page translates to its memory" : "a page is not where it should be");
    tell(PAGE_GPA(0), HVPT_WRITE, words);
    tell(PAGE_GPA(READ_ONLY), HVPT_WRITE, words);
    tell(PAGE_GPA(NOT_MAPPED), HVPT_READ, words);
    kfree(words);
    return 0;
}

static void __exit demo_exit(void)
{
    tear_down();
    pr_info("unloaded, %d frames not given back\n", atomic_read(&frames));
}

module_init(demo_init);
module_exit(demo_exit);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("EPT built from the kernel's pages, and explained");
