/*
 * Does an instruction read or write? A page fault's record does not say, but the instruction does,
 * and much hangs on it: a read is never a copy on write. Only the common forms of x86-64 are known,
 * by opcode and, where one opcode serves several, by the middle bits of the byte behind it; what
 * copies memory to memory is both and therefore unknown, and so is everything on other machines.
 * See the opcode maps in volume 2 of Intel's Software Developer's Manual.
 */
#include "hot/access.h"

#include "base/assert.h"

#if defined(__x86_64__)

/* The three bits of a ModRM byte that extend an opcode. */
static unsigned extension(unsigned char byte)
{
    return byte >> 3 & 7;
}

/* The arithmetic of 00 to 3f: destination in memory for the first two of eight; 38 and 39 only
 * compare. */
static enum hot_access of_arithmetic(unsigned char opcode)
{
    if ((opcode & 7) > 3)
        return HOT_ACCESS_UNKNOWN;
    return (opcode & 7) < 2 && opcode < 0x38 ? HOT_ACCESS_WRITE : HOT_ACCESS_READ;
}

/* Opcodes whose ModRM byte decides. */
static enum hot_access of_group(unsigned char opcode, unsigned char modrm)
{
    switch (opcode) {
    case 0x80: /* add, or, adc, sbb, and, sub, xor, cmp */
    case 0x81:
    case 0x83:
        return extension(modrm) == 7 ? HOT_ACCESS_READ : HOT_ACCESS_WRITE;
    case 0xf6: /* test, test, not, neg, mul, imul, div, idiv */
    case 0xf7:
        return (extension(modrm) & 6) == 2 ? HOT_ACCESS_WRITE : HOT_ACCESS_READ;
    case 0xfe: /* inc, dec, call, call far, jmp, jmp far, push */
    case 0xff:
        if (extension(modrm) < 2)
            return HOT_ACCESS_WRITE;
        return extension(modrm) == 4 ? HOT_ACCESS_READ : HOT_ACCESS_UNKNOWN;
    default:
        return HOT_ACCESS_UNKNOWN;
    }
}

static enum hot_access of_one_byte(unsigned char opcode, unsigned char modrm)
{
    if (opcode < 0x40)
        return of_arithmetic(opcode);
    if (opcode >= 0x50 && opcode <= 0x5f)
        return opcode < 0x58 ? HOT_ACCESS_WRITE : HOT_ACCESS_READ; /* push, pop */
    switch (opcode) {
    case 0x63: /* movslq */
    case 0x69: /* imul */
    case 0x6b:
    case 0x84: /* test */
    case 0x85:
    case 0x8a: /* mov to a register */
    case 0x8b:
    case 0xac: /* lods */
    case 0xad:
    case 0xc2: /* ret */
    case 0xc3:
        return HOT_ACCESS_READ;
    case 0x68: /* push */
    case 0x6a:
    case 0x86: /* xchg */
    case 0x87:
    case 0x88: /* mov to memory */
    case 0x89:
    case 0xaa: /* stos */
    case 0xab:
    case 0xc0: /* shifts */
    case 0xc1:
    case 0xc6: /* mov of a constant */
    case 0xc7:
    case 0xd0: /* shifts */
    case 0xd1:
    case 0xd2:
    case 0xd3:
    case 0xe8: /* call */
        return HOT_ACCESS_WRITE;
    default:
        return of_group(opcode, modrm);
    }
}

/* Opcodes behind 0f, and map 1 of the vector encodings. */
static enum hot_access of_two_bytes(unsigned char opcode, unsigned char prefix)
{
    switch (opcode) {
    case 0x11: /* vector moves to memory */
    case 0x13:
    case 0x17:
    case 0x29:
    case 0x2b:
    case 0x7f:
    case 0xab: /* bts, btr, btc */
    case 0xb3:
    case 0xbb:
    case 0xb0: /* cmpxchg */
    case 0xb1:
    case 0xc0: /* xadd */
    case 0xc1:
    case 0xc3: /* movnti */
    case 0xd6: /* vector moves */
    case 0xe7:
        return HOT_ACCESS_WRITE;
    case 0x7e: /* movd to memory, or movq from it */
        return prefix == 0xf3 ? HOT_ACCESS_READ : HOT_ACCESS_WRITE;
    case 0x10: /* vector moves from memory */
    case 0x12:
    case 0x16:
    case 0x28:
    case 0x6e:
    case 0x6f:
    case 0xa3: /* bt */
    case 0xaf: /* imul */
    case 0xb6: /* movzx, movsx */
    case 0xb7:
    case 0xbe:
    case 0xbf:
    case 0xf0: /* lddqu */
        return HOT_ACCESS_READ;
    default:
        break;
    }
    if (opcode >= 0x90 && opcode <= 0x9f)
        return HOT_ACCESS_WRITE; /* setcc */
    if ((opcode >= 0x40 && opcode <= 0x4f) || (opcode >= 0x51 && opcode <= 0x76))
        return HOT_ACCESS_READ; /* cmov, vector arithmetic */
    return HOT_ACCESS_UNKNOWN;
}

/* C5, C4 and 62 begin the vector encodings; the opcode's map and the prefix are bits of theirs. */
static enum hot_access of_vector(const unsigned char *code)
{
    static const unsigned char prefixes[4] = {0, 0x66, 0xf3, 0xf2};
    if (code[0] == 0xc5)
        return of_two_bytes(code[2], prefixes[code[1] & 3]);
    if (code[0] == 0xc4)
        return (code[1] & 31) == 1 ? of_two_bytes(code[3], prefixes[code[2] & 3])
                                   : HOT_ACCESS_UNKNOWN;
    return (code[1] & 7) == 1 ? of_two_bytes(code[4], prefixes[code[2] & 3]) : HOT_ACCESS_UNKNOWN;
}

static int is_prefix(unsigned char byte)
{
    switch (byte) {
    case 0x26: /* segments */
    case 0x2e:
    case 0x36:
    case 0x3e:
    case 0x64:
    case 0x65:
    case 0x66: /* operand and address size */
    case 0x67:
    case 0xf0: /* lock */
    case 0xf2: /* rep */
    case 0xf3:
        return 1;
    default:
        return 0;
    }
}

enum hot_access zf_hot_access(const unsigned char *code)
{
    unsigned char prefix = 0;
    ZF_ASSERT(code != NULL);
    for (int i = 0; i < 8 && is_prefix(*code); ++i)
        prefix = *code++;
    if (*code == 0xc5 || *code == 0xc4 || *code == 0x62)
        return of_vector(code);
    if ((*code & 0xf0) == 0x40) /* register extension */
        ++code;
    if (*code == 0x0f)
        return of_two_bytes(code[1], prefix);
    return of_one_byte(code[0], code[1]);
}

#else

enum hot_access zf_hot_access(const unsigned char *code)
{
    ZF_ASSERT(code != NULL);
    return HOT_ACCESS_UNKNOWN;
}

#endif
