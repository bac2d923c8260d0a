/* The formats as the cases see them. The engine is compiled here, once a format, and nowhere else. */
#include "adapter.h"

#include <string.h>

#define FORMAT                  ept
#define FORMAT_FLUSH            HVPT_FLUSH_INVEPT
#define FORMAT_CONFIG(from, to) ((to)->ept_vpid_cap = (from)->ept_vpid_cap)
#include "adapter_template.h"

#define FORMAT                  npt
#define FORMAT_FLUSH            HVPT_FLUSH_ASID
#define FORMAT_CONFIG(from, to) ((to)->pat = (from)->pat)
#include "adapter_template.h"
