/* The formats as the cases see them. The engine is compiled here, once a format, and nowhere else. */
#include "adapter.h"

#include <string.h>

/* What most formats' configs have in common. */
#define COMMON_CONFIG(from, to)                                                                \
    ((to)->max_page_size = (from)->max_page_size, (to)->features = (uint32_t)(from)->features, \
     (to)->policy = (from)->policy)
#define EPT_CONFIG(from, to)                                                                        \
    (COMMON_CONFIG(from, to), (to)->levels = (from)->levels, (to)->maxphyaddr = (from)->maxphyaddr, \
     (to)->ept_vpid_cap = (from)->ept_vpid_cap)
#define NPT_CONFIG(from, to)                                                                        \
    (COMMON_CONFIG(from, to), (to)->levels = (from)->levels, (to)->maxphyaddr = (from)->maxphyaddr, \
     (to)->pat = (from)->pat, (to)->c_bit = (from)->c_bit)
#define S2_CONFIG(from, to)                                                                               \
    (COMMON_CONFIG(from, to), (to)->levels = (from)->levels, (to)->granule_shift = (from)->granule_shift, \
     (to)->ipa_bits = (from)->ipa_bits, (to)->mmfr0 = (from)->mmfr0, (to)->mmfr1 = (from)->mmfr1,         \
     (to)->mmfr2 = (from)->mmfr2)
#define GSTAGE_CONFIG(from, to) \
    (COMMON_CONFIG(from, to), (to)->mode = (from)->mode, (to)->maxphyaddr = (from)->maxphyaddr)

#define FORMAT                  ept
#define FORMAT_CONFIG(from, to) EPT_CONFIG(from, to)
#include "adapter_template.h"

#define FORMAT                  npt
#define FORMAT_CONFIG(from, to) NPT_CONFIG(from, to)
#include "adapter_template.h"

#define FORMAT                  s2
#define FORMAT_CONFIG(from, to) S2_CONFIG(from, to)
#include "adapter_template.h"

#define FORMAT                  gstage
#define FORMAT_CONFIG(from, to) GSTAGE_CONFIG(from, to)
#include "adapter_template.h"

/* Only the config that kind names is right: the others would be refused. */
static void choose_config(const struct any_config *from, struct hvpt_space_config *to)
{
    memset(to, 0xff, sizeof(*to));
    to->kind = from->kind;
    switch (from->kind) {
    case HVPT_KIND_EPT: ept_config(from, &to->ept); break;
    case HVPT_KIND_NPT: npt_config(from, &to->npt); break;
    case HVPT_KIND_S2: s2_config(from, &to->s2); break;
    case HVPT_KIND_GSTAGE: gstage_config(from, &to->gstage); break;
    }
}

#define FORMAT                  space
#define FORMAT_CONFIG(from, to) choose_config(from, to)
#include "adapter_template.h"
