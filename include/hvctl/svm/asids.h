/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The ASIDs of one CPU as a pool of tags (common/tags.h). APM vol. 2, "Address Space Identifiers". */
#ifndef HVCTL_SVM_ASIDS_H
#define HVCTL_SVM_ASIDS_H

#include "../common/tags.h"
#include "caps.h"

/*
 * The ASIDs of this CPU, without those that encrypted guests need: with sev, 1 to sev_asids are theirs.
 * HVCTL_E_FULL: none are left.
 */
HVCTL_NODISCARD static inline enum hvctl_status hvctl_asid_pool_init(struct hvctl_tag_pool *pool,
                                                                     const struct hvctl_svm_caps *caps, bool sev)
{
    uint32_t taken = sev ? caps->sev_asids : 0; /* 1 to this one belong to encrypted guests */

    if (caps->asids < 2 || taken >= caps->asids - 1) {
        (void)hvctl_tag_pool_init(pool, 0, 0);
        return HVCTL_E_FULL;
    }
    return hvctl_tag_pool_init(pool, taken + 1, caps->asids - 1);
}

#endif
