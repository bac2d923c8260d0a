/*
 * EPT or NPT by one config: for tests that run on both.
 */
#ifndef HVPT_TEST_X86_CONFIG_H
#define HVPT_TEST_X86_CONFIG_H

#include <hvpt/ept.h>
#include <hvpt/npt.h>

struct x86_config {
    enum hvpt_kind kind;
    struct hvpt_ept_config ept;
    struct hvpt_npt_config npt;
};

static inline enum hvpt_status x86_space_init(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                              const struct x86_config *config)
{
    return config->kind == HVPT_KIND_EPT ? hvpt_ept_init(space, hooks, &config->ept)
                                         : hvpt_npt_init(space, hooks, &config->npt);
}

static inline enum hvpt_status x86_space_adopt(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                               const struct x86_config *config, uint64_t root, bool readonly)
{
    return config->kind == HVPT_KIND_EPT ? hvpt_ept_adopt(space, hooks, &config->ept, root, readonly)
                                         : hvpt_npt_adopt(space, hooks, &config->npt, root, readonly);
}

#endif
