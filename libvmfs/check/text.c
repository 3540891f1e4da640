/* text.c -- putting lines together */
#include "check/text.h"

#include "base/check.h"

#define INDENT 2u

static void line_begin(struct vm_dump *dump)
{
    if (dump->is_begun)
        return;
    dump->is_begun = true;
    dump->line = vm_text_init(dump->bytes, sizeof dump->bytes);
    for (unsigned column = 0; column < dump->indent * INDENT; column++)
        vm_text_str(&dump->line, " ");
}

static void say_octal(struct vm_text *line, uint64_t value)
{
    char digits[23];
    unsigned at = sizeof digits - 1;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + value % 8);
        value /= 8;
    } while (value);
    vm_text_str(line, digits + at);
}

static void say_number(struct vm_text *line, char form, uint64_t number)
{
    switch (form) {
    case 'n':
        vm_text_u64(line, number);
        return;
    case 'x':
        vm_text_hex(line, number);
        return;
    case 'm':
        say_octal(line, number);
        return;
    default:
        VM_ASSERT(form == 'c');
        vm_text_str(line, number ? "good" : "BAD");
    }
}

void vm_say_numbers(struct vm_dump *dump, const char *text, const uint64_t *numbers)
{
    line_begin(dump);
    for (; *text; text++) {
        const char letter[2] = {*text, '\0'};
        if (*text == '%')
            say_number(&dump->line, *++text, *numbers++);
        else
            vm_text_str(&dump->line, letter);
    }
}

void vm_say_text(struct vm_dump *dump, const char *text)
{
    line_begin(dump);
    vm_text_str(&dump->line, text);
}

static void say_nibbles(struct vm_text *line, uint8_t byte)
{
    const char digits[3] = {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15], '\0'};
    vm_text_str(line, digits);
}

void vm_say_bytes(struct vm_dump *dump, const uint8_t *bytes, size_t len_bytes)
{
    line_begin(dump);
    vm_text_str(&dump->line, "\"");
    for (size_t index = 0; index < len_bytes; index++) {
        const char letter[2] = {(char)bytes[index], '\0'};
        bool is_plain = bytes[index] >= ' ' && bytes[index] < 0x7f && bytes[index] != '"' &&
                        bytes[index] != '\\';
        if (!is_plain)
            vm_text_str(&dump->line, "\\x");
        if (is_plain)
            vm_text_str(&dump->line, letter);
        else
            say_nibbles(&dump->line, bytes[index]);
    }
    vm_text_str(&dump->line, "\"");
}

void vm_say_hex(struct vm_dump *dump, const uint8_t *bytes, size_t len_bytes)
{
    line_begin(dump);
    for (size_t index = 0; index < len_bytes; index++)
        say_nibbles(&dump->line, bytes[index]);
}

void vm_say_end(struct vm_dump *dump)
{
    line_begin(dump);
    dump->fn(dump->arg, dump->bytes);
    dump->is_begun = false;
}
