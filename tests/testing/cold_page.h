/*
 * A page that nobody has touched yet.
 */
#ifndef ZF_TESTS_TESTING_COLD_PAGE_H
#define ZF_TESTS_TESTING_COLD_PAGE_H

#include <cstddef>

#include <sys/mman.h>

class cold_page
{
  public:
    cold_page()
        : bytes_(mmap(nullptr, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
    {
    }

    ~cold_page()
    {
        munmap(bytes_, 1);
    }

    cold_page(const cold_page &) = delete;
    cold_page &operator=(const cold_page &) = delete;

    bool is_mapped() const
    {
        return bytes_ != MAP_FAILED;
    }

    void write()
    {
        *static_cast<volatile unsigned char *>(bytes_) = 1;
    }

  private:
    void *bytes_;
};

#endif
