/* Text: a generated program is cut into tokens, its expressions are parsed by recursive descent into code for a
 * stack machine, and that code is run; then words are counted and a pattern is searched. */
#include "start.h"

#define TEXT 6000

enum kind { END, NUMBER, NAME, PLUS, MINUS, STAR, SLASH, PERCENT, OPEN, CLOSE, LESS, SAME, ASK, COLON, STOP };

struct token {
    enum kind kind;
    i64 value;
};

static char text[TEXT + 64];
static int length, at;
static struct token now;
static struct token code[TEXT];
static int size;
static i64 stack[128], names[26];
static u32 words[256];

static void put(char c)
{
    if (length < TEXT)
        text[length++] = c;
}

static void number(u32 v)
{
    if (v > 9)
        number(v / 10);
    put((char)('0' + v % 10));
}

static void write(int depth)
{
    u32 pick = next() % (depth > 4 ? 2 : 9);
    if (pick == 0)
        number(1 + next() % 999);
    else if (pick == 1)
        put((char)('a' + next() % 26));
    else if (pick == 2) {
        put('(');
        write(depth + 1);
        put(')');
    } else if (pick == 3) {
        write(depth + 1);
        put(next() & 1 ? '<' : '=');
        write(depth + 2);
        put('?');
        write(depth + 2);
        put(':');
        write(depth + 2);
    } else {
        write(depth + 1);
        for (u32 k = next() % 3; k; k--)
            put(' ');
        put("+-*/%"[next() % 5]);
        write(depth + 1);
    }
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void advance(void)
{
    while (text[at] == ' ')
        at++;
    char c = text[at];
    now.value = 0;
    if (is_digit(c)) {
        now.kind = NUMBER;
        while (is_digit(text[at]))
            now.value = now.value * 10 + (text[at++] - '0');
        return;
    }
    if (is_letter(c)) {
        now.kind = NAME;
        now.value = c - 'a';
        at++;
        return;
    }
    switch (c) {
    case '+': now.kind = PLUS; break;
    case '-': now.kind = MINUS; break;
    case '*': now.kind = STAR; break;
    case '/': now.kind = SLASH; break;
    case '%': now.kind = PERCENT; break;
    case '(': now.kind = OPEN; break;
    case ')': now.kind = CLOSE; break;
    case '<': now.kind = LESS; break;
    case '=': now.kind = SAME; break;
    case '?': now.kind = ASK; break;
    case ':': now.kind = COLON; break;
    case ';': now.kind = STOP; break;
    default: now.kind = END; return;
    }
    at++;
}

static void emit(enum kind kind, i64 value)
{
    code[size].kind = kind;
    code[size++].value = value;
}

static int strength(enum kind kind)
{
    switch (kind) {
    case ASK: return 1;
    case LESS: case SAME: return 2;
    case PLUS: case MINUS: return 3;
    case STAR: case SLASH: case PERCENT: return 4;
    default: return 0;
    }
}

static void parse(int least)
{
    if (now.kind == OPEN) {
        advance();
        parse(1);
        advance();
    } else {
        emit(now.kind, now.value);
        advance();
    }
    int power;
    while ((power = strength(now.kind)) >= least) {
        enum kind operator = now.kind;
        advance();
        parse(power + 1);
        if (operator == ASK) {
            advance();
            parse(1);
        }
        emit(operator, 0);
    }
}

static i64 execute(void)
{
    int top = 0;
    for (int i = 0; i < size; i++) {
        i64 right = top > 0 ? stack[top - 1] : 0, left = top > 1 ? stack[top - 2] : 0;
        switch (code[i].kind) {
        case NUMBER: stack[top++] = code[i].value; continue;
        case NAME: stack[top++] = names[code[i].value]; continue;
        case PLUS: left += right; break;
        case MINUS: left -= right; break;
        case STAR: left = (i64)(i32)((u64)left * (u64)right); break;
        case SLASH: left = right ? (i64)((i32)left / (i32)(right & 1023 ? right & 1023 : 1)) : left; break;
        case PERCENT: left = (i64)((u32)left % (u32)(right & 1023 ? right & 1023 : 1)); break;
        case LESS: left = left < right; break;
        case SAME: left = left == right; break;
        case ASK: top--; left = stack[top - 2] ? left : right; break;
        default: continue;
        }
        stack[--top - 1] = left;
    }
    return stack[0];
}

static int search(const char *pattern, int n)
{
    int found = 0, skip[128];
    for (int c = 0; c < 128; c++)
        skip[c] = n;
    for (int i = 0; i + 1 < n; i++)
        skip[(int)pattern[i]] = n - 1 - i;
    for (int i = 0; i + n <= length; i += skip[(int)text[i + n - 1]]) {
        int k = n;
        while (k > 0 && text[i + k - 1] == pattern[k - 1])
            k--;
        found += k == 0;
    }
    return found;
}

static void count(void)
{
    u32 h = 0;
    for (int i = 0; i < length; i++)
        if (is_letter(text[i]) || is_digit(text[i]))
            h = h * 33 + (u8)text[i];
        else if (h) {
            words[h & 255]++;
            h = 0;
        }
}

u64 run(void)
{
    while (length < TEXT - 400) {
        write(0);
        put(';');
    }
    u64 sum = (u64)length;
    for (int pass = 0; pass < 3; pass++) {
        for (int i = 0; i < 26; i++)
            names[i] = 1 + i * (pass + 1);
        at = 0;
        for (advance(); now.kind != END; advance()) {
            size = 0;
            parse(1);
            for (int turn = 0; turn < 3; turn++) {
                i64 result = execute();
                names[turn * 7] = result & 4095;
                sum = sum * 31 + (u64)result;
            }
        }
        count();
    }
    sum = sum * 31 + (u64)search("1", 1) + 3 * (u64)search("(a", 2) + 5 * (u64)search("z+2", 3);
    for (int i = 0; i < 256; i++)
        sum = sum * 31 + words[i];
    return sum;
}
