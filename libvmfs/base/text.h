/* text.h -- a bounded print buffer that needs no libc; what does not fit is cut */
#ifndef VM_BASE_TEXT_H
#define VM_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct vm_text {
    char *bytes;
    size_t size;
    size_t used; /* always below size; bytes[used] is the NUL */
};

struct vm_text vm_text_init(char *bytes, size_t size);
void vm_text_str(struct vm_text *text, const char *string);
void vm_text_u64(struct vm_text *text, uint64_t value);
void vm_text_hex(struct vm_text *text, uint64_t value);

#endif
