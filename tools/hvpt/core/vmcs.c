/*
 * From the text of a log to what its dumps say.
 */
#include "core.h"

enum core_status core_vmcs(const struct core_request *request, const struct hvpt_text *out, struct core_error *error)
{
    (void)request;
    (void)out;
    return core_fail(error, 0, 0, "no dump found");
}
