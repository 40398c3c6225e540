#include "proto/message.h"
#include "tests/fuzz/fuzz.h"

/* The first byte picks one of the messages that a hub or a party receives, the
 * rest is its wire form. What unpacks must pack again, and what that gives must
 * unpack and pack to itself: a peer could not tell the two apart. (Shorter than
 * what came, it has a smaller budget, which it may exceed.) */

static const ProtobufCMessageDescriptor *const received[] = {
    /* requests */
    &yumen__v1__enrol_request__descriptor,
    &yumen__v1__renew_request__descriptor,
    &yumen__v1__get_checkpoint_request__descriptor,
    &yumen__v1__read_log_request__descriptor,
    &yumen__v1__fetch_request__descriptor,
    &yumen__v1__submit_study_request__descriptor,
    &yumen__v1__list_studies_request__descriptor,
    &yumen__v1__watch_study_request__descriptor,
    &yumen__v1__cancel_study_request__descriptor,
    &yumen__v1__list_data_request__descriptor,
    &yumen__v1__subscribe_request__descriptor,
    &yumen__v1__post_request__descriptor,
    &yumen__v1__upload_status_request__descriptor,
    &yumen__v1__upload_chunk__descriptor,
    /* answers */
    &yumen__v1__enrol_reply__descriptor,
    &yumen__v1__renew_reply__descriptor,
    &yumen__v1__checkpoint__descriptor,
    &yumen__v1__log_entry__descriptor,
    &yumen__v1__chunk__descriptor,
    &yumen__v1__submit_study_reply__descriptor,
    &yumen__v1__list_studies_reply__descriptor,
    &yumen__v1__study_event__descriptor,
    &yumen__v1__list_data_reply__descriptor,
    &yumen__v1__task__descriptor,
    &yumen__v1__post_reply__descriptor,
    &yumen__v1__upload_status_reply__descriptor,
    &yumen__v1__upload_reply__descriptor,
};

static void pack(const ProtobufCMessage *m, struct ym_buf *out)
{
    struct ym_status st = YM_STATUS_INIT;
    if (ym_message_pack(m, out, &st) != YM_OK)
        ym_assert_failed(__FILE__, __LINE__, st.message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ym_buf first = {0}, second = {0};
    ProtobufCMessage *m = NULL;
    const ProtobufCMessageDescriptor *type;
    enum ym_code code;

    if (size == 0)
        return 0;
    type = received[data[0] % (sizeof received / sizeof received[0])];
    if (ym_message_unpack(type, (struct ym_bytes){data + 1, size - 1}, &m, NULL) != YM_OK)
        return 0;
    pack(m, &first);
    ym_message_free(m);
    code = ym_message_unpack(type, (struct ym_bytes){first.data, first.len}, &m, NULL);
    YM_ASSERT(code == YM_OK || (code == YM_EXHAUSTED && first.len < size - 1));
    if (code == YM_OK) {
        pack(m, &second);
        ym_message_free(m);
        YM_ASSERT(first.len == second.len && (first.len == 0 || memcmp(first.data, second.data, first.len) == 0));
    }
    ym_buf_release(&first);
    ym_buf_release(&second);
    return 0;
}
