/* json.c -- strings as JSON has them */
#include "json.h"

#include <stdint.h>
#include <stdio.h>

unsigned json_sequence_bytes(const unsigned char *text)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned length = text[0] < 0x80   ? 1
                      : text[0] < 0xc0 ? 0
                      : text[0] < 0xe0 ? 2
                      : text[0] < 0xf0 ? 3
                      : text[0] < 0xf8 ? 4
                                       : 0;
    uint32_t point = length > 1 ? text[0] & (0x7fu >> length) : text[0];
    unsigned i;

    for (i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (text[i] & 0x3f);
    }
    if (length > 1 &&
        (point < least[length] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)))
        return 0;
    return length;
}

void json_string(const char *text)
{
    const unsigned char *next = (const unsigned char *)text;

    putchar('"');
    while (*next) {
        unsigned length = json_sequence_bytes(next);
        if (length == 0)
            printf("\\udc%02x", *next);
        else if (*next == '"' || *next == '\\')
            printf("\\%c", *next);
        else if (*next < ' ' || *next == 0x7f)
            printf("\\u%04x", *next);
        else if (*next == 0xc2 && next[1] < 0xa0) /* control characters, too */
            printf("\\u%04x", next[1]);
        else
            fwrite(next, 1, length, stdout);
        next += length ? length : 1;
    }
    putchar('"');
}

void json_comma(bool *first)
{
    if (!*first)
        printf(", ");
    *first = false;
}
