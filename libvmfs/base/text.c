/* text.c -- bounded printing */
#include "base/text.h"

#include "base/check.h"

struct vm_text vm_text_init(char *bytes, size_t size)
{
    VM_ASSERT(size > 0);
    bytes[0] = '\0';
    return (struct vm_text){bytes, size, 0};
}

static void text_char(struct vm_text *text, char byte)
{
    if (text->used + 1 >= text->size)
        return;
    text->bytes[text->used++] = byte;
    text->bytes[text->used] = '\0';
}

void vm_text_str(struct vm_text *text, const char *string)
{
    while (*string)
        text_char(text, *string++);
}

static void text_number(struct vm_text *text, uint64_t value, unsigned radix)
{
    char digits[20];
    unsigned count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % radix];
        value /= radix;
    } while (value);
    while (count)
        text_char(text, digits[--count]);
}

void vm_text_u64(struct vm_text *text, uint64_t value)
{
    text_number(text, value, 10);
}

void vm_text_hex(struct vm_text *text, uint64_t value)
{
    vm_text_str(text, "0x");
    text_number(text, value, 16);
}
