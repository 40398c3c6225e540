#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>

#include "rpc/internal.h"

static bool read_slices(grpc_byte_buffer_reader *reader, struct ym_buf *out)
{
    grpc_slice *slice;
    while (grpc_byte_buffer_reader_peek(reader, &slice)) {
        if (ym_buf_append(out, GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice)) != YM_OK)
            return false;
    }
    return true;
}

bool ym_rpc_bytes_read(grpc_byte_buffer *bb, struct ym_buf *out)
{
    grpc_byte_buffer_reader reader;
    bool ok;

    if (!bb || bb->type != GRPC_BB_RAW || bb->data.raw.compression != GRPC_COMPRESS_NONE)
        return false;
    ym_buf_clear(out);
    if (ym_buf_reserve(out, grpc_byte_buffer_length(bb) + 1) != YM_OK || !grpc_byte_buffer_reader_init(&reader, bb))
        return false;
    ok = read_slices(&reader, out);
    grpc_byte_buffer_reader_destroy(&reader);
    return ok;
}

grpc_byte_buffer *ym_rpc_bytes_make(struct ym_bytes b)
{
    grpc_slice slice = grpc_slice_from_copied_buffer(b.len ? (const char *)b.data : "", b.len);
    grpc_byte_buffer *bb = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return bb;
}
