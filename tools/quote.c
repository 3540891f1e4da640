/* quote.c -- text that another program reads: a shell, QEMU's options, XML */
#include "quote.h"
#include "json.h"

#include <string.h>

static const char plain[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,=:@%";

static bool is_control(unsigned char byte)
{
    return byte < ' ' || byte == 0x7f;
}

static bool has_control(const char *text)
{
    for (; *text; text++)
        if (is_control((unsigned char)*text))
            return true;
    return false;
}

static void quote_escaped(FILE *out, const char *text)
{
    fputs("$'", out);
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (is_control(byte) || byte >= 0x80)
            fprintf(out, "\\%03o", byte);
        else if (byte == '\'' || byte == '\\')
            fprintf(out, "\\%c", byte);
        else
            fputc(byte, out);
    }
    fputc('\'', out);
}

void quote_shell(FILE *out, const char *text)
{
    if (*text && text[strspn(text, plain)] == '\0') {
        fputs(text, out);
        return;
    }
    /* From U+0080 on come control characters, all in UTF-8 with this first byte. */
    if (has_control(text) || !text_is_utf8(text) || strchr(text, 0xc2)) {
        quote_escaped(out, text);
        return;
    }
    fputc('\'', out);
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
    }
    fputc('\'', out);
}

void quote_qemu(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == ',')
            fputc(',', out);
        fputc(*text, out);
    }
}

/* Spaces that a parser would drop or change are written as numbers, and so are control characters. */
void quote_xml(FILE *out, const char *text)
{
    const unsigned char *next = (const unsigned char *)text;

    for (; *next; next++) {
        if (next[0] == 0xc2 && next[1] < 0xa0)
            fprintf(out, "&#%d;", *++next);
        else if (strchr("&<>\"'\t\n\r", *next) || *next == 0x7f)
            fprintf(out, "&#%d;", *next);
        else
            fputc(*next, out);
    }
}

bool text_is_utf8(const char *text)
{
    const unsigned char *next = (const unsigned char *)text;

    while (*next) {
        unsigned length = json_sequence_bytes(next);
        if (length == 0)
            return false;
        next += length;
    }
    return true;
}

/* Beyond ASCII XML leaves out U+FFFE and U+FFFF, which are no characters, and nothing else of UTF-8. */
bool text_is_xml(const char *text)
{
    const char *next;

    for (next = text; *next; next++)
        if ((unsigned char)*next < ' ' && !strchr("\t\n\r", *next))
            return false;
    return text_is_utf8(text) && !strstr(text, "\xef\xbf\xbe") && !strstr(text, "\xef\xbf\xbf");
}
