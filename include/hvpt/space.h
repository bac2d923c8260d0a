/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A space whose format a program learns at run time: a kernel that boots on Intel or AMD, a tool that reads an image.
 * All formats are compiled in; the calls on the space are those of hvpt.h.
 */
#ifndef HVPT_SPACE_H
#define HVPT_SPACE_H

#include "ept.h"
#include "gstage.h"
#include "npt.h"
#include "stage2.h"

/* The format, and the config for it; only the one that kind names is read. */
struct hvpt_space_config {
    enum hvpt_kind kind;
    struct hvpt_ept_config ept;
    struct hvpt_npt_config npt;
    struct hvpt_s2_config s2;
    struct hvpt_gstage_config gstage;
};

/* As hvpt_ept_init and its siblings. HVPT_E_CONFIG: also if config is NULL or of an unknown kind. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_space_init(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                              const struct hvpt_space_config *config)
{
    switch (config != NULL ? (unsigned)config->kind : HVPT_KIND_NONE) {
    case HVPT_KIND_EPT: return hvpt_ept_init(space, hooks, &config->ept);
    case HVPT_KIND_NPT: return hvpt_npt_init(space, hooks, &config->npt);
    case HVPT_KIND_S2: return hvpt_s2_init(space, hooks, &config->s2);
    case HVPT_KIND_GSTAGE: return hvpt_gstage_init(space, hooks, &config->gstage);
    }
    return hvpt_ept_init(space, hooks, NULL); /* it is refused, and *space with it */
}

/* As hvpt_ept_adopt and its siblings. HVPT_E_CONFIG: also if config is NULL or of an unknown kind. */
HVPT_NODISCARD static inline enum hvpt_status hvpt_space_adopt(struct hvpt_space *space, const struct hvpt_hooks *hooks,
                                                               const struct hvpt_space_config *config, uint64_t root,
                                                               bool readonly)
{
    switch (config != NULL ? (unsigned)config->kind : HVPT_KIND_NONE) {
    case HVPT_KIND_EPT: return hvpt_ept_adopt(space, hooks, &config->ept, root, readonly);
    case HVPT_KIND_NPT: return hvpt_npt_adopt(space, hooks, &config->npt, root, readonly);
    case HVPT_KIND_S2: return hvpt_s2_adopt(space, hooks, &config->s2, root, readonly);
    case HVPT_KIND_GSTAGE: return hvpt_gstage_adopt(space, hooks, &config->gstage, root, readonly);
    }
    return hvpt_ept_adopt(space, hooks, NULL, root, readonly);
}

#endif
