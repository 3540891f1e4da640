/* err.c -- raising reasons and mapping them to errno */
#include "base/err.h"

#include <errno.h>

#include "base/text.h"

static int reason_errno(int reason)
{
    switch (reason) {
#define REASON_CASE(name, err, number, text)                                                       \
    case number:                                                                                   \
        return err;
        VMFS_REASONS(REASON_CASE)
#undef REASON_CASE
    default:
        return EIO;
    }
}

static const char *reason_text(int reason)
{
    switch (reason) {
#define REASON_CASE(name, err, number, text)                                                       \
    case number:                                                                                   \
        return text;
        VMFS_REASONS(REASON_CASE)
#undef REASON_CASE
    default:
        return "unknown reason";
    }
}

const char *vmfs_reason_str(int reason)
{
    return reason_text(reason);
}

int vm_raise_at(struct vm_err *err, int reason, uint64_t where, const char *file, int line)
{
    bool is_damage = reason_errno(reason) == EUCLEAN;
    if (is_damage && err->is_speculative)
        return -reason;
    if (is_damage)
        err->is_damaged = true;
    if (err->log) {
        char line_text[160];
        struct vm_text text = vm_text_init(line_text, sizeof line_text);
        vm_text_str(&text, reason_text(reason));
        vm_text_str(&text, " (");
        vm_text_hex(&text, where);
        vm_text_str(&text, ")");
        err->log(err->log_arg, is_damage ? VMFS_LOG_ERROR : VMFS_LOG_DEBUG, reason, file, line,
                 line_text);
    }
    return -reason;
}

/* What the log hook is told beside the text. */
struct origin {
    int level;
    int reason;
    const char *file;
    int line;
};

static void log_number(const struct vm_err *err, struct origin origin, const char *text,
                       uint64_t number)
{
    if (!err->log)
        return;
    char line_text[160];
    struct vm_text out = vm_text_init(line_text, sizeof line_text);
    vm_text_str(&out, text);
    vm_text_u64(&out, number);
    err->log(err->log_arg, origin.level, origin.reason, origin.file, origin.line, line_text);
}

int vm_raise_text_at(struct vm_err *err, int reason, const char *text, uint64_t number,
                     const char *file, int line)
{
    log_number(err, (struct origin){VMFS_LOG_ERROR, reason, file, line}, text, number);
    return -reason;
}

void vm_inform(const struct vm_err *err, const char *text, uint64_t number)
{
    log_number(err, (struct origin){VMFS_LOG_INFO, 0, __FILE__, __LINE__}, text, number);
}

bool vm_is_damage(int64_t result)
{
    return result < 0 && reason_errno((int)-result) == EUCLEAN;
}

int64_t vm_errno(int64_t result)
{
    return result >= 0 ? result : -reason_errno((int)-result);
}
