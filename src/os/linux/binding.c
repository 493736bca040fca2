/*
 * Which function slots (.got.plt) the dynamic linker still has to fill at their first call.
 *
 * Nothing in the process says so, but the slots do: one that is not bound yet points back into its
 * own object's code, at the stub that calls the linker, and one that is bound points at the
 * function. A function of the object itself is told from the stub by its symbol's address. An
 * indirect function of the object itself cannot be told and counts as bound. This library does not
 * bind slots: only the linker knows the scope in which an object's symbols are looked up. See
 * elf(5), ld.so(8), LD_BIND_NOW.
 */
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "os/os.h"

#if __ELF_NATIVE_CLASS == 64
#define SYMBOL_OF(info) ELF64_R_SYM(info)
#else
#define SYMBOL_OF(info) ELF32_R_SYM(info)
#endif
/* The same for both classes. */
#define TYPE_OF_SYMBOL(info) ELF32_ST_TYPE(info)

/* What an object's dynamic section says of its slots. */
struct slots {
    const ElfW(Sym) * symbols;
    uintptr_t relocations;
    size_t relocations_bytes;
    size_t relocation_bytes; /* one of them; its first two fields are the same in both forms */
};

static bool is_inside(const struct dl_phdr_info *info, uintptr_t address, unsigned flags)
{
    for (size_t i = 0; i < info->dlpi_phnum; ++i) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type == PT_LOAD && (segment->p_flags & flags) == flags &&
            address - (info->dlpi_addr + segment->p_vaddr) < segment->p_memsz)
            return true;
    }
    return false;
}

/* Some linkers write addresses into the dynamic section, others leave the offsets there. */
static uintptr_t address_of(const struct dl_phdr_info *info, uintptr_t value)
{
    return is_inside(info, value, 0) ? value : info->dlpi_addr + value;
}

static const ElfW(Dyn) * dynamic_of(const struct dl_phdr_info *info)
{
    for (size_t i = 0; i < info->dlpi_phnum; ++i)
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            return (const ElfW(Dyn) *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    return NULL;
}

static struct slots slots_of(const struct dl_phdr_info *info)
{
    const ElfW(Dyn) *entry = dynamic_of(info);
    struct slots slots = {.relocation_bytes = sizeof(ElfW(Rela))};
    for (; entry != NULL && entry->d_tag != DT_NULL; ++entry) {
        if (entry->d_tag == DT_SYMTAB)
            slots.symbols = (const ElfW(Sym) *)address_of(info, entry->d_un.d_ptr);
        else if (entry->d_tag == DT_JMPREL)
            slots.relocations = address_of(info, entry->d_un.d_ptr);
        else if (entry->d_tag == DT_PLTRELSZ)
            slots.relocations_bytes = entry->d_un.d_val;
        else if (entry->d_tag == DT_PLTREL && entry->d_un.d_val == DT_REL)
            slots.relocation_bytes = sizeof(ElfW(Rel));
    }
    if (slots.symbols == NULL || slots.relocations == 0)
        slots.relocations_bytes = 0;
    return slots;
}

static bool is_lazy(const struct dl_phdr_info *info, const ElfW(Sym) * symbol, uintptr_t slot)
{
    uintptr_t target;
    if (!is_inside(info, slot, PF_W))
        return false;
    target = __atomic_load_n((const uintptr_t *)slot, __ATOMIC_RELAXED);
    if (!is_inside(info, target, PF_X))
        return false;
    return symbol->st_shndx == SHN_UNDEF || (TYPE_OF_SYMBOL(symbol->st_info) != STT_GNU_IFUNC &&
                                             target != info->dlpi_addr + symbol->st_value);
}

/* The end of a name says more than its beginning. */
static void keep_name(char *kept, size_t kept_bytes, const char *name)
{
    size_t length = strlen(name);
    if (length == 0)
        name = "the program";
    else if (length >= kept_bytes)
        name += length - kept_bytes + 1;
    snprintf(kept, kept_bytes, "%s", name);
}

static int count_object(struct dl_phdr_info *info, size_t size_bytes, void *context)
{
    struct zf_os_binding *binding = context;
    struct slots slots = slots_of(info);
    size_t lazy_before = binding->lazy_slots;
    (void)size_bytes;
    ++binding->objects;
    for (size_t offset = 0; offset < slots.relocations_bytes; offset += slots.relocation_bytes) {
        const ElfW(Rel) *relocation = (const ElfW(Rel) *)(slots.relocations + offset);
        size_t symbol = SYMBOL_OF(relocation->r_info);
        if (symbol == 0)
            continue;
        ++binding->slots;
        binding->lazy_slots +=
            is_lazy(info, &slots.symbols[symbol], info->dlpi_addr + relocation->r_offset);
    }
    if (binding->lazy_slots == lazy_before)
        return 0;
    if (binding->lazy_objects++ == 0)
        keep_name(binding->lazy_object, sizeof binding->lazy_object, info->dlpi_name);
    return 0;
}

void zf_os_binding(struct zf_os_binding *binding)
{
    ZF_ASSERT(binding != NULL);
    memset(binding, 0, sizeof *binding);
    (void)dl_iterate_phdr(count_object, binding);
    ZF_ASSERT(binding->lazy_slots <= binding->slots);
    ZF_ASSERT(binding->lazy_objects <= binding->objects);
}
