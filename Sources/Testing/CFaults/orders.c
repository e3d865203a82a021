#include "CFaults.h"

void nuvom_faults_fail(
    struct nuvom_faults *page, uint32_t operation, uint32_t files, uint32_t error, uint32_t in, uint32_t is_sticky) {
  __atomic_store_n(&page->fail_in, 0, __ATOMIC_RELEASE);
  __atomic_store_n(&page->is_failing, 0, __ATOMIC_RELEASE);
  page->fail_operation = operation;
  page->fail_files = files;
  page->fail_error = error;
  page->fail_is_sticky = is_sticky;
  __atomic_store_n(&page->fail_in, in, __ATOMIC_RELEASE);
}

void nuvom_faults_kill(struct nuvom_faults *page, uint32_t point, uint32_t in) {
  __atomic_store_n(&page->kill_in, 0, __ATOMIC_RELEASE);
  page->kill_point = point;
  __atomic_store_n(&page->kill_in, in, __ATOMIC_RELEASE);
}

uint64_t nuvom_faults_met(const struct nuvom_faults *page, uint32_t point) {
  return point < nuvom_point_count ? nuvom_faults_load(&page->met[point]) : 0;
}
