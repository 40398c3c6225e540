#include <string.h>

#include "rpc/internal.h"

/* The one place where our codes and those of gRPC meet. */

static const struct {
    enum ym_code code;
    grpc_status_code status;
} pairs[] = {
    {YM_OK, GRPC_STATUS_OK},
    {YM_INVALID, GRPC_STATUS_INVALID_ARGUMENT},
    {YM_NOT_FOUND, GRPC_STATUS_NOT_FOUND},
    {YM_CONFLICT, GRPC_STATUS_ABORTED},
    {YM_DENIED, GRPC_STATUS_PERMISSION_DENIED},
    {YM_EXHAUSTED, GRPC_STATUS_RESOURCE_EXHAUSTED},
    {YM_UNAVAILABLE, GRPC_STATUS_UNAVAILABLE},
    {YM_DEADLINE, GRPC_STATUS_DEADLINE_EXCEEDED},
    {YM_CORRUPT, GRPC_STATUS_DATA_LOSS},
    {YM_UNCERTAIN, GRPC_STATUS_UNKNOWN},
    {YM_INTERNAL, GRPC_STATUS_INTERNAL},
    /* one way only */
    {YM_UNAVAILABLE, GRPC_STATUS_CANCELLED},
    {YM_CONFLICT, GRPC_STATUS_ALREADY_EXISTS},
    {YM_CONFLICT, GRPC_STATUS_FAILED_PRECONDITION},
    {YM_INVALID, GRPC_STATUS_OUT_OF_RANGE},
    {YM_INVALID, GRPC_STATUS_UNIMPLEMENTED},
    {YM_DENIED, GRPC_STATUS_UNAUTHENTICATED},
};

enum ym_code ym_rpc_code_from_grpc(int grpc_status)
{
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if ((int)pairs[i].status == grpc_status)
            return pairs[i].code;
    }
    return YM_UNCERTAIN;
}

int ym_rpc_code_to_grpc(enum ym_code code)
{
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (pairs[i].code == code)
            return (int)pairs[i].status;
    }
    return GRPC_STATUS_INTERNAL;
}

bool ym_rpc_code_parse(grpc_slice word, enum ym_code *out)
{
    for (int code = YM_INVALID; code <= YM_INTERNAL; code++) {
        if (grpc_slice_str_cmp(word, ym_code_name((enum ym_code)code)) == 0) {
            *out = (enum ym_code)code;
            return true;
        }
    }
    return false;
}
