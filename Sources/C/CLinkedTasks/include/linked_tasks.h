// The records that @NuvomTask leaves in the linker's section "nuvom_tasks": addresses of functions, one a task.
#ifndef NUVOM_LINKED_TASKS_H
#define NUVOM_LINKED_TASKS_H

// Appends the task to what it is given: a pointer to a Swift array.
typedef void (*nuvom_task_record)(void *_Nonnull tasks);

// Made by the linker, which for their sake keeps the section even where it drops what nothing refers to. Weak: a program without tasks has none.
extern const nuvom_task_record _Nonnull __start_nuvom_tasks[] __attribute__((weak, visibility("hidden")));
extern const nuvom_task_record _Nonnull __stop_nuvom_tasks[] __attribute__((weak, visibility("hidden")));

static inline const nuvom_task_record _Nonnull *_Nullable nuvom_tasks_begin(void) { return __start_nuvom_tasks; }
static inline const nuvom_task_record _Nonnull *_Nullable nuvom_tasks_end(void) { return __stop_nuvom_tasks; }

#endif
