/* err.h -- where errors are born
 *
 * Below api/ a function returns 0 or a count, or a negated reason (enum vmfs_reason). vm_raise() is
 * the only source of reasons, each is raised at one place, and so it is the place for a breakpoint. */
#ifndef VM_BASE_ERR_H
#define VM_BASE_ERR_H

#include <stdbool.h>
#include <stdint.h>

#include "vmfs.h"

/* What an operation needs to report failure. */
struct vm_err {
    vmfs_log_fn log;
    void *log_arg;
    bool is_speculative; /* reading without a lock: what looks like damage may be a race */
    bool is_damaged;     /* damage was met for certain */
};

/* Raises a reason; `where` is an offset, inode id or other number that helps a person. Returns the
 * negated reason. */
#define vm_raise(err, reason, where) vm_raise_at((err), (reason), (where), __FILE__, __LINE__)

int vm_raise_at(struct vm_err *err, int reason, uint64_t where, const char *file, int line);

/* The same with a text of its own and a decimal number, for what happens while opening. */
#define vm_raise_text(err, reason, text, number)                                                   \
    vm_raise_text_at((err), (reason), (text), (number), __FILE__, __LINE__)

int vm_raise_text_at(struct vm_err *err, int reason, const char *text, uint64_t number,
                     const char *file, int line);

/* Plain information for the log hook: text, then a number in decimal. */
void vm_inform(const struct vm_err *err, const char *text, uint64_t number);

/* Does a negated reason mean that the medium is damaged? */
bool vm_is_damage(int64_t result);

/* The negative errno of a negated reason; 0 and counts pass through. */
int64_t vm_errno(int64_t result);

#endif
